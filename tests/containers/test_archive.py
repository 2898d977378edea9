import hashlib
import json
import os
import shutil
import tarfile
import time

import pytest

from sciflow.containers import archive
from sciflow.errors import SurroundingsError

needs_mksquashfs = pytest.mark.skipif(not shutil.which("mksquashfs"), reason="mksquashfs is not installed")


def _archive(tar, target):
    return archive.docker_archive(tar, target, architecture="amd64")


def test_an_archive_depends_on_the_tar_alone(tiny_tar, tmp_path, monkeypatch):
    first = _archive(tiny_tar, tmp_path / "a")
    os.utime(tiny_tar, (0, 0))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    assert _archive(tiny_tar, tmp_path / "b") == first
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_image_s_id_is_the_digest_of_its_configuration(tiny_tar, tmp_path):
    image = _archive(tiny_tar, tmp_path / "a").removeprefix("sha256:")
    with tarfile.open(tmp_path / "a") as found:
        assert hashlib.sha256(found.extractfile(f"{image}.json").read()).hexdigest() == image


def test_the_configuration_names_the_layer_by_its_digest(tiny_tar, tmp_path):
    image = _archive(tiny_tar, tmp_path / "a").removeprefix("sha256:")
    with tarfile.open(tmp_path / "a") as found:
        layer = found.extractfile(json.load(found.extractfile("manifest.json"))[0]["Layers"][0]).read()
        assert json.load(found.extractfile(f"{image}.json"))["rootfs"]["diff_ids"] == [
            "sha256:" + hashlib.sha256(layer).hexdigest()
        ]
    assert layer == tiny_tar.read_bytes()


@needs_mksquashfs
def test_a_squashfs_depends_on_the_tar_alone(tiny_tar, tmp_path):
    archive.squashfs(tiny_tar, tmp_path / "a")
    time.sleep(1.1)  # a squashfs's own times count seconds
    before = os.umask(0o077)
    try:
        archive.squashfs(tiny_tar, tmp_path / "b")
    finally:
        os.umask(before)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@needs_mksquashfs
def test_a_tar_that_is_none_is_refused(tmp_path):
    (tmp_path / "bad").write_bytes(b"x" * 2000)
    with pytest.raises(SurroundingsError, match="tar failed"):
        archive.squashfs(tmp_path / "bad", tmp_path / "a")


def test_a_mksquashfs_that_is_absent_is_named(tiny_tar, tmp_path, monkeypatch):
    (tmp_path / "tar").symlink_to(shutil.which("tar"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match="`mksquashfs` is not on PATH"):
        archive.squashfs(tiny_tar, tmp_path / "a")
