"""From the tables to what a reader asks first: how far it came, the best point, what it cost, what went wrong."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.errors import UsageError
from sciflow.results import table
from sciflow.results.columns import SEVERITY, Plan
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sciflow.results.table import Tables

_COMPARISON = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*")
_VERBS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The point at which a metric is best, among the points that are done and have it; of equals the first."""

    metric: str
    """Its column in the table of points."""
    goal: str
    unit: str
    point: int
    parameters: Mapping[str, Any]
    value: float
    require: str
    holds: bool | None
    """Whether the value meets `require`; None where nothing is required."""
    meeting: int
    """How many of the points meet it; all of them where nothing is required."""
    of: int
    """How many points are done and have the metric."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gathered:
    """A metric of a gathered task: one number for the whole sweep."""

    task: str
    metric: str
    value: Any
    unit: str
    require: str
    holds: bool | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """How many steps there are, how many came to each state, and how many have no record."""

    steps: int
    states: Mapping[str, int]
    """State -> steps; states that occur, from best to worst."""
    missing: int

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self.states.get(names.DONE, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What the recorded steps of one task took. Times in seconds, memory in MiB; None where no step says."""

    task: str
    steps: int
    recorded: int
    wall_median_s: float | None
    wall_max_s: float | None
    cpu_s: float | None
    """User and system time of all steps together."""
    peak_mib: float | None
    """The greatest peak of one step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A step that was not done."""

    task: str
    step: int
    point: int | None
    state: str
    code: int | None
    signal: int | None
    reason: str
    parameters: Mapping[str, Any]


def meets(value: float, require: str) -> bool:
    """Say whether a value meets a comparison such as `> 0.5`. Raises UsageError when it is not one."""
    match = _COMPARISON.fullmatch(require)
    if match is None:
        raise UsageError(
            f"`{require}` is no comparison with a number", hint="write it as `> 0.5`, with < <= > >= == !="
        )
    return _VERBS[match[1]](value, float(match[2]))


def best(tables: Tables, plan: Plan) -> tuple[Best, ...]:
    """Return the best point of each metric that has a goal, in the order of the file.

    A metric that several tasks give counts once for each. One that no finished point has is left out. Points that are
    not done, and null values, are passed over. Raises UsageError when a `require` is no comparison.
    """
    frame = table.done(tables.points)
    return tuple(
        found
        for metric in plan["metrics"]
        if metric["goal"]
        for column in metric_columns(tables, plan, metric["name"])
        if (found := _best(frame, plan, metric, column)) is not None
    )


def metric_columns(tables: Tables, plan: Plan, name: str) -> tuple[str, ...]:
    """Return the columns of `points` that hold a metric: its own, or one a task (`task.metric`), or none."""
    if name in tables.point_metrics:
        return (name,)
    return tuple(column for task in plan["tasks"] if (column := f"{task['name']}.{name}") in tables.point_metrics)


def gathered(tables: Tables, plan: Plan) -> tuple[Gathered, ...]:
    """Return the metrics of gathered tasks that are done, by task then as the columns stand."""
    declared = {metric["name"]: metric for metric in plan["metrics"]}
    found = []
    for task in plan["tasks"]:
        if not task["gather"]:
            continue
        rows = table.done(tables.steps.filter(tables.steps["task"] == task["name"]))
        for row in rows.select(tables.step_metrics).to_dicts():
            for name, value in row.items():
                if value is None:
                    continue
                about = declared.get(name, {})
                require = about.get("require", "") if not isinstance(value, str) else ""
                found.append(
                    Gathered(
                        task=task["name"],
                        metric=name,
                        value=value,
                        unit=about.get("unit", ""),
                        require=require,
                        holds=meets(value, require) if require else None,
                    )
                )
    return tuple(found)


def progress(tables: Tables) -> Progress:
    """Count the steps by state."""
    counted = dict(tables.steps["state"].value_counts().rows())
    known = [state for state in SEVERITY if state in counted]
    return Progress(
        steps=tables.steps.height, states={state: counted[state] for state in known}, missing=counted.get(None, 0)
    )


def usage(tables: Tables, plan: Plan) -> tuple[Usage, ...]:
    """Return what each task's steps took, in the plan's order."""
    found = []
    for task in plan["tasks"]:
        rows = tables.steps.filter(tables.steps["task"] == task["name"])
        cpu_s = (rows["user_s"] + rows["system_s"]).drop_nulls()
        wall_s = rows["wall_s"].drop_nulls()
        found.append(
            Usage(
                task=task["name"],
                steps=rows.height,
                recorded=rows["state"].drop_nulls().len(),
                wall_median_s=_number(wall_s.median()),
                wall_max_s=_number(wall_s.max()),
                cpu_s=_number(cpu_s.sum()) if cpu_s.len() else None,
                peak_mib=_number(rows["peak_mib"].max()),
            )
        )
    return tuple(found)


def failures(tables: Tables, plan: Plan, limit: int) -> tuple[Failure, ...]:
    """Return the first `limit` steps that have a record and are not done, those with a cause of their own first."""
    states = tables.steps["state"]
    rows = tables.steps.filter(states.is_not_null() & (states != names.DONE))
    skipped = rows["state"] == names.SKIPPED
    chosen = [*rows.filter(~skipped).head(limit).to_dicts(), *rows.filter(skipped).head(limit).to_dicts()][:limit]
    return tuple(_failure(row, plan) for row in chosen)


def _best(frame: table.Frame, plan: Plan, metric: Mapping[str, Any], column: str) -> Best | None:
    rows = frame.filter(frame[column].is_not_null())
    if rows.is_empty() or table.kind(rows, column) == "text":
        return None
    values: Sequence[float] = rows[column].to_list()
    value = max(values) if metric["goal"] == "maximize" else min(values)
    row = rows.row(values.index(value), named=True)
    require = metric["require"]
    return Best(
        metric=column,
        goal=metric["goal"],
        unit=metric["unit"],
        point=row["point"],
        parameters={name: row[name] for name in _parameters(plan) if name in row},
        value=value,
        require=require,
        holds=meets(value, require) if require else None,
        meeting=sum(meets(other, require) for other in values) if require else len(values),
        of=len(values),
    )


def _failure(row: Mapping[str, Any], plan: Plan) -> Failure:
    uses = next(task["uses"] for task in plan["tasks"] if task["name"] == row["task"])
    return Failure(
        task=row["task"],
        step=row["step"],
        point=row["point"],
        state=row["state"],
        code=row["code"],
        signal=row["signal"],
        reason=row["reason"] or "",
        parameters={name: row[name] for name in uses if row.get(name) is not None},
    )


def _parameters(plan: Plan) -> list[str]:
    return [parameter["name"] for parameter in plan["parameters"]]


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
