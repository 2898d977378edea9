"""A URL (http, https, file) -> its content in the cache, by SHA-256; whoever has it there already asks nobody."""

from __future__ import annotations

import base64
import netrc
import os
import re
import shutil
import socket
import ssl
import urllib.error
import urllib.parse
import urllib.request
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.containers import cache, receive
from sciflow.errors import SurroundingsError
from sciflow.runner import names
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    import http.client
    from collections.abc import Callable

TIMEOUT_S = 30
THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, GONE = 401, 403, 404, 410  # RFC 9110 §15
REDIRECTS = range(300, 400)

_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*://)[^/?#]*@")


def fetch(
    url: str,
    *,
    what: str,
    sha256: str = "",
    size: int = 0,
    login: str = "",
    progress: Callable[[str], None],
) -> tuple[str, Path]:
    """Return the content's SHA-256, in hex, and where it is in the cache; `what` says for people what it is.

    `sha256`, in hex, and `size`, in bytes, are given where they are known: other content is refused then, and nothing
    of it stays. `login` is `user:password`; else the URL's own is used, or that of netrc. Raises SurroundingsError: no
    such host, not there, needs login, silent, cut off again and again, other content, too much, no space.
    """
    found = cache.held(sha256) if sha256 else None
    if found:
        return sha256, found
    parts = _split(url)
    progress(f"downloading {what}")
    with cache.workshop() as workshop:
        part = workshop / "part"
        if parts.scheme == "file":
            digest = _copied(parts, part, what)
        else:
            digest = _downloaded(url, part, what, size=size or None, fixed=bool(sha256), login=login, progress=progress)
        if sha256 and digest != sha256:
            raise SurroundingsError(
                f"{what} is not what was pinned: `{bare(url)}` gave content of sha256:{digest}, not sha256:{sha256}",
                hint="do not trust it; ask its keeper; if it was changed on purpose, pin it again",
            )
        cache.settle(part, cache.place(digest))
    return digest, cache.place(digest)


def bare(url: str) -> str:
    """Return the URL without user and password, as it may be written down."""
    return _USERINFO.sub(r"\1", url)


def userinfo(url: str) -> str:
    """Return `user:password` of a URL, decoded, or nothing."""
    given = urllib.parse.urlsplit(url).netloc.rpartition("@")[0]
    user, _, password = given.partition(":")
    return f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}" if given else ""


def _split(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        fits = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or True)
        fits = fits or (parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path.startswith("/"))
    except ValueError:
        fits = False
    if not fits or not url.isascii() or not url.isprintable() or " " in url:
        raise SurroundingsError(
            f"`{shown(bare(url))}` is no address that sciflow reads",
            hint="https://…, http://… or file:///…; other signs than ASCII, and spaces, are written as %XX",
        )
    return parts


def _copied(parts: urllib.parse.SplitResult, part: Path, what: str) -> str:
    path = Path(urllib.request.url2pathname(parts.path))
    try:
        source = path.open("rb")
    except OSError as error:
        raise SurroundingsError(
            f"{what} cannot be had: `{path}`: {error.strerror}", hint="put it there, or name another place"
        ) from error
    with source, part.open("wb") as out:
        shutil.copyfileobj(source, out, receive.PIECE)
    return str(names.digest_file(part)[0])


def _downloaded(
    url: str,
    part: Path,
    what: str,
    *,
    size: int | None,
    fixed: bool,
    login: str,
    progress: Callable[[str], None],
) -> str:
    host = urllib.parse.urlsplit(url).hostname or ""
    headers = {"User-Agent": "sciflow"}
    login = login or userinfo(url) or _kept(url)
    if login:
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode('ascii')}"
    wanted = receive.Wanted(what=what, sender=f"`{host}`", size=size, fixed=fixed, silence_s=TIMEOUT_S)
    return receive.receive(
        partial(_opened, bare(url), what, headers),
        part,
        wanted,
        refused=partial(_fault, bare(url), what),
        progress=progress,
    )


def _kept(url: str) -> str:
    """Return the login that netrc(5) has for the URL's host, which goes over TLS only, or to this machine."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in THIS_MACHINE:
        return ""
    path = Path(os.environ.get("NETRC") or Path(os.environ.get("HOME") or Path("~").expanduser(), ".netrc"))
    try:
        found = netrc.netrc(path).authenticators(parts.hostname or "")
    except OSError:
        return ""
    except (netrc.NetrcParseError, UnicodeDecodeError) as error:
        raise SurroundingsError(f"`{path}` cannot be read for a login: {error}", hint="see netrc(5)") from error
    return f"{found[0]}:{found[2]}" if found else ""


def _opened(url: str, what: str, given: dict[str, str], headers: dict[str, str]) -> http.client.HTTPResponse:
    """Ask; what no other try betters is refused at once."""
    try:
        answer = receive.ask(url, {**given, **headers}, TIMEOUT_S)
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, socket.gaierror) and error.reason.errno == socket.EAI_NONAME:
            host = urllib.parse.urlsplit(url).hostname
            raise SurroundingsError(
                f"{what} cannot be had: there is no host `{host}`", hint="check the address and the network"
            ) from error
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise SurroundingsError(
                f"{what} cannot be had: `{url}`: {error.reason.verify_message}",
                hint="is this the right host? SSL_CERT_FILE names the certificates that this machine trusts",
            ) from error
        raise
    if url.startswith("https:") and not answer.url.startswith("https:"):
        answer.close()
        raise SurroundingsError(
            f"{what} cannot be had: `{url}` leads from TLS to `{bare(answer.url)}`", hint="ask its keeper"
        )
    return answer


def _fault(url: str, what: str, error: urllib.error.HTTPError) -> SurroundingsError:
    host = urllib.parse.urlsplit(url).hostname
    if error.code in {NOT_FOUND, GONE}:
        return SurroundingsError(
            f"{what} is not there: `{url}` answered with HTTP status {error.code}",
            hint="check the address; or ask its keeper where it is now",
        )
    if error.code in {UNAUTHORIZED, FORBIDDEN}:
        return SurroundingsError(
            f"`{host}` does not give {what} without a login that may have it (HTTP status {error.code})",
            hint=f"write one into ~/.netrc: `machine {host} login … password …`",
        )
    if error.code in REDIRECTS:
        return SurroundingsError(
            f"`{host}` sends whoever asks for {what} from place to place without end", hint="ask its keeper"
        )
    return SurroundingsError(f"`{host}` answered {what} with HTTP status {error.code}", hint="check the address")
