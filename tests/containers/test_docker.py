import gc
from pathlib import Path

import pytest

from sciflow.containers import docker
from sciflow.runner import box as boxes
from tests.containers import entering, images

ENTER = """docker run --rm --interactive --init --pull never --platform linux/amd64 --name {name} {gpus} --hostname localhost --network none --read-only
 --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777 --user {uid}:{gid} --cap-drop ALL --security-opt no-new-privileges
 --mount type=bind,src={code},dst=/sciflow/code,readonly --mount type=bind,src={inputs},dst=/sciflow/inputs,readonly
 --mount type=bind,src={work},dst=/sciflow/work --mount type=bind,src={outputs},dst=/sciflow/outputs,readonly
 --mount type=bind,src={checkpoints},dst=/sciflow/checkpoints
 --mount type=bind,src={runner},dst=/sciflow/runner,readonly --workdir /sciflow/work --entrypoint NOTHING {image}"""


def test_the_words_shut_the_box():
    words = [
        ",".join(word) if isinstance(word, list) else word or "NOTHING" for word in docker.box(images.debian())["enter"]
    ]
    assert words == ENTER.split()


@pytest.mark.parametrize("image", [images.debian(), images.oci()])
def test_an_image_is_loaded_and_run_by_its_id(image):
    box = docker.box(image)
    assert box["image"] == {"name": images.SHA["config"], "archive": images.SHA["archive"]}
    assert box["load"] == ["docker", "load", "--quiet", "--input", "{archive}"]


def test_docker_runs_no_image_file():
    assert docker.box(images.file()) is None
    assert docker.box(None) is None


# The SDK drops a socket that did not connect without closing it; it is collected here, not in some later test.
forgetful = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@forgetful
def test_an_engine_that_does_not_answer_is_named_with_a_way_out(monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = docker.probe()
    gc.collect()
    assert not found.works
    assert "none.sock" in found.advice
    assert "DOCKER_HOST" in found.advice


@pytest.fixture
def entered(tiny_image, tmp_path):
    """Give a box and what fills its words; the image is loaded into the engine, and removed after."""
    box = docker.box(tiny_image)
    return box, entering.places(tmp_path / "run", image=boxes.image(box, "/nonexistent", print))


@pytest.mark.live("docker")
def test_docker_works_here():
    assert docker.probe().works


@pytest.mark.live("docker")
def test_stdin_stdout_and_the_exit_code_come_through(entered):
    assert entering.said(*entered, "cat; exit 7") == (7, "hello\n")


@pytest.mark.live("docker")
@pytest.mark.parametrize("name", ["code", "inputs", "outputs", "runner"])
def test_a_folder_of_the_bundle_cannot_be_written(entered, name):
    assert "Read-only file system" in entering.said(*entered, f"touch /sciflow/{name}/x")[1]


@pytest.mark.live("docker")
def test_code_is_seen_and_work_is_written_where_the_host_sees_it(entered):
    box, where = entered
    assert entering.said(box, where, "cat /sciflow/code/seen.txt; pwd; echo done >mine") == (
        0,
        "code is seen\n/sciflow/work\n",
    )
    assert Path(where["work"], "mine").read_text() == "done\n"


@pytest.mark.live("docker")
def test_there_is_no_network_but_the_loop_back(entered):
    assert entering.said(*entered, "awk -F: '/:/ {print $1}' /proc/net/dev")[1].split() == ["lo"]


@pytest.mark.live("docker")
def test_no_capability_is_left(entered):
    assert entering.said(*entered, "grep CapEff /proc/self/status")[1].split() == ["CapEff:", "0" * 16]


@pytest.mark.live("docker")
def test_killing_the_client_and_stopping_leaves_nothing(entered):
    assert not entering.killed(*entered)
