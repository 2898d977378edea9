"""An image's pieces in the cache: manifest, config and layers, each under its digest, from a registry or an archive.

A piece gets its name when all its bytes are there and were hashed; whoever finds it there need not ask anybody.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.containers import cache, registry
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECE = 1 << 20
TRIES, PAUSE_S = 4, 0.5
PARTIAL, RANGE_REFUSED, TOO_MANY, BROKEN = 206, 416, 429, 500  # RFC 9110 §15, RFC 6585 §4
MAX_DOCUMENT = 4 << 20
MAX_LAYERS = 500  # overlayfs ends at 500, and Docker at 127

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A config or a layer as a manifest names it; `size` is in bytes, as it travels."""

    digest: str
    size: int


Get: TypeAlias = Callable[[Piece, str], "Path"]
"""Makes a piece present in the cache; the text says what it is, for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """An image whose pieces are all in the cache: its config's bytes, and its layers from the lowest up."""

    config: bytes
    layers: tuple[Path, ...]


def document(body: bytes, what: str) -> dict[str, Any]:
    """Read a manifest, an index or a config. Raises SurroundingsError if it is none."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise SurroundingsError(f"{what} is something that is no manifest", hint="is it an image?") from error
    if not isinstance(found, dict):
        raise SurroundingsError(f"{what} is something that is no manifest", hint="is it an image?")
    return found


def pieces(manifest: bytes, name: str) -> tuple[Piece, tuple[Piece, ...]]:
    """Return config and layers that a manifest names. Raises SurroundingsError if it is not that of an image."""
    found = document(manifest, f"what `{name}` names")
    layers = found.get("layers")
    if not isinstance(layers, list) or not isinstance(found.get("config"), dict) or len(layers) > MAX_LAYERS:
        raise SurroundingsError(
            f"`{name}` is not an image: its manifest has no layers", hint="name an image, not an artefact"
        )
    return _piece(found["config"], name), tuple(_piece(layer, name) for layer in layers)


def _piece(entry: Any, name: str) -> Piece:
    digest, size = (entry.get("digest"), entry.get("size")) if isinstance(entry, dict) else (None, None)
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int) or size < 0:
        raise SurroundingsError(
            f"`{name}` is not an image that sciflow reads: a piece of it has no SHA-256 digest and size",
            hint="push it again with a current tool",
        )
    return Piece(digest=digest, size=size)


def chosen(entries: list[Any], name: str, platform: str) -> str:
    """Return the digest of the manifest for a platform; the plain variant wins over its refinements."""
    wanted_os, _, wanted_architecture = platform.partition("/")
    found, others = [], set()
    for entry in entries:
        is_for = entry.get("platform") if isinstance(entry, dict) else None
        if not isinstance(is_for, dict) or "unknown" in (is_for.get("os"), is_for.get("architecture")):
            continue  # attestations stand in the index as images for unknown/unknown
        if (is_for.get("os"), is_for.get("architecture")) == (wanted_os, wanted_architecture):
            found.append((is_for.get("variant") or "", str(entry.get("digest"))))
        others.add(f"{is_for.get('os')}/{is_for.get('architecture')}")
    if not found:
        raise SurroundingsError(
            f"`{name}` has no image for {platform}",
            hint=f"it has {', '.join(sorted(others)) or 'none at all'}; choose another image",
        )
    return min(found)[1]


def gather(manifest: bytes, name: str, get: Get) -> Content:
    """Make all pieces of an image present. Raises SurroundingsError."""
    config, layers = pieces(manifest, name)
    if config.size > MAX_DOCUMENT:
        raise SurroundingsError(f"`{name}` is not an image: its config has {config.size} bytes", hint="name an image")
    body = get(config, "the config").read_bytes()
    found = tuple(
        get(piece, f"layer {number} of {len(layers)} ({piece.size / 1e6:.1f} MB)")
        for number, piece in enumerate(layers, 1)
    )
    return Content(config=body, layers=found)


def stored(body: bytes) -> str:
    """Put a small document into the cache; return its digest, `sha256:<hex>`."""
    with cache.workshop() as workshop:
        (workshop / "document").write_bytes(body)
        return cache.keep(workshop / "document")


def pull(conversation: registry.Conversation, piece: Piece, what: str, *, progress: Callable[[str], None]) -> Path:
    """Make a piece present in the cache, from the registry if need be, and return it.

    What was cut off goes on where it was. Raises SurroundingsError: gone, needs login, silent, cut off again and again,
    or other bytes than the digest says; nothing of it stays then.
    """
    found = cache.held(piece.digest)
    if found:
        return found
    progress(f"pulling {what} of {conversation.name}")
    with cache.workshop() as workshop:
        part = workshop / "part"
        digest = _received(conversation, piece, what, part, progress)
        if digest != piece.digest:
            raise SurroundingsError(
                f"the registry answered {what} of `{conversation.name}`, {piece.digest}, with content of {digest}",
                hint="do not trust it; ask its keeper",
            )
        cache.settle(part, cache.place(digest))
    return cache.place(piece.digest)


def _received(
    conversation: registry.Conversation, piece: Piece, what: str, part: Path, progress: Callable[[str], None]
) -> str:
    """Write a piece into a file, in several goes if need be; return the digest of what came."""
    sha, done, fault = hashlib.sha256(), 0, None
    with part.open("wb") as out:
        for attempt in range(TRIES):
            if attempt:
                progress(f"{what} of {conversation.name}: {fault}; asking again for the rest")
                time.sleep(PAUSE_S * attempt)
            try:
                for at, data in _sent(conversation, piece, done):
                    if at != done:  # the registry begins again
                        out.seek(at)
                        out.truncate()
                        sha, done = hashlib.sha256(), at
                    done += len(data)
                    if done > piece.size:
                        raise SurroundingsError(
                            f"the registry sends more than the {piece.size} bytes of {what} of `{conversation.name}`",
                            hint="do not trust it; ask its keeper",
                        )
                    sha.update(data)
                    out.write(data)
            except _LostError as lost:
                fault = lost
                continue
            if done == piece.size:
                return f"sha256:{sha.hexdigest()}"
            fault = _LostError(f"it was cut off after {done} of {piece.size} bytes")
    raise SurroundingsError(
        f"{what} of `{conversation.name}` did not come whole in {TRIES} goes: {fault}",
        hint="check the network, and try again: the pieces that came stay in the cache",
    )


class _LostError(Exception):
    """The connection broke, and may well hold the next time."""


def _sent(conversation: registry.Conversation, piece: Piece, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, bytes) of a piece, from `start` if the registry can, else from 0."""
    headers = {"Range": f"bytes={start}-"} if start else {}
    try:
        with conversation.ask(f"blobs/{piece.digest}", headers) as answer:
            at = start if start and answer.status == PARTIAL else 0
            while data := answer.read(PIECE):
                yield at, data
                at += len(data)
    except urllib.error.HTTPError as error:
        if error.code not in {RANGE_REFUSED, TOO_MANY} and error.code < BROKEN:
            raise registry.fault(conversation.name, error, f"the piece {piece.digest}") from error
        raise _LostError(f"it answered with HTTP status {error.code}") from error
    except registry.Lost as error:
        why = getattr(error, "reason", None) or error
        if isinstance(why, TimeoutError):
            why = f"it sent nothing for {registry.TIMEOUT_S} s"
        raise _LostError(str(why)) from error
