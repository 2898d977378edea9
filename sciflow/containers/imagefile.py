"""An image file (SIF or squashfs) beside the workflow: hashed while it is copied into the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from sciflow.containers import cache
from sciflow.containers.image import PinnedImage
from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Base, Request
    from sciflow.workflow import spec

# The first bytes of what Apptainer runs: a squashfs (little-endian super block), and a SIF after its launch line.
SQUASHFS_MAGIC = b"hsqs"
SIF_MAGIC, SIF_MAGIC_AT = b"SIF_MAGIC", 32

NAME = "file"


def files(_image: spec.Image, _folder: Path) -> tuple[LockedFile, ...]:
    """Pin nothing: the image itself has a digest of its own."""
    return ()


def fits(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether the path is the same; with the workflow's `folder`, also whether the bytes are."""
    same = folder is None or digest(folder / image.reference) == pinned.digest("file")
    return same and image.reference == pinned.reference


def lay(request: Request) -> Base:
    """Unpack the image, so that more can be laid over it."""
    raise NotImplementedError(request)


def recipe(_image: PinnedImage) -> Mapping[str, str]:
    """Return nothing: how a file came to be is not known."""
    return {}


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
