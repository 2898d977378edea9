"""F17: the image is missing or broken, or its engine is absent or broken; no step has failed by that, and none is run."""

import hashlib
import os
import shutil
import subprocess

import pytest

from sciflow.containers import apptainer
from sciflow.containers.image import PinnedImage
from tests.runner.conftest import task

pytestmark = pytest.mark.live("apptainer", "mmdebstrap")  # with which comes mksquashfs
BUSYBOX = shutil.which("busybox") or ""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """Return the bytes of an image that holds busybox alone."""
    folder = tmp_path_factory.mktemp("image")
    root = folder / "root"
    for name in ("bin", "dev", "etc", "proc", "sys", "tmp", "var/tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    for name in subprocess.run([BUSYBOX, "--list"], check=True, capture_output=True, text=True).stdout.split():
        if name != "busybox":
            (root / "bin" / name).symlink_to("busybox")
    for name in ("passwd", "group"):
        (root / "etc" / name).touch()
    words = ["mksquashfs", root, folder / "image", "-quiet", "-no-progress", "-all-root"]
    subprocess.run(words, check=True, capture_output=True)
    return (folder / "image").read_bytes()


@pytest.fixture
def bed(study, image, tmp_path, monkeypatch):
    """Give (a study in that image, where the image lies in the cache)."""
    if not BUSYBOX:
        pytest.skip("busybox is not installed")

    def make(data=image):
        monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
        digest = hashlib.sha256(data).hexdigest()
        place = tmp_path / "cache/sha256" / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        pinned = PinnedImage(
            source="file", reference="", platform="linux/amd64", digests=(("squashfs", f"sha256:{digest}"),)
        )
        words = ["echo ", {"parameter": "x"}, " > o"]
        box = apptainer.box(pinned)
        return study([task("a", words, uses=["x"], outputs={"o": "o"})], [{"x": 1}, {"x": 2}], boxes=[box]), place

    return make


def told(found, **more):
    """Run it, and return what it says; nothing may be on record of a step, and nothing be left at work."""
    said = found.run(code=3, **more).stderr
    assert not (found.run_folder / "segments").exists()
    assert not (found.run_folder / "work").exists()
    return said


def test_in_an_image_that_is_there_steps_run(bed):
    found, _ = bed()
    found.run()
    assert [found.output("a", step, "o") for step in (0, 1)] == ["1\n", "2\n"]


def test_an_image_that_is_missing_is_named_with_what_brings_it(bed):
    """F17."""
    found, place = bed()
    data = place.read_bytes()
    place.unlink()
    said = told(found)
    assert str(place) in said
    assert "sciflow fetch" in said
    place.write_bytes(data)
    found.run()


@pytest.mark.parametrize("spoil", ["flip", "cut"])
def test_an_image_that_is_not_what_was_pinned_is_not_entered(bed, spoil):
    """F17: a byte of it is another, or its end is missing."""
    found, place = bed()
    data = bytearray(place.read_bytes())
    if spoil == "flip":
        data[len(data) // 2] ^= 1
    place.write_bytes(data if spoil == "flip" else data[: len(data) // 2])
    assert f"the image {place} is not what its name says" in told(found)


def test_what_was_pinned_and_is_no_image_is_told_of_in_the_engine_s_words(bed):
    """F17: the engine ends with 255, as a step may."""
    found, _ = bed(b"this is no image\n" * 1000)
    said = told(found)
    assert "the box does not open in apptainer" in said
    assert "FATAL" in said


def test_an_engine_that_is_absent_is_named(bed, tmp_path):
    """F17."""
    found, _ = bed()
    (tmp_path / "bin").mkdir()
    said = told(found, env={**os.environ, "PATH": str(tmp_path / "bin")})
    assert "no engine works here: apptainer: `apptainer` is not on PATH" in said


def test_an_engine_that_opens_no_box_is_told_of_in_its_own_words(bed, tmp_path):
    """F17."""
    found, _ = bed()
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin/apptainer"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && exit\necho "FATAL: no namespaces here" >&2\nexit 255\n')
    broken.chmod(0o755)
    said = told(found, env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"})
    assert "the box does not open in apptainer: FATAL: no namespaces here" in said
