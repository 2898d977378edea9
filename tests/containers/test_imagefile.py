import hashlib

import pytest

from sciflow.containers import cache, imagefile
from sciflow.errors import SurroundingsError

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
