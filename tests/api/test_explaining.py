"""Why a step is where it is: told from bundles that have run, half run, failed, and been run again."""

import shutil
import time

import pytest

from sciflow import api
from sciflow.bundle import folder
from sciflow.runner import names, records
from tests import small

FAILING = ('"train", "{prepare.clean}"', '"train", "nowhere"')


@pytest.fixture
def ran(tmp_path):
    return small.ran(tmp_path)


def record(bundle, worker, **more):
    """Put the record of one more attempt at train/1 on a segment of its own, as a worker of another start would."""
    segment = records.Segment(str(bundle / "runs" / "main"), worker)
    plain = {"task": "train", "step": 1, "worker": worker, "reason": "", "wall_s": 1.0, "code": None, "signal": None}
    segment.append({**plain, "attempt": worker, "start": 0.5, "end": 1.5, "outputs": {}, "metrics": {}, **more})
    segment.close()


def test_the_values_and_the_point_are_told(ran):
    found = api.why(ran, "train/2")
    assert (found["values"], found["point"], found["state"]) == ({"size": 2, "rate": 0.5}, 2, "done")


def test_the_key_is_that_of_its_record(ran):
    assert api.why(ran, "train/2")["key"] == api.logs(ran, "train/2")[0]["key"]


def test_the_key_is_the_digest_of_what_is_told(ran):
    found = api.why(ran, "train/2")
    parts = dict(found["key_of"])
    parts["upstream"] = list(parts["upstream"].values())
    assert parts.pop("upstream_steps") == len(parts["upstream"]) == 1
    assert names.digest(parts) == found["key"]


def test_the_keys_of_what_it_needs_are_theirs(ran):
    assert api.why(ran, "train/2")["key_of"]["upstream"] == {"prepare/0": api.why(ran, "prepare/0")["key"]}


def test_what_it_needs_is_told_with_how_it_stands(tmp_path):
    bundle = small.compiled(tmp_path)
    api.run(bundle, engine="host", steps=["train/1"])
    (need,) = api.why(bundle, "total/0")["needs"]
    assert (need["task"], need["steps"], need["states"]) == ("train", 4, {"done": 1, "waiting": 3})
    assert [one["step"] for one in need["open"]] == [0, 2, 3]


def test_what_is_done_waits_for_nothing(ran):
    assert api.why(ran, "total/0")["waits_for"] == []


def test_what_has_not_begun_waits_for_what_it_needs_and_a_worker(tmp_path):
    found = api.why(small.compiled(tmp_path), "train/0")
    assert found["state"] == "waiting"
    assert found["waits_for"][0] == "what it needs: prepare/0 is waiting"
    assert "none is at work" in found["waits_for"][1]


def test_what_could_start_waits_for_room_beside_what_runs(tmp_path):
    bundle = small.compiled(tmp_path)
    api.run(bundle, engine="host", tasks=["prepare"])
    small.at_work(bundle, running=[["train", 0, time.time(), "aa"]])
    assert "room beside what runs on" in api.why(bundle, "train/1")["waits_for"][0]


def test_what_runs_waits_for_nothing_and_says_where(tmp_path):
    bundle = small.compiled(tmp_path)
    small.at_work(bundle, running=[["prepare", 0, time.time(), "aa"]])
    found = api.why(bundle, "prepare/0")
    assert (found["state"], "wlive" in found["waits_for"][0]) == ("running", True)


def test_what_was_cancelled_waits_for_a_fresh_start(tmp_path):
    bundle = small.compiled(tmp_path)
    api.run(bundle, engine="host", tasks=["prepare"])
    api.cancel(bundle)
    assert "a fresh start: the run was cancelled at 20" in api.why(bundle, "train/0")["waits_for"][0]


def test_outside_hours_a_step_waits_for_the_opening(tmp_path):
    hour = (time.gmtime().tm_hour + 12) % 24
    hours = f'[schedule]\npolicy = "off-peak"\nhours = "{hour:02}:00-{(hour + 1) % 24:02}:00"\n\n[tasks.prepare]'
    bundle = small.compiled(tmp_path, ("[tasks.prepare]", hours))
    assert "the hours: they open at" in api.why(bundle, "prepare/0")["waits_for"][0]


def test_what_failed_says_that_no_retry_is_left(tmp_path):
    bundle = small.compiled(tmp_path, FAILING)
    api.run(bundle, engine="host")
    (told,) = api.why(bundle, "train/1")["waits_for"]
    assert ("no retry is left" in told, "--failed" in told) == (True, True)


def test_what_was_skipped_names_what_did_not_succeed(tmp_path):
    bundle = small.compiled(tmp_path, FAILING)
    api.run(bundle, engine="host")
    found = api.why(bundle, "total/0")
    assert found["state"] == "skipped"
    assert "train/0 is failed, train/1 is failed, train/2 is failed and 1 more" in found["waits_for"][0]


# ---- Attempts, and why there are more than one


def test_each_attempt_is_told_and_the_one_that_counts(tmp_path):
    bundle = small.compiled(tmp_path, FAILING)
    api.run(bundle, engine="host")
    api.run(bundle, engine="host", failed=True)
    found = api.why(bundle, "train/1")
    assert [(one["state"], one["reason"], one["counts"]) for one in found["attempts"]] == [
        ("failed", "exit code 1", False),
        ("failed", "exit code 1", True),
    ]
    assert all(one["host"] for one in found["attempts"])
    assert found["again"] == ["attempt 1 ended as failed (exit code 1), and `--failed` ran it again"]


def test_a_step_that_ran_once_has_no_reason_to_have_run_again(ran):
    assert api.why(ran, "train/1")["again"] == []


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("node", "the box was lost", "attempt 1 was lost with its surroundings (the box was lost)"),
        ("interrupted", "stopped by signal 15", "attempt 1 was stopped (stopped by signal 15), and the next start"),
        ("time", "time limit of 5 s", "attempt 1 ended as time (time limit of 5 s), and `--failed` ran it again"),
    ],
)
def test_why_it_ran_again_is_told(ran, state, reason, said):
    record(ran, "wearlier", state=state, reason=reason)
    assert api.why(ran, "train/1")["again"][0].startswith(said)


def test_a_second_worker_that_was_later_is_told(ran):
    counts = api.logs(ran, "train/1")[0]
    record(ran, "wlater", state="superseded", end=counts["end"] + 5)
    found = api.why(ran, "train/1")
    assert found["again"] == ["attempt 1 counts; another worker had the step at the same time"]
    assert [one["counts"] for one in found["attempts"]] == [True, False]


def test_a_success_that_was_cut_off_before_it_had_its_name_is_told(ran):
    shutil.rmtree(ran / "runs" / "main" / "outputs" / "prepare" / "000000")  # as if it had never been renamed
    assert api.run(ran, engine="host")[1] == names.EXIT_OK
    found = api.why(ran, "prepare/0")
    assert found["again"] == ["attempt 1 ended well, but was cut off before its outputs had their name"]


def test_a_retry_is_told_from_a_failure_that_was_run_again_by_hand(ran):
    plan = dict(folder.read(ran).plan)
    task = {
        **next(entry for entry in plan["tasks"] if entry["name"] == "train"),
        "retry": {"times": 1, "on": ["failed"]},
    }
    from sciflow.api import explaining

    attempts = [{"attempt": str(n), "state": "failed", "reason": ""} for n in range(3)]
    first, second = explaining._again(task, attempts, attempts[-1])
    assert ("its task's retry, 1 of 1" in first, "`--failed`" in second) == (True, True)
