"""Points become steps: shared where they agree, numbered as they are first called for."""

import itertools
from types import SimpleNamespace

import pytest

from sciflow.runner import names, points, standing
from tests.runner.conftest import task

ROWS = [{"x": x, "y": y} for x, y in itertools.product((1, 2), (0.5, 1.0, 2.0))]
TASKS = [
    task("prepare", "true", uses=["x"]),
    task("train", "true", uses=["x", "y"], needs=["prepare"]),
    task("summary", "true", needs=["train"], gather="train"),
    task("print", "true", needs=["summary"]),
]


@pytest.fixture
def steps():
    """The steps of two axes, one turn of each a line."""
    axes = [{"columns": ["x"], "turns": 2}, {"columns": ["y"], "turns": 3}]
    return points.Steps({"tasks": TASKS, "axes": axes}, [[{"x": 1}, {"x": 2}], [{"y": 0.5}, {"y": 1.0}, {"y": 2.0}]])


def test_points_that_agree_share_a_step(steps):
    assert list(steps.of["prepare"]) == [0, 0, 0, 1, 1, 1]


def test_steps_are_numbered_as_they_are_first_called_for(steps):
    assert [steps.first("prepare", step) for step in range(2)] == [0, 3]


def test_a_task_that_depends_on_nothing_runs_once(steps):
    assert (steps.count("summary"), steps.first("summary", 0)) == (1, 0)


def test_all_names_every_step_in_the_plan_s_order(steps):
    assert [name for name, _ in steps.all()] == ["prepare"] * 2 + ["train"] * 6 + ["summary", "print"]


def test_a_step_needs_the_upstream_step_of_its_point(steps):
    assert list(steps.needs(TASKS[1], 4)) == [("prepare", 1)]


def test_a_gathering_step_needs_all(steps):
    assert list(steps.needs(TASKS[2], 0)) == [("train", step) for step in range(6)]


def test_dependents_are_the_other_way_round(steps):
    tasks = {entry["name"]: entry for entry in TASKS}
    for name, step in steps.all():
        assert sorted(steps.dependents(name, step)) == sorted(
            other for other in steps.all() if (name, step) in list(steps.needs(tasks[other[0]], other[1]))
        )


def test_a_point_calls_for_its_own_steps_and_for_no_gathering(steps):
    assert steps.of_points([4]) == [("prepare", 1), ("train", 4)]


def test_several_points_call_for_a_shared_step_once(steps):
    assert steps.of_points([0, 1]) == [("prepare", 0), ("train", 0), ("train", 1)]


def test_a_float_without_a_fraction_comes_back_as_a_float(study):
    found = study(TASKS, ROWS)
    values = list(points.read(str(found.path), found.plan))
    assert values == ROWS
    assert [type(value["y"]) for value in values] == [float] * 6


AXES = ([{"a": 1}, {"a": 2}], [{"b": "x", "c": 0}, {"b": "y", "c": 0}, {"b": "x", "c": 1}], [{"d": 5}, {"d": 6}])


@pytest.mark.parametrize("uses", [[], ["a"], ["b"], ["c"], ["a", "d"], ["b", "d"], ["a", "b", "c", "d"]], ids="".join)
def test_steps_of_axes_are_those_of_the_points_written_out(uses):
    """Three axes of 2, 3 and 2 turns; and one axis of all 12 points."""
    entry = task("t", "true", uses=uses)
    plan = {"tasks": [entry], "axes": [{"columns": list(axis[0]), "turns": len(axis)} for axis in AXES]}
    rows = [{**one, **two, **three} for one, two, three in itertools.product(*AXES)]
    whole = {"tasks": [entry], "axes": [{"columns": list("abcd"), "turns": len(rows)}]}
    found, expected = points.Steps(plan, AXES), points.Steps(whole, [rows])
    assert list(found.of["t"]) == list(expected.of["t"]) == [found.of["t"][point] for point in range(12)]
    count = expected.count("t")
    assert [found.first("t", step) for step in range(count)] == [expected.first("t", step) for step in range(count)]


