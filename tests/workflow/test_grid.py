"""One block: what turns together and in which order, how many points it may have, and which axes it falls into."""

import time

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import grid, sweep
from sciflow.workflow.spec import Draw, Parameter
from tests.workflow.studies import small


def made(text):
    workflow = small(text)
    return workflow.sweeps[0].points


def axes(text):
    return [axis.names for axis in made(text).axes]


def size(text):
    workflow = small(text)
    return sweep.size(workflow.parameters, workflow.derive, workflow.sweeps[0])


def refused(text):
    with pytest.raises(WorkflowError) as caught:
        small(text)
    return [fault.text for fault in caught.value.faults]


ABC = "[parameters]\na = [1, 2]\nb = [1, 2]\nc = [1, 2]\n"


def test_what_turns_together_stands_at_the_place_of_its_first():
    parameters = [
        Parameter(name="a", kind="int", values=(1,)),
        Parameter(name="u", kind="float", draw=Draw(form="uniform", numbers=(0, 1))),
        Parameter(name="b", kind="int", values=(1,)),
        Parameter(name="v", kind="float", draw=Draw(form="uniform", numbers=(0, 1))),
        Parameter(name="c", kind="int", values=(1,)),
    ]
    assert grid.together(parameters, [("c", "a")]) == [("c", "a"), ("u", "v"), ("b",)]


def test_a_plain_grid_has_an_axis_a_parameter():
    assert axes(ABC) == [("a",), ("b",), ("c",)]


def test_neighbours_that_a_condition_reads_are_one_axis():
    assert axes(ABC + "[sweep]\nwhere = 'b < c'\n") == [("a",), ("b", "c")]


def test_what_turns_between_those_that_a_condition_reads_is_held_with_them():
    assert axes(ABC + "[sweep]\nwhere = 'a < c'\n") == [("a", "b", "c")]


def test_overlapping_holds_make_one_axis():
    assert axes(ABC + "[sweep]\nwhere = 'a < b'\nderive = { d = 'b + c' }\n") == [("a", "b", "c", "d")]


def test_a_derived_column_stands_with_what_it_comes_from_by_way_of_others():
    assert axes(ABC + "[sweep]\nderive = { d = 'e + 1', e = 'b * 2' }\n") == [("a",), ("b", "e", "d"), ("c",)]


def test_a_condition_of_a_parameter_holds_it_to_what_it_reads():
    text = "[parameters]\na = [1, 2]\nb = { values = [1, 2], when = 'a == 1' }\nc = [1, 2]\n"
    assert axes(text) == [("a", "b"), ("c",)]


def test_where_a_condition_does_not_hold_there_is_one_point():
    text = "[parameters]\na = [1, 2]\nb = { values = [1, 2, 3], when = 'a == 1' }\n"
    assert list(made(text)) == [(1, 1), (1, 2), (1, 3), (2, None)]


def test_a_condition_that_reads_what_is_not_there_does_not_hold():
    text = (
        "[parameters]\na = [1, 2]\nb = { values = [1], when = 'a == 1' }\nc = { values = [5, 6], when = 'b != 1' }\n"
        "d = { values = [7], when = 'b == 1' }\n"
    )
    assert list(made(text)) == [(1, 1, None, 7), (2, None, None, None)]


def test_a_condition_of_no_parameter_holds_everywhere_or_nowhere():
    text = "[parameters]\na = [1, 2]\nb = { values = [1, 2], when = '1 > 2' }\n"
    assert list(made(text)) == [(1, None), (2, None)]


def test_a_condition_may_read_what_is_zipped_before_it():
    text = (
        "[parameters]\na = [1, 2, 3]\nb = { values = [4, 5, 6], when = 'a != 2' }\nc = [0, 1]\n"
        "[sweep]\nzip = [['a', 'b']]\n"
    )
    assert list(made(text)) == [(1, 4, 0), (1, 4, 1), (2, None, 0), (2, None, 1), (3, 6, 0), (3, 6, 1)]


def test_zipped_rows_that_agree_without_their_absent_values_are_one():
    text = (
        "[parameters]\nk = ['x', 'y']\na = [1, 1]\nb = { values = [4, 5], when = \"k == 'x'\" }\n"
        "[sweep]\nzip = [['a', 'b']]\n"
    )
    assert list(made(text)) == [("x", 1, 4), ("x", 1, 5), ("y", 1, None)]


