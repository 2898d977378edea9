"""[parameters], [sweep] and [sweeps] together: who inherits from whom, in which order, and of which kind."""

import pytest

from sciflow.errors import WorkflowError
from tests.workflow.studies import small

AB = "[parameters]\na = [1, 2]\nb = [1, 2]\n"


def sweeps(text):
    return {one.name: list(one.points) for one in small(text).sweeps}


def points(text):
    return sweeps(text)[""]


def faults(text):
    with pytest.raises(WorkflowError) as caught:
        small(text)
    return [(fault.line - 5, fault.text) for fault in caught.value.faults]


def test_without_names_there_is_one_sweep():
    assert list(sweeps(AB)) == [""]


def test_named_sweeps_stand_in_the_order_of_the_file():
    assert list(sweeps(AB + "[sweeps.z]\n[sweeps.a]\n")) == ["z", "a"]


def test_a_named_sweep_inherits_what_it_does_not_say():
    text = AB + "[sweep]\nwhere = 'a == 1'\nexclude = [{ b = 2 }]\n[sweeps.one]\n[sweeps.two]\nwhere = 'a == 2'\n"
    assert sweeps(text) == {"one": [(1, 1)], "two": [(2, 1)]}


def test_a_named_sweep_inherits_blocks():
    text = (
        AB
        + "[sweep]\nblocks = [{ where = 'a == 2' }, { where = 'b == 2' }]\n[sweeps.one]\nparameters = { a = [2, 3] }\n"
    )
    assert sweeps(text) == {"one": [(2, 1), (2, 2), (3, 2)]}


def test_a_named_sweep_has_blocks_of_its_own():
    text = AB + "[sweep]\nblocks = [{ where = 'a == 2' }]\n[sweeps.one]\nblocks = [{ where = 'b == 2' }]\n"
    assert sweeps(text) == {"one": [(1, 2), (2, 2)]}


def test_blocks_are_joined_in_order_and_each_point_stands_once():
    text = AB + "[sweep]\nblocks = [{ where = 'a == 2' }, {}]\n"
    assert points(text) == [(2, 1), (2, 2), (1, 1), (1, 2)]
    assert small(text).sweeps[0].points.doubles == 2


def test_a_block_inherits_the_keys_beside_blocks():
    text = AB + "[sweep]\nwhere = 'b == 1'\nblocks = [{}, { where = 'a == 2' }]\n"
    assert points(text) == [(1, 1), (2, 1), (2, 2)]


def test_values_of_a_block_stand_instead_of_those_of_the_parameters():
    assert points(AB + "[sweep]\nblocks = [{ parameters = { a = [7] } }]\n") == [(7, 1), (7, 2)]


def test_the_innermost_values_stand():
    text = (
        AB + "[sweep]\nparameters = { a = [5], b = [6] }\n[sweeps.one]\nparameters = { a = [7] }\n"
        "blocks = [{ parameters = { b = [8] } }]\n"
    )
    assert sweeps(text) == {"one": [(7, 8)]}


def test_other_values_keep_the_unit_and_the_condition():
    text = (
        "[parameters]\na = [1, 2]\nb = { values = [1], unit = 's', when = 'a == 1' }\n"
        "[sweep]\nparameters = { b = [5, 6] }\n"
    )
    workflow = small(text)
    assert workflow.sweeps[0].blocks[0].parameters[0].unit == "s"
    assert list(workflow.sweeps[0].points) == [(1, 5), (1, 6), (2, None)]


def test_whole_numbers_are_fractions_where_a_block_has_fractions():
    workflow = small("[parameters]\na = [1, 2]\n[sweep]\nblocks = [{}, { parameters = { a = [2.5] } }]\n")
    assert workflow.parameters[0].kind == "float"
    assert list(workflow.sweeps[0].points) == [(1.0,), (2.0,), (2.5,)]


def test_whole_numbers_are_fractions_where_an_included_point_is_one():
    assert points("[parameters]\na = [1]\n[sweep]\ninclude = [{ a = 2.5 }]\n") == [(1.0,), (2.5,)]


def test_a_kind_is_one_through_all_sweeps():
    text = "[parameters]\na = [1]\n[sweeps.one]\n[sweeps.two]\nparameters = { a = ['x'] }\n"
    assert faults(text) == [(5, "parameter `a`: a text stands here, and elsewhere its values are each a whole number")]


SAMPLED = "[parameters]\nu = { integer = [5, 5000] }\n[sweep]\nsample = { method = 'random', points = 2 }\n"


def test_a_drawn_parameter_may_be_listed_in_a_block():
    text = SAMPLED + "blocks = [{ parameters = { u = [1, 2] } }, {}]\n"
    rows = points(text)
    assert rows[:2] == [(1,), (2,)]
    assert len(rows) == 4


def test_a_block_that_draws_nothing_has_no_sample_though_it_inherits_one():
    text = SAMPLED + "blocks = [{ parameters = { u = [1, 2] } }, {}]\n"
    assert [one.sample is None for one in small(text).sweeps[0].blocks] == [True, False]


