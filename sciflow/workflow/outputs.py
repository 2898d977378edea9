"""A task's keys `outputs`, `metrics` and `checkpoint` -> the outputs, and what is wrong with the paths of all three."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sciflow.runner import names
from sciflow.workflow.faults import Faults, inside, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sciflow.workflow.spec import Keys

FOLDER = "the step's working folder"
FILLED = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.-]*\}")
"""What looks like a placeholder."""


def build(path: Keys, table: dict[str, Any], faults: Faults) -> tuple[tuple[str, str], ...]:
    """Return the outputs, a function's value before the others; `path` is that of the task's table.

    No two paths of a task may be the same, nor lie one in the other: a file is one output's, or none's.
    """
    outputs: dict[str, str] = table.get("outputs", {})
    if "python" in table and names.RESULT in outputs:
        fault = f"the output `{names.RESULT}` is there already: it is what the function returns"
        faults.key((*path, "outputs", names.RESULT), fault, "give this one another name")
    if "records" in outputs:
        faults.key((*path, "outputs", "records"), "the name `records` is taken: `{task.records}` is the table of steps")
    taken: dict[tuple[str, ...], str] = {}
    for key, what, place in _places(path, table):
        if not inside(place, key, what, faults, folder=FOLDER):
            continue
        if found := FILLED.search(place):
            fault = f"{what} has `{found.group()}` in its path, which is not filled there"
            faults.value(key, fault, "each step has a folder of its own, so that one name serves all")
        parts = tuple(part.casefold() for part in PurePosixPath(place).parts)
        for other, other_what in taken.items():
            shorter = min(len(parts), len(other))
            if parts[:shorter] == other[:shorter]:
                relation = "are one path" if len(parts) == len(other) else "lie one in the other"
                faults.value(
                    key, f"{other_what} and {what} {relation}: `{shown(place)}`", "give each a path of its own"
                )
                break
        taken.setdefault(parts, what)
    return tuple((({names.RESULT: names.RESULT} if "python" in table else {}) | outputs).items())


def _places(path: Keys, table: dict[str, Any]) -> Iterator[tuple[Keys, str, str]]:
    """Yield (where the file says it, what it is, its path) of all that a task keeps of its working folder."""
    if "python" in table:
        yield (*path, "python"), "the function's value", names.RESULT
        if "metrics" not in table:
            yield (*path, "python"), "the function's metrics", names.METRICS
    for name, place in table.get("outputs", {}).items():
        # One slash at the end says that it is a folder.
        plain = place[:-1] if len(place) > 1 and place.endswith("/") and not place.endswith("//") else place
        yield (*path, "outputs", name), f"output `{name}`", plain
    if "metrics" in table:
        yield (*path, "metrics"), "`metrics`", table["metrics"]
    if "path" in table.get("checkpoint", {}):
        yield (*path, "checkpoint", "path"), "the checkpoint", table["checkpoint"]["path"]
