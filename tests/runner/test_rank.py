"""One rank on its node: what it waits for, what it is told, and what of its surroundings gets in."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.runner import rank

ROOM = Path(rank.__file__)
ENTER = ["env", "-i", "PATH=/usr/bin:/bin"]  # as an engine does: nothing of the host's environment gets in
SURROUNDINGS = {
    "SLURM_PROCID": "3",
    "SLURMD_NODENAME": "n2",
    "PMI_RANK": "3",
    "PMIX_RANK": "3",
    "PMI2_X": "1",
    "SECRET": "s",
    "PATH": "/usr/bin:/bin",
}


@pytest.fixture
def told(tmp_path):
    def write(words, *, enter=(), attempt="a1", **settings):
        (tmp_path / "work").mkdir(exist_ok=True)
        (tmp_path / "begun").mkdir(exist_ok=True)
        found = {
            "attempt": attempt,
            "begun": str(tmp_path / "begun"),
            "enter": list(enter),
            "folder": str(tmp_path / "work"),
            "path": "/usr/bin:/bin",
            "settings": settings,
            "words": words,
        }
        (tmp_path / "3.rank.json").write_text(json.dumps(found))
        return str(tmp_path / "3.rank.json")

    return write


def started(path, attempt="a1", **more):
    words = [sys.executable, "-I", "-S", "-B", str(ROOM), path, attempt]
    return subprocess.Popen(
        words, env=SURROUNDINGS, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/", **more
    )


def said(path):
    process = started(path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


@pytest.mark.parametrize("enter", [(), ENTER], ids=["host", "box"])
def test_a_rank_knows_which_it_is_and_nothing_else_of_its_surroundings(told, enter, tmp_path):
    out = said(told(["sh", "-c", "pwd; umask; env"], enter=enter, SCIFLOW_CPUS="2", WORD="it's\n$HOME"))
    folder, mask, *settings = out.split("\n")
    assert (folder, int(mask, 8)) == (str(tmp_path / "work"), 0o022)
    assert {"SLURM_PROCID=3", "SLURMD_NODENAME=n2", "PMI_RANK=3", "PMIX_RANK=3", "PMI2_X=1", "SCIFLOW_CPUS=2"} <= set(
        settings
    )
    assert "WORD=it's\n$HOME" in out
    assert "SECRET" not in out


@pytest.mark.parametrize("enter", [(), ENTER], ids=["host", "box"])
def test_what_the_task_sets_counts_before_what_slurm_says(told, enter):
    assert "PMIX_RANK=own" in said(told(["env"], enter=enter, PMIX_RANK="own")).split("\n")


@pytest.mark.parametrize("enter", [(), ENTER], ids=["host", "box"])
def test_a_rank_is_its_command_and_ends_as_it_does(told, enter):
    process = started(told(["sh", "-c", "echo $$; exit 7"], enter=enter))
    assert process.communicate(timeout=60)[0] == f"{process.pid}\n"
    assert process.returncode == 7


@pytest.mark.parametrize("enter", [(), ENTER], ids=["host", "box"])
def test_a_rank_leaves_a_mark_that_it_has_begun_in_its_box(told, enter, tmp_path):
    assert said(told(["ls", str(tmp_path / "begun")], enter=enter)) == "3\n"


def test_a_rank_whose_box_does_not_open_leaves_none(told, tmp_path):
    process = started(told(["true"], enter=["false"]))
    process.communicate(timeout=60)
    assert process.returncode == 1
    assert list((tmp_path / "begun").iterdir()) == []


@pytest.mark.parametrize("enter", [(), ENTER], ids=["host", "box"])
def test_a_program_that_is_not_there_ends_as_a_shell_says(told, enter):
    process = started(told(["no-such-program"], enter=enter))
    assert "no-such-program" in process.communicate(timeout=60)[1]
    assert process.returncode == 127


def test_a_broken_pipe_ends_a_rank_as_it_ends_any_program(told):
    process = started(told(["sh", "-c", "kill -PIPE $$; echo it goes on"]))
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == -signal.SIGPIPE


def test_in_a_box_of_its_own_a_rank_s_libraries_are_told_so_unless_the_task_says_otherwise(told):
    assert "PMIX_MCA_gds=hash" in said(told(["env"], enter=ENTER))
    assert "PMIX_MCA_gds=ds21" in said(told(["env"], enter=ENTER, PMIX_MCA_gds="ds21"))
    assert "PMIX_MCA_gds" not in said(told(["env"]))


def test_a_rank_waits_until_it_sees_what_is_meant_for_its_attempt(told):
    process = started(told(["echo", "old"], attempt="a0"))
    told(["echo", "new"])
    assert process.communicate(timeout=60)[0] == "new\n"


def test_a_folder_that_is_not_there_is_named(told, tmp_path):
    path = told(["true"])
    (tmp_path / "work").rmdir()
    process = started(path)
    assert str(tmp_path / "work") in process.communicate(timeout=60)[1]
    assert process.returncode == 127
