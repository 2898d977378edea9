"""The cases of tests/sweeps -> docs/sweeps.md, the table of sweeps as other tools write them and as sciflow does.

python tools/sweeps.py [--check]      --check: write nothing, end with 1 if the table is not current
"""

from __future__ import annotations

import csv
import sys
import tomllib
from pathlib import Path
from typing import Any

import pages

ROOT = Path(__file__).parents[1]
CASES = ROOT / "tests/sweeps"
PAGE = ROOT / "docs/sweeps.md"
HEAD = """# Sweeps of other tools, in sciflow

Made by `tools/sweeps.py` from the folders of `tests/sweeps`, which hold both forms whole; `tests/sweeps/test_sweeps.py`
compares number, order and values of the points at each run of the tests.

- **points**: how many the tool makes. *run*: by the tool itself (`benchmarks/peers/sweeps.py`); *documentation*: by
  what its documentation says of the form.
- **order**: *same*: point by point as the tool has them. *set*: the same points in another order, and why. *ranges*:
  drawn at random by either, so that number and ranges are compared.
"""


def main() -> int:
    """Write the page, or say that it is not current."""
    return pages.kept(PAGE, page(), about=__doc__, source="the cases say", tool="tools/sweeps.py")


def page() -> str:
    """Return the text of docs/sweeps.md."""
    folders = sorted(path.parent for path in CASES.glob("*/case.toml"))
    rows = [row(folder, tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))) for folder in folders]
    head = ["| | tool | their form | sciflow | points | order |", "|---|---|---|---|---|---|"]
    return "\n".join([HEAD, *head, *rows, ""])


def row(folder: Path, case: dict[str, Any]) -> str:
    """Return a line of the table."""
    number = folder.name.split("-", 1)[0]
    theirs = f"{code(case['line'])}<br>{case['source']}"
    order = "ranges" if case.get("compare") == "ranges" else case["order"]
    told = f"{order}: {case['why']}" if "why" in case else order
    cells = [
        f"[{number}](../tests/sweeps/{folder.name})",
        case["tool"],
        theirs,
        code(form(folder)),
        f"{count(folder, case)} ({case['how']})",
        told,
    ]
    return f"| {' | '.join(cells)} |"


def form(folder: Path) -> str:
    """Return the parameters and the sweep of our form in one line."""
    text = (folder / "workflow.toml").read_text(encoding="utf-8")
    lines = text[text.index("[parameters]") : text.index("[tasks.")].splitlines()
    joined, header = "", False
    for line in filter(None, lines):
        # A header stands before its keys, which are told apart.
        joined += line if not joined else f" {line}" if header else f"; {line}"
        header = line.startswith("[")
    return joined


def count(folder: Path, case: dict[str, Any]) -> int:
    """Return how many points the tool makes."""
    if "count" in case:
        return int(case["count"])
    with (folder / "points.csv").open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1


def code(text: str) -> str:
    """Return a text as code inside a table's cell."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}".replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
