"""Layers and images for the tests of this room, written by hand: honest ones, and those that nobody should unpack."""

import gzip
import hashlib
import io
import json
import tarfile


def member(name, kind=tarfile.REGTYPE, *, data=b"", target="", **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, len(data)
    info.mode = 0o755 if kind == tarfile.DIRTYPE else 0o777 if kind == tarfile.SYMTYPE else 0o644
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def folder(name, **more):
    return member(name, tarfile.DIRTYPE, **more)


def symlink(name, target, **more):
    return member(name, tarfile.SYMTYPE, target=target, **more)


def link(name, target, **more):
    return member(name, tarfile.LNKTYPE, target=target, **more)


def layer(*members):
    """Return a plain tar as bytes. A name alone is a file that holds its own name."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in (member(one, data=one.encode()) if isinstance(one, str) else one for one in members):
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def packed(data):
    return gzip.compress(data, mtime=0)


def image(*layers, platform="linux/amd64", settings=None, pack=packed):
    """Return (manifest, {digest: bytes of config and layers}) of an image of these plain layers."""
    system, _, architecture = platform.partition("/")
    config = json.dumps(
        {
            "os": system,
            "architecture": architecture,
            "config": settings or {},
            "rootfs": {"type": "layers", "diff_ids": [digest(one) for one in layers]},
        }
    ).encode()
    blobs = {digest(data): data for data in (config, *(pack(one) for one in layers))}
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": digest(config), "size": len(config)},
        "layers": [{"digest": digest(pack(one)), "size": len(pack(one))} for one in layers],
    }
    # white space that no writer of ours makes: a digest of anything but the very bytes would differ
    return json.dumps(manifest, indent=3).encode(), blobs
