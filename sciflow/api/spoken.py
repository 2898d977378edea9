"""The words of the Python API -> the sections of the workflow file that they stand for."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from sciflow.errors import UsageError
from sciflow.runner import names
from sciflow.workflow.faults import likely

HOUR_S = 3600
MIB = 1024
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")  # as schemas/workflow-1.json has it
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
WANTED = {
    NAME: "letters, digits, `_` and `-`, a letter first, at most 64",
    PARAMETER: "letters, digits and `_`, no digit first, at most 64",
    FILE: "letters, digits, `.`, `_` and `-`, at most 100: it is the name of a folder",
}

RESOURCES = ("cpu_cores", "memory_gb", "gpu", "max_runtime_hours")
POLICIES = {"immediate": "now", "off_peak": "off-peak"}
PASSED = ("timezone", "hard", "holidays", "when_idle")  # named as in the file
SCHEDULE = ("preferred_hours", "weekend_preferred", "max_wait_hours", *PASSED)
CHART = {
    "type": "kind",
    "x_axis": "x",
    "y_axis": "y",
    "value": "value",
    "color_by": "color",
    "facet_by": "facet",
    "aggregate": "aggregate",
    "title": "title",
}


def name(text: object, what: str, pattern: re.Pattern[str] = NAME) -> str:
    """Return a name that the file can hold. Raises UsageError."""
    if not isinstance(text, str) or not pattern.fullmatch(text):
        hint = WANTED[pattern]
        raise UsageError(f"{what} cannot be called `{text}`", hint=hint)
    return text


def keys(table: object, known: Sequence[str], what: str) -> Mapping[str, Any]:
    """Return a table that has none but known keys. Raises UsageError."""
    if not isinstance(table, Mapping):
        raise UsageError(f"{what} is a {type(table).__name__}", hint=f"wanted: a dict with {_listed(known)}")
    for key in table:
        if key not in known:
            raise UsageError(f"{what} has no `{key}`", hint=likely(str(key), known, what="keys"))
    return table


def plain(value: object, what: str) -> Any:
    """Return a value as TOML can hold it: numbers, texts, true and false, dates, and lists and tables of them.

    numpy's numbers and arrays, ranges, tuples and paths become plain; sets have no order and are refused, as is what
    TOML has no word for. Raises UsageError.
    """
    if isinstance(value, (bool, dt.date, dt.time)):
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)  # numpy's floats and texts are Python's, and more
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{what}, `{key}`") for key, item in value.items()}
    if isinstance(value, (Sequence, range)) and not isinstance(value, (bytes, bytearray)):
        return [plain(item, what) for item in value]
    for listed in ("tolist", "to_list"):  # numpy's arrays and numbers, pandas' and polars' columns
        if hasattr(value, listed):
            return plain(getattr(value, listed)(), what)
    if hasattr(value, "__fspath__"):
        return str(value)
    hint = (
        "write it as a list: a set has no order" if isinstance(value, AbstractSet) else "numbers, texts, true or false"
    )
    raise UsageError(f"{what} holds a {type(value).__name__}, and a workflow file cannot", hint=hint)


def parameter(called: str, value: object) -> tuple[Any, int]:
    """Return a parameter as the file holds it, and how many values stood in it again and were dropped."""
    what = f"parameter `{called}`"
    if isinstance(value, Mapping):
        return plain(value, what), 0
    made = plain(value, what)
    values = made if isinstance(made, list) else [made]
    if not values:
        raise UsageError(f"{what} has no values", hint="a parameter has one value or more")
    kept: dict[str, Any] = {}
    for one in values:
        kept.setdefault(_told_apart(one), one)
    return list(kept.values()), len(values) - len(kept)


def _told_apart(value: Any) -> str:
    """Return a text that is the same for values that are: 1 and 1.0, not 1 and true."""
    try:
        return str(names.canonical(value))
    except (TypeError, ValueError):  # no number of JSON's, no text of Unicode's: the file's own faults will say so
        return repr(value)


def resources(task: str, table: object) -> dict[str, Any]:
    """Return a task's `resources`: `{cpu_cores, memory_gb (GiB), gpu (true, false, how many), max_runtime_hours}`."""
    what = f"the resources of `{task}`"
    found = {key: plain(value, what) for key, value in keys(table, RESOURCES, what).items()}
    for key, value in found.items():
        if not isinstance(value, (int, float)) or value < 0 or (isinstance(value, bool) and key != "gpu"):
            raise UsageError(f"{what}: `{key}` is `{value}`", hint="wanted: a number" + (", or true" * (key == "gpu")))
    made: dict[str, Any] = {}
    if "cpu_cores" in found:
        made["cpus"] = found["cpu_cores"]
    if "memory_gb" in found:
        gib = found["memory_gb"]
        made["memory"] = f"{gib:.0f} GiB" if float(gib).is_integer() else f"{gib * MIB:.0f} MiB"
    if "gpu" in found:
        made["gpus"] = int(found["gpu"]) if isinstance(found["gpu"], bool) else found["gpu"]
    if "max_runtime_hours" in found:
        made["time"] = _time(found["max_runtime_hours"])
    return made


def _time(hours: float) -> str:
    return f"{hours:.0f}h" if float(hours).is_integer() else f"{round(hours * HOUR_S)}s"


def schedule(policy: str, words: object) -> dict[str, Any]:
    """Return the section `schedule` of a policy (`off_peak` or `immediate`) and its words. Raises UsageError."""
    if policy not in POLICIES:
        raise UsageError(
            f"there is no scheduling policy `{policy}`", hint=likely(str(policy), POLICIES, what="policies")
        )
    found = keys(words, SCHEDULE, f"the policy `{policy}`")
    made: dict[str, Any] = {"policy": POLICIES[policy]}
    for key, to in (("preferred_hours", "hours"), ("weekend_preferred", "weekends")):
        if key in found:
            made[to] = plain(found[key], f"`{key}`")
    if "max_wait_hours" in found:
        hours = plain(found["max_wait_hours"], "`max_wait_hours`")
        if isinstance(hours, bool) or not isinstance(hours, (int, float)) or hours < 0:
            raise UsageError(f"`max_wait_hours` is `{hours}`", hint="wanted: a number of hours")
        made["max_wait"] = _time(hours)
    made.update({key: plain(found[key], f"`{key}`") for key in PASSED if key in found})
    return made


def chart(called: str, words: object) -> dict[str, Any]:
    """Return a chart of the file from `{type, x_axis, y_axis, value, color_by, facet_by, aggregate, title}`."""
    what = f"the visualization `{called}`"
    made: dict[str, Any] = {"name": called}
    for key, value in keys(words, tuple(CHART), what).items():
        made[CHART[key]] = plain(value, f"{what}, `{key}`")
    for key in ("type", "x_axis", "y_axis"):
        if CHART[key] not in made:
            raise UsageError(f"{what} has no `{key}`", hint=f"its keys are {_listed(tuple(CHART))}")
    if isinstance(made.get("facet"), str):
        made["facet"] = [made["facet"]]
    return made


def measured(table: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    """Return the metrics that a chart of the file must mean: what it measures, and is no column."""
    fields = ("value",) if table.get("kind") == "heatmap" else ("y", "color")
    if table.get("kind") == "scatter":
        fields = ("x", *fields)
    named = (table.get(field) for field in fields)
    return [one for one in named if isinstance(one, str) and one not in columns]


def _listed(known: Sequence[str]) -> str:
    return ", ".join(f"`{one}`" for one in known)