def test_a_sample_that_draws_in_no_block_is_refused():
    text = SAMPLED + "blocks = [{ parameters = { u = [1, 2] } }]\n"
    assert faults(text) == [(4, "`sample` draws parameters, and none is drawn")]


def test_a_sample_of_a_block_that_draws_nothing_is_refused():
    text = SAMPLED + "blocks = [{}, { parameters = { u = [1] }, sample = { method = 'random', points = 2 } }]\n"
    assert faults(text) == [(5, "`sample` draws parameters, and none is drawn")]


def test_a_block_may_draw_what_is_listed():
    text = (
        "[parameters]\nu = [1, 2]\n[sweep]\nblocks = [{}, { parameters = { u = { integer = [5, 5000] } }, "
        "sample = { method = 'random', points = 3 } }]\n"
    )
    rows = points(text)
    assert rows[:2] == [(1,), (2,)]
    assert len(rows) == 5


def test_columns_of_another_file_may_stand_in_a_block(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("x,y\n1,2\n3,4\n")
    (tmp_path / "e.csv").write_text("x,y\n5,6\n")
    text = (
        "[parameters]\nd = { from = 'd.csv', columns = ['x', 'y'] }\n[sweep]\n"
        "blocks = [{}, { parameters = { d = { from = 'e.csv', columns = ['x', 'y'] } } }]\n"
    )
    assert points(text) == [(1, 2), (3, 4), (5, 6)]


def test_derived_columns_are_computed_in_every_sweep():
    text = AB + "[sweep]\nderive = { d = 'a + b' }\n[sweeps.one]\nwhere = 'd == 4'\n"
    assert sweeps(text) == {"one": [(2, 2, 4)]}


def test_included_points_come_last_and_are_not_asked_for_where():
    text = AB + "[sweep]\nwhere = 'a == 1'\nexclude = [{ b = 2 }]\ninclude = [{ a = 9 }, { a = 1 }]\n"
    assert points(text) == [(1, 1), (9, 1), (9, 2), (1, 2)]


def test_an_included_point_of_one_of_a_zip_stands_still_in_it():
    text = AB + "c = [3, 4]\n[sweep]\nzip = [['a', 'c']]\ninclude = [{ a = 9 }]\n"
    assert points(text)[4:] == [(9, 1, 3), (9, 2, 3), (9, 1, 4), (9, 2, 4)]


def test_a_sweep_without_points_names_what_leaves_them_out():
    text = AB + "[sweeps.one]\nexclude = [{ a = 1 }, { a = 2 }]\n"
    assert faults(text) == [(5, "`exclude` refuses every point: the sweep is empty")]


def test_a_sweep_too_large_is_named():
    text = "[parameters]\na = { range = [0, 2000] }\nb = { range = [0, 2000] }\n[sweeps.one]\n"
    assert faults(text) == [(4, "the sweep `one` has 4,000,000 points before `where`, and may have 1,000,000")]


def test_a_column_without_a_value_at_a_point_is_refused_where_it_is_derived():
    text = "[parameters]\na = [0]\n[sweep]\nderive = { d = '1 / a' }\n"
    assert faults(text) == [(4, "`derive.d` has no value at `a = 0`: division by zero")]


def test_a_where_without_a_value_is_refused_in_its_own_block():
    text = "[parameters]\na = [0]\n[sweep]\n[[sweep.blocks]]\nwhere = 'a == 0'\n[[sweep.blocks]]\nwhere = '1 / a > 0'\n"
    assert faults(text) == [(7, "`where` has no value at `a = 0`: division by zero")]


def test_blocks_times_parameters_are_bounded():
    names = "".join(f"p{index} = [1]\n" for index in range(600))
    sweeps = "".join(f"[[sweep.blocks]]\nparameters = {{ p0 = [{index}] }}\n" for index in range(900))
    ((_, fault),) = faults("[parameters]\n" + names + sweeps)
    assert fault == "the sweeps have 900 blocks of 600 parameters each"


def test_partial_points_of_all_blocks_together_are_bounded():
    partials = ", ".join(f"{{ a = {index} }}" for index in range(10_000))
    blocks = "".join(f"[[sweep.blocks]]\nparameters = {{ b = [{index}] }}\n" for index in range(20))
    ((_, fault),) = faults(AB + f"[sweep]\ninclude = [{partials}]\n" + blocks)
    assert fault.startswith("the sweeps and their blocks include more than")


def test_values_of_all_blocks_together_are_bounded():
    blocks = "".join(f"[[sweep.blocks]]\nparameters = {{ b = [{index}] }}\n" for index in range(12))
    ((_, fault),) = faults("[parameters]\na = { range = [0, 900_000] }\nb = [1]\n" + blocks)
    assert fault.startswith("the sweeps and their blocks turn 10,800,012 values")
