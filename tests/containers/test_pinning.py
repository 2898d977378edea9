from pathlib import Path

import pytest

from sciflow import containers
from sciflow.containers import cache, pinning
from sciflow.errors import SurroundingsError, UsageError
from sciflow.workflow.spec import Image
from tests.containers import images

FILE = b"hsqs" + b"\0" * 100


def test_a_pinned_file_no_longer_fits_when_its_bytes_changed(tmp_path, own_cache):
    asked = Image(source="file", reference="tool.sif")
    (tmp_path / "tool.sif").write_bytes(FILE)
    pinned = pinning.resolve(asked, folder=tmp_path, progress=print)
    assert containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "tool.sif").write_bytes(FILE + b"more")
    assert not containers.fits(asked, pinned, folder=tmp_path)


@pytest.mark.parametrize("source", ["from", "debian"])
def test_offline_nothing_is_asked_of_the_network(tmp_path, source):
    with pytest.raises(SurroundingsError, match="`bookworm` is not pinned yet, and that needs the network"):
        pinning.resolve(Image(source=source, reference="bookworm"), folder=tmp_path, progress=print, offline=True)


def test_an_image_file_is_fetched_from_the_cache(tmp_path, own_cache):
    (tmp_path / "tool.sif").write_bytes(FILE)
    pinned = pinning.resolve(Image(source="file", reference="tool.sif"), folder=tmp_path, progress=print, offline=True)
    (tmp_path / "tool.sif").unlink()
    assert pinning.fetch(pinned, engine="apptainer", folder=Path(), progress=print) == cache.place(pinned.identity)


def test_an_image_file_that_left_the_cache_is_named(own_cache):
    with pytest.raises(SurroundingsError, match=r"`tool.sif` .* is not in the cache"):
        pinning.fetch(images.file(), engine="apptainer", folder=Path(), progress=print)


def test_an_engine_that_cannot_run_an_image_says_so():
    with pytest.raises(UsageError, match="`docker` cannot run an image from `file`"):
        pinning.fetch(images.file(), engine="docker", folder=Path(), progress=print)


def test_the_host_needs_no_image():
    assert pinning.fetch(images.debian(), engine="host", folder=Path(), progress=print) is None


def test_a_debian_image_in_the_cache_is_not_built_again(tiny_image):
    assert pinning.fetch(tiny_image, engine="apptainer", folder=Path(), progress=print) == cache.place(
        tiny_image.digest("squashfs")
    )
    assert pinning.fetch(tiny_image, engine="docker", folder=Path(), progress=print) == cache.place(
        tiny_image.digest("archive")
    )
