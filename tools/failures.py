"""The docstrings of the tests that inject a fault -> docs/failures.md: what may fail under a run, and what shows it.

python tools/failures.py [--check]
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pages

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/failures.md"
ROWS = {
    "F1": ("`kill -9` of runner or launcher at any call of the system", "started again: nothing lost, doubled or torn"),
    "F2": ("`kill -9` while a bundle is compiled, sealed or verified", "a whole bundle or none; the next works"),
    "F3": (
        "no space, quota, input/output error, for good",
        "code 3 with the path; no silent success; it goes on later",
    ),
    "F4": ("stale handle, interrupted call, once", "told of or passed over; nothing lost; nobody is accused"),
    "F5": ("a rename is done, and an error is answered", "the name is found to be the attempt's own"),
    "F6": ("what another machine did is seen late", "no missing output, nothing counted twice"),
    "F7": ("two live copies of a run", "one winner a step; the loser is superseded"),
    "F8": ("a node fails under its job", "its steps are run elsewhere"),
    "F9": ("the controller is away, or an answer of its is lost, at submission", "asked again; never submitted twice"),
    "F10": ("the controller is away while steps end", "results stand in the records"),
    "F11": ("a job's id is given again, or purged", "a job is known by its mark, not by its id"),
    "F12": ("the time of a job is over", "the checkpoint is kept, code 75, and the next goes on from it"),
    "F13": ("preemption", "as F12; no retry is used up"),
    "F14": ("a job, or a part of it, is cancelled", "the others go on; a launch runs what is missing"),
    "F15": ("want of memory, also where the step swallows it", "`memory`; a success says how many were killed"),
    "F16": ("a step ends with a code or a signal", "`failed` with that, and no retry unless it is asked for"),
    "F17": ("no image, a broken one, no engine", "code 3 before the first step; no step has failed"),
    "F18": ("an upstream step did not succeed, and Slurm starts the next all the same", "it is skipped, and says why"),
    "F19": ("a dependency that can never be satisfied", "nothing is left pending"),
    "F20": ("the site's bounds of arrays, jobs, submissions", "rounds keep within them"),
    "F21": ("a request that can never run", "it is told"),
    "F22": ("a folder of the run missing, taken away, not to be written", "code 3 with the path; it goes on later"),
    "F23": ("clocks a day apart, or set during a run", "times are right, limits too, and the last attempt counts"),
    "F24": ("a node that ends every box", "left after three in a row; no step has failed"),
    "F25": ("the same run started twice", "one winner a step"),
    "F26": ("no accounting, foreign words from Slurm", "status comes from the records"),
    "F27": ("the bundle changes between submission and start", "code 4, and nothing is run"),
    "F28": ("a file system without hard links", "nothing is missed: a folder is renamed, and nothing linked"),
    "F29": ("the power fails", "what was reported stands, whole; the rest is done again"),
    "F30": ("all of it at once, on a thousand steps", "the table of a run that was not disturbed"),
}
HEAD = """# What may fail under a run, and the test that shows it

Made by `tools/failures.py` from the docstrings of the tests. Each of these tests brings its fault about for real: with
strace(1), a cgroup, a signal, a shim before the C library, a disk that keeps only what was forced to it, a real engine
or a real Slurm. Where there is a number of points to choose from, `SCIFLOW_FAULT_POINTS` says how many are tried.
"""


def shown() -> dict[str, list[str]]:
    """Return {row: the tests whose docstring names it}, as places in this repository."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for row in dict.fromkeys(re.findall(r"\bF[0-9]{1,2}\b", ast.get_docstring(node) or "")):
                    found.setdefault(row, []).append(f"{path.relative_to(ROOT).as_posix()}: {node.name}")
    return found


def page() -> str:
    """Return the text of docs/failures.md."""
    found, lines = shown(), [HEAD]
    for row, (fault, holds) in ROWS.items():
        if row in found:
            lines.append(f"\n## {row}: {fault}\n\nHeld: {holds}.\n\n")
            lines += [
                f"- `{place.partition(': ')[0]}`: {place.partition(': ')[2][5:].replace('_', ' ')}\n"
                for place in found[row]
            ]
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(pages.kept(PAGE, page(), about=__doc__, source="the tests say", tool="tools/failures.py"))
