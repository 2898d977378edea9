"""The checker of a history of attempts sees what must never be: two winners, a lost one, a step begun too early."""

import pytest

from sciflow.runner import records
from tests.live import sweep

POINTS = 2


def attempt(task, step, start, *, name="", state="done", left="x"):
    """Return a record; with outputs where the task has them."""
    outputs = {} if task == "third" else {"o": {"path": "o", "sha256": left, "size": 1}}
    metrics = {"y": step} if task in ("third", "total") else {}
    name = name or f"{task}{step}"
    told = {"task": task, "step": step, "attempt": name, "state": state, "start": start, "end": start + 1.0}
    return {**told, "outputs": outputs, "metrics": metrics}


def publish(run, record):
    path = records.attempt_folder(str(run), record["task"], record["step"], record["attempt"])
    (run / path).mkdir(parents=True)


@pytest.fixture
def history(tmp_path):
    """Give a history without fault, published."""
    found = [attempt(task, x, 2.0 * at) for at, task in enumerate(("first", "second", "third")) for x in range(POINTS)]
    found.append(attempt("total", 0, 4.0))
    for record in found:
        if record["outputs"]:
            publish(tmp_path, record)
    return found


def test_a_history_without_fault_has_none(tmp_path, history):
    assert sweep.faults(tmp_path, POINTS, history) == []


def test_a_second_copy_that_lost_is_no_fault_if_it_left_the_same(tmp_path, history):
    again = attempt("first", 0, 0.5, name="again"), attempt("first", 0, 0.5, name="again", state="superseded")
    assert sweep.faults(tmp_path, POINTS, [*history, *again]) == []
    (told,) = sweep.faults(tmp_path, POINTS, [*history, attempt("first", 0, 0.5, name="again", left="z")])
    assert "differ" in told


def test_two_published_attempts_are_a_fault(tmp_path, history):
    again = attempt("first", 0, 0.5, name="again")
    publish(tmp_path, again)
    (told,) = sweep.faults(tmp_path, POINTS, [*history, again])
    assert "published are ['again', 'first0']" in told


def test_a_published_step_without_its_record_is_a_fault_for_what_needs_it(tmp_path, history):
    told = sweep.faults(tmp_path, POINTS, [one for one in history if (one["task"], one["step"]) != ("first", 1)])
    assert told == ["second/1 was started, and ('first', 1) has not succeeded"]


def test_a_step_that_began_before_what_it_needs_had_ended_is_a_fault(tmp_path, history):
    early = attempt("total", 0, 2.5, name="early", state="interrupted")
    assert sweep.faults(tmp_path, POINTS, [*history, early]) == [
        "total/0 was started before ('second', 0) had ended",
        "total/0 was started before ('second', 1) had ended",
    ]


def test_a_step_that_was_skipped_was_never_started(tmp_path, history):
    skipped = attempt("total", 0, 0.0, name="skip", state="skipped")
    assert sweep.faults(tmp_path, POINTS, [*history, dict(skipped, outputs={}, metrics={})]) == []
