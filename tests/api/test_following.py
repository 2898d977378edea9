"""How far a run is, and what its steps have printed, while they run and after."""

import subprocess
import sys
import time

import pytest

from sciflow import api
from sciflow.errors import UsageError
from sciflow.runner import facts
from tests import small

FAILING = ('"train", "{prepare.clean}"', '"train", "nowhere"')
ELSEWHERE = ["elsewhere", "another boot", 7, "1"]


@pytest.fixture
def ran(tmp_path):
    return small.ran(tmp_path)


@pytest.fixture
def failed(tmp_path):
    bundle = small.compiled(tmp_path, FAILING)
    api.run(bundle, engine="host")
    return bundle


# ---- Status


def test_what_has_not_run_waits(tmp_path):
    found = api.status(small.compiled(tmp_path))
    assert (found["states"], found["over"], found["workers"]) == ({"waiting": 6}, False, [])
    assert found["tasks"]["train"] == {"steps": 4, "waiting": 4}


def test_a_run_that_is_done_is_over(ran):
    found = api.status(ran)
    assert (found["states"], found["over"], found["cancelled"]) == ({"done": 6}, True, False)
    assert (found["rate"], found["left_s"], found["use"]) == (None, None, None)


def test_a_run_in_which_nothing_more_is_tried_is_over(failed):
    found = api.status(failed)
    assert (found["states"], found["over"]) == ({"done": 1, "failed": 4, "skipped": 1}, True)


def test_what_a_live_worker_is_at_is_running_and_no_longer_what_it_was(failed):
    small.at_work(failed, running=[["train", 2, time.time(), "aa"], ["total", 0, time.time(), "bb"]])
    found = api.status(failed)
    assert found["tasks"]["train"] == {"steps": 4, "failed": 3, "running": 1}
    assert found["tasks"]["total"] == {"steps": 1, "running": 1}
    assert not found["over"]


def test_a_step_at_work_twice_is_one_step_and_one_that_is_done_is_done(ran):
    for name in ("wa", "wb"):
        small.at_work(ran, name, running=[["train", 2, time.time(), name]])
    assert api.status(ran)["states"] == {"done": 6}


def test_what_is_no_step_of_the_bundle_is_not_counted(ran):
    small.at_work(ran, running=[["train", 9, 0.0, "aa"], ["nobody", 0, 0.0, "bb"]])
    assert api.status(ran)["states"] == {"done": 6}


def test_a_silent_worker_is_named_and_its_steps_do_not_run(tmp_path):
    bundle = small.compiled(tmp_path)
    small.at_work(bundle, owner=ELSEWHERE, time=time.time() - 31, running=[["train", 2, 0.0, "aa"]])
    found = api.status(bundle)
    assert (found["workers"][0]["state"], found["workers"][0]["host"]) == ("silent", "elsewhere")
    assert (found["states"], found["hosts"]) == ({"waiting": 6}, {})


def test_workers_are_counted_by_host(tmp_path):
    bundle, now = small.compiled(tmp_path), time.time()
    small.at_work(bundle, "wa", running=[["prepare", 0, now, "aa"]], cpus=4)
    small.at_work(bundle, "wb", owner=ELSEWHERE, running=[["train", 0, now, "b"], ["train", 1, now, "c"]], cpus=8)
    small.at_work(bundle, "wc", owner=ELSEWHERE, running=[], cpus=8)
    assert api.status(bundle)["hosts"] == {
        "elsewhere": {"workers": 2, "running": 2, "cpus": 16},
        facts.owner()[0]: {"workers": 1, "running": 1, "cpus": 4},
    }


def test_rate_time_left_and_use_of_cores_are_those_of_live_workers(tmp_path):
    since = time.time()
    bundle = small.compiled(tmp_path)
    api.run(bundle, engine="host", tasks=["train"])
    now = time.time()
    small.at_work(bundle, since=since, time=now, cpus=2, busy_s=(now - since) * 1.5, done=5, of=6)
    found = api.status(bundle)
    spent = time.time() - since
    assert 5 / spent <= found["rate"] <= 5 / (now - since)
    assert found["left_s"] == pytest.approx(1 / found["rate"])
    assert (found["use"], found["cpus"]) == (pytest.approx(0.75), 2)


def test_what_only_other_starts_are_for_is_not_waited_for(tmp_path):
    bundle, since = small.compiled(tmp_path), time.time()
    api.run(bundle, engine="host", tasks=["prepare"])
    small.at_work(bundle, since=since, done=1, of=3)
    found = api.status(bundle)
    assert found["left_s"] == pytest.approx(2 / found["rate"])


def test_a_run_that_was_cancelled_says_so(ran):
    (ran / "runs" / "main" / "cancel").touch()
    assert api.status(ran)["cancelled"]


# ---- Logs


def test_logs_show_what_failed_with_what_it_said(failed):
    found = api.logs(failed)
    assert {(record["task"], record["step"]) for record in found} == {("train", step) for step in range(4)}
    assert all(b"nowhere" in api.printed(failed, record, "stderr") for record in found)


