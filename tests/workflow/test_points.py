"""Points as axes: by number, in turn and as lines."""

import itertools
from array import array

import pytest

from sciflow.workflow.points import Axis, Coded, Column, Points, packed

A = Axis(names=("a",), values=((1, 2),), turns=2)
BC = Axis(names=("c", "b"), values=(("x", "y", None), (0.5, 1.0, 2.0)), turns=3)
COLUMNS = (Column(name="a", kind="int"), Column(name="b", kind="float"), Column(name="c", kind="text", optional=True))
GRID = Points(columns=COLUMNS, axes=(A, BC))
ROWS = [(a, b, c) for a, (b, c) in itertools.product((1, 2), ((0.5, "x"), (1.0, "y"), (2.0, None)))]


def test_the_last_axis_turns_fastest_and_values_stand_in_the_order_of_the_columns():
    assert list(GRID) == ROWS


def test_a_point_has_its_number():
    assert [GRID[number] for number in range(len(GRID))] == ROWS


def test_numbers_below_zero_count_from_the_end():
    assert GRID[-1] == ROWS[-1]


@pytest.mark.parametrize("part", [slice(1, 3), slice(None, None, -2), slice(4, 100), slice(3, 3)])
def test_a_stretch_of_points_is_that_of_a_list(part):
    assert GRID[part] == ROWS[part]


@pytest.mark.parametrize("number", [6, -7])
def test_a_number_that_no_point_has_is_an_error(number):
    with pytest.raises(IndexError):
        GRID[number]


def test_without_axes_there_is_one_point_without_values():
    assert (list(Points(columns=(), axes=())), Points(columns=(), axes=())[0]) == ([()], ())


def test_one_axis_without_turns_leaves_no_point():
    assert list(Points(columns=COLUMNS[:2], axes=(A, Axis(names=("b",), values=((),), turns=0)))) == []


def test_points_of_a_million_are_counted_and_found_without_being_made():
    axes = tuple(Axis(names=(name,), values=(range(1000),), turns=1000) for name in "abcdef")
    columns = tuple(Column(name=name, kind="int") for name in "abcdef")
    large = Points(columns=columns, axes=axes)
    assert (len(large), large[10**18 - 2]) == (10**18, (999, 999, 999, 999, 999, 998))


def test_lines_are_canonical_with_their_keys_in_order():
    assert list(BC.lines()) == ['{"b":0.5,"c":"x"}', '{"b":1,"c":"y"}', '{"b":2,"c":null}']


def test_an_axis_without_columns_has_rows_without_values():
    assert list(Axis(names=(), values=(), turns=2).rows()) == [(), ()]


TURNING = Axis(
    names=("a", "b"), values=(Coded(("u", "v", "w"), array("I", [0, 0, 1, 1])), array("q", [1, 2, 1, 3])), turns=4
)


@pytest.mark.parametrize(("wanted", "count"), [([], 1), (["a"], 2), (["b"], 3), (["a", "b"], 4), (["z"], 1)])
def test_different_rows_of_some_columns_are_counted(wanted, count):
    assert TURNING.distinct(wanted) == count


def test_a_coded_column_reads_as_a_list():
    coded = Coded(("x", None), array("I", [1, 0, 0]))
    assert (list(coded), len(coded), coded[0], coded[2]) == ([None, "x", "x"], 3, None, "x")


def test_values_that_are_coded_but_stand_in_no_row_are_not_counted():
    assert Coded(("x", "y", "x"), array("I", [0, 2, 0])).distinct() == 1


def test_numbers_are_packed_as_such_and_all_else_by_a_code():
    axis = packed(COLUMNS, iter([(1, 0.5, "x"), (2, 1.0, None), (3, 1.5, "x")]))
    assert [type(values) for values in axis.values] == [array, array, Coded]
    assert list(axis.rows()) == [(1, 0.5, "x"), (2, 1.0, None), (3, 1.5, "x")]


def test_a_number_that_may_be_absent_is_packed_by_a_code():
    axis = packed([Column(name="a", kind="int", optional=True)], [(2**62,), (None,)])
    assert list(axis.rows()) == [(2**62,), (None,)]


def test_nothing_packed_has_no_turn():
    assert len(packed(COLUMNS, [])) == 0


def test_the_lines_of_packed_columns_are_those_of_their_values():
    axis = packed(COLUMNS, [(1, 0.5, "é"), (-2, 1.0, None)])
    assert list(axis.lines()) == ['{"a":1,"b":0.5,"c":"é"}', '{"a":-2,"b":1,"c":null}']
