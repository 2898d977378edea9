"""Small files that ask for much are read or refused within bounds. Times are for benchmarks/bombs.py: machines differ."""

import pytest

from tests.workflow import bombs

LEGAL = {
    "a comment of 900,000 characters",
    "900,000 empty lines",
    "a text of 900,000 characters",
    "1,000,000 points",
    "1,000,000 points in one list of steps",
    "1,000,000 fractions",
    "1,000,000 points and a plain condition",
    "1,000,000 points and a condition on both",
    "1,000,000 points and a derived column",
}
"""What must go on being accepted."""


@pytest.mark.slow
@pytest.mark.parametrize("name", bombs.bombs())
def test_a_bomb_is_read_or_refused_within_bounds(name, tmp_path):
    found = bombs.checked(tmp_path, bombs.bombs()[name]())
    assert found.code in (0, 2), found.said[-2_000:]
    assert "Traceback" not in found.said
    assert found.peak_mib < bombs.LIMIT_MIB
    assert len(found.said) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LEGAL))
def test_a_large_sweep_that_is_meant_stays_legal(name, tmp_path):
    assert bombs.checked(tmp_path, bombs.bombs()[name]()).code == 0


def test_a_bomb_is_small_and_its_fault_is_told(tmp_path):
    files = bombs.bombs()["39,062,500,000,000 points"]()
    assert len(files["workflow.toml"]) < 500
    found = bombs.checked(tmp_path, files)
    assert (found.code, "39,062,500,000,000 points" in found.said) == (2, True)
