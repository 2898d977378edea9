"""Images, pinned and entered: `resolve` asks the world which image is meant, `fetch` makes it present, boxes enter it.

Sources (an OCI reference, a Debian suite, a file) and engines (Apptainer, Docker, the host) are equals: each source
becomes the same noun, and each engine writes its words for that noun or says that it cannot run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers import (
    apptainer,
    cache,
    debian,
    docker,
    host,
    imagefile,
    recipe,
    reference,
    sif,
    singularity,
)
from sciflow.containers.image import Package, PinnedImage, own_platform
from sciflow.errors import SurroundingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sciflow.containers.box import Box, Engine, Probe
    from sciflow.workflow import spec

__all__ = [
    "ENGINES",
    "Package",
    "PinnedImage",
    "boxes",
    "engine",
    "fetch",
    "fits",
    "own_platform",
    "probes",
    "recipes",
    "resolve",
]

ENGINES: tuple[Engine, ...] = (apptainer, singularity, docker, host)
"""In the order in which they are tried where the user names none."""


def engine(name: str) -> Engine:
    """Return the engine of that name. Raises UsageError, naming those there are."""
    for known in ENGINES:
        if name == known.NAME:
            return known
    raise UsageError(
        f"there is no engine `{name}`", hint=f"the engines are {', '.join(known.NAME for known in ENGINES)}"
    )


def boxes(image: PinnedImage | None) -> list[Box]:
    """Write the words of every engine that can run this image, in the order they are tried. Pure."""
    found = (known.box(image) for known in ENGINES)
    return [box for box in found if box is not None]


def _box(name: str, image: PinnedImage) -> Box | None:
    return engine(name).box(image)


def recipes(image: PinnedImage | None) -> Mapping[str, str]:
    """Return the texts that tell how the image came to be, by their path in the bundle. Pure."""
    return recipe.write(image)


def probes() -> list[tuple[str, Probe]]:
    """Try every engine as this user."""
    return [(known.NAME, known.probe()) for known in ENGINES]


def fits(image: spec.Image, pinned: PinnedImage, *, folder: Path | None = None) -> bool:
    """Say whether a pin is one of what the workflow asks for.

    With the workflow's `folder`, an image file is also compared by its bytes; without, by its path alone.
    """
    if image.source != pinned.source:
        return False
    if image.source == "from":
        return str(reference.parse(image.reference)) == pinned.reference
    if image.source == "debian":
        return image.reference == pinned.reference and tuple(sorted(set(image.packages))) == pinned.asked
    return image.reference == pinned.reference and (
        folder is None or imagefile.digest(folder / image.reference) == pinned.identity
    )


def resolve(
    image: spec.Image,
    *,
    folder: Path,
    progress: Callable[[str], None],
    offline: bool = False,
    platform: str | None = None,
) -> PinnedImage:
    """Pin an image: ask its registry, build it, or copy it into the cache. The one effect of this floor's sources.

    `folder` is the workflow's; `platform` is this machine's unless said otherwise. Raises SurroundingsError.
    """
    platform = platform or own_platform()
    if image.source == "file":
        return imagefile.resolve(image.reference, folder=folder, platform=platform)
    if offline:
        raise SurroundingsError(
            f"the image `{image.reference}` is not pinned yet, and that needs the network",
            hint="compile once without `--offline`; after that the lock is enough",
        )
    if image.source == "debian":
        return debian.resolve(image.reference, image.packages, platform=platform, progress=progress)
    progress(f"asking for {image.reference}")
    # It brings http and ssl along, which no other image has a use for.
    from sciflow.containers import oci  # noqa: PLC0415

    return oci.resolve(image.reference, platform=platform)


def fetch(image: PinnedImage, *, engine: str, progress: Callable[[str], None]) -> Path | None:
    """Make a pinned image present for an engine.

    Returns its verified file in the cache, or nothing where the engine itself keeps it.
    Raises SurroundingsError if it cannot be had any more, UsageError if this engine cannot run it.
    """
    box = _box(engine, image)
    if box is None:
        raise UsageError(f"`{engine}` cannot run an image from `{image.source}`", hint="use apptainer")
    if box["image"] is None:
        return None
    if image.source == "debian":
        return debian.fetch(image, "archive" if "archive" in box["image"] else "squashfs", progress=progress)
    if image.source == "file":
        found = cache.held(image.identity)
        if found is None:
            raise SurroundingsError(
                f"the image file `{image.reference}` ({image.identity}) is not in the cache",
                hint="compile the workflow again",
            )
        return found
    if "sif" in box["image"]:
        return sif.fetch(image, program=engine, progress=progress)
    docker.pull(image, progress)
    return None