def test_a_point_that_is_not_there_calls_for_no_step(steps):
    with pytest.raises(IndexError):
        steps.of["train"][6]


def test_a_name_belongs_to_the_values_and_not_to_what_is_derived_from_them():
    plain, derived = {"a": 1, "b": None}, {"b": None, "a": 1, "d": 2}
    assert points.name(plain) == points.name(derived, {"d"}) != points.name({"a": 1, "b": 2})


def test_a_single_point_is_read_where_it_stands(study):
    found = study(TASKS, ROWS)
    table = points.Table(str(found.path), found.plan)
    assert [table.values(point) for point in (5, 0, 3)] == [ROWS[5], ROWS[0], ROWS[3]]
    table.close()


def test_a_line_of_more_than_ascii_is_found_by_its_bytes(study):
    rows = [{"x": "漢字"}, {"x": "é"}, {"x": "\t\n'"}]
    found = study([task("a", "true", uses=["x"])], rows)
    table = points.Table(str(found.path), found.plan)
    assert [table.values(point) for point in (2, 1, 0)] == rows[::-1]
    table.close()


def keys_of(study, tasks=TASKS, rows=ROWS, **more):
    found = study(tasks, rows, **more)
    table = points.Table(str(found.path), found.plan)
    steps = points.Steps(found.plan, points.lines(str(found.path), found.plan))
    keys = points.Keys(found.plan, steps, table, standing.Standing(str(found.run_folder), found.plan))
    try:
        return {key: keys.of(*key) for key in steps.all()}
    finally:
        table.close()


def test_each_step_has_a_key_of_its_own(study):
    keys = keys_of(study)
    assert len(set(keys.values())) == len(keys)


def test_a_step_keeps_its_key_in_a_larger_sweep(study):
    few, many = keys_of(study, rows=ROWS[3:]), keys_of(study)
    assert (few["prepare", 0], few["train", 0]) == (many["prepare", 1], many["train", 3])


def test_a_change_of_a_task_reaches_what_depends_on_it_and_nothing_else(study):
    changed = [TASKS[0], {**TASKS[1], "digest": "other"}, *TASKS[2:]]
    before, after = keys_of(study), keys_of(study, changed)
    assert {name for name, step in before if before[name, step] != after[name, step]} == {"train", "summary", "print"}


def test_a_change_of_the_code_reaches_every_step(study):
    before, after = keys_of(study), keys_of(study, code={"c.py": "pass\n"})
    assert not set(before.values()) & set(after.values())


def test_a_change_of_an_input_reaches_every_step(study):
    before, after = keys_of(study, inputs={"d.csv": "1\n"}), keys_of(study, inputs={"d.csv": "2\n"})
    assert not set(before.values()) & set(after.values())


def test_a_seed_belongs_to_its_values():
    seeds = [points.seed(names.canonical(one)) for one in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1, "b": 3})]
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_seed_is_what_generators_take():
    assert all(0 <= points.seed(names.canonical({"a": value})) < 2**32 for value in range(100))


NOTHING = SimpleNamespace(state=lambda *_: None)  # is on record of any step


def test_a_chain_longer_than_the_interpreters_stack_has_keys_and_steps():
    length = 3000
    tasks = [
        {"name": f"t{n}", "uses": [], "needs": [f"t{n - 1}"] if n else [], "gather": "", "digest": str(n)}
        for n in range(length)
    ]
    plan = {"tasks": tasks, "axes": [], "code": "", "image": None, "inputs": {}}
    steps = points.Steps(plan, [])

    table = SimpleNamespace(values=lambda _: {})
    assert len(points.Keys(plan, steps, table, NOTHING).of(f"t{length - 1}", 0)) == 64
    assert len(steps.of_points([0])) == length
