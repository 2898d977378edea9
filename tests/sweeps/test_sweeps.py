"""Forty sweeps, each as another tool writes it: sciflow's form gives that tool's points, in that tool's order.

A case is a folder: `theirs.*` in the tool's language, `workflow.toml` in ours, `points.csv` as the tool makes it (where it
can be run: benchmarks/peers/sweeps.py) or as its documentation says, `case.toml` about both. The table of them is
docs/sweeps.md.
"""

import csv
import math
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sciflow.workflow import load, sweep

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TOOLS = {"Ramble", "Maestro", "JUBE", "Hydra", "Snakemake", "OpenMOLE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What case.toml says."""

    folder: Path
    tool: str
    source: str
    how: str
    line: str
    columns: list[str]
    order: str = "same"
    why: str = ""
    compare: str = "points"
    ranges: dict[str, list] = field(default_factory=dict)
    count: int = 0
    strata: bool = False
    sweep: str = ""
    number: str = ""
    also: list[str] = field(default_factory=list)
    # What the tool is run with (benchmarks/peers/sweeps.py).
    names: dict[str, str] = field(default_factory=dict)
    arguments: list[str] = field(default_factory=list)
    experiment: str = ""


def read(folder):
    return Case(folder=folder, **tomllib.loads((folder / "case.toml").read_text(encoding="utf-8")))


CASES = [read(path.parent) for path in sorted(HERE.glob("*/case.toml"))]


def those(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.folder.name for case in cases])


def ours(case):
    """Return the points that sciflow makes: dicts, in order, with the point's number where the tool counts."""
    workflow = load.read(case.folder / "workflow.toml")
    chosen = next(one for one in workflow.sweeps if one.name == case.sweep)
    points = sweep.points(workflow, chosen)
    names = [column.name for column in points.columns]
    rows = [dict(zip(names, values, strict=True)) for values in points]
    return [{case.number: number, **row} if case.number else row for number, row in enumerate(rows)]


def theirs(case):
    with (case.folder / "points.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def cell(value):
    """Return a value as a key that compares with the text of a cell: numbers by value, the rest by its text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return "" if value is None else float(value)


def compared(rows, case):
    return [tuple(cell(row[name]) for name in case.columns) for row in rows]


@those([case for case in CASES if case.compare == "points" and case.order == "same"])
def test_the_points_are_those_of_the_tool_in_its_order(case):
    assert compared(ours(case), case) == compared(theirs(case), case)


@those([case for case in CASES if case.order == "set"])
def test_the_points_are_those_of_the_tool_where_only_the_order_differs(case):
    assert sorted(compared(ours(case), case)) == sorted(compared(theirs(case), case))


@those([case for case in CASES if case.order == "set"])
def test_an_order_that_is_said_to_differ_does(case):
    assert case.why
    assert compared(ours(case), case) != compared(theirs(case), case)


@those(CASES)
def test_sciflow_has_no_column_that_the_case_does_not_speak_of(case):
    assert set(ours(case)[0]) == {*case.columns, *case.also}


@those([case for case in CASES if case.compare == "ranges"])
def test_a_sample_has_as_many_points_as_the_tools(case):
    assert len(ours(case)) == (case.count or len(theirs(case)))


@those([case for case in CASES if case.compare == "ranges"])
def test_a_sample_lies_where_the_case_says(case):
    for row in ours(case):
        assert all(inside(row[name], case.ranges[name]) for name in case.columns)


@those([case for case in CASES if case.compare == "ranges" and case.how == "run"])
def test_the_tools_sample_lies_where_the_case_says(case):
    for row in theirs(case):
        assert all(inside(cell(row[name]), case.ranges[name]) for name in case.columns)


def inside(value, ends):
    return value in ends if isinstance(ends[0], str) else ends[0] <= value <= ends[1]


@those([case for case in CASES if case.compare == "ranges"])
def test_a_sample_does_not_repeat_itself(case):
    rows = compared(ours(case), case)
    assert len(set(rows)) == len(rows)


@those([case for case in CASES if case.strata])
def test_a_latin_hypercube_has_one_point_in_each_layer_of_each_axis(case):
    rows = ours(case)
    for name, (low, high) in case.ranges.items():
        layers = [math.floor((row[name] - low) / (high - low) * len(rows)) for row in rows]
        assert sorted(layers) == list(range(len(rows)))


def test_there_are_forty_of_six_tools():
    assert len(CASES) == 40
    assert {case.tool for case in CASES} == TOOLS
    assert {case.order for case in CASES} <= {"same", "set"}


@those(CASES)
def test_a_case_holds_both_forms(case):
    assert list(case.folder.glob("theirs.*"))
    assert (case.folder / "workflow.toml").exists()
    assert (case.folder / "points.csv").exists() or case.count


def test_the_table_in_the_documentation_is_current():
    done = subprocess.run(
        [sys.executable, ROOT / "tools/sweeps.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
