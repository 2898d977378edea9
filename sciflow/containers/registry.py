"""A registry of images, spoken to with the standard library: what it has under a tag or a digest, as bytes.

OCI distribution-spec §3, and the token authentication of the Docker registry, version 2.
"""

from __future__ import annotations

import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

from sciflow.containers import credentials, receive
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from sciflow.containers.reference import Reference

# Without all four a registry answers with a converted manifest, of another digest, or with 404 (LIBRARIES §6).
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join(INDEXES + MANIFESTS)

TIMEOUT_S = 30
MAX_BYTES = 4 << 20  # distribution-spec: a registry should refuse larger manifests
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404
REDIRECTS = range(300, 400)

Lost = (OSError, http.client.HTTPException)
"""What a conversation that breaks off raises; `fault` turns it into words."""


class Conversation:
    """Questions about one image; the registry's challenge, once answered, is answered beforehand from then on."""

    def __init__(self, name: Reference) -> None:
        self.name = name
        self._login: dict[str, str] = {}

    def ask(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        """Ask for `manifests/…` or `blobs/…`; return the answer, open. Raises what `fault` puts into words."""
        url = f"{self.name.api}{self.name.repository}/{path}"
        try:
            return _opened(url, {**(headers or {}), **self._login})
        except urllib.error.HTTPError as error:
            if error.code != UNAUTHORIZED:
                raise
            challenge = error.headers.get("WWW-Authenticate", "")
        # A token is good for minutes, and a large image takes longer: each is asked for when the old one is refused.
        self._login = {"Authorization": _authorization(self.name, challenge)}
        return _opened(url, {**(headers or {}), **self._login})

    def manifest(self, which: str) -> bytes:
        """Return a manifest or index by tag or digest. Raises SurroundingsError."""
        try:
            with self.ask(f"manifests/{which}", {"Accept": ACCEPT}) as answer:
                return _small(answer)
        except Lost as error:
            raise fault(self.name, error) from error


def _opened(url: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    return receive.ask(url, {"User-Agent": "sciflow", **headers}, TIMEOUT_S)


def _small(answer: http.client.HTTPResponse) -> bytes:
    body: bytes = answer.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        raise http.client.HTTPException(f"it sent more than {MAX_BYTES} bytes")
    if answer.length:  # http.client says nothing of an answer that ends early
        raise http.client.HTTPException(f"its answer was cut off, {answer.length} bytes before the end")
    return body


def _authorization(name: Reference, challenge: str) -> str:
    """Answer a 401's challenge: a login as it is (Basic), or a token had with it, or without (Bearer)."""
    login = credentials.basic(name.registry)
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() == "basic" and login:
        return login
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    if scheme.lower() != "bearer" or not fields.get("realm", "").startswith(("https://", "http://")):
        raise _needs_login(name)
    if login and fields["realm"].startswith("http://") and not name.plain_http:
        raise SurroundingsError(
            f"`{name.registry}` wants a login sent in the clear to `{fields['realm']}`", hint="ask its keeper for TLS"
        )
    query = {"service": fields.get("service", ""), "scope": fields.get("scope") or f"repository:{name.repository}:pull"}
    url = f"{fields['realm']}?{urllib.parse.urlencode({key: value for key, value in query.items() if value})}"
    try:
        with _opened(url, {"Authorization": login} if login else {}) as answer:
            said = json.loads(_small(answer))
    except urllib.error.HTTPError as error:
        raise _needs_login(name) from error
    except (*Lost, ValueError) as error:
        raise fault(name, error) from error
    token = (said.get("token") or said.get("access_token")) if isinstance(said, dict) else None
    if not isinstance(token, str):
        raise _needs_login(name)
    return f"Bearer {token}"


def fault(name: Reference, error: Exception, what: str = "") -> SurroundingsError:
    """Put into words why a registry did not give an image, or `what` of it."""
    whole = f"{what} of `{name}`" if what else f"`{name}`"
    if not isinstance(error, urllib.error.HTTPError):
        why = getattr(error, "reason", None) or error
        if isinstance(why, TimeoutError):
            why = f"it sent nothing for {TIMEOUT_S} s"
        return SurroundingsError(
            f"the registry `{name.registry}` cannot be asked about {whole}: {why}",
            hint="check the network and the registry's name; with a `workflow.lock` that fits, none is needed",
        )
    if error.code == NOT_FOUND and what:
        return SurroundingsError(
            f"`{name.registry}` no longer has {whole}", hint="ask its keeper; or pin again: `sciflow compile --update`"
        )
    if error.code == NOT_FOUND:
        return SurroundingsError(
            f"there is no image `{name}`", hint=f"check name and tag; `{name.registry}` answered 404"
        )
    if error.code in {UNAUTHORIZED, FORBIDDEN}:
        return _needs_login(name)
    if error.code in REDIRECTS:
        return SurroundingsError(
            f"`{name.registry}` sends whoever asks for {whole} from place to place without end",
            hint="ask its keeper; is it a registry, or a proxy's page?",
        )
    return SurroundingsError(
        f"`{name.registry}` answered {whole} with HTTP status {error.code}", hint="try again later"
    )


def _needs_login(name: Reference) -> SurroundingsError:
    return SurroundingsError(
        f"`{name.registry}` does not show `{name}` without a login that may see it",
        hint=f"`docker login {name.registry}`, `podman login` or `apptainer registry login` first; or check the name",
    )
