"""The commands that look at a run as a whole, or stop it."""

import json
import subprocess
import sys
import threading
import time

import pytest

from sciflow import api
from tests import small
from tests.runner.test_progress import Terminal

ELSEWHERE = ["elsewhere", "another boot", 7, "1"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Make one study that has run, for the tests of this file that change nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        return small.ran(tmp_path_factory.mktemp("study"))


def last(found):
    return found.stdout.splitlines()[-1]


def test_status_counts_by_task(ran):
    found = small.sciflow("status", ran)
    assert (found.returncode, last(found)) == (0, "6 of 6 steps done")
    assert found.stdout.splitlines()[0].split() == ["task", "steps", "done"]


def test_status_of_what_has_not_run_ends_with_code_5(tmp_path):
    found = small.sciflow("status", small.compiled(tmp_path))
    assert (found.returncode, last(found)) == (5, "0 of 6 steps done")
    assert found.stdout.splitlines()[0].split() == ["task", "steps", "done", "waiting"]


def test_status_says_what_live_workers_are_at_and_which_are_silent(tmp_path):
    bundle, now = small.compiled(tmp_path), time.time()
    small.at_work(bundle, "wa", running=[["prepare", 0, now, "aa"]], cpus=2, busy_s=10, since=now - 10, time=now, of=6)
    small.at_work(bundle, "wb", owner=ELSEWHERE, time=1000.0)
    found = small.sciflow("status", bundle).stdout.splitlines()
    assert found[1].split() == ["prepare", "1", "0", "1", "0"]
    assert found[4] == "50 % of 2 cores"
    assert found[5].endswith(": 1 worker, 1 running, 2 cores")
    assert found[6] == "elsewhere: no word since 1970-01-01 00:16:40 UTC of worker wb, process 7"


def test_status_answers_programs_with_all_it_knows(ran):
    found = json.loads(small.sciflow("status", ran, "--json").stdout)
    assert {"steps", "tasks", "states", "rate", "left_s", "use", "cpus", "workers", "hosts", "jobs", "over"} <= set(
        found
    )


def test_a_name_that_a_terminal_could_act_on_is_escaped(tmp_path):
    bundle = small.compiled(tmp_path)
    small.at_work(bundle, owner=["bad\x1b[31m", "boot", 7, "1"], time=time.time(), running=[])
    assert "\x1b" not in small.sciflow("status", bundle).stdout


def started(bundle):
    words = [sys.executable, "-m", "sciflow", "run", str(bundle), "--engine", "host", "-j", "1", "--quiet"]
    return subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.fixture
def gated(tmp_path):
    """Start a run whose training steps wait for a file, and let them go on when the test has ended at the latest."""
    bundle = small.compiled(tmp_path / "study", *small.gated(tmp_path / "gate", f"touch '{tmp_path}/begun'"))
    with started(bundle) as process:
        small.until((tmp_path / "begun").exists, "the run does not begin")
        yield bundle
        (tmp_path / "gate").touch()
        process.wait(60)


def watching(bundle, *words, **more):
    words = [sys.executable, "-m", "sciflow", "status", str(bundle), "--watch", *words]
    return subprocess.Popen(words, **more)


def test_watching_says_a_line_a_change_until_every_step_has_its_end(gated, tmp_path):
    with watching(gated, stdout=subprocess.PIPE, text=True) as process:
        first = process.stdout.readline()
        (tmp_path / "gate").touch()
        rest = process.communicate(timeout=60)[0].splitlines()
    assert (first, rest[-1], process.returncode) == ("1 of 6 steps done\n", "6 of 6 steps done", 0)
    assert "task     steps  done" in rest


def test_watching_gives_programs_one_object_a_line(gated, tmp_path):
    with watching(gated, "--json", stdout=subprocess.PIPE, text=True) as process:
        first = json.loads(process.stdout.readline())
        (tmp_path / "gate").touch()
        rest = [json.loads(line) for line in process.communicate(timeout=60)[0].splitlines()]
    assert (first["states"], first["over"]) == ({"done": 1, "waiting": 5}, False)
    assert (rest[-1]["states"], rest[-1]["over"]) == ({"done": 6}, True)


def test_watching_on_a_terminal_leaves_the_table_alone(gated, tmp_path):
    terminal = Terminal(60, 20)
    with watching(gated, stdout=terminal.stream) as process:
        small.until(lambda: b"1 of 6 steps done" in terminal.written, "nothing is drawn")
        (tmp_path / "gate").touch()
        process.wait(60)
    seen = terminal.seen(terminal.close())
    assert (seen[0].split()[:3], seen[-2], len(seen)) == (["task", "steps", "done"], "6 of 6 steps done", 6)


def test_cancel_says_what_was_ended(gated):
    found = small.sciflow("cancel", gated)
    assert (found.returncode, found.stdout) == (0, "cancelled: 1 worker ended\n")
    assert "stopping worker w" in found.stderr
    assert "cancelled: the next start goes on" in small.sciflow("status", gated).stdout


def test_cancel_answers_programs_and_keeps_silent_when_asked(gated):
    found = small.sciflow("cancel", gated, "--json", "--quiet")
    told = json.loads(found.stdout)
    assert (found.returncode, found.stderr, len(told["ended"]), told["over"]) == (0, "", 1, True)


def test_cancel_of_what_does_not_run_is_no_fault(ran):
    found = small.sciflow("cancel", ran, "--run", "none")
    assert (found.returncode, found.stdout) == (0, "nothing was running\n")


def test_a_watch_that_is_interrupted_ends_with_code_130(gated):
    with watching(gated, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        killer = threading.Timer(0, process.send_signal, (2,))
        killer.start()
        process.communicate(timeout=60)
        killer.join()
    assert process.returncode == 130
    assert api.status(gated)["states"]["done"] == 1
