"""An image file (SIF or squashfs) beside the workflow: run as it is, or read so that more can be laid over it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from sciflow.containers import archive, cache, rootfs, squash
from sciflow.containers.image import PinnedImage
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Request
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
    """Read the image's tree, so that more can be laid over it. Raises SurroundingsError: not there, none, changed."""
    pinned = _copied(request.image.reference, request.folder, request.platform)
    digest, path = pinned.digest("file"), cache.place(pinned.identity)
    if request.pinned and digest != request.pinned.digest("file"):
        raise SurroundingsError(
            f"the image file `{request.image.reference}` is not the one that was locked",
            hint="`sciflow compile --update` takes it as it is now",
        )
    request.progress(f"reading {request.image.reference}")
    plain, tar = request.workshop / "plain.sqfs", request.workshop / "base.tar"
    archive.transcode(path, squash.start(path), plain, squash.WORDS)
    rootfs.write(squash.tree(plain), [plain], tar)
    return Base(layers=(tar,), digests={"file": digest})


def recipe(_image: PinnedImage) -> Mapping[str, str]:
    """Return nothing: how a file came to be is not known."""
    return {}


def resolve(path: str, *, folder: Path, platform: str) -> PinnedImage:
    """Pin the image file at `path`, relative to `folder`. Raises SurroundingsError if it is not there or no image."""
    return _copied(path, folder, platform)


def _copied(path: str, folder: Path, platform: str) -> PinnedImage:
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
