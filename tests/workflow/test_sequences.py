"""Numbers between 0 and 1: those of the published sequences, and the same on every machine."""

import hashlib
from fractions import Fraction

import pytest

from sciflow.workflow import sequences

METHODS = ["random", "latin-hypercube", "sobol", "halton"]

# The first ten points of three dimensions that S. Joe and F. Y. Kuo print for new-joe-kuo-6.
SOBOL = (
    (0.0, 0.5, 0.75, 0.25, 0.375, 0.875, 0.625, 0.125, 0.1875, 0.6875),
    (0.0, 0.5, 0.25, 0.75, 0.375, 0.875, 0.125, 0.625, 0.3125, 0.8125),
    (0.0, 0.5, 0.25, 0.75, 0.625, 0.125, 0.875, 0.375, 0.9375, 0.4375),
)
HALTON = (
    ("0", "1/2", "1/4", "3/4", "1/8", "5/8", "3/8", "7/8", "1/16", "9/16"),
    ("0", "1/3", "2/3", "1/9", "4/9", "7/9", "2/9", "5/9", "8/9", "1/27"),
    ("0", "1/5", "2/5", "3/5", "4/5", "1/25", "6/25", "11/25", "16/25", "21/25"),
)


def unit(method, count=1000, seed=7, names=("x", "y", "z")):
    return [list(column) for column in sequences.unit(method, count, seed, names)]


@pytest.mark.parametrize("dimension", range(3))
def test_sobol_is_the_published_sequence_moved_by_a_digital_shift(dimension):
    words = [int(number * 2**32) for number in unit("sobol", 10)[dimension]]
    shift = words[0]  # the sequence begins at 0
    assert shift
    assert [(word ^ shift) / 2**32 for word in words] == list(SOBOL[dimension])


@pytest.mark.parametrize("dimension", range(3))
def test_halton_is_the_published_sequence_moved_around_the_unit(dimension):
    numbers = unit("halton", 10)[dimension]
    moved = [(number - numbers[0]) % 1 for number in numbers]
    assert moved == pytest.approx([float(Fraction(text)) for text in HALTON[dimension]], abs=1e-15)


@pytest.mark.parametrize("dimension", range(sequences.MAX_DIMENSIONS["sobol"]))
def test_each_dimension_of_sobol_has_one_number_in_each_of_its_strata(dimension):
    names = [f"p{index}" for index in range(dimension + 1)]
    numbers = unit("sobol", 256, names=names)[dimension]
    assert sorted(int(number * 256) for number in numbers) == list(range(256))


def test_two_dimensions_of_sobol_have_one_number_in_each_of_their_squares():
    first, second, _ = unit("sobol", 64)
    assert len({(int(one * 8), int(two * 8)) for one, two in zip(first, second, strict=True)}) == 64


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_a_latin_hypercube_has_one_number_in_each_of_its_strata(count):
    for column in unit("latin-hypercube", count):
        assert sorted(int(number * count) for number in column) == list(range(count))


def test_the_strata_of_a_latin_hypercube_are_paired_at_random():
    first, second, _ = unit("latin-hypercube", 100)
    assert [int(number * 100) for number in first] != [int(number * 100) for number in second]


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        ("random", "7fb71a06b3cde2a4"),
        ("latin-hypercube", "cf28c72e4995cc67"),
        ("sobol", "9c164af70cfd0263"),
        ("halton", "02e8e8ebf2f006f9"),
    ],
)
def test_the_same_numbers_come_everywhere_and_always(method, digest):
    text = " ".join(number.hex() for column in unit(method) for number in column)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_numbers(method):
    assert unit(method, 5, seed=1) != unit(method, 5, seed=2)


@pytest.mark.parametrize("method", METHODS)
def test_the_ends_of_the_unit_never_come(method):
    assert all(0 < number < 1 for column in unit(method) for number in column)


@pytest.mark.parametrize("method", METHODS)
def test_a_parameter_keeps_its_numbers_when_others_come_after_it(method):
    assert unit(method, 50, names=["x"])[0] == unit(method, 50, names=["x", "y"])[0]


@pytest.mark.parametrize("method", ["random", "latin-hypercube"])
def test_a_parameter_keeps_its_numbers_wherever_it_stands(method):
    assert unit(method, 50, names=["x", "y"]) == unit(method, 50, names=["y", "x"])[::-1]


@pytest.mark.parametrize("method", ["sobol", "halton"])
def test_a_larger_sample_begins_with_the_smaller_one(method):
    assert unit(method, 20)[2] == unit(method, 100)[2][:20]


@pytest.mark.parametrize("method", METHODS)
def test_numbers_are_spread_evenly(method):
    for column in unit(method):
        assert sum(column) / len(column) == pytest.approx(0.5, abs=0.03)


def test_the_least_and_the_largest_random_number_are_inside_the_unit():
    assert 0 < sequences._fraction(0) < sequences._fraction(2**64 - 1) < 1


@pytest.mark.parametrize("method", ["sobol", "halton"])
def test_as_many_dimensions_as_are_said_can_be_drawn(method):
    most = sequences.MAX_DIMENSIONS[method]
    assert most == 40
    assert len({tuple(column) for column in unit(method, 16, names=[f"p{index}" for index in range(most)])}) == most
