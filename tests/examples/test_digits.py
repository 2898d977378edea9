"""The example's files and its stdlib-only script, as far as they can be judged without running the study."""

import csv
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
REQUIREMENTS = (DIGITS / "requirements.txt").read_text(encoding="utf-8")


def record(folder: Path, step: int, setting: dict, accuracy: float, confusion: list) -> str:
    path = folder / f"confusion-{step}.csv"
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in confusion), encoding="utf-8")
    line = {"step": step, "parameters": setting, "metrics": {"accuracy": accuracy}, "outputs": {"confusion": str(path)}}
    return json.dumps(line) + "\n"


def diagonal(**wrong: int) -> list:
    """A confusion matrix with 5 right answers a digit; `d8r1=3` adds three 8s read as 1."""
    matrix = [[5 if row == column else 0 for column in range(10)] for row in range(10)]
    for place, times in wrong.items():
        matrix[int(place[1])][int(place[3])] = times
    return matrix


@pytest.fixture
def summarised(tmp_path: Path) -> Path:
    """The folder of a summary over two settings of two repeats; the second is better on average, the first at best."""
    one, two = {"kernel": "rbf", "gamma": 0.1, "c": 1.0}, {"kernel": "poly", "gamma": 0.1, "c": 1.0}
    (tmp_path / "records.jsonl").write_text(
        record(tmp_path, 0, {**one, "repeat": 0}, 1.0, diagonal())
        + record(tmp_path, 1, {**one, "repeat": 1}, 0.5, diagonal())
        + record(tmp_path, 2, {**two, "repeat": 0}, 0.75, diagonal(d8r1=3, d3r5=1))
        + record(tmp_path, 3, {**two, "repeat": 1}, 0.875, diagonal(d3r5=1)),
        encoding="utf-8",
    )
    argv = [sys.executable, DIGITS / "summary.py", "records.jsonl", "--table", "table.csv", "--best", "best.json"]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    return tmp_path


def test_the_table_has_one_row_a_setting_with_mean_lowest_and_highest(summarised: Path):
    with (summarised / "table.csv").open(newline="", encoding="utf-8") as stream:
        rows = [tuple(row.values()) for row in csv.DictReader(stream)]
    assert rows == [
        ("rbf", "0.1", "1.0", "0.75", "0.5", "1.0", "2"),
        ("poly", "0.1", "1.0", "0.8125", "0.75", "0.875", "2"),
    ]


def test_the_best_setting_is_best_on_average_not_once(summarised: Path):
    best = json.loads((summarised / "best.json").read_text(encoding="utf-8"))
    assert (best["kernel"], best["mean_accuracy"]) == ("poly", 0.8125)


def test_the_confusions_of_the_best_are_summed_over_its_repeats(summarised: Path):
    best = json.loads((summarised / "best.json").read_text(encoding="utf-8"))
    assert best["confusions"] == [{"drawn": 8, "read": 1, "times": 3}, {"drawn": 3, "read": 5, "times": 2}]


def test_the_best_accuracy_is_a_metric(summarised: Path):
    metrics = json.loads((summarised / "metrics.json").read_text(encoding="utf-8"))
    assert metrics == {"best_accuracy": 0.8125, "settings": 2}


def test_of_two_equal_settings_the_first_in_the_sweep_is_best(tmp_path: Path):
    settings = [{"kernel": kernel, "gamma": 0.1, "c": 1.0, "repeat": 0} for kernel in ("sigmoid", "poly")]
    lines = [record(tmp_path, step, setting, 0.5, diagonal()) for step, setting in enumerate(settings)]
    (tmp_path / "records.jsonl").write_text("".join(lines), encoding="utf-8")
    argv = [sys.executable, DIGITS / "summary.py", "records.jsonl", "--table", "table.csv", "--best", "best.json"]
    subprocess.run(argv, cwd=tmp_path, check=True, timeout=60)
    assert json.loads((tmp_path / "best.json").read_text(encoding="utf-8"))["kernel"] == "sigmoid"


def test_every_requirement_is_one_version_with_a_hash():
    logical = REQUIREMENTS.replace("\\\n", " ").splitlines()
    pins = [line for line in logical if line.strip() and not line.lstrip().startswith("#")]
    unpinned = [pin for pin in pins if not re.fullmatch(r"[a-z0-9-]+==\S+(\s+--hash=sha256:[0-9a-f]{64})+\s*", pin)]
    assert pins
    assert unpinned == []


def test_the_requirements_name_no_host():
    assert re.findall(r"(?i)\w+://|--(?:extra-)?index-url\s+\S|--find-links\s+\S", REQUIREMENTS) == []


def test_every_script_that_a_task_starts_is_there():
    tasks = tomllib.loads((DIGITS / "workflow.toml").read_text(encoding="utf-8"))["tasks"].values()
    assert [task["run"][1] for task in tasks if not (DIGITS / task["run"][1]).is_file()] == []
