import itertools
import math

import pytest

from sciflow.workflow import axes


def made(form, *written):
    return axes.values(form, written)[1]


def test_a_range_leaves_its_stop_out():
    assert axes.values("range", [0, 3]) == ("int", (0, 1, 2))


def test_a_range_may_go_down():
    assert made("range", 3, 0, -1) == (3, 2, 1)


def test_a_range_of_fractions_gathers_no_error():
    assert made("range", 0, 1, 0.1) == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def test_a_range_of_fractions_leaves_its_stop_out_to_the_digit():
    assert made("range", 1, 1.3, 0.1) == (1.0, 1.1, 1.2)


def test_linspace_is_that_of_numpy():
    # numpy.linspace(0, 1, 7) of numpy 2.1
    expected = (0.0, 0.16666666666666666, 0.3333333333333333, 0.5, 0.6666666666666666, 0.8333333333333333, 1.0)
    assert axes.values("linspace", [0, 1, 7]) == ("float", expected)


def test_logspace_takes_exponents_of_ten():
    assert made("logspace", -3, 1, 5) == (0.001, 0.01, 0.1, 1.0, 10.0)


def test_geomspace_takes_its_ends_exactly():
    values = made("geomspace", 0.3, 7, 4)
    assert (values[0], values[-1]) == (0.3, 7.0)
    assert all(math.isclose(b / a, (7 / 0.3) ** (1 / 3)) for a, b in itertools.pairwise(values))


def test_geomspace_below_zero_stays_below_zero():
    assert [round(value, 9) for value in made("geomspace", -1, -100, 3)] == [-1.0, -10.0, -100.0]


@pytest.mark.parametrize("form", ["linspace", "logspace"])
def test_the_last_value_is_exact(form):
    last = made(form, 0.1, 0.7, 13)[-1]
    assert last == (0.7 if form == "linspace" else 10**0.7)


@pytest.mark.parametrize(
    ("values", "kind"), [([1, 2], "int"), ([1, 2.5], "float"), (["a"], "text"), ([True, False], "bool")]
)
def test_a_list_is_of_the_kind_of_its_values(values, kind):
    assert axes.values("values", values)[0] == kind


@pytest.mark.parametrize("values", [[1, "a"], [True, 1], ["a", 1.5], [1.5, False]])
def test_kinds_are_not_mixed(values):
    with pytest.raises(axes.AxisError) as caught:
        axes.values("values", values)
    assert caught.value.index == 1


def test_a_value_that_stands_twice_is_found_also_as_a_fraction():
    assert axes.doubled(axes.values("values", [1, 2.5, 1.0])[1]) == 2


def test_a_range_too_long_is_refused_by_its_number():
    with pytest.raises(axes.AxisError, match="1,000,000,000,000 values"):
        axes.values("range", [0, 10**12])


@pytest.mark.parametrize(
    ("form", "written"),
    [("linspace", [0, 1, 1]), ("linspace", [0, 1, 2.0]), ("geomspace", [0, 1, 3]), ("logspace", [0, 400, 3])],
)
def test_spaces_that_cannot_be_made_are_refused(form, written):
    with pytest.raises(axes.AxisError):
        axes.values(form, written)


def test_more_powers_than_are_computed_in_a_moment_are_refused():
    with pytest.raises(axes.AxisError, match="a `logspace` may have"):
        axes.values("logspace", [0, 1, axes.MAX_POWERS + 1])


def test_linspace_takes_a_million():
    assert len(made("linspace", 0, 1, 1_000_000)) == 1_000_000


def test_replicates_are_numbered_from_zero():
    assert axes.values("replicates", 3) == ("int", (0, 1, 2))
