"""threshold.py of the starter study, run by hand on curves whose answer is known."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "sciflow" / "starter" / "threshold.py"


def threshold(folder: Path, *points: tuple) -> tuple:
    """Return (table without its head, metrics) of the script over points of (size, density, wet)."""
    lines = [
        {"step": step, "parameters": {"size": size, "density": density}, "metrics": {"wet": wet}, "outputs": {}}
        for step, (size, density, wet) in enumerate(points)
    ]
    (folder / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    subprocess.run([sys.executable, SCRIPT, "records.jsonl", "thresholds.csv"], cwd=folder, check=True, timeout=60)
    with (folder / "thresholds.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))[1:], json.loads((folder / "metrics.json").read_text(encoding="utf-8"))


def test_the_threshold_lies_on_the_line_between_neighbours(tmp_path: Path):
    table, _ = threshold(tmp_path, (8, 0.75, 1.0), (8, 0.5, 0.25), (8, 0.25, 0.0))
    assert [(size, float(value)) for size, value in table] == [("8", pytest.approx(0.5 + 0.25 / 3))]


def test_the_threshold_of_the_largest_square_is_the_metric(tmp_path: Path):
    _, metrics = threshold(tmp_path, (32, 0.5, 0.0), (32, 0.6, 1.0), (8, 0.2, 0.0), (8, 0.4, 1.0))
    assert metrics == {"threshold": pytest.approx(0.55)}


def test_a_curve_that_never_reaches_one_half_has_no_threshold(tmp_path: Path):
    assert threshold(tmp_path, (8, 0.1, 0.0), (8, 0.2, 0.1)) == ([["8", ""]], {})
