import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import space
from tests.workflow.studies import small


def refused(text):
    with pytest.raises(WorkflowError) as caught:
        small(text)
    return [fault.text for fault in caught.value.faults]


@pytest.mark.parametrize("name", [*space.EXPRESSION_WORDS, *space.PLACEHOLDER_WORDS, *space.RESULT_COLUMNS])
def test_names_with_a_meaning_of_their_own_are_taken(name):
    assert len(refused(f"[parameters]\n{name} = [1]\n")) == 1
    assert len(refused(f"[sweep]\nderive = {{ {name} = '1' }}\n")) == 1


def test_a_sweep_of_a_million_points_is_not_too_large():
    assert small("[parameters]\n" + "".join(f"{name} = {{ range = [0, 100] }}\n" for name in "abc"))


def test_a_sweep_of_one_more_is():
    text = "[parameters]\na = { range = [0, 1000] }\nb = { range = [0, 1001] }\n"
    assert refused(text) == ["the sweep has 1,001,000 points before `where`, and may have 1,000,000"]


def test_zipping_makes_a_sweep_small_enough():
    assert small("[parameters]\na = { range = [0, 9999] }\nb = { range = [0, 9999] }\n[sweep]\nzip = [['a', 'b']]\n")


def test_a_fault_of_a_parameter_is_not_told_again_where_it_is_used():
    text = "[parameters]\na = [1, 'x']\n[sweep]\nderive = { b = 'a + 1' }\nwhere = 'b > 1'\n"
    assert refused(text) == ["parameter `a`: a text stands among values that are each a whole number"]


def test_a_fault_of_where_is_told_for_points_that_only_where_meets():
    text = "[parameters]\na = [1, 0]\n[sweep]\nderive = { b = '1 / a' }\nwhere = 'b > 0'\n"
    assert refused(text) == ["`derive.b` has no value at `a = 0`: division by zero"]
