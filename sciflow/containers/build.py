"""A base and what is laid over it -> one tree, and that for each engine: a squashfs, an archive for `docker load`.

Nothing but the bytes of the layers, what the workflow adds, and the version of mksquashfs decides what comes out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sciflow.containers import archive, cache, configuration, rootfs, unpack
from sciflow.containers.image import PinnedImage
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.containers.image import Pairs
    from sciflow.containers.source import Request

BASE = "base"
RUNNING = {"definition", "dockerfile"}
"""The sources that run commands, whose outcome nobody can promise."""


def tree(request: Request, base: Base) -> tuple[Path, Pairs]:
    """Write the image's tree as a tar in the workshop; return it, and the environment of who enters the image."""
    root = unpack.tree(base.layers)
    environment = tuple(sorted((dict(base.environment) | dict(request.image.environment)).items()))
    configuration.furnish(root, environment, request.image.labels)
    tar = request.workshop / "tree.tar"
    rootfs.write(root, base.layers, tar)
    return tar, environment


def build(request: Request, base: Base) -> PinnedImage:
    """Make the image's files in the cache, and pin them. Raises SurroundingsError."""
    image, digests = request.image, dict(base.digests)
    tools = dict(base.tools) | {"squashfs-tools": archive.version()}
    if image.extended and image.source != "from" and BASE not in digests:
        (layer,) = base.layers
        digests[BASE] = cache.keep(layer)
        base = replace(base, layers=(cache.place(digests[BASE]),))
    tar, environment = tree(request, base)
    request.progress(f"packing {image.reference} for Apptainer and Docker")
    made, size = archive.pack(
        tar,
        request.workshop,
        architecture=request.platform.split("/")[1],
        environment=environment,
        labels=image.labels,
        folder=base.folder,
    )
    return PinnedImage(
        source=image.source,
        reference=image.reference,
        platform=request.platform,
        digests=tuple(sorted({**digests, **made}.items())),
        asked=tuple(sorted(set(image.packages))),
        packages=base.packages,
        files=base.files,
        paths=base.paths,
        given=base.environment,
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
