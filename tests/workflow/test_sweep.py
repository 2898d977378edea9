import itertools
import time
from dataclasses import replace

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import sweep
from sciflow.workflow.spec import Block, Derived, Parameter, Sweep, Workflow
from tests.workflow.studies import full, small


def points(text):
    return list(sweep.points(small(text)))


def columns(text):
    workflow = small(text)
    return sweep.columns(workflow.parameters, workflow.derive)


def size(workflow):
    return sweep.size(workflow.parameters, workflow.derive, workflow.sweeps[0])


def test_the_last_parameter_turns_fastest():
    assert points("[parameters]\na = [1, 2]\nb = ['x', 'y']\n") == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]


def test_without_parameters_there_is_one_point():
    assert points("") == [()]


def test_a_zipped_group_turns_as_one_at_the_place_of_its_first_member():
    text = "[parameters]\na = [1, 2]\nb = [5, 6]\nc = [3, 4]\n[sweep]\nzip = [['c', 'a']]\n"
    assert points(text) == [(1, 5, 3), (1, 6, 3), (2, 5, 4), (2, 6, 4)]


def test_where_keeps_the_points_it_is_true_for():
    assert points("[parameters]\na = [1, 2, 3]\n[sweep]\nwhere = 'a != 2'\n") == [(1,), (3,)]


def test_derived_columns_come_last_each_after_what_it_reads():
    text = "[parameters]\na = [1, 2]\n[sweep]\nderive = { d = 'e + 1', e = 'a * 10' }\n"
    assert [column.name for column in columns(text)] == ["a", "e", "d"]
    assert points(text) == [(1, 10, 11), (2, 20, 21)]


def test_where_may_read_a_derived_column():
    assert points("[parameters]\na = [1, 2]\n[sweep]\nderive = { e = 'a * 10' }\nwhere = 'e > 10'\n") == [(2, 20)]


def test_where_keeps_away_points_at_which_a_column_has_no_value():
    assert points("[parameters]\na = [0, 2]\n[sweep]\nderive = { e = '4 / a' }\nwhere = 'a > 0'\n") == [(2, 2.0)]


def test_columns_have_kind_unit_and_origin():
    text = "[parameters]\na = { values = [1], unit = 's' }\n[sweep]\nderive = { e = 'a / 2' }\n"
    assert columns(text) == (
        sweep.Column(name="a", kind="int", unit="s"),
        sweep.Column(name="e", kind="float", derived=True),
    )


def test_the_size_counts_points_before_where(tmp_path):
    workflow = full(tmp_path)
    assert size(workflow) == 12
    assert len(list(sweep.points(workflow))) == 8


def test_points_are_made_one_at_a_time():
    axes = tuple(Parameter(name=f"p{index}", kind="int", values=tuple(range(1000))) for index in range(8))
    first = itertools.islice(sweep.points(Workflow(name="large", parameters=axes)), 2)
    assert list(first) == [(0,) * 8, (*(0,) * 7, 1)]


def test_a_point_without_a_value_is_named():
    axis = Parameter(name="a", kind="int", values=(1, 0))
    workflow = Workflow(name="w", parameters=(axis,), derive=(Derived(name="d", expression="1 / a"),))
    with pytest.raises(WorkflowError, match=r"`derive.d` has no value at `a = 0`: division by zero"):
        sweep.points(workflow)


def test_a_million_points_are_looked_through_by_the_axes_that_matter():
    text = "[parameters]\n" + "".join(f"{name} = {{ range = [0, 100] }}\n" for name in "abc")
    began = time.process_time()
    workflow = small(text + "[sweep]\nderive = { d = '1 / (a + 1)' }\nwhere = 'b % 2 == 0'\n")
    assert time.process_time() - began < 2
    assert size(workflow) == 1_000_000


def test_what_is_derived_from_a_value_that_is_not_there_is_not_there_either():
    text = (
        "[parameters]\na = [1, 2]\nb = { values = [3], when = 'a == 1' }\n"
        "[sweep]\nderive = { d = 'b + 1', e = 'd * 2', f = 'a * 2' }\n"
    )
    assert points(text) == [(1, 3, 4, 8, 2), (2, None, None, None, 4)]
    assert [column.optional for column in columns(text)] == [False, True, True, True, False]


def test_a_derived_column_that_asks_first_is_there_everywhere():
    text = "[parameters]\na = [1, 2]\nb = { values = [3], when = 'a == 1' }\n[sweep]\nderive = { d = 'a == 1 and b > 2' }\n"
    assert points(text) == [(1, 3, True), (2, None, False)]


def test_the_points_of_a_sweep_are_made_where_none_have_been():
    workflow = small("[parameters]\na = [1, 2]\n[sweeps.one]\n[sweeps.two]\nwhere = 'a == 2'\n")
    bare = replace(workflow.sweeps[1], points=None)
    assert list(sweep.points(workflow, bare)) == [(2,)]


def test_without_columns_blocks_make_one_point_or_none():
    one, none = Block(where="1 == 1"), Block(where="1 == 2")
    found = [sweep.make((), (), Sweep(blocks=blocks)) for blocks in ((none, one, one), (none, none))]
    assert [(list(points), points.doubles) for points in found] == [([()], 1), ([], 0)]
