import hashlib

import pytest

from sciflow import containers
from sciflow.containers import archive, cache, imagefile, pinning, rootfs, sif, unpack
from sciflow.containers.source import Request
from sciflow.errors import SurroundingsError
from sciflow.workflow.spec import Image
from tests.containers import layering

SQUASHFS = b"hsqs" + b"\0" * 100
SIF = b"#!/usr/bin/env run-singularity\n\0SIF_MAGIC\0" + b"\0" * 100


@pytest.mark.parametrize("content", [SQUASHFS, SIF])
def test_an_image_file_is_pinned_by_its_bytes_and_kept(tmp_path, own_cache, content):
    (tmp_path / "tool.sif").write_bytes(content)
    pinned = imagefile.resolve("tool.sif", folder=tmp_path, platform="linux/amd64")
    assert pinned.identity == "sha256:" + hashlib.sha256(content).hexdigest()
    assert cache.held(pinned.identity).read_bytes() == content


def test_a_file_that_is_no_image_is_refused(tmp_path, own_cache):
    (tmp_path / "tool.sif").write_text("not an image")
    with pytest.raises(SurroundingsError, match=r"`tool\.sif` is neither a SIF nor a squashfs"):
        imagefile.resolve("tool.sif", folder=tmp_path, platform="linux/amd64")


def test_a_file_that_is_absent_is_named_with_its_folder(tmp_path, own_cache):
    with pytest.raises(SurroundingsError, match=rf"`tool\.sif` cannot be read: No such file.*\n.*{tmp_path}"):
        imagefile.resolve("tool.sif", folder=tmp_path, platform="linux/amd64")


def test_a_file_that_is_absent_has_no_digest(tmp_path):
    assert not imagefile.digest(tmp_path / "none")


@pytest.fixture
def image(tiny_tar, tmp_path):
    """Return a squashfs with a mode, an owner and a time that a plain user's disk would not hold."""
    layer = layering.layer(
        layering.folder("shut", mode=0o2700, uid=5),
        layering.member("shut/in side", data=b"x" * 5000, mode=0o4000, gid=7, mtime=1_600_000_000),
        layering.symlink("link", "shut"),
    )
    (tmp_path / "layer").write_bytes(layer)
    root = unpack.tree([tmp_path / "layer"])
    rootfs.write(root, [tmp_path / "layer"], tmp_path / "tar")
    archive.squashfs(tmp_path / "tar", tmp_path / "tool.sqfs")
    return tmp_path / "tool.sqfs"


def laid(folder, path, workshop):
    workshop.mkdir()
    request = Request(
        image=Image(source="file", reference=path),
        pinned=None,
        folder=folder,
        workshop=workshop,
        platform="linux/amd64",
        progress=print,
    )
    base = imagefile.lay(request)
    return base, dict(rootfs.walk(unpack.tree(base.layers)))


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_tree_is_read_out_of_an_image_file_whole(image, tmp_path, own_cache, wrapped):
    name = "tool.sqfs"
    if wrapped:
        sif.wrap(image, tmp_path / "tool.sif", architecture="amd64")
        name = "tool.sif"
    base, found = laid(tmp_path, name, tmp_path / "work")
    assert base.digests == {"file": imagefile.digest(tmp_path / name)}
    assert (found["./shut"].mode, found["./link"].target) == (0o2700, "shut")
    inside = found["./shut/in side"]
    assert (inside.mode, inside.size, inside.mtime) == (0o4000, 5000, 1_600_000_000)


def test_more_over_an_image_file_makes_an_image_for_docker_too(image, tmp_path, own_cache):
    asked = Image(source="file", reference="tool.sqfs", environment=(("LEVEL", "2"),))
    pinned = pinning.resolve(asked, folder=tmp_path, progress=print)
    assert [box["engine"] for box in containers.boxes(pinned)][:3] == ["apptainer", "singularity", "docker"]
    assert containers.fits(asked, pinned, folder=tmp_path)
    assert not containers.fits(Image(source="file", reference="tool.sqfs"), pinned, folder=tmp_path)
    image.chmod(0o644)
    image.write_bytes(image.read_bytes() + b"more")
    assert not containers.fits(asked, pinned, folder=tmp_path)
