import os
import shutil
import subprocess

import pytest

from sciflow.containers import apptainer, archive, cache, docker, oci, sif
from sciflow.containers.image import own_platform
from sciflow.errors import SurroundingsError
from sciflow.runner import box as boxes
from tests.containers import entering, images


def test_a_sif_that_is_there_is_not_made_again(own_cache, monkeypatch, tmp_path):
    target = cache.sif_place(images.SHA["manifest"])
    target.parent.mkdir(parents=True)
    target.write_bytes(b"made before")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert sif.fetch(images.oci(), program="apptainer", progress=print) == target


def test_without_apptainer_the_message_says_so(own_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match="`apptainer` is not on PATH"):
        sif.fetch(images.oci(), program="apptainer", progress=print)


@pytest.mark.live("apptainer")
def test_an_image_that_cannot_be_pulled_is_named_and_leaves_nothing(own_cache):
    with pytest.raises(SurroundingsError, match=r"could not pull `127.0.0.1:9/gone:1`"):
        sif.fetch(images.oci("127.0.0.1:9/gone:1"), program="apptainer", progress=print)
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


@pytest.fixture
def pushed(tiny_tar, tmp_path):
    """Put the small image into the real registry; return its reference."""
    if not shutil.which("skopeo"):
        pytest.skip("no skopeo to push with")
    name = f"{os.environ['SCIFLOW_TEST_REGISTRY']}/sciflow-test/tiny:1"
    archive.docker_archive(tiny_tar, tmp_path / "tiny.docker", architecture=own_platform().partition("/")[2])
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    subprocess.run([*words, f"docker-archive:{tmp_path}/tiny.docker", f"docker://{name}"], check=True)
    return f"docker://{name}"


@pytest.mark.live("registry")
def test_the_real_registry_pins_what_skopeo_sees(pushed):
    words = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", pushed]
    seen = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert oci.resolve(pushed, platform=own_platform()).identity == seen


@pytest.mark.live("registry")
@pytest.mark.live("apptainer")
def test_a_tag_is_pinned_pulled_and_entered_by_apptainer(pushed, own_cache, tmp_path):
    pinned = oci.resolve(pushed, platform=own_platform())
    path = sif.fetch(pinned, program="apptainer", progress=print)
    assert path.stat().st_mode & 0o777 == 0o444
    assert entering.said(apptainer.box(pinned), entering.places(tmp_path / "run", image=str(path)), "cat; exit 3") == (
        3,
        "hello\n",
    )


@pytest.mark.live("registry")
@pytest.mark.live("apptainer")
def test_the_box_s_own_words_pull_it_too(pushed, own_cache, tmp_path):
    box = apptainer.box(oci.resolve(pushed, platform=own_platform()))
    path = boxes.image(box, "/nonexistent", print)
    assert entering.said(box, entering.places(tmp_path / "run", image=path), "cat") == (0, "hello\n")


@pytest.mark.live("registry")
@pytest.mark.live("docker")
def test_a_tag_is_pinned_pulled_and_entered_by_docker(pushed, tmp_path):
    pinned = oci.resolve(pushed, platform=own_platform())
    docker.pull(pinned, print)
    box = docker.box(pinned)
    assert entering.said(box, entering.places(tmp_path / "run", image=box["image"]["name"]), "cat; exit 3") == (
        3,
        "hello\n",
    )
