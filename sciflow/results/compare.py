"""From two sets of records of one plan to a verdict, item by item: identical, within tolerance, different, missing."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sciflow.results.columns import Plan, Record, Settled, Steps

Status: TypeAlias = Literal["identical", "within tolerance", "different", "missing"]
IDENTICAL: Status = "identical"
WITHIN: Status = "within tolerance"
DIFFERENT: Status = "different"
MISSING: Status = "missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that was compared: `train/12 accuracy`, and what either side has of it (None: nothing)."""

    what: str
    kind: Literal["step", "metric", "output"]
    point: int | None
    """The first point that uses the step; None for a gathered task."""
    status: Status
    a: Any
    b: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How many items came to each status."""

    identical: int
    within: int
    different: int
    missing: int

    @property
    def agrees(self) -> bool:
        """Whether something was compared, and all of it is identical or within tolerance."""
        return self.identical + self.within > 0 and self.different == 0 and self.missing == 0

    def __str__(self) -> str:
        """Give the counts in one line."""
        return (
            f"{self.identical} identical, {self.within} within tolerance, "
            f"{self.different} different, {self.missing} missing"
        )


def compare(
    plan: Plan, steps: Steps, a: Settled, b: Settled, *, chosen: Collection[tuple[str, int]] | None = None
) -> list[Item]:
    """Compare two runs of one plan, by task in the plan's order, then by step.

    A step that is done on both sides is compared by its outputs (sha256) and its metrics: numbers agree when
    `abs(a - b) <= tolerance * max(1, abs(a), abs(b))`, everything else, and every metric without a tolerance, when
    equal. A step that ended otherwise is compared by its state. A step that either side has no record of is missing.
    With `chosen`, only those (task, step) are looked at.
    """
    tolerances = {metric["name"]: float(metric.get("tolerance") or 0.0) for metric in plan["metrics"]}
    firsts = {task["name"]: _first_points(task, steps) for task in plan["tasks"]}
    return [
        item
        for task in plan["tasks"]
        for step in range(task["steps"])
        if chosen is None or (task["name"], step) in chosen
        for item in _step(task["name"], step, firsts[task["name"]].get(step), (a, b), tolerances)
    ]


def verdict(items: Iterable[Item]) -> Verdict:
    """Count the items by status."""
    counted = Counter(item.status for item in items)
    return Verdict(
        identical=counted[IDENTICAL], within=counted[WITHIN], different=counted[DIFFERENT], missing=counted[MISSING]
    )


def _step(
    task: str, step: int, point: int | None, sides: tuple[Settled, Settled], tolerances: Mapping[str, float]
) -> Iterator[Item]:
    what = f"{task}/{step}"
    a, b = sides[0].get((task, step)), sides[1].get((task, step))
    if a is None or b is None or not a["state"] == b["state"] == names.DONE:
        states = tuple(record and record["state"] for record in (a, b))
        status = MISSING if None in states else IDENTICAL if states[0] == states[1] else DIFFERENT
        yield Item(what=f"{what} state", kind="step", point=point, status=status, a=states[0], b=states[1])
        return
    outputs, metrics = _either(a, b, "outputs"), _either(a, b, "metrics")
    if not outputs and not metrics:
        yield Item(what=f"{what} state", kind="step", point=point, status=IDENTICAL, a=a["state"], b=b["state"])
    for name in outputs:
        left, right = (record["outputs"].get(name, {}).get("sha256") for record in (a, b))
        status = MISSING if left is None or right is None else IDENTICAL if left == right else DIFFERENT
        yield Item(what=f"{what} {name}", kind="output", point=point, status=status, a=left, b=right)
    for name in metrics:
        left, right = (record["metrics"].get(name) for record in (a, b))
        if name not in a["metrics"] or name not in b["metrics"]:
            status = MISSING
        else:
            status = _agreement(left, right, tolerances.get(f"{task}.{name}", tolerances.get(name, 0.0)))
        yield Item(what=f"{what} {name}", kind="metric", point=point, status=status, a=left, b=right)


def _agreement(a: Any, b: Any, tolerance: float) -> Status:
    # In Python True == 1, in a table it does not; and NaN, which records hold as null, is equal to itself here.
    if isinstance(a, bool) == isinstance(b, bool) and (a == b or a is b):
        return IDENTICAL
    if _numeric(a) and _numeric(b) and abs(a - b) <= tolerance * max(1, abs(a), abs(b)):
        return WITHIN
    return DIFFERENT


def _numeric(value: Any) -> bool:
    return (isinstance(value, float) and math.isfinite(value)) or type(value) is int


def _either(a: Record, b: Record, part: str) -> list[str]:
    return sorted({*a[part], *b[part]})


def _first_points(task: Mapping[str, Any], steps: Steps) -> dict[int, int]:
    if task["gather"]:
        return {}
    used = steps[task["name"]]
    return {used[point]: point for point in range(len(used) - 1, -1, -1)}
