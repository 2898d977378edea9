"""An image's pieces in the cache: manifest, config and layers, each under its digest, from a registry or an archive.

A piece gets its name when all its bytes are there and were hashed; whoever finds it there need not ask anybody.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.containers import cache, receive, registry
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from pathlib import Path

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
    wanted = receive.Wanted(
        what=f"{what} of `{conversation.name}`",
        sender="the registry",
        size=piece.size,
        fixed=True,
        silence_s=registry.TIMEOUT_S,
    )
    with cache.workshop() as workshop:
        part = workshop / "part"
        digest = "sha256:" + receive.receive(
            partial(conversation.ask, f"blobs/{piece.digest}"),
            part,
            wanted,
            refused=lambda error: registry.fault(conversation.name, error, f"the piece {piece.digest}"),
            progress=progress,
        )
        if digest != piece.digest:
            raise SurroundingsError(
                f"the registry answered {wanted.what}, {piece.digest}, with content of {digest}",
                hint="do not trust it; ask its keeper",
            )
        cache.settle(part, cache.place(digest))
    return cache.place(piece.digest)
