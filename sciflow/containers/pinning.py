"""What a workflow asks for -> a pinned image, in the cache; a pin -> its files, had or built again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sciflow.containers import alike, archive, build, cache, engines, imagefile, nix, reference, sources
from sciflow.containers.image import ALL, IMAGE, PYTHON, PinnedImage, own_platform
from sciflow.containers.source import Request
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sciflow.containers.image import Wheel
    from sciflow.containers.wheels import Resolved
    from sciflow.workflow import spec


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
    kept = old if old and not {IMAGE, ALL} & update and sources.based(image, old, folder) else None
    same = kept is not None and not update and sources.wheels_fit(image, kept, folder)
    local = image.source == "file" or (image.source == "from" and reference.archived(image.reference))
    if offline and not ((local and not image.python) or (kept and same)):
        raise SurroundingsError(
            f"the image `{image.reference}` is not pinned yet, and that needs the network",
            hint="compile once without `--offline`; after that the lock is enough",
        )
    held = old.wheels if old and image.python == old.python else ()
    if PYTHON in update:
        update |= {ALL}
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
            pinned=pinned,
            folder=folder,
            workshop=workshop,
            platform=platform,
            progress=progress,
        )
        base = build.kept(pinned) or sources.source_of(image.source).lay(request)
        base = build.keep(request, base)
        whole, chosen = build.over(request, base, _chosen(pinned) if same else None, held=held, update=update)
        return build.build(request, base, chosen, whole)


def _chosen(pinned: PinnedImage | None) -> Resolved | None:
    """Return the wheels that a pinned image has."""
    if pinned is None or not pinned.python:
        return None
    from sciflow.containers.wheels import Resolved  # noqa: PLC0415 - as in `build`

    return Resolved(wheels=pinned.wheels, files=pinned.requirements, tools=pinned.tools)


def fetch(image: PinnedImage, *, engine: str, folder: Path, progress: Callable[[str], None]) -> Path | None:
    """Make a pinned image present for an engine; `folder` holds what of the workflow's it was made of.

    Returns its verified file in the cache, or nothing where none is needed.
    Raises SurroundingsError if it cannot be had any more, UsageError if this engine cannot run it.
    """
    box = engines.engine(engine).box(image)
    if box is None:
        raise UsageError(f"`{engine}` cannot run an image from `{image.source}`", hint="use apptainer")
    if box["image"] is None:
        return None
    digest = box["image"].get("archive") or box["image"]["file"]
    found = cache.held(digest)
    if found:
        return found
    if sources.as_it_is(image):
        raise SurroundingsError(
            f"the image file `{image.reference}` ({image.identity}) is not in the cache",
            hint="compile the workflow again",
        )
    progress(f"the image {image.identity} is not in the cache; it is built again")
    now = _made(sources.asked(image), image, folder, image.platform, progress)
    found = cache.held(digest)
    if found is None:
        raise build.difference(image, now)
    return found


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
    if sources.as_it_is(image):
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
        image=sources.asked(image),
        # A closure that is held would be laid as it is, and not built.
        pinned=replace(image, digests=tuple(pair for pair in image.digests if pair[0] != nix.CLOSURE)),
        folder=folder,
        workshop=workshop,
        platform=image.platform,
        progress=progress,
    )
    whole, _ = build.over(request, sources.source_of(image.source).lay(request), _chosen(image))
    return build.tree(request, whole)[0]
