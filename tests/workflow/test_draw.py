"""What is drawn: the quantiles of each distribution, the same on every machine."""

import collections
import math

import pytest

from sciflow.workflow import draw
from sciflow.workflow.spec import Draw, Parameter, Sample


def quantile(form, *numbers, choices=(), weights=()):
    return draw._quantile(Draw(form=form, numbers=numbers, weights=weights), choices)


def drawn(*parameters, method="sobol", points=64):
    return draw.values(parameters, Sample(method=method, points=points, seed=3))


# Quantiles of the standard normal distribution to 16 digits (M. J. Wichura, AS 241, and tables of the error function).
@pytest.mark.parametrize(
    ("probability", "value"),
    [
        (0.5, 0.0),
        (0.975, 1.959963984540054),
        (0.95, 1.6448536269514722),
        (0.75, 0.6744897501960817),
        (0.25, -0.6744897501960817),
        (0.025, -1.959963984540054),
        (0.999, 3.090232306167813),
        (1e-10, -6.361340902404056),
        (1e-16, -8.222082216130435),
    ],
)
def test_the_normal_quantile_is_the_tabled_one(probability, value):
    assert draw.normal(probability) == pytest.approx(value, rel=1e-15, abs=1e-300)


@pytest.mark.parametrize("probability", [0.3, 0.074, 0.0749, 0.0751, 1e-5, 1e-12, 1e-15])
def test_the_normal_quantile_turns_the_distribution_around(probability):
    assert 0.5 * math.erfc(-draw.normal(probability) / math.sqrt(2)) == pytest.approx(probability, rel=1e-13)


def test_a_normal_distribution_has_its_mean_and_standard_deviation():
    assert quantile("normal", 10.0, 2.0)(0.975) == 10 + 2 * draw.normal(0.975)


@pytest.mark.parametrize("unit", [2**-53, 1 - 2**-53])
def test_no_number_that_is_drawn_lies_further_out_than_is_said(unit):
    assert abs(draw.normal(unit)) < draw.FURTHEST


def test_uniform_lies_between_its_ends():
    between = quantile("uniform", -1.0, 3.0)
    assert [between(unit) for unit in (0.25, 0.5, 0.75)] == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("form", ["uniform", "loguniform"])
@pytest.mark.parametrize("unit", [2**-53, 0.5, 1 - 2**-53])
def test_rounding_leaves_nothing_beyond_the_ends(form, unit):
    ends = (0.1, math.nextafter(0.1, 1))
    assert ends[0] <= quantile(form, *ends)(unit) <= ends[1]


def test_uniform_over_all_that_floats_hold_has_numbers():
    assert math.isfinite(quantile("uniform", -1.7e308, 1.7e308)(0.9))


def test_loguniform_gives_each_factor_as_much():
    log = quantile("loguniform", 1.0, 10_000.0)
    assert [log(unit) for unit in (0.25, 0.5, 0.75)] == pytest.approx([10, 100, 1000], rel=1e-15)


def test_integers_are_all_as_likely_and_both_ends_come():
    found = drawn(Parameter(name="i", kind="int", draw=Draw(form="integer", numbers=(1, 4))))
    assert collections.Counter(found[0]) == {1: 16, 2: 16, 3: 16, 4: 16}
    assert all(type(value) is int for value in found[0])


@pytest.mark.parametrize("unit", [2**-53, 1 - 2**-53])
def test_integers_of_64_bits_stay_between_their_ends(unit):
    low, high = -(2**63), 2**63 - 1
    assert low <= quantile("integer", low, high)(unit) <= high


def test_the_first_and_the_last_integer_stand_at_the_ends():
    dice = quantile("integer", 1, 6)
    assert (dice(2**-53), dice(1 - 2**-53)) == (1, 6)


def test_without_weights_all_choices_are_as_likely():
    found = drawn(Parameter(name="k", kind="text", values=("a", "b"), draw=Draw(form="choice")))
    assert collections.Counter(found[0]) == {"a": 32, "b": 32}


def test_a_choice_comes_as_often_as_its_weight_says():
    weighed = Draw(form="choice", weights=(3.0, 1.0))
    found = drawn(Parameter(name="k", kind="text", values=("a", "b"), draw=weighed))
    assert collections.Counter(found[0]) == {"a": 48, "b": 16}


@pytest.mark.parametrize("weights", [(0.0, 1.0, 0.0), (0.0, 5e-324, 0.0), (0.0, 1e308, 0.0)])
@pytest.mark.parametrize("unit", [2**-53, 0.5, 1 - 2**-53])
def test_a_choice_without_weight_never_comes(weights, unit):
    assert quantile("choice", choices=("a", "b", "c"), weights=weights)(unit) == "b"


def test_weights_whose_sum_no_float_holds_are_weights():
    heavy = quantile("choice", choices=("a", "b"), weights=(1.5e308, 1.5e308))
    assert (heavy(0.49), heavy(0.51)) == ("a", "b")


def test_each_parameter_has_a_value_a_point():
    one = Parameter(name="u", kind="float", draw=Draw(form="uniform", numbers=(0.0, 1.0)))
    two = Parameter(name="v", kind="float", draw=Draw(form="normal", numbers=(0.0, 1.0)))
    found = drawn(one, two, points=5)
    assert [len(values) for values in found] == [5, 5]
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("method", "values"),
    [
        ("random", [[1.428409608901989, -0.7816626140504268], [0.00024788498319180117, 0.00428874761273302]]),
        ("sobol", [[0.2593801737282071, -1.2683917830591036], [0.16708285424449792, 0.0016708285424449794]]),
    ],
)
def test_the_same_values_come_everywhere(method, values):
    normal = Parameter(name="n", kind="float", draw=Draw(form="normal", numbers=(0.0, 1.0)))
    log = Parameter(name="l", kind="float", draw=Draw(form="loguniform", numbers=(1e-4, 1.0)))
    assert [list(column) for column in drawn(normal, log, method=method, points=2)] == values
