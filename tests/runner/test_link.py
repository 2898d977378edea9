"""The edges between two tasks' steps, both ways, are those of the points written out."""

import itertools

import pytest

from sciflow.runner import points
from tests.runner.conftest import task

# Axis b has three turns of two kinds, and c is told by them; so a task may divide it in two ways, or in three.
AXES = [[{"a": 1}, {"a": 2}], [{"b": "x", "c": 0}, {"b": "y", "c": 0}, {"b": "x", "c": 1}], [{"d": 5}, {"d": 6}]]
COUNTS = {"a": 2, "b": 2, "c": 2, "bc": 3, "d": 2}
USES = ["", "a", "b", "c", "bc", "d", "ad", "bd", "abcd"]
PAIRS = [(upper, lower) for upper, lower in itertools.product(USES, USES) if set(upper) <= set(lower)]


def linked(upper, lower, told):
    """Return the points' shared steps of two tasks, and the link; `told`: the plan says how many steps there are."""
    tasks = [task("upper", "true", uses=list(upper)), task("lower", "true", uses=list(lower), needs=["upper"])]
    if told:
        for entry in tasks:
            uses = "".join(entry["uses"])
            entry["steps"] = 1
            for part in ("a", "bc" if "b" in uses and "c" in uses else "b" if "b" in uses else "c", "d"):
                entry["steps"] *= COUNTS[part] if set(part) <= set(uses) else 1
    plan = {"tasks": tasks, "axes": [{"columns": list(axis[0]), "turns": len(axis)} for axis in AXES]}
    steps = points.Steps(plan, AXES)
    return steps.of["upper"], steps.of["lower"], steps.link("upper", "lower")


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_a_step_waits_for_the_step_of_its_points(upper, lower, told):
    above, below, link = linked(upper, lower, told)
    assert [link.over(below[point]) for point in range(12)] == list(above)


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_what_waits_for_a_step_is_all_that_its_points_call_for(upper, lower, told):
    above, below, link = linked(upper, lower, told)
    pairs = set(zip(above, below, strict=True))
    for step in range(above.count):
        assert list(link.under(step)) == sorted(found for over, found in pairs if over == step)


def test_what_waits_for_a_step_that_all_need_is_one_range():
    assert linked("", "abcd", told=True)[2].under(0) == range(12)


def test_a_task_that_does_not_say_what_it_uses_waits_for_the_first():
    above, _, link = linked("ad", "", told=False)
    assert link.over(0) == 0
    assert [list(link.under(step)) for step in range(above.count)] == [[0], [], [], []]
