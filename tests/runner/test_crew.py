"""A worker's boxes and lanes: opened as they are needed, mended when they are lost, and apart where a step is alone."""

import os
import shutil
import signal
import sys
import time
from pathlib import Path

from sciflow.runner import lane
from tests.runner.conftest import HOST, boxed, task


def begun(path):
    while not path.exists():
        time.sleep(0.01)


def below(pid):
    """Return the processes of which a process is the parent, directly or not: {pid: parent}."""
    found, all_ = {}, lane.processes()
    more = {pid}
    while more:
        more = {one: parent for one, (parent, _, _) in all_.items() if parent in more and one not in found}
        found |= more
    return found


def test_a_step_that_is_to_be_alone_has_a_box_of_its_own(study, tmp_path):
    opened = tmp_path / "opened"
    box = {**HOST, "enter": ["sh", "-c", f'echo x >> "{opened}"; exec "$@"', "box"]}
    tasks = [task("a", "true", uses=["x"], isolate="step"), task("b", "true", uses=["x"])]
    study(tasks, [{"x": x} for x in range(3)], boxes=[box]).run()
    assert len(opened.read_text().split()) == 4  # one for all of `b`, and one for each of `a`


def test_a_lane_that_is_killed_costs_its_step_one_attempt(study, tmp_path):
    mark = tmp_path / "mark"
    found = study([task("a", f"[ -e '{mark}' ] || {{ touch '{mark}'; sleep 60; }}")])
    process = found.start()
    begun(mark)
    (loop,) = [one for one, parent in below(process.pid).items() if parent == process.pid]
    (victim,) = [one for one, parent in below(process.pid).items() if parent == loop]
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
