"""Images, pinned and entered: `resolve` asks the world which image is meant, `fetch` makes it present, boxes enter it.

Sources (an OCI reference, a Debian suite, a file) and engines (Apptainer, Docker, Podman, the host) are equals: each
source becomes the same noun, and each engine writes its words for that noun or says that it cannot run it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sciflow.containers import (
    alike,
    apptainer,
    archive,
    build,
    cache,
    debian,
    docker,
    host,
    imagefile,
    nix,
    podman,
    reference,
    singularity,
)
from sciflow.containers.image import Package, PinnedImage, own_platform
from sciflow.containers.source import Request
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names
from sciflow.workflow import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sciflow.containers.box import Box, Engine, Probe
    from sciflow.containers.image import Wheel
    from sciflow.containers.source import Source
    from sciflow.containers.wheels import Resolved

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

ENGINES: tuple[Engine, ...] = (apptainer, singularity, docker, podman, host)
"""In the order in which they are tried where the user names none."""

SOURCES: Mapping[str, Source] = {source.NAME: source for source in (debian, imagefile, nix)}
"""Those that cost nothing to have at hand; `_source` knows the others."""

IMAGE, PYTHON, ALL = "image", "python", "*"
"""What of an image can be asked for anew by name, beside each wheel: the base, all wheels, both."""


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
    if image is None or _as_it_is(image):
        return {}
    found = dict(_source(image.source).recipe(image))
    if image.wheels:
        from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

        found["container/requirements.txt"] = wheels.text(image.wheels)
    return found


def probes() -> list[tuple[str, Probe]]:
    """Try every engine as this user."""
    return [(known.NAME, known.probe()) for known in ENGINES]


def fits(image: spec.Image, pinned: PinnedImage, *, folder: Path | None = None) -> bool:
    """Say whether a pin is one of what the workflow asks for.

    With the workflow's `folder`, what of it the image is made of is also compared by its bytes; without, by name alone.
    """
    return _laid(image, pinned, folder) and _based(image, pinned, folder)


def _laid(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether a pin has over its base what the workflow asks for."""
    asked = (image.python, image.environment, image.labels)
    if asked != (pinned.python, pinned.environment, pinned.labels):
        return False
    if folder is None or not image.python:
        return True
    from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

    return set(wheels.files(image.python, folder)) <= set(pinned.files)


