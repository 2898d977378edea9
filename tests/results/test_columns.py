import math

import pytest

from sciflow.errors import BundleError
from sciflow.results import columns
from tests.results import studies


def test_whole_numbers_stay_whole():
    assert columns.fit("n", [1, None, 3]).kind == "int"


def test_one_fraction_makes_all_of_them_fractions():
    found = columns.fit("n", [1] * 200 + [1.5])
    assert (found.kind, found.values[-1]) == ("float", 1.5)


def test_truth_values_are_not_numbers():
    assert columns.fit("n", [True, None]).kind == "bool"


def test_truth_values_among_numbers_become_text():
    assert columns.fit("n", [True, 1]).values == ["true", "1"]


def test_nan_and_infinity_become_null():
    assert columns.fit("n", [1.0, math.nan, math.inf, -math.inf]).values == [1.0, None, None, None]


def test_numbers_beyond_64_bits_keep_every_digit():
    found = columns.fit("n", [2**63, 1])
    assert (found.kind, found.values) == ("text", ["9223372036854775808", "1"])


def test_numbers_beyond_64_bits_are_not_rounded_by_a_fraction_beside_them():
    assert columns.fit("n", [2**70 + 1, 0.5]).values == [str(2**70 + 1), "0.5"]


def test_lists_and_tables_become_json():
    assert columns.fit("n", [[1, "é"], {"b": 1, "a": None}]).values == ['[1, "é"]', '{"a": null, "b": 1}']


def test_half_a_surrogate_pair_is_shown_by_its_number():
    assert columns.fit("n", ["\ud800!"]).values == ["\\ud800!"]


@pytest.mark.parametrize("kind", ["bool", "int", "float", "text"])
def test_an_empty_column_has_the_kind_it_was_declared_with(kind):
    assert columns.fit("n", [None, None], kind).kind == kind


def test_a_declared_fraction_stays_one_where_all_values_are_whole():
    assert columns.fit("n", [1, 2], "float").kind == "float"


def test_too_few_points_are_refused():
    plan, points, steps, settled = studies.digits()
    with pytest.raises(BundleError, match=r"`points.jsonl` holds 95 points where `plan.json` says 96"):
        columns.columns(plan, points[1:], steps, settled)


def test_declared_metrics_come_first_in_the_order_of_the_file():
    laid = columns.columns(*studies.digits())
    assert laid.point_metrics == ("accuracy", "training_time", "support_vectors")
