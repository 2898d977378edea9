"""A worker's boxes and lanes: opened as they are needed, mended when they are lost, and apart where a step is alone."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from sciflow.runner import journal, lane
from tests.runner.conftest import HOST, boxed, task


def begun(path):
    while not path.exists():
        time.sleep(0.01)


def below(pid):
    """Return the processes of which a process is the parent, directly or not: {pid: parent}."""
    found, all_ = {}, lane.processes()
    more = {pid}
    while more:
        more = {one: told[0] for one, told in all_.items() if told[0] in more and one not in found}
        found |= more
    return found


@pytest.mark.parametrize("isolate", ["step", "spaces"])  # the host gives no spaces
def test_a_step_that_is_to_be_alone_has_a_box_of_its_own(study, tmp_path, isolate):
    opened = tmp_path / "opened"
    box = {**HOST, "enter": ["sh", "-c", f'echo x >> "{opened}"; exec "$@"', "box"]}
    tasks = [task("a", "true", uses=["x"], isolate=isolate), task("b", "true", uses=["x"])]
    study(tasks, [{"x": x} for x in range(3)], boxes=[box]).run()
    assert len(opened.read_text().split()) == 4  # one for all of `b`, and one for each of `a`


@pytest.mark.parametrize("isolate", ["worker", "spaces", "step"])
def test_a_lane_that_is_killed_costs_its_step_one_attempt(study, tmp_path, isolate):
    mark = tmp_path / "mark"
    found = study([task("a", f"[ -e '{mark}' ] || {{ touch '{mark}'; sleep 60; }}", isolate=isolate)])
    process = found.start()
    begun(mark)
    loops = [one for one, parent in below(process.pid).items() if parent == process.pid]
    (victim,) = [one for one, parent in below(process.pid).items() if parent in loops]
    os.kill(victim, signal.SIGKILL)
    assert process.wait(30) == 0
    assert [one["state"] for one in found.records() if "facts" not in one] == ["node", "done"]


def test_a_box_that_is_killed_is_entered_again(study, tmp_path):
    mark = tmp_path / "mark"
    found = study([task("a", f"[ -e '{mark}' ] || {{ touch '{mark}'; sleep 60; }}")])
    process = found.start()
    begun(mark)
    (loop,) = [one for one, parent in below(process.pid).items() if parent == process.pid]
    os.kill(loop, signal.SIGKILL)
    assert process.wait(30) == 0
    assert [one["state"] for one in found.records() if "facts" not in one] == ["node", "done"]


def test_boxes_that_are_lost_again_and_again_are_given_up(study, tmp_path):
    box = {**HOST, "enter": ["sh", "-c", '"$@" & sleep 0.3; kill -9 $!; wait', "box"]}
    found = study([task("a", "sleep 60")], boxes=[box])
    said = found.run(code=3).stderr
    assert "in a row" in said
    assert {one["state"] for one in found.records() if "facts" not in one} <= {"node"}


def test_an_image_whose_python_lacks_a_module_is_found_out_before_the_first_step(study, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("cat", "env", "sh", "setsid", "printf"):
        (bare / name).symlink_to(shutil.which(name))
    lacking = "echo \"ModuleNotFoundError: No module named 'json'\" >&2; exit 1"
    script = f'case "$*" in *"import importlib"*) {lacking};; esac\nexec "{sys.executable}" "$@"\n'
    (bare / "python3").write_text("#!/bin/sh\n" + script)
    (bare / "python3").chmod(0o755)
    call = {
        **task("f", []),
        "words": [],
        "python": "study:f",
        "outputs": {"result": "result"},
        "metrics": "metrics.json",
    }
    found = study([call], code={"study.py": "def f():\n    return 1\n"}, boxes=[boxed(tmp_path / "box", bare)])
    said = found.run(code=3).stderr
    assert "No module named 'json'" in said
    assert "put a whole python3 into the image" in said
    assert not list(Path(found.run_folder).glob("segments/*"))


# ---- Several ranks: srun is a stand-in that starts them here, each with its number; what Slurm says of steps is nothing

SRUN = """import os, subprocess, sys
words = sys.argv[1:]
count = next(int(word.split("=")[1]) for word in words if word.startswith("--ntasks="))
command = words[[word.startswith("--") for word in words].index(False):]
ranks = [subprocess.Popen(command, env=dict(os.environ, SLURM_PROCID=str(n))) for n in range(count)]
code = max(rank.wait() for rank in ranks)
if code:
    print("srun: error: n2: task 2: Exited with exit code %d" % code, file=sys.stderr)
sys.exit(code)
"""
SPREAD = {"nodes": 2, "ranks": 3, "mpi": ""}


@pytest.fixture
def spread(study, programs, tmp_path):
    """Return a function that runs an element of one step that is three ranks; it returns the study."""
    (tmp_path / "srun.py").write_text(SRUN)
    programs(srun=f"exec '{sys.executable}' '{tmp_path}/srun.py' \"$@\"", squeue="true")
    given = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS": "3"}

    def run(words, code=0, **more):
        found = study([task("cfd", words, resources=SPREAD, **more)])
        needs = {"minutes": 9, "lead_s": 90, "time_s": 60}
        journal.claim(
            str(found.run_folder), 1, {"arrays": [{"first": 0, "elements": 1, "needs": needs}]}, [{"cfd": [[0, 0]]}]
        )
        words = ("element", "--round", "1", "--array", "0", "--index", "0")
        found.run(*words, code=code, env={**os.environ, **given})
        return found

    return run


def test_each_rank_is_the_command_in_the_one_folder_of_the_step(spread):
    found = spread("echo $SCIFLOW_STEP > $SLURM_PROCID.txt; wait", outputs={"a": "0.txt", "c": "2.txt"})
    assert [found.output("cfd", 0, name) for name in "ac"] == ["cfd/0\n", "cfd/0\n"]


def test_what_ranks_used_is_on_record_as_unknown(spread):
    (record,) = [one for one in spread("true").records() if "facts" not in one]
    assert [record[what] for what in ("user_s", "system_s", "peak_mib", "read_bytes", "written_bytes")] == [None] * 5
    assert record["wall_s"] > 0


def test_the_reason_is_what_failed_first_and_not_the_code_of_srun(spread):
    (record,) = [one for one in spread("exit 3", code=5).records() if "facts" not in one]
    assert (record["state"], record["code"], record["reason"]) == (
        "failed",
        3,
        "rank 2 on n2: Exited with exit code 3",
    )


def test_ranks_that_could_not_be_started_are_no_fault_of_the_step_s_and_are_started_again(spread, programs, tmp_path):
    refuses = f"[ -e '{tmp_path}/once' ] || {{ touch '{tmp_path}/once'; echo 'srun: error: task 0 launch failed: x' >&2; exit 0; }}"
    programs(srun=f"{refuses}\nexec '{sys.executable}' '{tmp_path}/srun.py' \"$@\"")
    found = [one for one in spread("true").records() if "facts" not in one]
    assert [one["state"] for one in found] == ["node", "done"]
    assert found[0]["reason"] == "the box could not start it: task 0 launch failed: x"


def test_a_worker_of_ranks_says_that_they_share_the_network(spread):
    (worker,) = [one for one in spread("true").records() if "facts" in one]
    assert (worker["box"]["network"], worker["box"]["memory"]) == ("host", "not watched")
