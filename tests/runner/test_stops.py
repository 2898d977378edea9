"""Sweeps that are killed, stopped, or run twice at once: nothing is lost, nothing is doubled, nothing is left."""

import contextlib
import json
import os
import signal
import subprocess
import time

import pytest

from sciflow.runner import facts
from tests.runner.conftest import TIMEOUT_S, task


def gated(gate, before="true"):
    """Return a command that waits for a file to appear, so that a test says when a step may end."""
    return f"{before}; while [ ! -e '{gate}' ]; do sleep 0.02; done; echo x > o.txt"


def until(holds, what):
    """Wait for something that other processes bring about."""
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def waiting(study, gate, count=4):
    """Compile a sweep of which the first step ends at once and the others wait for a file."""
    words = ["[ ", {"parameter": "x"}, f" = 0 ] || ( {gated(gate)} ); echo x > o.txt"]
    return study([task("a", words, uses=["x"], outputs={"o": "o.txt"})], [{"x": x} for x in range(count)])


def begun(found):
    """Wait until the first step is done and others run."""
    until(lambda: found.run_folder.exists() and found.states().get(("a", 0)) == "done", "the first step does not end")


def test_after_a_kill_only_what_was_missing_runs(study, tmp_path):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    process.kill()
    process.communicate()
    done = [key for key, state in found.states().items() if state == "done"]
    (tmp_path / "gate").touch()
    found.run()
    assert set(found.states().values()) == {"done"}
    assert len(found.states()) == 4
    assert all(found.attempts()[key] == 1 for key in done)


def test_after_a_kill_no_process_is_left(study, tmp_path, alive):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    process.kill()
    process.communicate()
    until(lambda: alive(tmp_path) == 0, "something still runs")


def test_after_a_kill_the_next_start_clears_the_work_folder(study, tmp_path):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    process.kill()
    process.communicate()
    assert (found.run_folder / "work").exists()
    (tmp_path / "gate").touch()
    found.run()
    assert not (found.run_folder / "work").exists()


def test_a_start_with_nothing_to_do_clears_what_a_killed_one_left(study):
    found = study([task("a", "true")])
    found.run()
    left = found.run_folder / "work" / "wdead"
    left.mkdir(parents=True)
    with subprocess.Popen(["true"]) as ended:
        pass
    host, boot, _, _ = facts.owner()
    (left / "owner.json").write_text(json.dumps([host, boot, ended.pid, "1"]))
    found.run()
    assert not left.parent.exists()


def race(study, tmp_path):
    """Run one sweep twice at once, so that each step is at work in both before it may end; return the study."""
    mark, gate = tmp_path / "mark", tmp_path / "gate"
    mark.mkdir()
    found = study([task("a", gated(gate, f"touch '{mark}'/$$"), outputs={"o": "o.txt"})])
    both = [found.start() for _ in range(2)]
    until(lambda: len(listed(mark)) == 2, "the two do not both begin")
    gate.touch()
    for process in both:
        _, said = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, said
    return found


def test_of_two_at_once_one_is_published(study, tmp_path):
    found = race(study, tmp_path)
    assert len(listed(found.run_folder / "outputs" / "a" / "000000")) == 1
    assert found.states() == {("a", 0): "done"}


def test_of_two_at_once_the_loser_is_superseded(study, tmp_path):
    found = race(study, tmp_path)
    (loser,) = [record for record in found.records() if record.get("state") == "superseded"]
    assert loser["attempt"] != found.settled()["a", 0]["attempt"]


def writer(pipe, process):
    """Open a named pipe once a process is about to read it, and return it: the process stands still at that place."""
    found = []

    def reads():
        process.send_signal(signal.SIGSTOP)
        with contextlib.suppress(OSError):  # nobody has opened it for reading yet
            found.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            return True
        process.send_signal(signal.SIGCONT)
        return False

    until(reads, "nobody reads the pipe")
    return found[0]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130), (signal.SIGUSR1, 75)])
def test_a_stop_before_anything_was_started_is_told_in_a_line(study, tmp_path, number, code):
    found = study([task("a", f"touch '{tmp_path}/started'")])
    waits = found.run_folder / "segments" / "w0.jsonl"
    waits.parent.mkdir(parents=True)
    os.mkfifo(waits)
    process = found.start()
    with os.fdopen(writer(waits, process), "wb"):
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        said = process.communicate(timeout=TIMEOUT_S)[1]
    assert (process.returncode, said) == (code, f"sciflow: stopped by signal {number:d}, before anything was started\n")
    assert not (tmp_path / "started").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_stop_ends_in_good_order(study, tmp_path, number, code):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    process.send_signal(number)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, said


def test_a_stopped_step_is_recorded_as_interrupted(study, tmp_path):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    until(lambda: len(listed(next((found.run_folder / "work").iterdir()))) > 4, "no second step")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    assert "interrupted" in found.states().values()


def test_after_a_stop_it_goes_on(study, tmp_path):
    found = waiting(study, tmp_path / "gate")
    process = found.start("run", "-j", "2")
    begun(found)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=TIMEOUT_S)
    (tmp_path / "gate").touch()
    found.run()
    assert set(found.states().values()) == {"done"}


def test_a_step_that_was_told_to_stop_before_its_worker_has_not_failed(study, tmp_path):
    # A scheduler tells all processes of a job, one after another.
    text = f"echo $$ > '{tmp_path}/pid.part'; mv '{tmp_path}/pid.part' '{tmp_path}/pid'; while :; do sleep 0.02; done"
    found = study([task("a", text), task("b", "true", needs=["a"])])
    process = found.start()
    until((tmp_path / "pid").exists, "the step does not begin")
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 75, said
    assert found.states() == {("a", 0): "interrupted"}


def test_a_step_that_ends_by_such_a_signal_alone_has_failed(study):
    found = study([task("a", "kill -TERM $$")])
    found.run(code=5)
    assert found.states() == {("a", 0): "failed"}
