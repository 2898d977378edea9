"""One block as the file asks for it: what it inherits and changes, and what is wrong with it."""

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow.spec import Block, Parameter, Sample
from tests.workflow.studies import small

AB = "[parameters]\na = [1, 2]\nb = [0.5, 1]\n"


def block(text):
    (sweep,) = small(text).sweeps
    (found,) = sweep.blocks
    return found


def faults(text):
    with pytest.raises(WorkflowError) as caught:
        small(text)
    return [(fault.line - 5, fault.column, fault.text) for fault in caught.value.faults]


def test_a_block_of_which_nothing_is_said_is_the_default_one():
    assert block(AB) == Block()


def test_a_block_is_read():
    text = AB + "[sweep]\nwhere = 'a > 0'\nexclude = [{ a = 1, b = 1 }]\ninclude = [{ a = 7 }]\n"
    assert block(text) == Block(where="a > 0", exclude=((("a", 1), ("b", 1.0)),), include=((("a", 7),),))


def test_a_sample_is_read():
    text = "[parameters]\nu = { uniform = [0, 1] }\n[sweep]\nsample = { method = 'sobol', points = 4 }\n"
    assert block(text).sample == Sample(method="sobol", points=4, seed=0)


def test_partial_points_stand_in_the_order_of_the_parameters():
    assert block(AB + "[sweep]\nexclude = [{ b = 1, a = 2 }]\n").exclude == ((("a", 2), ("b", 1.0)),)


def test_a_partial_point_may_name_a_table():
    text = "[parameters]\nt = [{ x = 1, y = [2] }, { x = 2 }]\n[sweep]\nexclude = [{ t = { y = [2], x = 1 } }]\n"
    assert list(small(text).sweeps[0].points) == [('{"x":2}',)]


def test_a_block_holds_the_parameters_it_changes_alone():
    found = block(AB + "[sweep]\nparameters = { b = [2], a = [1, 2] }\n")
    assert found.parameters == (Parameter(name="b", kind="float", values=(2.0,)),)


def test_columns_of_one_file_are_a_group_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("x,y\n1,2\n1,3\n")
    assert block('[parameters]\nd = { from = "d.csv", columns = ["x", "y"] }\n').zip == (("x", "y"),)


def test_a_value_that_stands_twice_is_refused_at_its_place():
    assert faults("[parameters]\na = [1, 2, 1]\n") == [
        (2, 12, "parameter `a`: `1` stands here for the second time"),
    ]


def test_a_value_may_stand_twice_where_others_turn_with_it():
    text = "[parameters]\na = [1, 1]\nb = [1, 2]\n[sweep]\nzip = [['a', 'b']]\n"
    assert list(small(text).sweeps[0].points) == [(1, 1), (1, 2)]


def test_a_row_of_zipped_values_that_stands_twice_is_refused():
    text = "[parameters]\na = [1, 1]\nb = [2, 2]\n[sweep]\nzip = [['a', 'b']]\n"
    assert [fault for _, _, fault in faults(text)] == ["zipped values stand twice: `a = 1`, `b = 2`"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("b > 1", "`a.when` reads `b`, which is settled only after `a`"),
        ("a > 1", "`a.when` reads `a`, which is settled only after `a`"),
        ("d > 1", "`a.when` reads the derived column `d`"),
        ("1 + 1", "`a.when` gives a whole number, not true or false"),
        ("zz > 1", "`a.when`: there is no column `zz`"),
        ("1 +", "`a.when`: a value is missing here, and the expression ends"),
    ],
)
def test_a_condition_that_cannot_be_asked_is_refused_at_its_place(when, words):
    text = f"[parameters]\na = {{ values = [1, 2], when = '{when}' }}\nb = [1, 2]\n[sweep]\nderive = {{ d = 'b' }}\n"
    ((line, column, fault),) = faults(text)
    assert (line, fault) == (2, words)
    assert column >= 29


def test_a_condition_of_a_block_is_refused_where_it_stands():
    text = AB + "[sweep]\nblocks = [{ parameters = { a = { values = [1], when = 'b > 1' } } }]\n"
    assert faults(text)[0][0] == 5


def test_a_fault_is_told_once_though_two_blocks_inherit_it():
    assert len(faults(AB + "[sweep]\nwhere = 'zz > 1'\nblocks = [{}, {}]\n")) == 1


def test_a_condition_that_a_block_alone_gives_leaves_the_column_empty_there():
    text = AB + "[sweep]\nblocks = [{ parameters = { b = { values = [1], when = 'a == 1' } } }, {}]\n"
    points = small(text).sweeps[0].points
    assert points.columns[1].optional
    assert list(points) == [(1, 1.0), (2, None), (1, 0.5), (2, 0.5), (2, 1.0)]


def test_an_expression_over_a_column_with_a_fault_is_not_judged():
    text = "[parameters]\na = [1, 'x']\nb = { values = [1], when = 'a > 1' }\n[sweep]\nwhere = 'a > b'\n"
    assert len(faults(text)) == 1


def test_a_partial_point_over_a_parameter_with_a_fault_is_not_judged():
    assert len(faults("[parameters]\na = [1, 'x']\nb = [1]\n[sweep]\nexclude = [{ a = 5 }]\n")) == 1


def test_a_sample_of_more_numbers_than_may_be_drawn_is_refused():
    names = "".join(f"u{index} = {{ uniform = [0, 1] }}\n" for index in range(11))
    ((line, _, fault),) = faults(
        f"[parameters]\n{names}[sweep]\nsample = {{ method = 'random', points = 1_000_000 }}\n"
    )
    assert (line, fault) == (14, "`sample` draws 11,000,000 values, and may draw 10,000,000")
