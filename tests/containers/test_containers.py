from pathlib import Path

import pytest

from sciflow import containers
from sciflow.containers import cache
from sciflow.errors import SurroundingsError, UsageError
from sciflow.workflow.spec import Image
from tests.containers import images

FILE = b"hsqs" + b"\0" * 100


def test_engines_are_tried_from_the_most_shut_to_the_host():
    assert [box["engine"] for box in containers.boxes(images.debian())] == [
        "apptainer",
        "singularity",
        "docker",
        "podman",
        "host",
    ]


def test_without_an_image_there_is_only_the_host():
    assert [box["engine"] for box in containers.boxes(None)] == ["host"]


def test_an_engine_that_is_none_is_named_with_those_there_are():
    with pytest.raises(UsageError, match=r"no engine `rocket`\n.*apptainer, singularity, docker, podman, host"):
        containers.engine("rocket")


def test_every_engine_is_probed():
    assert [name for name, _ in containers.probes()] == ["apptainer", "singularity", "docker", "podman", "host"]


def test_a_pin_fits_the_reference_it_was_made_of_and_no_other():
    assert containers.fits(Image(source="from", reference="docker://127.0.0.1:5000/tools/tiny:1"), images.oci())
    assert not containers.fits(Image(source="from", reference="docker://127.0.0.1:5000/tools/tiny:2"), images.oci())


def test_a_pin_fits_the_packages_it_was_made_of_and_no_other():
    assert containers.fits(Image(source="debian", reference="bookworm", packages=("hello", "hello")), images.debian())
    assert not containers.fits(Image(source="debian", reference="bookworm", packages=()), images.debian())
    assert not containers.fits(Image(source="debian", reference="trixie", packages=("hello",)), images.debian())


def test_a_pinned_file_no_longer_fits_when_its_bytes_changed(tmp_path, own_cache):
    asked = Image(source="file", reference="tool.sif")
    (tmp_path / "tool.sif").write_bytes(FILE)
    pinned = containers.resolve(asked, folder=tmp_path, progress=print)
    assert containers.fits(asked, pinned, folder=tmp_path)
    (tmp_path / "tool.sif").write_bytes(FILE + b"more")
    assert not containers.fits(asked, pinned, folder=tmp_path)


@pytest.mark.parametrize("source", ["from", "debian"])
def test_offline_nothing_is_asked_of_the_network(tmp_path, source):
    with pytest.raises(SurroundingsError, match="`bookworm` is not pinned yet, and that needs the network"):
        containers.resolve(Image(source=source, reference="bookworm"), folder=tmp_path, progress=print, offline=True)


def test_an_image_file_is_fetched_from_the_cache(tmp_path, own_cache):
    (tmp_path / "tool.sif").write_bytes(FILE)
    pinned = containers.resolve(
        Image(source="file", reference="tool.sif"), folder=tmp_path, progress=print, offline=True
    )
    (tmp_path / "tool.sif").unlink()
    assert containers.fetch(pinned, engine="apptainer", folder=Path(), progress=print) == cache.place(pinned.identity)


def test_an_image_file_that_left_the_cache_is_named(own_cache):
    with pytest.raises(SurroundingsError, match=r"`tool.sif` .* is not in the cache"):
        containers.fetch(images.file(), engine="apptainer", folder=Path(), progress=print)


def test_an_engine_that_cannot_run_an_image_says_so():
    with pytest.raises(UsageError, match="`docker` cannot run an image from `file`"):
        containers.fetch(images.file(), engine="docker", folder=Path(), progress=print)


def test_the_host_needs_no_image():
    assert containers.fetch(images.debian(), engine="host", folder=Path(), progress=print) is None


def test_a_debian_image_in_the_cache_is_not_built_again(tiny_image):
    assert containers.fetch(tiny_image, engine="apptainer", folder=Path(), progress=print) == cache.place(
        tiny_image.digest("squashfs")
    )
    assert containers.fetch(tiny_image, engine="docker", folder=Path(), progress=print) == cache.place(
        tiny_image.digest("archive")
    )


def test_an_image_file_and_no_image_have_no_recipe():
    assert containers.recipes(images.file()) == {}
    assert containers.recipes(None) == {}


def test_a_pin_fits_only_what_the_workflow_adds_to_it():
    asked = Image(source="debian", reference="bookworm", packages=("hello",), environment=(("A", "1"),))
    assert not containers.fits(asked, images.debian())
