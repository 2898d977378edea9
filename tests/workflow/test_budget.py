from sciflow.workflow.budget import Budget


def test_what_fits_may_be_held():
    assert Budget(values=10).hold(10)


def test_what_is_held_stays_counted():
    budget = Budget(values=10)
    budget.hold(6)
    assert not budget.hold(6)


def test_what_is_computed_stays_counted():
    budget = Budget(operations=10)
    assert budget.compute(10)
    assert not budget.compute(1)


def test_values_and_operations_are_apart():
    budget = Budget(values=1, operations=1)
    budget.hold(2)
    assert budget.compute(1)
