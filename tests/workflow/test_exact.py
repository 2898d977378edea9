"""Powers and logarithms: the nearest float where it is known, exact where the result is."""

import math

import pytest

from sciflow.workflow import exact


@pytest.mark.parametrize("exponent", range(-307, 309))
def test_a_power_of_ten_is_the_float_that_is_written_so(exponent):
    assert exact.ten(float(exponent)) == float(f"1e{exponent}")


def test_a_power_of_ten_below_the_normal_floats_is_the_nearest():
    assert exact.ten(-320.0) == 1e-320


# The nearest floats to e, 1/e, ln 2, ln 10 and log10 2, from their published digits.
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (exact.exp(1.0), 2.718281828459045),
        (exact.exp(-1.0), 0.36787944117144233),
        (exact.exp(0.0), 1.0),
        (exact.log(2.0), 0.6931471805599453),
        (exact.log(10.0), 2.302585092994046),
        (exact.log(1.0), 0.0),
        (exact.log10(2.0), 0.3010299956639812),
        (exact.log10(1000.0), 3.0),
        (exact.power(2.0, 0.5), 1.4142135623730951),
        (exact.power(10.0, 0.5), 3.1622776601683795),
        (exact.power(2.0, -1.0), 0.5),
        (exact.power(-2.0, 3.0), -8.0),
        (exact.power(-2.0, -2.0), 0.25),
        (exact.power(1.5, 2.0), 2.25),
    ],
)
def test_the_value_is_the_nearest_float(found, expected):
    assert found == expected


@pytest.mark.parametrize("exponent", [*range(-1074, 0, 59), *range(0, 1024, 61), 1023])
def test_powers_of_two_are_exact(exponent):
    assert exact.power(2.0, float(exponent)) == math.ldexp(1.0, exponent)


@pytest.mark.parametrize(
    ("base", "exponent", "value"),
    [(0.0, 5.0, 0.0), (1.0, 1e300, 1.0), (-1.0, 3.0, -1.0), (-1.0, 2.0, 1.0), (7.0, 0.0, 1.0), (0.0, 0.0, 1.0)],
)
def test_what_needs_no_computing_is_exact(base, exponent, value):
    assert exact.power(base, exponent) == value


@pytest.mark.parametrize("too_large", [710.0, 1e3, 1e300])
def test_e_to_more_than_a_float_holds_is_refused(too_large):
    with pytest.raises(OverflowError):
        exact.exp(too_large)


@pytest.mark.parametrize("too_large", [308.3, 400.0, 1e300])
def test_ten_to_more_than_a_float_holds_is_refused(too_large):
    with pytest.raises(OverflowError):
        exact.ten(too_large)


@pytest.mark.parametrize(("base", "exponent"), [(10.0, 309.0), (1e300, 1e300), (0.1, -400.0), (-10.0, 311.0)])
def test_a_power_beyond_a_float_is_refused(base, exponent):
    with pytest.raises(OverflowError):
        exact.power(base, exponent)


@pytest.mark.parametrize(
    "found",
    [exact.exp(-800.0), exact.exp(-1e300), exact.ten(-400.0), exact.power(0.5, 1e300), exact.power(10.0, -400.0)],
)
def test_what_is_too_small_for_a_float_is_zero(found):
    assert found == 0.0


def test_the_logarithm_of_the_smallest_float_is_near_the_c_librarys():
    assert exact.log(5e-324) == pytest.approx(math.log(5e-324), rel=1e-15)
