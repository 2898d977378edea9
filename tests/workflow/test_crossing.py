"""Groups held together: the combinations that are kept, and what is computed at them."""

import pytest

from sciflow.workflow import expression
from sciflow.workflow.crossing import Group, Part, PointError, computed, cross

A, B, C = (Group(names=(name,), values=((0, 1, 2),)) for name in "abc")


def part(*groups, derived=None, where="", exclude=()):
    kinds = {name: "int" for group in groups for name in group.names}
    origins = {name: frozenset([name]) for name in kinds}
    expressions = {}
    for name, text in (derived or {}).items():
        expressions[name] = expression.parse(text, kinds)
        kinds[name] = expressions[name].kind
        origins[name] = frozenset().union(*(origins[read] for read in expressions[name].names))
    return Part(
        groups=groups,
        derived=tuple(expressions),
        where=expression.parse(where, kinds) if where else None,
        exclude=exclude,
        expressions=expressions,
        origins=origins,
    )


def rows(*groups, **said):
    return list(cross(part(*groups, **said)).rows())


def refused(*groups, **said):
    with pytest.raises(PointError) as caught:
        cross(part(*groups, **said))
    return caught.value


def test_one_group_of_which_nothing_is_said_is_the_axis_itself():
    axis = cross(part(A))
    assert (axis.names, axis.values) == (A.names, A.values)


def test_the_last_group_turns_fastest():
    assert rows(A, B, where="a == b or b == 0") == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 2)]


def test_a_derived_column_stands_last():
    axis = cross(part(A, B, derived={"d": "a + b"}))
    assert (axis.names, list(axis.rows())[5]) == (("a", "b", "d"), (1, 2, 3))


def test_a_group_between_those_that_are_read_turns_too():
    assert rows(A, B, C, where="a == 1 and c == 2") == [(1, b, 2) for b in range(3)]


def test_excluded_combinations_are_left_out():
    assert rows(A, B, exclude=((("a", 0),), (("a", 1), ("b", 2)), (("b", 0),))) == [(1, 1), (2, 1), (2, 2)]


def test_where_and_exclude_work_on_the_same_rows():
    assert rows(A, B, where="a < b", exclude=((("b", 2),),)) == [(0, 1)]


def test_where_is_not_asked_at_what_is_excluded():
    assert rows(A, where="1 / a > 0", exclude=((("a", 0),),)) == [(1,), (2,)]


def test_a_column_that_where_reads_is_not_computed_at_what_is_excluded():
    found = rows(A, derived={"d": "2 // a"}, where="d > 0", exclude=((("a", 0),),))
    assert found == [(1, 2), (2, 1)]


def test_a_column_that_where_does_not_read_is_computed_only_at_what_is_kept():
    assert rows(A, B, derived={"d": "2 // a"}, where="a > b") == [(1, 0, 2), (2, 0, 1), (2, 1, 1)]


def test_a_column_that_where_reads_is_computed_before_it():
    error = refused(A, derived={"d": "2 // a", "e": "d + 1"}, where="a > 0 and e > 0")
    assert (error.use, error.name) == ("derive", "d")
    assert error.text == "`derive.d` has no value at `a = 0`: division by zero"


def test_where_without_a_value_is_refused_with_its_point_and_place():
    error = refused(A, B, where="a / b > 0")
    assert (error.use, error.source, error.offset) == ("where", "a / b > 0", 3)
    assert error.text == "`where` has no value at `a = 0`, `b = 0`: division by zero"


def test_an_expression_of_no_column_has_no_point_to_tell():
    assert refused(where="1 / 0 > 1").text == "`where` has no value: division by zero"


def test_nothing_kept_is_an_axis_without_turns():
    assert len(cross(part(A, B, where="a > 9"))) == 0


ABSENT = expression.parse("a > 1", {"a": "int"}, ["a"])


@pytest.mark.parametrize("use", ["derive", "when"])
def test_what_comes_of_a_value_that_is_not_there_is_not_there(use):
    assert computed(use, "d", ABSENT, {"a": None}) is None


def test_where_may_not_read_a_value_that_is_not_there():
    with pytest.raises(PointError, match="`a` has no value there") as caught:
        computed("where", "", ABSENT, {"a": None})
    assert "ask first for what makes it there" in caught.value.hint
