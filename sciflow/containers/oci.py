"""An OCI image, pinned and built: reference to manifest to layers to one tree, and that for each engine.

The reference is a name in a registry, or a file that `skopeo` or `docker save` wrote. Nothing but the layers' bytes,
and the version of mksquashfs for the squashfs, decides what comes out.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from sciflow.containers import archive, cache, configuration, inflate, layers, parcel, registry, rootfs, unpack
from sciflow.containers import reference as references
from sciflow.containers.image import PinnedImage
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def resolve(text: str, *, folder: Path, platform: str, progress: Callable[[str], None]) -> PinnedImage:
    """Ask which image a reference means now, on this platform (`os/architecture`), and build it into the cache.

    `folder` is the workflow's. Raises SurroundingsError: registry down, no such image or file, needs login, wrong
    digest, no such platform, cut off, hostile, no mksquashfs.
    """
    packed = references.archived(text)
    if packed:
        digests, manifest = parcel.unwrap(folder / packed.path, packed, platform=platform)
        return _built(digests, manifest, text, platform=platform, get=parcel.held, progress=progress)
    name = references.parse(text)
    conversation = registry.Conversation(name)
    digests, manifest = _pinned(conversation, platform)
    get = partial(layers.pull, conversation, progress=progress)
    return _built(digests, manifest, str(name), platform=platform, get=get, progress=progress)


def fetch(image: PinnedImage, digest_name: str, *, progress: Callable[[str], None]) -> Path:
    """Make one of the image's files (`squashfs` or `archive`) present in the cache; build it again if need be.

    Raises SurroundingsError if it cannot be had any more, or if what is built here is not what was locked.
    """
    found = cache.held(image.digest(digest_name))
    if found:
        return found
    progress(f"the image {image.identity} is not in the cache; it is built again")
    now = _again(image, progress)
    found = cache.held(image.digest(digest_name))
    if found:
        return found
    raise difference(image, now)


def _again(image: PinnedImage, progress: Callable[[str], None]) -> PinnedImage:
    """Build an image from the very manifest that is locked, whatever its tag means today."""
    kept = cache.held(image.identity)
    if references.archived(image.reference):
        if kept is None:
            raise SurroundingsError(
                f"the image of `{image.reference}` ({image.identity}) is not in the cache",
                hint="compile the workflow again where that file is",
            )
        get: layers.Get = parcel.held
        manifest = kept.read_bytes()
    else:
        conversation = registry.Conversation(references.parse(image.reference))
        get = partial(layers.pull, conversation, progress=progress)
        manifest = kept.read_bytes() if kept else _manifest(conversation, image.identity)[1]
    return _built(dict(image.digests), manifest, image.reference, platform=image.platform, get=get, progress=progress)


def difference(locked: PinnedImage, now: PinnedImage) -> SurroundingsError:
    """Say why an image that was built again is not the locked one, though its layers are."""
    was, here = (", ".join(f"{name} {version}" for name, version in one.tools) for one in (locked, now))
    if locked.digest("tree") != now.digest("tree"):
        how, hint = (
            "its tree differs",
            "use the sciflow that locked it; `sciflow compile --update` pins what is built now",
        )
    else:
        how = f"its tree agrees, but it was packed by {was}, and here is {here}"
        hint = f"install {was}; or carry the image along: `sciflow compile --fat`; or pin again: `--update`"
    return SurroundingsError(f"the image built again of {locked.identity} is not the locked one: {how}", hint=hint)


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


def _built(
    digests: dict[str, str],
    manifest: bytes,
    name: str,
    *,
    platform: str,
    get: layers.Get,
    progress: Callable[[str], None],
) -> PinnedImage:
    """Make the image's files in the cache, and pin them."""
    version = archive.version()
    content = layers.gather(manifest, name, get)
    settings = configuration.read(content.config, name)
    if settings.platform != "/".join(platform.split("/")[:2]):
        raise SurroundingsError(
            f"`{name}` has no image for {platform}", hint=f"it has {settings.platform}; choose another image"
        )
    with cache.workshop() as workshop:
        progress(f"unpacking {len(content.layers)} layers of {name}")
        plain = _plain(content, settings, name, workshop)
        root = unpack.tree(plain)
        configuration.furnish(root, settings)
        tar = workshop / "tree.tar"
        rootfs.write(root, plain, tar)
        progress(f"packing {name} for Apptainer and Docker")
        made, size = archive.pack(
            tar,
            workshop,
            architecture=platform.split("/")[1],
            environment=settings.environment,
            folder=settings.folder,
            times=True,
        )
    return PinnedImage(
        source="from",
        reference=name,
        platform=platform,
        digests=tuple(sorted({**digests, **made}.items())),
        tools=(("squashfs-tools", version),),
        size=size,
    )


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
