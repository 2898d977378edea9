"""From two sets of records of one plan to a verdict, item by item: identical, within tolerance, different, missing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sciflow.runner import agree

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from sciflow.results.columns import Plan, Settled, Steps

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
    allowed = agree.tolerances(plan)
    firsts = {task["name"]: _first_points(task, steps) for task in plan["tasks"]}
    return [
        Item(
            what=f"{task['name']}/{step} {name}",
            kind=kind,
            point=firsts[task["name"]].get(step),
            status=status,
            a=left,
            b=right,
        )
        for task in plan["tasks"]
        for step in range(task["steps"])
        if chosen is None or (task["name"], step) in chosen
        for kind, name, status, left, right in agree.step(
            task["name"], a.get((task["name"], step)), b.get((task["name"], step)), allowed
        )
    ]


def verdict(items: Iterable[Item]) -> Verdict:
    """Count the items by status."""
    counted = Counter(item.status for item in items)
    return Verdict(
        identical=counted[IDENTICAL], within=counted[WITHIN], different=counted[DIFFERENT], missing=counted[MISSING]
    )


def _first_points(task: Mapping[str, Any], steps: Steps) -> dict[int, int]:
    if task["gather"]:
        return {}
    used = steps[task["name"]]
    return {used[point]: point for point in range(len(used) - 1, -1, -1)}
