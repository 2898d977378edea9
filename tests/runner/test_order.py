"""What may start now, what comes first, what is lost."""

import pytest

from sciflow.runner import order, points
from tests.runner.conftest import task

FREE = {"cpus": 2, "memory_mib": 100, "gpus": 0}
CHAIN = [
    task("a", "true", uses=["x"]),
    task("b", "true", uses=["x"], needs=["a"]),
    task("all", "true", needs=["b"], gather="b"),
]
ROWS = [{"x": x} for x in range(3)]


def made(tasks=CHAIN, rows=ROWS, settled=None, wanted=None):
    plan = {"tasks": tasks, "axes": [{"columns": list(rows[0]), "turns": len(rows)}]}
    states = {key: {"state": state} for key, state in (settled or {}).items()}
    return order.Order(plan, points.Steps(plan, [rows]), states, wanted)


def drained(found, free=FREE):
    """Take every step that may start now."""
    return list(iter(lambda: found.next(free), None))


def test_only_what_needs_nothing_starts():
    assert drained(made()) == [("a", 0), ("a", 1), ("a", 2)]


def test_what_has_ended_lets_its_dependents_start():
    found = made()
    drained(found)
    found.ended("a", 1, done=True)
    assert drained(found) == [("b", 1)]


def test_a_gathering_step_starts_after_the_last():
    found = made(settled={(name, step): "done" for name in "ab" for step in range(3) if (name, step) != ("b", 2)})
    assert drained(found) == [("b", 2)]
    found.ended("b", 2, done=True)
    assert drained(found) == [("all", 0)]


def test_a_failure_loses_all_that_needs_it():
    found = made()
    drained(found)
    found.ended("a", 0, done=False)
    assert sorted(found.lost) == [("all", 0, ("b", 0)), ("b", 0, ("a", 0))]


def test_a_failure_on_record_loses_what_needs_it():
    found = made(settled={("a", 0): "failed"})
    assert sorted(found.lost) == [("all", 0, ("b", 0)), ("b", 0, ("a", 0))]


def test_what_is_on_record_as_skipped_is_not_lost_again():
    found = made(settled={("a", 0): "failed", ("b", 0): "skipped", ("all", 0): "skipped"})
    assert (list(found.lost), ("b", 0) in found.wanted()) == ([], False)


def test_a_skipped_step_runs_once_what_it_needs_is_done():
    found = made(settled={("a", 0): "done", ("b", 0): "skipped"}, wanted=[("b", 0)])
    assert drained(found) == [("b", 0)]


@pytest.mark.parametrize("state", ["done", "failed", "time", "memory"])
def test_what_has_ended_for_good_is_not_run_again(state):
    assert ("a", 1) not in drained(made(settled={("a", 1): state}))


@pytest.mark.parametrize("state", ["interrupted", "node"])
def test_what_was_cut_off_is_run_again(state):
    assert ("a", 1) in drained(made(settled={("a", 1): state}))


def test_only_what_is_wanted_runs():
    assert drained(made(wanted=[("a", 2)])) == [("a", 2)]


def test_what_needs_something_that_nobody_runs_is_idle():
    found = made(wanted=[("b", 0)])
    assert (drained(found), found.idle, found.wanted()) == ([], [("b", 0)], set())


def test_the_longest_path_comes_first():
    tasks = [
        task("short", "true", resources={"time_s": 10}),
        task("long", "true", resources={"time_s": 5}),
        task("after", "true", needs=["long"], resources={"time_s": 100}),
    ]
    assert drained(made(tasks)) == [("long", 0), ("short", 0)]


def test_a_rank_is_the_seconds_still_to_go():
    tasks = [task("a", "true", resources={"time_s": 5}), task("b", "true", needs=["a"], resources={"time_s": 7})]
    assert order.rank(tasks) == {"a": 12, "b": 7}


def test_a_step_that_does_not_fit_waits():
    assert made([task("wide", "true", resources={"cpus": 3})]).next(FREE) is None


def test_a_smaller_step_passes_one_that_does_not_fit():
    tasks = [task("wide", "true", resources={"cpus": 3, "time_s": 1000}), task("slim", "true")]
    assert drained(made(tasks)) == [("slim", 0)]


@pytest.mark.parametrize(("what", "amount"), [("memory_mib", 101), ("gpus", 1)])
def test_memory_and_gpus_count_as_cores_do(what, amount):
    assert made([task("a", "true", resources={what: amount})]).next(FREE) is None


def test_the_total_is_what_there_is_to_do_or_to_skip():
    assert made(settled={("a", 0): "failed", ("a", 1): "done"}).total == 5
