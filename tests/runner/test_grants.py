"""What is handed out is not handed out twice, and comes back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.runner.grants import Grants

CAPACITY = {"cpus": 4, "memory_mib": 100, "gpus": ["GPU-a", "GPU-b", "GPU-c"]}


def needs(cpus=1, memory_mib=10, gpus=0):
    return {"cpus": cpus, "memory_mib": memory_mib, "gpus": gpus, "time_s": 60}


def test_what_is_granted_is_not_free():
    found = Grants(CAPACITY)
    found.take(needs(cpus=3, gpus=1))
    assert found.free == {"cpus": 1, "memory_mib": 90, "gpus": 2}


def test_what_comes_back_is_free_again():
    found = Grants(CAPACITY)
    found.give_back(found.take(needs(gpus=2)))
    assert found.free == Grants(CAPACITY).free


@pytest.mark.parametrize("wanted", [needs(cpus=5), needs(memory_mib=101), needs(gpus=4)])
def test_more_than_is_free_is_not_granted(wanted):
    found = Grants(CAPACITY)
    assert (found.take(wanted), found.free) == (None, Grants(CAPACITY).free)


def test_gpus_are_granted_by_name_the_first_that_are_free():
    found = Grants(CAPACITY)
    one, two = found.take(needs(gpus=1)), found.take(needs(gpus=1))
    found.give_back(one)
    assert (one["gpus"], two["gpus"], found.take(needs(gpus=2))["gpus"]) == (["GPU-a"], ["GPU-b"], ["GPU-a", "GPU-c"])


def test_gpus_that_are_only_counted_are_numbered():
    assert Grants({**CAPACITY, "gpus": 2}).take(needs(gpus=2))["gpus"] == ["0", "1"]


@pytest.mark.parametrize("gpus", [0, 1])
def test_a_grant_comes_back_once(gpus):
    found = Grants(CAPACITY)
    grant = found.take(needs(gpus=gpus))
    found.give_back(grant)
    with pytest.raises(ValueError, match="was not out"):
        found.give_back(grant)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(0, 2))), st.randoms())
def test_whatever_is_out_together_stays_within_the_capacity(wanted, random):
    found, out = Grants(CAPACITY), []
    for one in wanted:
        short = any(free < need for free, need in zip(found.free.values(), one, strict=True))
        grant = found.take(needs(*one))
        assert (grant is None) == short
        if grant:
            out.append(grant)
        elif out:
            found.give_back(out.pop(random.randrange(len(out))))
        names = [name for grant in out for name in grant["gpus"]]
        assert len(names) == len(set(names)) == len(CAPACITY["gpus"]) - found.free["gpus"]
        for what in ("cpus", "memory_mib"):
            assert sum(grant[what] for grant in out) == CAPACITY[what] - found.free[what] >= 0
    for grant in out:
        found.give_back(grant)
    assert found.free == Grants(CAPACITY).free


def test_what_fits_can_be_taken_and_what_does_not_cannot():
    found = Grants({"cpus": 2, "memory_mib": 100, "gpus": ["0"]})
    for needs in ({"cpus": 2, "memory_mib": 100, "gpus": 1}, {"cpus": 3, "memory_mib": 1, "gpus": 0}):
        assert found.fits(needs) == (Grants({"cpus": 2, "memory_mib": 100, "gpus": ["0"]}).take(needs) is not None)
