"""What may start now, what comes first, what is lost."""

import tracemalloc

import pytest

from sciflow.runner import order, points
from sciflow.runner.standing import ENDED, PENDING, SKIPPED
from tests.runner.conftest import still, task

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
    assert (list(found.lost), ("b", 0) in still(found)) == ([], False)


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
    assert (drained(found), found.idle, still(found)) == ([], [("b", 0)], set())


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


def test_of_equal_paths_the_one_further_down_comes_first():
    """What was begun is finished before more is begun."""
    tasks = [
        task("a", "true", uses=["x"], resources={"time_s": 0}),
        task("b", "true", uses=["x"], needs=["a"], resources={"time_s": 5}),
    ]
    found = made(tasks)
    assert found.next(FREE) == ("a", 0)
    found.ended("a", 0, done=True)
    assert found.next(FREE) == ("b", 0)


def test_of_equal_paths_the_widest_comes_first():
    """If not, it would wait until all the narrow ones have ended."""
    assert drained(made([task("slim", "true"), task("wide", "true", resources={"cpus": 2})])) == [
        ("wide", 0),
        ("slim", 0),
    ]


LONG = [task("long", "true", resources={"time_s": 100}), task("short", "true", resources={"time_s": 10})]


def learned(tasks, **seconds):
    plan = {"tasks": tasks, "axes": []}
    return order.Order(plan, points.Steps(plan, []), {}, learned=seconds)


def test_a_learned_duration_stands_in_for_the_declared_one():
    assert drained(learned(LONG, long=1)) == [("short", 0), ("long", 0)]


@pytest.mark.parametrize(("seconds", "first"), [(9, "long"), (200, "short")])
def test_what_is_learned_while_it_runs_changes_what_comes_first(seconds, first):
    found = learned(LONG)
    found.learn("short", seconds)
    assert found.next(FREE) == (first, 0)


def test_an_estimate_that_hardly_moves_changes_no_ranks():
    found = learned([*LONG, task("other", "true", resources={"time_s": 101})])
    found.learn("long", 102)
    assert found.next(FREE) == ("other", 0)


def test_what_is_left_is_the_work_and_the_longest_path():
    tasks = [
        task("a", "true", uses=["x"], resources={"time_s": 10, "cpus": 2}),
        task("b", "true", uses=["x"], needs=["a"], resources={"time_s": 5}),
    ]
    found = made(tasks)
    assert found.left() == (3 * 2 * 10 + 3 * 5, 15)
    for step in range(3):
        found.next(FREE)
        found.ended("a", step, done=True)
    assert found.left() == (3 * 5, 5)


def test_what_is_left_is_counted_by_what_was_learned():
    found = learned(LONG)
    found.learn("long", 90)
    assert found.left() == (100, 90)


def test_a_step_that_is_put_back_comes_first_and_has_its_new_needs():
    found = made()
    assert [found.next(FREE), found.next(FREE)] == [("a", 0), ("a", 1)]
    found.again("a", 1, {"memory_mib": 50})
    assert found.needs("a", 1)["memory_mib"] == 50
    assert [found.next(FREE), found.next(FREE)] == [("a", 1), ("a", 2)]


def test_a_step_that_was_put_back_lets_its_dependents_start_when_it_is_done():
    found = made(wanted=[("a", 0), ("b", 0)])
    found.next(FREE)
    found.again("a", 0)
    assert drained(found) == [("a", 0)]
    found.ended("a", 0, done=True)
    assert drained(found) == [("b", 0)]


def test_the_last_step_of_a_task_that_is_put_back_is_found_again():
    found = made(wanted=[("a", 0)])
    found.next(FREE)
    assert found.next(FREE) is None
    found.again("a", 0)
    assert found.next(FREE) == ("a", 0)


def test_an_end_that_is_told_twice_counts_once():
    tasks = [task("a", "true"), task("b", "true"), task("c", "true", needs=["a", "b"])]
    found = made(tasks)
    drained(found)
    for _ in range(2):
        found.ended("a", 0, done=True)
    assert found.next(FREE) is None


class Standing:
    """Where steps stand as a run with retries tells it."""

    def __init__(self, states, tried_out):
        self.states, self.tried_out = states, tried_out

    def state(self, name, step):
        return self.states.get((name, step))

    def final(self, name, step):
        return (name, step) in self.tried_out


@pytest.mark.parametrize(("tried_out", "first", "lost"), [(set(), ("a", 0), 0), ({("a", 0)}, ("a", 1), 2)])
def test_a_failed_step_runs_again_until_its_retries_are_used_up(tried_out, first, lost):
    plan = {"tasks": CHAIN, "axes": [{"columns": ["x"], "turns": 3}]}
    found = order.Order(plan, points.Steps(plan, [ROWS]), Standing({("a", 0): "failed"}, tried_out))
    assert (found.next(FREE), len(found.lost)) == (first, lost)


def test_a_failure_elsewhere_that_may_be_tried_again_is_waited_for():
    plan = {"tasks": CHAIN, "axes": [{"columns": ["x"], "turns": 3}]}
    standing = Standing({("a", 0): "failed"}, set())
    found = order.Order(plan, points.Steps(plan, [ROWS]), standing, wanted=[("b", 0)])
    assert (len(found.lost), found.idle) == (0, [("b", 0)])


def test_a_standing_may_tell_all_of_a_task_at_once():
    class Told(Standing):
        def codes(self, name):
            return [ENDED, PENDING, SKIPPED] if name == "a" else [PENDING] * (3 if name == "b" else 1)

    plan = {"tasks": CHAIN, "axes": [{"columns": ["x"], "turns": 3}]}
    found = order.Order(plan, points.Steps(plan, [ROWS]), Told({}, set()))
    assert sorted(drained(found)) == [("a", 1), ("a", 2), ("b", 0)]


@pytest.mark.parametrize("count", [1, 1000, 20000])
def test_an_order_of_many_steps_holds_no_object_a_step(count):
    """One object a step would be 28 bytes at the least."""
    tasks = [
        {**task("a", "true", uses=["x"]), "steps": count},
        {**task("b", "true", uses=["x"], needs=["a"]), "steps": count},
    ]
    plan = {"tasks": tasks, "axes": [{"columns": ["x"], "turns": count}]}
    codes = {"a": bytes(count), "b": bytes(count)}

    class Nothing(Standing):
        def codes(self, name):
            return codes[name]

    steps = points.Steps(plan, ())
    tracemalloc.start()
    found = order.Order(plan, steps, Nothing({}, set()))
    while (key := found.next(FREE)) is not None:
        found.ended(*key, done=True)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 16_000 + 4 * count


def test_of_a_task_that_is_held_none_starts_and_others_take_its_place():
    found = made([task("long", "true", uses=["x"], resources={"time_s": 900}), task("short", "true", uses=["x"])])
    held = [found.next(FREE, {"long"}) for _ in range(4)]
    assert held == [("short", 0), ("short", 1), ("short", 2), None]
    assert found.next(FREE) == ("long", 0)


def test_what_is_held_does_not_stand_before_the_next_of_another_task():
    found = made([task("long", "true", uses=["x"], resources={"time_s": 900}), task("short", "true", uses=["x"])])
    assert (found.same("short"), found.same("short", {"long"})) == (None, 0)


def test_what_has_not_ended_is_counted_also_while_it_runs():
    found = made()
    drained(found)
    found.ended("a", 0, done=True)
    assert found.unended() == 6
