"""An image file (SIF or squashfs) beside the workflow: hashed while it is copied into the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from sciflow.containers import cache
from sciflow.containers.image import PinnedImage
from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from pathlib import Path

# The first bytes of what Apptainer runs: a squashfs (little-endian super block), and a SIF after its launch line.
SQUASHFS_MAGIC = b"hsqs"
SIF_MAGIC, SIF_MAGIC_AT = b"SIF_MAGIC", 32


def resolve(path: str, *, folder: Path, platform: str) -> PinnedImage:
    """Pin the image file at `path`, relative to `folder`. Raises SurroundingsError if it is not there or no image."""
    source = folder / path
    try:
        with source.open("rb") as stream:
            start = stream.read(SIF_MAGIC_AT + len(SIF_MAGIC))
    except OSError as error:
        raise SurroundingsError(
            f"the image file `{path}` cannot be read: {error.strerror}", hint=f"it is looked for in `{folder}`"
        ) from error
    if not start.startswith(SQUASHFS_MAGIC) and start[SIF_MAGIC_AT:] != SIF_MAGIC:
        raise SurroundingsError(
            f"the image file `{path}` is neither a SIF nor a squashfs",
            hint="build it with `apptainer build` or `mksquashfs`",
        )
    with cache.workshop() as workshop:
        copy = workshop / "image"
        # copied first, hashed after: what was hashed is what is kept
        shutil.copyfile(source, copy)
        size = copy.stat().st_size
        digest = cache.keep(copy)
    return PinnedImage(source="file", reference=path, platform=platform, digests=(("file", digest),), size=size)


def digest(path: Path) -> str:
    """Return the digest of an image file, `sha256:<hex>`, or nothing if it cannot be read."""
    try:
        return f"sha256:{names.digest_file(path)[0]}"
    except OSError:
        return ""
