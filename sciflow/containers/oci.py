"""An OCI image as a base: reference to manifest to layers, each a plain tar.

The reference is a name in a registry, or a file that `skopeo` or `docker save` wrote.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from sciflow.containers import cache, configuration, imagefile, inflate, layers, parcel, registry
from sciflow.containers import reference as references
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Request
    from sciflow.workflow import spec

NAME = "from"


def files(_image: spec.Image, _folder: Path) -> tuple[LockedFile, ...]:
    """Pin nothing: what a reference means is pinned by the digest of its manifest."""
    return ()


def fits(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether the reference is the same; with `folder`, also whether an archive still has the same bytes."""
    packed = references.archived(image.reference)
    if packed:
        same = folder is None or imagefile.digest(folder / packed.path) == pinned.digest("file")
        return same and image.reference == pinned.reference
    return references.parse(image.reference) == references.parse(pinned.reference)


def lay(request: Request) -> Base:
    """Have the layers of the image that a reference means now, or of the manifest that is pinned.

    Raises SurroundingsError: registry down, no such image or file, needs login, wrong digest, no such platform, cut
    off, hostile.
    """
    digests, manifest, get = _again(request) if request.pinned else _asked(request)
    name = shown(request.image)
    content = layers.gather(manifest, name, get)
    settings = configuration.read(content.config, name)
    if settings.platform != "/".join(request.platform.split("/")[:2]):
        raise SurroundingsError(
            f"`{name}` has no image for {request.platform}", hint=f"it has {settings.platform}; choose another image"
        )
    request.progress(f"unpacking {len(content.layers)} layers of {name}")
    return Base(
        layers=tuple(_plain(content, settings, name, request.workshop)),
        environment=settings.environment,
        folder=settings.folder,
        digests=digests,
    )


def shown(image: spec.Image) -> str:
    """Return the reference whole, or an archive's as it stands in the workflow."""
    return image.reference if references.archived(image.reference) else str(references.parse(image.reference))


def recipe(image: PinnedImage) -> Mapping[str, str]:
    """Return definitions that name the very image, for other tools."""
    packed = references.archived(image.reference)
    if packed:
        text = f"# {image.digest('manifest')}\nBootstrap: {packed.kind}\nFrom: {packed.path}\n"
        return {"container/apptainer.def": text}
    name = references.parse(image.reference)
    pinned = name.pinned(image.digest("manifest"))
    return {
        "container/apptainer.def": f"Bootstrap: docker\nFrom: {pinned}\n\n%labels\n    sciflow.reference {name}\n",
        "container/Dockerfile": f"# {name}\nFROM {pinned}\n",
    }


def _asked(request: Request) -> tuple[dict[str, str], bytes, layers.Get]:
    """Ask which image is meant now; return its digests, its manifest, and how its pieces are had."""
    packed = references.archived(request.image.reference)
    if packed:
        request.progress(f"reading {request.image.reference}")
        return (*parcel.unwrap(request.folder / packed.path, packed, platform=request.platform), parcel.held)
    request.progress(f"asking for {request.image.reference}")
    conversation = registry.Conversation(references.parse(request.image.reference))
    get = partial(layers.pull, conversation, progress=request.progress)
    return (*_pinned(conversation, request.platform), get)


def _again(request: Request) -> tuple[dict[str, str], bytes, layers.Get]:
    """Return the same of the very manifest that is pinned, whatever its tag means today."""
    known = dict(request.pinned.digests) if request.pinned else {}
    digests = {name: digest for name, digest in known.items() if name in {"file", "index", "manifest"}}
    packed = references.archived(request.image.reference)
    if packed and imagefile.digest(request.folder / packed.path) == digests["file"]:
        return (*parcel.unwrap(request.folder / packed.path, packed, platform=request.platform), parcel.held)
    kept = cache.held(digests["manifest"])
    if packed:
        if kept is None:
            raise SurroundingsError(
                f"the image of `{request.image.reference}` ({digests['manifest']}) is not in the cache",
                hint=parcel.AGAIN,
            )
        return digests, kept.read_bytes(), parcel.held
    conversation = registry.Conversation(references.parse(request.image.reference))
    get = partial(layers.pull, conversation, progress=request.progress)
    return digests, kept.read_bytes() if kept else _manifest(conversation, digests["manifest"])[1], get


def _pinned(conversation: registry.Conversation, platform: str) -> tuple[dict[str, str], bytes]:
    """Return digests (`manifest`, and `index` where the tag names one) and the manifest's bytes."""
    name = conversation.name
    digest, body = _manifest(conversation, name.digest or name.tag)
    digests = {"manifest": digest}
    entries = layers.document(body, f"what `{name.registry}` answered `{name}` with").get("manifests")
    if isinstance(entries, list):
        digests = {"index": digest, "manifest": layers.chosen(entries, str(name), platform)}
        body = _manifest(conversation, digests["manifest"])[1]
    return digests, body


def _manifest(conversation: registry.Conversation, which: str) -> tuple[str, bytes]:
    """Get a manifest or index by tag or digest; return its digest and its bytes, which are in the cache from now on."""
    body = conversation.manifest(which)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if which.startswith("sha256:") and digest != which:
        raise SurroundingsError(
            f"the registry answered {which} of `{conversation.name}` with an image of digest {digest}",
            hint="do not trust it; ask its keeper",
        )
    layers.document(body, f"what `{conversation.name.registry}` answered `{conversation.name}` with")
    return layers.stored(body), body


def _plain(content: layers.Content, settings: configuration.Configuration, name: str, workshop: Path) -> list[Path]:
    """Write the plain tars of all layers; what the config says of them holds, and they are no bomb together."""
    if len(settings.plain) != len(content.layers):
        raise SurroundingsError(
            f"`{name}` is not an image: its config names {len(settings.plain)} layers, its manifest "
            f"{len(content.layers)}",
            hint="push it again with a current tool",
        )
    left, plain = inflate.most(sum(layer.stat().st_size for layer in content.layers)), []
    for number, (layer, wanted) in enumerate(zip(content.layers, settings.plain, strict=True), 1):
        plain.append(workshop / f"{number}.tar")
        found, size = inflate.inflate(layer, plain[-1], name=f"layer {number} of `{name}`", limit=left)
        left -= size
        if found != wanted:
            raise SurroundingsError(
                f"layer {number} of `{name}` holds {found}, and the image's config says {wanted}",
                hint="do not trust the image; ask its keeper",
            )
    return plain
