"""The answer to a question over HTTP -> a file, in several goes if need be: what was cut off goes on where it was."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PIECE = 1 << 20
TRIES, PAUSE_S = 4, 0.5
PARTIAL, RANGE_REFUSED, TOO_MANY, BROKEN = 206, 416, 429, 500  # RFC 9110 §15, RFC 6585 §4

Lost = (OSError, http.client.HTTPException)
"""What a conversation that breaks off raises."""

Ask: TypeAlias = Callable[[dict[str, str]], http.client.HTTPResponse]
"""Asks with these headers and returns the answer, open; raises HTTPError or one of `Lost`."""


def ask(url: str, headers: Mapping[str, str], silence_s: float) -> http.client.HTTPResponse:
    """Ask for a URL of http or https, and return the answer, open. Raises HTTPError, or one of `Lost`."""
    request = urllib.request.Request(url)  # noqa: S310 - those who call have looked
    for key, value in headers.items():
        # A redirect, which may lead to another host, takes no login along.
        (request.add_unredirected_header if key == "Authorization" else request.add_header)(key, value)
    try:
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=silence_s)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    return answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is asked for, in words (`what`), and who is asked (`sender`).

    `size` is in bytes, none where unknown. `fixed`: its digest is known, so that any rest will do. A sender who says
    nothing for `silence_s` seconds is given up for this go.
    """

    what: str
    sender: str
    size: int | None
    fixed: bool
    silence_s: float


def receive(
    ask: Ask,
    part: Path,
    wanted: Wanted,
    *,
    refused: Callable[[urllib.error.HTTPError], SurroundingsError],
    progress: Callable[[str], None],
) -> str:
    """Write what is answered into a file; return the SHA-256 of what came, in hex.

    Raises SurroundingsError: more than its size, or cut off again and again; what `refused` makes of an answer that no
    other try betters.
    """
    sha, done, tag, fault = hashlib.sha256(), 0, "", None
    with part.open("wb") as out:
        for attempt in range(TRIES):
            if attempt:
                progress(f"{wanted.what}: {fault}; asking again for the rest")
                time.sleep(PAUSE_S * attempt)
            try:
                for at, said, data in _sent(ask, wanted, _rest(wanted, done, tag), refused):
                    if at != done:  # it begins again
                        out.seek(at)
                        out.truncate()
                        sha, done = hashlib.sha256(), at
                    done, tag = done + len(data), said
                    if wanted.size is not None and done > wanted.size:
                        raise SurroundingsError(
                            f"{wanted.sender} sends more than the {wanted.size} bytes of {wanted.what}",
                            hint="do not trust it; ask its keeper",
                        )
                    sha.update(data)
                    out.write(data)
            except _LostError as lost:
                fault = lost
                continue
            if wanted.size in {None, done}:
                return sha.hexdigest()
            fault = _LostError(f"it was cut off after {done} of {wanted.size} bytes")
    raise SurroundingsError(
        f"{wanted.what} did not come whole in {TRIES} goes: {fault}",
        hint="check the network, and try again: what came whole stays in the cache",
    )


class _LostError(Exception):
    """The connection broke, and may well hold the next time."""


def _rest(wanted: Wanted, done: int, tag: str) -> dict[str, str]:
    """Write the headers that ask for what is still to come; nothing of a thing that may be another by now."""
    if not done or not (wanted.fixed or tag):
        return {}
    return {"Range": f"bytes={done}-", **({} if wanted.fixed else {"If-Range": tag})}


def _sent(
    ask: Ask,
    wanted: Wanted,
    headers: dict[str, str],
    refused: Callable[[urllib.error.HTTPError], SurroundingsError],
) -> Iterator[tuple[int, str, bytes]]:
    """Yield (offset, tag, bytes), from where `Range` says if the sender can, else from 0."""
    try:
        with ask(headers) as answer:
            at = int(headers["Range"][len("bytes=") : -1]) if headers and answer.status == PARTIAL else 0
            tag = answer.headers.get("ETag") or ""
            tag = "" if tag.startswith("W/") else tag  # RFC 9110 §13.1.5: a weak one does not vouch for bytes
            while data := answer.read(PIECE):
                yield at, tag, data
                at += len(data)
            if answer.length:  # http.client says nothing of an answer that ends early
                raise _LostError(f"it was cut off after {at} of {at + answer.length} bytes")
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        if error.code not in {RANGE_REFUSED, TOO_MANY} and error.code < BROKEN:
            raise refused(error) from error
        raise _LostError(f"it answered with HTTP status {error.code}") from error
    except Lost as error:
        why = getattr(error, "reason", None) or error
        if isinstance(why, TimeoutError):
            why = f"it sent nothing for {wanted.silence_s} s"
        raise _LostError(str(why)) from error
