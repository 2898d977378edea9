import copy

import pytest

from sciflow.results import compare
from tests.results import studies


def compared(a, b, tolerance=0.0):
    plan, _, steps, _ = studies.single([{}], declared=[studies.metric("x", tolerance=tolerance)])
    sides = [{("train", 0): studies.record("train", 0, metrics=metrics)} for metrics in (a, b)]
    return [item.status for item in compare.compare(plan, steps, *sides)]


def twice():
    plan, _, steps, settled = studies.digits()
    return plan, steps, settled, copy.deepcopy(settled)


def test_a_run_agrees_with_itself():
    plan, steps, a, b = twice()
    assert compare.verdict(compare.compare(plan, steps, a, b)).agrees


def test_every_output_and_metric_is_an_item():
    # 1 + 3 + 96 outputs, 96 times 3 metrics and one of the summary
    plan, steps, a, b = twice()
    assert compare.verdict(compare.compare(plan, steps, a, b)).identical == 100 + 288 + 1


def test_a_changed_output_is_named():
    plan, steps, a, b = twice()
    b["train", 12]["outputs"]["model"]["sha256"] = "f" * 64
    assert [item.what for item in compare.compare(plan, steps, a, b) if item.status == "different"] == [
        "train/12 model"
    ]


def test_a_changed_metric_is_named_with_both_values():
    plan, steps, a, b = twice()
    b["train", 12]["metrics"]["accuracy"] = 0.5
    (item,) = [item for item in compare.compare(plan, steps, a, b) if item.status == "different"]
    assert (item.what, item.point, item.b) == ("train/12 accuracy", 12, 0.5)


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "status"),
    [
        (1.0, 1.0, 0.0, "identical"),
        (1, 1.0, 0.0, "identical"),
        (1.0, 1.0 + 1e-9, 0.0, "different"),
        (1.0, 1.0 + 1e-9, 1e-8, "within tolerance"),
        (0.0, 1e-8, 1e-8, "within tolerance"),
        (1000.0, 1000.1, 1e-3, "within tolerance"),
        (1000.0, 1002.0, 1e-3, "different"),
        ("a", "a", 0.1, "identical"),
        ("a", "b", 0.1, "different"),
        (True, 1, 1.0, "different"),
        (None, None, 0.0, "identical"),
        (None, 0.0, 1.0, "different"),
        ([1, 2], [1, 2], 0.0, "identical"),
        (float("inf"), float("-inf"), 0.1, "different"),
    ],
)
def test_values_agree_by_the_rule(a, b, tolerance, status):
    assert compared({"x": a}, {"x": b}, tolerance) == [status]


def test_a_metric_that_one_side_lacks_is_missing():
    assert compared({"x": 1}, {}) == ["missing"]


def test_a_tolerance_is_of_its_metric_alone():
    assert compared({"x": 1.0, "y": 1.0}, {"x": 1.1, "y": 1.1}, 0.5) == ["within tolerance", "different"]


def test_a_step_that_one_side_has_no_record_of_is_missing():
    plan, steps, a, b = twice()
    del b["split", 1]
    (item,) = [item for item in compare.compare(plan, steps, a, b) if item.status == "missing"]
    assert (item.what, item.a, item.b) == ("split/1 state", "done", None)


def test_a_step_that_neither_side_has_a_record_of_is_missing():
    plan, steps, a, b = twice()
    del a["split", 1], b["split", 1]
    assert compare.verdict(compare.compare(plan, steps, a, b)).missing == 1


def test_a_step_that_failed_on_one_side_is_different():
    plan, steps, a, b = twice()
    b["train", 3] = studies.record("train", 3, "failed")
    assert [item.what for item in compare.compare(plan, steps, a, b) if item.status == "different"] == ["train/3 state"]


def test_a_failure_that_was_reproduced_is_identical():
    plan, steps, a, b = twice()
    a["train", 3] = b["train", 3] = studies.record("train", 3, "failed")
    assert compare.verdict(compare.compare(plan, steps, a, b)).agrees


def test_only_chosen_steps_are_looked_at():
    plan, steps, a, b = twice()
    b = {("train", 3): b["train", 3]}
    items = compare.compare(plan, steps, a, b, chosen={("train", 3)})
    assert {item.what.split()[0] for item in items} == {"train/3"}


def test_nothing_compared_is_no_agreement():
    assert not compare.verdict([]).agrees


def test_the_verdict_counts_in_one_line():
    plan, steps, a, b = twice()
    del b["summary", 0]
    verdict = compare.verdict(compare.compare(plan, steps, a, b))
    assert str(verdict) == "388 identical, 0 within tolerance, 0 different, 1 missing"
