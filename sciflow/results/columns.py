"""From plan, points and settled records to plain columns: names, kinds and lists, no frames yet."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from sciflow.errors import BundleError
from sciflow.runner import names
from sciflow.runner.points import name as name_of

Plan: TypeAlias = Mapping[str, Any]
"""What `plan.json` says."""
Record: TypeAlias = Mapping[str, Any]
"""What happened to one step: the attempt that counts."""
Settled: TypeAlias = Mapping[tuple[str, int], Record]
"""(task, step) -> its record; a step without a record is absent."""
Steps: TypeAlias = Mapping[str, Any]
"""task -> for each point, in point order, the number of the step that it uses."""
Point: TypeAlias = Mapping[str, Any]

# From best to worst. `skipped` is only the echo of a step that went wrong, so each way of going wrong outweighs it.
SEVERITY = (
    names.DONE,
    names.SKIPPED,
    names.INTERRUPTED,
    names.NODE,
    names.TIME,
    names.MEMORY,
    names.FAILED,
)
INT64 = range(-(2**63), 2**63)
POINT_COLUMNS = ("point", "state", "point_id")
STEP_COLUMNS = (
    "task",
    "step",
    "point",
    "state",
    "code",
    "signal",
    "reason",
    "wall_s",
    "user_s",
    "system_s",
    "peak_mib",
    "attempt",
    "key",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A name, the kind of its values (`bool`, `int`, `float`, `text`), and the values; None where there is none."""

    name: str
    kind: str
    values: Sequence[Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Columns:
    """The columns of both tables, in their order; the others name those that are metrics."""

    points: tuple[Column, ...]
    steps: tuple[Column, ...]
    point_metrics: tuple[str, ...]
    step_metrics: tuple[str, ...]


def columns(plan: Plan, points: Iterable[Point], steps: Steps, settled: Settled) -> Columns:
    """Lay out one row a point and one row a step.

    `points` is read once. Raises BundleError when it does not hold as many points as the plan says.
    """
    parameters, ids = _parameters(plan, points)
    records = {
        task["name"]: [settled.get((task["name"], step)) for step in range(task["steps"])] for task in plan["tasks"]
    }
    of_points, point_metrics = _of_points(plan, (ids, *parameters.values()), steps, records)
    of_steps, step_metrics = _of_steps(plan, parameters, steps, records)
    return Columns(points=of_points, steps=of_steps, point_metrics=point_metrics, step_metrics=step_metrics)


def fit(name: str, values: Sequence[Any], kind: str = "") -> Column:
    """Give values the narrowest kind that holds all of them; `kind` is where to start, and what an empty column gets.

    Integers mixed with fractions become fractions; NaN and infinities become None, as no table agrees with another
    about them; whole numbers beyond 64 bits and every other mixture become text, so no digit is lost. Lists and
    tables become JSON text.
    """
    found = {type(value) for value in values} - {type(None)}
    if found <= {bool} and (found or kind == "bool"):
        return Column(name=name, kind="bool", values=values)
    if found <= {int} and kind != "float" and (found or kind == "int") and _in_64_bits(values):
        return Column(name=name, kind="int", values=values)
    if found <= {int, float} and kind != "text" and (found == {int} or float in found or kind in {"float", ""}):
        fractions = _fractions(values)
        if fractions is not None:
            return Column(name=name, kind="float", values=fractions)
    return Column(name=name, kind="text", values=[_text(value) for value in values])


def _in_64_bits(values: Sequence[Any]) -> bool:
    present = [value for value in values if value is not None]
    return not present or (min(present) in INT64 and max(present) in INT64)


def _fractions(values: Sequence[Any]) -> list[float | None] | None:
    """Return the values as floats, or nothing when one of them is a whole number that a float would change."""
    fractions: list[float | None] = []
    for value in values:
        if isinstance(value, int) and value not in INT64:
            return None
        fractions.append(None if value is None or not math.isfinite(value) else float(value))
    return fractions


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    # JSON may carry half of a surrogate pair, which UTF-8 cannot: it is shown by its number.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def _parameters(plan: Plan, points: Iterable[Point]) -> tuple[dict[str, Column], Column]:
    """Return a column a parameter, and the points' names: of their content, the same in whatever sweep they occur."""
    listed: dict[str, list[Any]] = {parameter["name"]: [] for parameter in plan["parameters"]}
    derived = {parameter["name"] for parameter in plan["parameters"] if parameter["derived"]}
    ids = []
    count = 0
    for point in points:
        count += 1
        ids.append(name_of(point, derived))
        for name, values in listed.items():
            values.append(point.get(name))
    if count != plan["points"]:
        raise BundleError(f"`{names.POINTS}` holds {count} points where `{names.PLAN}` says {plan['points']}")
    kinds = {parameter["name"]: parameter["kind"] for parameter in plan["parameters"]}
    ids_column = Column(name="point_id", kind="text", values=ids)
    return {name: fit(name, values, kinds[name]) for name, values in listed.items()}, ids_column


def _of_points(
    plan: Plan, parameters: Sequence[Column], steps: Steps, records: Mapping[str, Sequence[Record | None]]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Lay out the points: number, state, name, parameters, metrics.

    Gathered tasks belong to no point: neither their state nor their metrics are a point's.
    """
    own = [task["name"] for task in plan["tasks"] if not task["gather"]]
    found = {task: _metric_names(plan, records[task]) for task in own}
    given_by: dict[str, list[str]] = {}
    for task in own:
        for metric in found[task]:
            given_by.setdefault(metric, []).append(task)
    laid = [
        Column(name="point", kind="int", values=range(plan["points"])),
        Column(name="state", kind="text", values=_worst(plan["points"], own, steps, records)),
    ]
    taken = {column.name for column in laid}
    for column in parameters:
        name = _free(column.name, "parameter", taken)
        laid.append(Column(name=name, kind=column.kind, values=column.values))
    metrics = []
    for task in own:
        for metric in found[task]:
            name = f"{task}.{metric}" if len(given_by[metric]) > 1 or metric in taken else metric
            column = fit(_free(name, "metric", taken), [_metric(record, metric) for record in records[task]])
            values = [column.values[step] for step in steps[task]]
            laid.append(Column(name=column.name, kind=column.kind, values=values))
            metrics.append(column.name)
    return tuple(laid), tuple(metrics)


def _of_steps(
    plan: Plan, parameters: Mapping[str, Column], steps: Steps, records: Mapping[str, Sequence[Record | None]]
) -> tuple[tuple[Column, ...], tuple[str, ...]]:
    """Lay out the steps, by task in the plan's order, then by number."""
    tasks = plan["tasks"]
    rows = [record for task in tasks for record in records[task["name"]]]
    firsts = {task["name"]: _first_points(task, steps) for task in tasks}
    laid = [
        Column(name="task", kind="text", values=[task["name"] for task in tasks for _ in range(task["steps"])]),
        Column(name="step", kind="int", values=[step for task in tasks for step in range(task["steps"])]),
        Column(name="point", kind="int", values=[point for task in tasks for point in firsts[task["name"]]]),
    ]
    kinds = {"code": "int", "signal": "int", "attempt": "text", "state": "text", "reason": "text", "key": "text"}
    laid.extend(
        fit(name, [record and record.get(name) for record in rows], kinds.get(name, "float"))
        for name in STEP_COLUMNS[3:]
    )
    taken = set(STEP_COLUMNS)
    for column in parameters.values():
        values = [
            None if point is None or column.name not in task["uses"] else column.values[point]
            for task in tasks
            for point in firsts[task["name"]]
        ]
        laid.append(Column(name=_free(column.name, "parameter", taken), kind=column.kind, values=values))
    metrics = []
    for metric in _metric_names(plan, rows):
        metrics.append(_free(metric, "metric", taken))
        laid.append(fit(metrics[-1], [_metric(record, metric) for record in rows]))
    return tuple(laid), tuple(metrics)


def _worst(
    count: int, tasks: Sequence[str], steps: Steps, records: Mapping[str, Sequence[Record | None]]
) -> list[str | None]:
    """Return the worst state of each point's steps; None where one of them has no record."""
    rank = {state: place for place, state in enumerate(SEVERITY)}
    missing = len(SEVERITY)
    worst = [0] * count
    for task in tasks:
        ranks = [missing if record is None else rank.get(record["state"], missing - 1) for record in records[task]]
        worst = [max(so_far, ranks[step]) for so_far, step in zip(worst, steps[task], strict=True)]
    words = (*SEVERITY, None)
    return [words[place] for place in worst]


def _first_points(task: Mapping[str, Any], steps: Steps) -> list[int | None]:
    """Return, for each step, the first point that uses it; None for a gathered task, which no one point stands for."""
    first: list[int | None] = [None] * task["steps"]
    if not task["gather"]:
        used = steps[task["name"]]
        for point in range(len(used) - 1, -1, -1):
            first[used[point]] = point
    return first


def _metric_names(plan: Plan, records: Iterable[Record | None]) -> list[str]:
    """Return the metrics that any done step gave: the declared ones in the file's order, then the others by name."""
    found = {
        name for record in records if record is not None and record["state"] == names.DONE for name in record["metrics"]
    }
    declared = [metric["name"] for metric in plan["metrics"] if metric["name"] in found]
    return declared + sorted(found.difference(declared))


def _metric(record: Record | None, name: str) -> Any:
    return record["metrics"].get(name) if record is not None and record["state"] == names.DONE else None


def _free(name: str, prefix: str, taken: set[str]) -> str:
    """Return the name, with as many prefixes as it takes to stand alone, and take it."""
    while name in taken:
        name = f"{prefix}.{name}"
    taken.add(name)
    return name