def test_a_drawn_parameter_may_have_a_condition():
    text = (
        "[parameters]\nk = ['x', 'y']\nu = { integer = [1, 3], when = \"k == 'x'\" }\n"
        "[sweep]\nsample = { method = 'sobol', points = 8 }\n"
    )
    assert sorted(row for row in made(text) if row[0] == "x") == [("x", 1), ("x", 2), ("x", 3)]
    assert [row for row in made(text) if row[0] == "y"] == [("y", None)]


def test_drawn_rows_that_agree_are_one_point():
    text = "[parameters]\nu = { choice = ['a', 'b'] }\n[sweep]\nsample = { method = 'random', points = 50 }\n"
    assert sorted(made(text)) == [("a",), ("b",)]


def test_drawn_parameters_turn_together_and_are_crossed_with_the_others():
    text = (
        "[parameters]\nu = { uniform = [0, 1] }\na = [1, 2]\nv = { normal = [0, 1] }\n"
        "[sweep]\nsample = { method = 'halton', points = 3 }\n"
    )
    rows = list(made(text))
    assert [row[1] for row in rows] == [1, 2, 1, 2, 1, 2]
    assert [rows[0][0], rows[0][2]] == [rows[1][0], rows[1][2]]
    assert len({(row[0], row[2]) for row in rows}) == 3


def test_what_an_included_point_fixes_of_a_sample_leaves_the_other_numbers_alone():
    text = (
        "[parameters]\nu = { uniform = [0, 1] }\nv = { uniform = [0, 1] }\n"
        "[sweep]\nsample = { method = 'sobol', points = 4 }\ninclude = [{ u = 0.5 }]\n"
    )
    rows = list(made(text))
    assert [row[1] for row in rows[4:]] == [row[1] for row in rows[:4]]
    assert {row[0] for row in rows[4:]} == {0.5}


def test_the_size_counts_what_conditions_leave():
    text = "[parameters]\na = [1, 2, 3]\nb = { values = [1, 2], when = 'a == 1' }\nc = [1, 2]\n"
    assert size(text) == 8 == len(made(text))


def test_the_size_of_a_sample_is_how_often_it_draws():
    text = "[parameters]\nu = { uniform = [0, 1] }\na = [1, 2]\n[sweep]\nsample = { method = 'random', points = 9 }\n"
    assert size(text) == 18


def test_the_size_counts_blocks_and_included_points():
    text = "[parameters]\na = [1, 2]\nb = [1, 2]\n[sweep]\nblocks = [{}, { parameters = { a = [7] } }]\ninclude = [{ a = 9 }]\n"
    assert size(text) == (4 + 2) + (2 + 2)


def test_conditions_that_leave_too_many_points_are_refused():
    text = "[parameters]\na = { range = [0, 1100] }\nb = { range = [0, 1000], when = 'a >= 0' }\n"
    (fault,) = refused(text)
    assert fault.startswith("the sweep has 1,001,000 points before `where`")


def test_long_axes_of_which_a_condition_leaves_little_are_no_work():
    began = time.process_time()
    found = made("[parameters]\na = { range = [0, 1000] }\nb = { range = [0, 90000], when = 'a == -1' }\n")
    assert (len(found), time.process_time() - began < 5) == (1000, True)


def test_a_condition_without_a_value_is_refused_with_the_point():
    text = "[parameters]\na = [1, 0]\nb = { values = [1, 2], when = '1 / a > 0' }\n"
    assert refused(text) == ["`b.when` has no value at `a = 0`: division by zero"]


def test_an_expression_of_no_parameter_is_asked_at_the_one_point_there_is():
    assert list(made("[sweep]\nderive = { d = '1 + 1' }\nwhere = 'd == 2'\n")) == [(2,)]


def test_where_without_parameters_makes_no_axis():
    assert made("[sweep]\nwhere = '1 == 1'\n").axes == ()


def test_where_that_refuses_the_one_point_leaves_none():
    assert refused("[sweep]\nwhere = '1 == 2'\n") == ["`where` refuses every point: the sweep is empty"]


def test_a_condition_within_a_group_is_asked_again_where_its_answers_are_not_kept():
    count = grid.REMEMBERED + 2
    text = (
        f"[parameters]\nk = {{ range = [0, {count}] }}\na = [1, 2]\nb = {{ values = [5, 6], when = 'a == 1 or k == 0' }}\n"
        "[sweep]\nzip = [['a', 'b']]\n"
    )
    rows = list(made(text))
    assert (len(rows), rows[:2], rows[-2:]) == (
        2 * count,
        [(0, 1, 5), (0, 2, 6)],
        [(count - 1, 1, 5), (count - 1, 2, None)],
    )
