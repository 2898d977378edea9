import pytest

from sciflow import containers
from sciflow.errors import UsageError
from tests.containers import images


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
