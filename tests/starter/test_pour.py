"""pour.py of the starter study, run by hand on squares whose answer is known."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "sciflow" / "starter" / "pour.py"


def pour(folder: Path, density: float, *, size: int = 8, squares: int = 50) -> float:
    """Run the script as a step does, in a folder of its own; return the share that lets water through."""
    argv = [sys.executable, SCRIPT, "--size", str(size), "--density", str(density), "--squares", str(squares)]
    subprocess.run(argv, cwd=folder, check=True, timeout=60)
    return json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["wet"]


@pytest.mark.parametrize(("density", "wet"), [(0.0, 0.0), (1.0, 1.0)])
def test_a_closed_square_holds_and_an_open_one_lets_through(tmp_path: Path, density: float, wet: float):
    assert pour(tmp_path, density) == wet


def test_one_cell_lets_through_as_often_as_it_is_open(tmp_path: Path):
    # The standard error of 2,000 tries at one half is 0.011; the seed is fixed.
    assert pour(tmp_path, 0.5, size=1, squares=2000) == pytest.approx(0.5, abs=0.04)


def test_two_by_two_agrees_with_the_sum_over_all_squares(tmp_path: Path):
    # A column of two must be open: 1 - (1 - p^2)^2 = 0.5904 at p = 0.6; there is no way round a corner in 2 x 2.
    assert pour(tmp_path, 0.6, size=2, squares=4000) == pytest.approx(0.5904, abs=0.03)


def test_a_denser_square_never_lets_through_less(tmp_path: Path):
    wet = [pour(tmp_path, density) for density in (0.5, 0.55, 0.6, 0.65, 0.7)]
    assert wet == sorted(wet)


def test_the_same_step_gives_the_same_metrics(tmp_path: Path):
    assert pour(tmp_path, 0.6) == pour(tmp_path, 0.6)