def test_logs_of_a_step_are_of_the_attempt_that_counts(failed):
    api.run(failed, engine="host", failed=True)
    assert len(api.logs(failed, "train/1")) == 1
    both = api.logs(failed, "train/1", all_attempts=True)
    assert (len(both), both[1]) == (2, api.logs(failed, "train/1")[0])
    assert both[0]["end"] < both[1]["end"]


def test_logs_of_all_attempts_that_did_not_succeed(failed):
    api.run(failed, engine="host", failed=True)
    assert len(api.logs(failed, all_attempts=True)) == 8


@pytest.mark.parametrize("step", ["train", "train/9", "train/", "train/²", "train/-1", "nobody/0", "/"])
def test_a_step_that_is_not_there_is_refused_with_the_steps_there_are(ran, step):
    for verb in (api.logs, api.why, api.at_work):
        with pytest.raises(UsageError, match="there is no step") as caught:
            verb(ran, step)
        assert "train/0...3" in caught.value.hint


def test_a_step_without_a_record_is_refused_with_who_knows_more(tmp_path):
    with pytest.raises(UsageError, match="has no record of the step") as caught:
        api.logs(small.compiled(tmp_path), "train/0")
    assert "sciflow why" in caught.value.hint


def test_who_is_at_work_on_a_step_is_told_with_what_it_printed(ran):
    folder = small.at_work(ran, running=[["train", 2, 5.0, "aa"], ["train", 3, 6.0, "bb"]], place={"aa": "0"})
    (folder / "0.out").write_bytes(b"so far\n")
    ((worker, attempt),) = api.at_work(ran, "train/2")
    assert (worker.name, attempt.start, api.so_far(worker, attempt, "stdout")) == ("wlive", 5.0, b"so far\n")
    ((worker, attempt),) = api.at_work(ran, "train/3")
    assert api.so_far(worker, attempt, "stdout") is None
    assert api.at_work(ran, "train/0") == []


# ---- Following

WORKER = """\
import json, os, sys, time
from pathlib import Path
from sciflow.runner import facts, records

run, gate = Path(sys.argv[1]), Path(sys.argv[2])
folder = run / "work" / "wlive"
folder.mkdir(parents=True)
(folder / "owner.json").write_text(json.dumps(facts.owner()))


def say(running):
    now = {"time": time.time(), "since": 0, "running": running, "cpus": 1, "busy_s": 0, "of": 1, "place": {"aa": "0"}}
    (folder / "part").write_text(json.dumps(now))
    os.replace(folder / "part", folder / "now.json")


def printed(name, data):
    with open(folder / name, "ab") as stream:
        stream.write(data)


say([["train", 2, time.time(), "aa"]])
printed("0.out", b"one\\n")
printed("0.err", b"a warning\\n")
while not (gate / "first").exists():
    say([["train", 2, time.time(), "aa"]])
    time.sleep(0.05)
printed("0.out", b"two\\n")
say([])
(folder / "0.out").write_bytes(b"another step's\\n" * 9)
segment = records.Segment(str(run), "wlive")
record = {"task": "train", "step": 2, "attempt": "aa", "worker": "wlive", "state": "failed", "start": 0.5, "end": 1.5}
segment.append(dict(record, reason="", wall_s=1.0, stdout="one\\ntwo\\n", stderr="a warning\\n", outputs={}, metrics={}))
segment.commit()
while not (gate / "second").exists():
    say([])
    time.sleep(0.05)
"""


@pytest.fixture
def worker(tmp_path):
    """Return what starts a process that says of itself what a worker says, its step's end being the test's to give."""
    started = []

    def start(bundle):
        words = [sys.executable, "-c", WORKER, str(bundle / "runs" / "main"), str(tmp_path)]
        started.append(subprocess.Popen(words))
        small.until((bundle / "runs" / "main" / "work" / "wlive" / "0.err").exists, "the worker does not start")

    yield start
    (tmp_path / "second").touch()
    for process in started:
        with process:
            process.kill()


def test_what_a_step_prints_is_followed_to_its_end_and_nothing_of_another_step(tmp_path, worker):
    bundle = small.compiled(tmp_path / "study")
    worker(bundle)
    told = {"stdout": b"", "stderr": b""}
    for stream, data in api.follow(bundle, "train/2"):
        told[stream] += data
        (tmp_path / "first").touch()  # the step ends when its first words have been seen
    assert told == {"stdout": b"one\ntwo\n", "stderr": b"a warning\n"}


def test_one_stream_alone_can_be_followed(tmp_path, worker):
    bundle = small.compiled(tmp_path / "study")
    worker(bundle)
    (tmp_path / "first").touch()
    assert dict(api.follow(bundle, "train/2", streams=("stderr",))) == {"stderr": b"a warning\n"}


def test_following_what_has_ended_gives_what_is_on_record(failed):
    told = dict(api.follow(failed, "train/1"))
    assert (list(told), b"nowhere" in told["stderr"]) == (["stderr"], True)


def test_following_what_nobody_is_at_ends_at_once(tmp_path):
    assert list(api.follow(small.compiled(tmp_path), "train/1")) == []
