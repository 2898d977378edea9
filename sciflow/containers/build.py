"""A base and what is laid over it -> one tree, and that for each engine: a squashfs, an archive for `docker load`.

Nothing but the bytes of the layers, what the workflow adds, and the version of mksquashfs decides what comes out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sciflow.containers import archive, cache, configuration, rootfs, unpack
from sciflow.containers.image import RUNNING, PinnedImage
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sciflow.containers.image import Pairs, Wheel
    from sciflow.containers.source import Request
    from sciflow.containers.wheels import Resolved

BASE = "base"


def over(
    request: Request,
    base: Base,
    chosen: Resolved | None = None,
    *,
    held: Sequence[Wheel] = (),
    update: frozenset[str] = frozenset(),
) -> tuple[Base, Resolved | None]:
    """Lay the wheels over a base that the image asks for; return it with one layer more, and the wheels.

    They are those that were `chosen`, or are chosen now for the base's own Python: of what is `held` the versions stay
    but for those in `update`. Raises SurroundingsError, WorkflowError.
    """
    python = request.image.python
    if not python:
        return base, None
    # Only an image with wheels has a use for them: they bring readers of wheels and versions along.
    from sciflow.containers import target, venv, wheels  # noqa: PLC0415

    root = unpack.tree(base.layers)
    found = target.find(root, base.layers, dict(base.environment), platform=request.platform)
    if chosen is None:
        chosen = wheels.resolve(python, request.folder, found, held=held, update=update, progress=request.progress)
    paths = wheels.gather(chosen.wheels, request.folder, request.progress)
    request.progress(f"laying {len(paths)} wheels over {request.image.reference}")
    layer = request.workshop / "wheels.tar"
    venv.write(list(zip(chosen.wheels, paths, strict=True)), found, layer)
    return replace(base, layers=(*base.layers, layer), environment=venv.environment(base.environment)), chosen


def _merged(below: Pairs, above: Pairs) -> Pairs:
    return tuple(sorted((dict(below) | dict(above)).items()))


def tree(request: Request, base: Base) -> tuple[Path, Pairs]:
    """Write the image's tree as a tar in the workshop; return it, and the environment of who enters the image."""
    root = unpack.tree(base.layers)
    environment = _merged(base.environment, request.image.environment)
    labels = _merged(base.labels, request.image.labels)
    # An image file may have been built by Apptainer, with scripts that nobody but Apptainer understands.
    configuration.furnish(root, environment, labels, last=request.image.source == "file")
    tar = request.workshop / "whole.tar"
    rootfs.write(root, base.layers, tar)
    return tar, environment


def keep(request: Request, base: Base) -> Base:
    """Keep the tree of a base that more is laid over, where no registry gives it again layer by layer."""
    image = request.image
    if not image.extended or image.source == "from" or BASE in base.digests:
        return base
    (layer,) = base.layers
    digest = cache.keep(layer)
    return replace(base, layers=(cache.place(digest),), digests={**base.digests, BASE: digest})


def build(request: Request, base: Base, chosen: Resolved | None, whole: Base) -> PinnedImage:
    """Make the files of a `whole` image in the cache, and pin them with the `base` and the wheels it is made of.

    Raises SurroundingsError.
    """
    image = request.image
    tools = dict(base.tools) | dict(chosen.tools if chosen else ()) | {"squashfs-tools": archive.version()}
    tar, environment = tree(request, whole)
    request.progress(f"packing {image.reference} for Apptainer and Docker")
    made, size = archive.pack(
        tar,
        request.workshop,
        architecture=request.platform.split("/")[1],
        environment=environment,
        labels=_merged(base.labels, image.labels),
        folder=base.folder,
    )
    return PinnedImage(
        source=image.source,
        reference=image.reference,
        platform=request.platform,
        digests=tuple(sorted({**base.digests, **made}.items())),
        asked=tuple(sorted({*image.packages, *image.files})),
        packages=base.packages,
        python=image.python,
        wheels=chosen.wheels if chosen else (),
        requirements=chosen.files if chosen else (),
        files=base.files,
        paths=base.paths,
        over=base.over,
        given=base.environment,
        given_labels=base.labels,
        folder=base.folder,
        environment=image.environment,
        labels=image.labels,
        tools=tuple(sorted(tools.items())),
        size=size,
    )


def kept(pinned: PinnedImage | None) -> Base | None:
    """Return the base of a pinned image if its tree is in the cache, as it is where something was laid over it."""
    tar = cache.held(pinned.digest(BASE)) if pinned and pinned.digest(BASE) else None
    if pinned is None or tar is None:
        return None
    made = {"archive", "config", "squashfs", "tree"}
    return Base(
        layers=(tar,),
        environment=pinned.given,
        labels=pinned.given_labels,
        over=pinned.over,
        folder=pinned.folder,
        digests={name: digest for name, digest in pinned.digests if name not in made},
        packages=pinned.packages,
        files=pinned.files,
        paths=pinned.paths,
        tools=pinned.tools,
    )


def difference(locked: PinnedImage, now: PinnedImage) -> SurroundingsError:
    """Say why an image that was built again is not the locked one, though what it is made of is."""
    was, here = (", ".join(f"{name} {version}" for name, version in one.tools) for one in (locked, now))
    if locked.identity == now.identity:
        how = f"its tree agrees, but it was packed by {was}, and here is {here}"
        hint = f"install {was}; or carry the image along: `sciflow compile --fat`; or pin again: `--update`"
    elif locked.source in RUNNING:
        how = "its tree differs, as that of what runs commands may"
        hint = "carry the image along: `sciflow compile --fat`; `sciflow lock --check` says what differs"
    else:
        how = "its tree differs"
        hint = f"build it with {was} and the sciflow that locked it; `sciflow compile --update` pins what is built now"
    return SurroundingsError(f"the image built again of {locked.identity} is not the locked one: {how}", hint=hint)
