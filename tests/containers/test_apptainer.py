import os
from pathlib import Path

import pytest

from sciflow.containers import apptainer
from sciflow.runner import box as boxes
from tests.containers import entering, images

ENTER = """env -i PATH={path} HOME=/nonexistent apptainer --quiet exec --containall --cleanenv --no-home --no-mount bind-paths
 --no-privs --hostname localhost {gpus} --net --network none --workdir {work}
 --mount type=bind,src={code},dst=/sciflow/code,ro --mount type=bind,src={inputs},dst=/sciflow/inputs,ro
 --mount type=bind,src={work},dst=/sciflow/work --mount type=bind,src={outputs},dst=/sciflow/outputs,ro
 --mount type=bind,src={checkpoints},dst=/sciflow/checkpoints
 --mount type=bind,src={runner},dst=/sciflow/runner,ro --pwd /sciflow/work {image}"""


def _flat(words):
    return [",".join(word) if isinstance(word, list) else word for word in words]


def test_the_words_shut_the_box():
    assert _flat(apptainer.box(images.debian())["enter"]) == ENTER.split()


def test_without_a_network_namespace_nothing_else_changes():
    box = apptainer.box(images.debian())
    assert [word for word in box["enter"] if word not in ("--net", "--network", "none")] == box["enter_shared_network"]


@pytest.mark.parametrize("image", [images.debian(), images.oci()])
def test_an_image_is_its_squashfs(image):
    assert apptainer.box(image)["image"] == {"file": images.SHA["squashfs"], "suffix": ".sqfs"}


def test_an_image_file_is_itself():
    assert apptainer.box(images.file())["image"]["file"] == images.SHA["file"]


def test_without_an_image_there_is_no_box():
    assert apptainer.box(None) is None


def test_an_apptainer_that_is_absent_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "`apptainer` is not on PATH" in apptainer.probe().advice


def _engine(folder, script):
    """Put an `apptainer` of one's own on PATH: the fault of a machine that is not at hand."""
    (folder / "apptainer").write_text(
        f'#!/bin/sh\ntest "$1" = --version && echo apptainer version 1.4.5 && exit\n{script}\n'
    )
    (folder / "apptainer").chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


def test_an_apptainer_that_opens_no_box_does_not_work_and_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", _engine(tmp_path, "echo INFO >&2; echo 'FATAL: no namespaces' >&2; exit 255"))
    found = apptainer.probe()
    assert (found.works, found.version, found.advice) == (False, "1.4.5", "it opens no box: FATAL: no namespaces")
    assert "user.max_user_namespaces" in found.ask


def test_an_apptainer_without_network_namespaces_works_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", _engine(tmp_path, 'case "$*" in *"--network none"*) exit 255;; esac'))
    found = apptainer.probe()
    assert (found.works, "the host's network" in found.advice) == (True, True)


@pytest.mark.live("apptainer")
def test_an_apptainer_works_also_where_namespaces_cannot_be_made_by_hand(monkeypatch, tmp_path):
    # As with a setuid Apptainer on a machine that lets no plain user make a namespace.
    (tmp_path / "unshare").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert apptainer.probe().works


@pytest.fixture
def entered(tiny_image, tmp_path):
    """Give a box and what fills its words."""
    box = apptainer.box(tiny_image)
    return box, entering.places(tmp_path / "run", image=boxes.image(box, "/nonexistent", print))


@pytest.mark.live("apptainer")
def test_apptainer_works_here():
    assert apptainer.probe().works


@pytest.mark.live("apptainer")
def test_stdin_stdout_and_the_exit_code_come_through(entered):
    assert entering.said(*entered, "cat; exit 7") == (7, "hello\n")


@pytest.mark.live("apptainer")
@pytest.mark.parametrize("name", ["code", "inputs", "outputs", "runner"])
def test_a_folder_of_the_bundle_cannot_be_written(entered, name):
    assert "Read-only file system" in entering.said(*entered, f"touch /sciflow/{name}/x")[1]


@pytest.mark.live("apptainer")
def test_code_is_seen_and_work_is_written_where_the_host_sees_it(entered):
    box, where = entered
    assert entering.said(box, where, "cat /sciflow/code/seen.txt; pwd; echo done >mine") == (
        0,
        "code is seen\n/sciflow/work\n",
    )
    assert Path(where["work"], "mine").read_text() == "done\n"


@pytest.mark.live("apptainer")
def test_there_is_no_network_but_the_loop_back(entered):
    assert entering.said(*entered, "awk -F: '/:/ {print $1}' /proc/net/dev")[1].split() == ["lo"]


@pytest.mark.live("apptainer")
def test_the_host_s_network_is_there_in_the_other_words(entered):
    own = [line.partition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line]
    assert (
        entering.said(*entered, "awk -F: '/:/ {print $1}' /proc/net/dev", key="enter_shared_network")[1].split() == own
    )


@pytest.mark.live("apptainer")
def test_nothing_of_the_environment_gets_in(entered, monkeypatch):
    for name in ("SECRET", "APPTAINERENV_SECRET", "SINGULARITYENV_SECRET"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("APPTAINER_BIND", "/etc:/leaked")
    assert "leaked" not in entering.said(*entered, "env; ls /")[1]


@pytest.mark.live("apptainer")
def test_the_search_path_is_the_image_s_own(entered):
    assert entering.said(*entered, "echo $PATH")[1] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"


@pytest.mark.live("apptainer")
def test_temporary_files_lie_on_the_work_folder_s_disk(entered):
    box, where = entered
    assert entering.said(box, where, "echo big >/tmp/file")[0] == 0
    assert Path(where["work"], "tmp/file").exists()


@pytest.mark.live("apptainer")
def test_no_capability_is_left(entered):
    assert entering.said(*entered, "grep CapEff /proc/self/status")[1].split() == ["CapEff:", "0" * 16]


@pytest.mark.live("apptainer")
def test_killing_what_entered_kills_all_inside(entered):
    assert not entering.killed(*entered)
