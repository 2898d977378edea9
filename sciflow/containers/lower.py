"""The base under a recipe, laid from its reference. It stands in for `oci.lay`, and goes away when that is there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sciflow.containers import cache, configuration, layers, oci, parcel, reference, registry
from sciflow.containers.source import Base, Request

if TYPE_CHECKING:
    from sciflow.containers.layers import Get


def lay(request: Request, name: str) -> Base:
    """Have the layers of the base, by the digest that is pinned, or by what its name means now."""
    packed, locked = reference.archived(name), dict(request.pinned.digests) if request.pinned else {}
    get: Get = parcel.held
    if packed:
        digests, manifest = parcel.unwrap(request.folder / packed.path, packed, platform=request.platform)
    else:
        conversation = registry.Conversation(reference.parse(name))
        get = partial(layers.pull, conversation, progress=request.progress)
        if "manifest" in locked:
            digests = {key: locked[key] for key in ("index", "manifest") if key in locked}
            kept = cache.held(locked["manifest"])
            manifest = kept.read_bytes() if kept else oci._manifest(conversation, locked["manifest"])[1]  # noqa: SLF001
        else:
            digests, manifest = oci._pinned(conversation, request.platform)  # noqa: SLF001
    content = layers.gather(manifest, name, get)
    settings = configuration.read(content.config, name)
    below = request.workshop / "base"
    below.mkdir()
    return Base(
        layers=tuple(oci._plain(content, settings, name, below)),  # noqa: SLF001
        environment=settings.environment,
        folder=settings.folder,
        digests=digests,
    )
