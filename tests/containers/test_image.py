import pytest

from sciflow.containers.image import own_platform
from tests.containers import images


@pytest.mark.parametrize(
    ("image", "name"), [(images.oci(), "tree"), (images.debian(), "tree"), (images.file(), "file")]
)
def test_the_identity_is_the_digest_that_no_engine_changes(image, name):
    assert image.identity == images.SHA[name]


def test_a_digest_that_an_image_lacks_is_empty():
    assert not images.file().digest("tree")


def test_the_platform_is_written_as_registries_write_it():
    assert own_platform().startswith("linux/")
    assert "x86_64" not in own_platform()
