"""An image in one file (`oci-archive:`, `docker-archive:`) -> its pieces in the cache, as if a registry had given them.

What `docker save` writes has no manifest of OCI's; it gets one here, in canonical JSON, so that the same content has
the same identity whatever the file's other bytes say.
"""

from __future__ import annotations

import hashlib
import posixpath
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.containers import cache, inflate, layers, members, receive, reference
from sciflow.containers.layers import Piece
from sciflow.errors import SurroundingsError
from sciflow.runner import names
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.containers.reference import Archived

AGAIN = "where that file is, `sciflow lock workflow.toml --update image` takes it into the cache again"
MAX_ENTRIES = 10_000
MAX_LINKS = 8
MEDIA_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_CONFIG = "application/vnd.oci.image.config.v1+json"
MEDIA_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Parcel:
    """An archive that was read: where the bytes of each of its files lie (offset, size)."""

    shown: str
    tar: Path
    files: dict[str, tuple[int, int]]

    def find(self, name: str) -> tuple[int, int]:
        """Return offset and size of a file. Raises SurroundingsError."""
        if name not in self.files:
            raise SurroundingsError(
                f"`{self.shown}` has no `{shown(name)}` in it, though it needs one",
                hint="write it again with `skopeo copy` or `docker save`",
            )
        return self.files[name]

    def document(self, name: str) -> bytes:
        """Return a small file's bytes."""
        offset, size = self.find(name)
        if size > layers.MAX_DOCUMENT:
            raise SurroundingsError(f"`{shown(name)}` in `{self.shown}` has {size} bytes", hint="is it an image?")
        with self.tar.open("rb") as stream:
            stream.seek(offset)
            return stream.read(size)


def unwrap(path: Path, named: Archived, *, platform: str) -> tuple[dict[str, str], bytes]:
    """Put the pieces of an image file into the cache; return digests (`file`, `manifest`) and the manifest's bytes.

    Raises SurroundingsError: no such file, no such archive, no image for the platform, other bytes than it says.
    """
    with cache.workshop() as workshop:
        copy = workshop / "parcel"
        try:
            # copied first, hashed after: what was hashed is what is read
            shutil.copyfile(path, copy)
        except OSError as error:
            raise SurroundingsError(
                f"the image file `{named.path}` cannot be read: {error.strerror}",
                hint=f"it is looked for in `{path.parent}`",
            ) from error
        file = f"sha256:{names.digest_file(copy)[0]}"
        parcel = _read(copy, workshop / "plain", named.path)
        if named.kind == reference.OCI_ARCHIVE:
            manifest = _from_oci(parcel, platform, workshop)
        else:
            manifest = _from_docker(parcel, workshop)
    return {"file": file, "manifest": layers.stored(manifest)}, manifest


def held(piece: Piece, what: str) -> Path:
    """Return a piece that is in the cache already. Raises SurroundingsError if it is not."""
    found = cache.held(piece.digest)
    if found is None:
        raise SurroundingsError(f"{what} ({piece.digest}) is no longer in the cache", hint=AGAIN)
    return found


def _read(path: Path, plain: Path, name: str) -> _Parcel:
    inflate.inflate(path, plain, name=f"`{name}`", limit=inflate.most(path.stat().st_size))
    files, links = {}, {}
    with plain.open("rb") as stream:
        for number, member in enumerate(members.read(stream, name)):
            if number >= MAX_ENTRIES:
                raise members.refusal(name, f"has more than {MAX_ENTRIES} files, and is an image's file")
            inside = "/".join(member.path)
            if member.kind == "file":
                files[inside] = (member.offset, member.size)
            elif member.kind in {"symlink", "link"}:
                # `docker save` writes a layer that two images share as a link to the first
                above = posixpath.dirname(inside) if member.kind == "symlink" else ""
                links[inside] = posixpath.normpath(posixpath.join(above, member.target))
    for link, target in links.items():
        for _ in range(MAX_LINKS):
            target = links.get(target, target)  # noqa: PLW2901 - a link to a link
        if target in files:
            files.setdefault(link, files[target])
    return _Parcel(shown=name, tar=plain, files=files)


def _kept(parcel: _Parcel, name: str, workshop: Path, digest: str = "") -> Piece:
    """Copy a file of the archive into the cache; its digest is the one it should have, if any is said."""
    offset, size = parcel.find(name)
    sha, part, left = hashlib.sha256(), workshop / "piece", size
    with parcel.tar.open("rb") as stream, part.open("wb") as out:
        stream.seek(offset)
        while left and (data := stream.read(min(left, receive.PIECE))):
            left -= len(data)
            sha.update(data)
            out.write(data)
    found = f"sha256:{sha.hexdigest()}"
    if digest and found != digest:
        raise SurroundingsError(
            f"`{shown(name)}` in `{parcel.shown}` has content of {found}", hint="the file is damaged: write it again"
        )
    cache.settle(part, cache.place(found))
    return Piece(digest=found, size=size)


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _from_oci(parcel: _Parcel, platform: str, workshop: Path) -> bytes:
    """Read an OCI layout (image-spec, image-layout.md): index.json names manifests, or indexes of manifests."""
    entries = _entries(parcel, "index.json")
    nested = [entry for entry in entries if "index" in _media(entry) or "list" in _media(entry)]
    if len(entries) == 1 and nested:
        digest = str(nested[0].get("digest"))
        _kept(parcel, _blob(digest), workshop, digest)
        entries = _entries(parcel, _blob(digest))
    one = str(entries[0].get("digest")) if len(entries) == 1 else layers.chosen(entries, parcel.shown, platform)
    _kept(parcel, _blob(one), workshop, one)
    manifest = parcel.document(_blob(one))
    config, pieces = layers.pieces(manifest, parcel.shown)
    for piece in (config, *pieces):
        _kept(parcel, _blob(piece.digest), workshop, piece.digest)
    return manifest


def _media(entry: dict[str, Any]) -> str:
    return str(entry.get("mediaType"))


def _entries(parcel: _Parcel, name: str) -> list[dict[str, Any]]:
    found = layers.document(parcel.document(name), f"`{name}` in `{parcel.shown}`").get("manifests")
    if not isinstance(found, list) or not found or not all(isinstance(entry, dict) for entry in found):
        raise SurroundingsError(f"`{parcel.shown}` names no image in its `{name}`", hint="write it with `skopeo copy`")
    return found


def _from_docker(parcel: _Parcel, workshop: Path) -> bytes:
    """Read what `docker save` writes: manifest.json, a list of images by the names of their config and layers."""
    body = parcel.document("manifest.json")
    images = layers.document(b'{"images":' + body + b"}", f"`manifest.json` in `{parcel.shown}`")["images"]
    if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], dict):
        count = len(images) if isinstance(images, list) else 0
        raise SurroundingsError(
            f"`{parcel.shown}` holds {count} images, and one is wanted", hint="`docker save` one image a file"
        )
    config, listed = images[0].get("Config"), images[0].get("Layers")
    if not isinstance(config, str) or not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise SurroundingsError(
            f"the `manifest.json` in `{parcel.shown}` names no config and layers", hint="write it with `docker save`"
        )
    settings = _kept(parcel, config, workshop)
    pieces = [_kept(parcel, one, workshop) for one in listed]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MEDIA_MANIFEST,
        "config": {"mediaType": MEDIA_CONFIG, "digest": settings.digest, "size": settings.size},
        "layers": [{"mediaType": MEDIA_LAYER, "digest": piece.digest, "size": piece.size} for piece in pieces],
    }
    return str(names.canonical(manifest)).encode()
