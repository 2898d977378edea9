"""A round for any scheduler: the scripts that PBS Pro and LSF are given, kept whole, and what a shell says of them.

`python -m tests.launchers.test_scheduler` writes the kept scripts anew.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow.launchers import lsf, pbs, slurm
from sciflow.launchers.scheduler import Planned

GOLDEN = Path(__file__).parent.parent / "golden" / "rendered"
SMALL = {"cpus": 1, "memory_mib": 512, "gpus": 0, "minutes": 35, "lead_s": 90}
LARGE = {"cpus": 4, "memory_mib": 8192, "gpus": 2, "minutes": 1510, "lead_s": 210}
ARRAYS = (
    {"task": "prepare", "needs": SMALL, "first": 0, "elements": 1, "after": []},
    {"task": "train", "needs": LARGE, "first": 1, "elements": 1000, "after": [0]},
    {"task": "train", "needs": LARGE, "first": 1001, "elements": 37, "after": [0]},
    {"task": "summary", "needs": SMALL, "first": 1038, "elements": 1, "after": [1, 2]},
)
PLANNED = Planned(
    name="digits",
    bundle="/scratch/ada's work/50% $(id)/digits-0123456789ab",
    run="main",
    number=7,
    arrays=ARRAYS,
    begins=1795298400,
    most=40,
)
PLAN = {"boxes": [], "name": "digits", "slurm": {"partition": "main", "account": "physics", "max_running": 40}}


def rendered():
    """Return each scheduler's script, by the name of its kept file."""
    return {"pbs.sh": pbs.render(PLANNED), "lsf.sh": lsf.render(PLANNED), "slurm.sh": slurm.render(PLAN)["launch.sh"]}


@pytest.mark.parametrize("name", sorted(rendered()))
def test_a_script_is_just_these_bytes(name):
    assert rendered()[name] == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(rendered()))
def test_a_shell_can_read_a_script(name, tmp_path):
    (tmp_path / name).write_text(rendered()[name])
    found = subprocess.run(["/bin/sh", "-n", tmp_path / name], capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("name", sorted(rendered()))
def test_shellcheck_has_nothing_to_say(name, tmp_path):
    (tmp_path / name).write_text(rendered()[name])
    found = subprocess.run(["shellcheck", tmp_path / name], capture_output=True, text=True, check=False)
    assert found.stdout == ""


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say_of_a_job_s_own_script(tmp_path):
    (tmp_path / "job").write_text(PLANNED.script(1, pbs.INDEX).partition("\n")[2].rpartition("END\n")[0])
    words = ["shellcheck", "--exclude=SC2016", tmp_path / "job"]  # the bundle's path is meant to hold a `$`
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_an_element_is_told_of_its_end_as_far_ahead_as_its_array_needs():
    assert f"timeout --foreground -s USR1 {1510 * 60 - 210} " in PLANNED.script(1, "0")
    short = Planned(name="x", bundle="/b", run="main", number=1, arrays=[{"needs": {**SMALL, "minutes": 1}}])
    assert "timeout --foreground -s USR1 30 " in short.script(0, "0")


@pytest.mark.parametrize("path", ["/a\nEND\ntouch x", "/a\rb", "/a\x1bb"])
def test_a_path_that_a_script_cannot_hold_is_rendered_by_nobody(path):
    planned = Planned(name="x", bundle=path, run="main", number=1, arrays=ARRAYS)
    for render in (pbs.render, lsf.render):
        with pytest.raises(ValueError, match="control characters"):
            render(planned)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, text in rendered().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