def _based(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether a pin is over the base that the workflow asks for."""
    if image.source != pinned.source or (image.source == "file" and _as_it_is(pinned) == image.extended):
        return False
    source = _source(image.source)
    return source.fits(image, pinned, folder) and (
        folder is None or set(source.files(image, folder)) <= set(pinned.files)
    )


def _as_it_is(image: PinnedImage) -> bool:
    """Say whether an image file is run as it is, with nothing laid over it."""
    return image.source == "file" and not image.digest("tree")


def _source(name: str) -> Source:
    # Each brings along what no other image has a use for: http and ssl, spython.
    if name == "from":
        from sciflow.containers import oci  # noqa: PLC0415

        return oci
    if name == "definition":
        from sciflow.containers import definition  # noqa: PLC0415

        return definition
    if name == "dockerfile":
        from sciflow.containers import dockerfile  # noqa: PLC0415

        return dockerfile
    return SOURCES[name]


def resolve(
    image: spec.Image,
    *,
    folder: Path,
    progress: Callable[[str], None],
    offline: bool = False,
    platform: str | None = None,
    old: PinnedImage | None = None,
    update: frozenset[str] = frozenset(),
) -> PinnedImage:
    """Pin an image, and have it in the cache: pulled, built or copied. The one effect of this floor's sources.

    `folder` is the workflow's; `platform` is this machine's unless said otherwise; what `old` pins of it and still
    fits stays, but for what `update` names. Raises SurroundingsError, and WorkflowError for what is wrong in a file of
    the workflow's folder that says how to build.
    """
    platform = platform or own_platform()
    if image.source == "file" and not image.extended:
        return imagefile.resolve(image.reference, folder=folder, platform=platform)
    kept = old if old and not {IMAGE, ALL} & update and _based(image, old, folder) else None
    same = kept is not None and not update and _laid(image, kept, folder)
    local = image.source == "file" or (image.source == "from" and reference.archived(image.reference))
    if offline and not ((local and not image.python) or (kept and same)):
        raise SurroundingsError(
            f"the image `{image.reference}` is not pinned yet, and that needs the network",
            hint="compile once without `--offline`; after that the lock is enough",
        )
    held = old.wheels if old and image.python == old.python else ()
    return _made(image, kept, folder, platform, progress, held=held, update=update, same=same)


def _made(
    image: spec.Image,
    pinned: PinnedImage | None,
    folder: Path,
    platform: str,
    progress: Callable[[str], None],
    *,
    held: tuple[Wheel, ...] = (),
    update: frozenset[str] = frozenset(),
    same: bool = True,
) -> PinnedImage:
    """Lay the base, or take the one that is kept, and what goes over it, and build the image; `same`: as is pinned."""
    archive.version()  # where it cannot be packed nothing is pulled either
    with cache.workshop() as workshop:
        request = Request(
            image=image,
            pinned=_of_base(pinned, folder),
            folder=folder,
            workshop=workshop,
            platform=platform,
            progress=progress,
        )
        base = build.kept(pinned) or _source(image.source).lay(request)
        base = replace(build.keep(request, base), files=_source(image.source).files(image, folder))
        whole, chosen = build.over(request, base, _chosen(pinned) if same else None, held=held, update=update)
        return build.build(request, base, chosen, whole)


def _of_base(pinned: PinnedImage | None, folder: Path) -> PinnedImage | None:
    """Return the pin without the files that ask for wheels: they are none of the base's."""
    if pinned is None or not pinned.python:
        return pinned
    from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

    theirs = {file.path for file in wheels.files(pinned.python, folder)}
    return replace(pinned, files=tuple(file for file in pinned.files if file.path not in theirs))


def _chosen(pinned: PinnedImage | None) -> Resolved | None:
    """Return the wheels that a pinned image has."""
    if pinned is None or not pinned.python:
        return None
    from sciflow.containers.wheels import Resolved  # noqa: PLC0415 - as in `build`

    return Resolved(wheels=pinned.wheels, files=pinned.files, tools=pinned.tools)


def fetch(image: PinnedImage, *, engine: str, folder: Path, progress: Callable[[str], None]) -> Path | None:
    """Make a pinned image present for an engine; `folder` holds what of the workflow's it was made of.

    Returns its verified file in the cache, or nothing where none is needed.
    Raises SurroundingsError if it cannot be had any more, UsageError if this engine cannot run it.
    """
    box = _box(engine, image)
    if box is None:
        raise UsageError(f"`{engine}` cannot run an image from `{image.source}`", hint="use apptainer")
    if box["image"] is None:
        return None
    digest = box["image"].get("archive") or box["image"]["file"]
    found = cache.held(digest)
    if found:
        return found
    if _as_it_is(image):
        raise SurroundingsError(
            f"the image file `{image.reference}` ({image.identity}) is not in the cache",
            hint="compile the workflow again",
        )
    progress(f"the image {image.identity} is not in the cache; it is built again")
    now = _made(_asked(image), image, folder, image.platform, progress)
    found = cache.held(digest)
    if found is None:
        raise build.difference(image, now)
    return found


def parts(image: PinnedImage) -> Mapping[str, str]:
    """Return what an image can be built again from where there is no network: what each is, by its digest."""
    found = {f"sha256:{wheel.sha256}": f"the wheel {wheel.file}" for wheel in image.wheels}
    closure = image.digest("closure")
    return {**found, **({closure: f"the closure of {image.reference}"} if closure else {})}


def part(image: PinnedImage, digest: str, *, folder: Path, progress: Callable[[str], None]) -> Path | None:
    """Have one of an image's parts in the cache, fetched if need be, and return it; nothing if it cannot be had."""
    wanted = [wheel for wheel in image.wheels if f"sha256:{wheel.sha256}" == digest]
    if wanted:
        from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

        wheels.gather(wanted, folder, progress)
    return cache.held(digest)


def check(image: PinnedImage, *, folder: Path, progress: Callable[[str], None]) -> alike.Likeness:
    """Build the tree of a pinned image once more, of the very pieces that are pinned, and compare the two.

    Where the pinned one is not in the cache any more it is built twice.
    Raises SurroundingsError, UsageError for what is not built.
    """
    if _as_it_is(image):
        raise UsageError(f"the image file `{image.reference}` is run as it is", hint="there is nothing to be built")
    with cache.workshop() as workshop:
        progress("building the image once more")
        tar = _tree(image, folder, workshop / "second", progress)
        built = f"sha256:{names.digest_file(tar)[0]}"
        if built == image.identity:
            return alike.Likeness(locked=image.identity, built=built)
        first, kept = workshop / "first.tar", cache.held(image.digest("archive"))
        if kept:
            alike.layer(kept, first)
        else:
            progress("the locked image is not in the cache: building it a second time, to compare")
            first = _tree(image, folder, workshop / "first", progress)
        return alike.Likeness(locked=image.identity, built=built, differences=tuple(alike.differences(first, tar)))


def _tree(image: PinnedImage, folder: Path, workshop: Path, progress: Callable[[str], None]) -> Path:
    workshop.mkdir()
    request = Request(
        image=_asked(image),
        pinned=_of_base(image, folder),
        folder=folder,
        workshop=workshop,
        platform=image.platform,
        progress=progress,
    )
    whole, _ = build.over(request, _source(image.source).lay(request), _chosen(image))
    return build.tree(request, whole)[0]


def _asked(image: PinnedImage) -> spec.Image:
    """Return what a workflow asked for to get this image."""
    return spec.Image(
        source=image.source,
        reference=image.reference,
        packages=image.asked if image.source == "debian" else (),
        files=image.asked if image.source == "nix" else (),
        python=image.python,
        environment=image.environment,
        labels=image.labels,
    )
