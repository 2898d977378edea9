import pytest

from sciflow.workflow.arithmetic import FUNCTIONS, OPERATORS, ImpossibleError


def test_whole_powers_are_whole():
    assert OPERATORS["**"](3, 4) == 81
    assert type(OPERATORS["**"](3, 4)) is int


@pytest.mark.parametrize("base", [-1, 0, 1])
def test_small_bases_take_any_power(base):
    assert OPERATORS["**"](base, 10**9) == abs(base)


def test_a_power_too_large_is_refused_before_it_is_computed():
    with pytest.raises(OverflowError):
        OPERATORS["**"](9, 10**18)


def test_the_largest_whole_power_is_computed():
    assert OPERATORS["**"](2, 62) == 2**62


@pytest.mark.parametrize(("base", "exponent"), [(2, -1), (-2.0, 0.5)])
def test_powers_that_are_no_numbers_are_refused(base, exponent):
    with pytest.raises(ImpossibleError):
        OPERATORS["**"](base, exponent)


@pytest.mark.parametrize("power", range(-5, 16))
def test_the_logarithm_to_ten_is_exact_at_powers_of_ten(power):
    assert FUNCTIONS["log"].call(float(f"1e{power}"), 10) == power


@pytest.mark.parametrize(("number", "base"), [(0, 2), (-1, 2), (2, 1), (2, 0)])
def test_logarithms_that_are_no_numbers_are_refused(number, base):
    with pytest.raises(ImpossibleError):
        FUNCTIONS["log"].call(number, base)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_says_what_it_takes(name):
    assert FUNCTIONS[name].takes.startswith(("one", "two"))
    assert 1 <= FUNCTIONS[name].least <= FUNCTIONS[name].most
