"""A task's keys `retry`, `checkpoint`, `envelope`, `blas` -> how its steps are tried, and what is wrong with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciflow.workflow import quantity
from sciflow.workflow.spec import Checkpoint, Resources, Retry

if TYPE_CHECKING:
    from sciflow.workflow.faults import Faults
    from sciflow.workflow.spec import Keys

SURROUNDINGS = "node"  # may be said, and changes nothing: what is no fault of a step's uses up no retry


def retry(path: Keys, table: dict[str, Any], faults: Faults) -> Retry:
    """Return when a step is tried again; `path` is that of the task's table."""
    default = Retry()
    found = Retry(
        times=table.get("times", default.times),
        on=tuple(sorted(set(table.get("on", default.on)) - {SURROUNDINGS})),
        grow_memory=float(table.get("grow_memory", default.grow_memory)),
        grow_time=float(table.get("grow_time", default.grow_time)),
    )
    for what, growth in (("memory", found.grow_memory), ("time", found.grow_time)):
        if growth > 1 and what not in found.on and not faults.has((*path, "retry", "on")):
            fault = f"`grow_{what}` is for steps that had too little {what}, and they are not tried again"
            faults.key((*path, "retry", f"grow_{what}"), fault, f'add `"{what}"` to `on`')
    return found


def checkpoint(path: Keys, table: dict[str, Any], resources: Resources, faults: Faults) -> Checkpoint | None:
    """Return how a step goes on where it was stopped, or nothing; `path` is that of the task's table."""
    if "path" not in table:
        return None
    before = quantity.seconds(table["before"]) if "before" in table else Checkpoint(path="").before_s
    key: Keys = (*path, "checkpoint", "before")
    if not before:
        faults.value(key, "`before` is 0", "write how long the command takes to write down where it is: `2m`")
    elif before >= resources.time_s and not any(faults.has((*path, *one)) for one in (key[-2:], ("resources",))):
        said = "" if "before" in table else ", where it is left out,"
        fault = f"`before`{said} is {before} s, and a step may take {resources.time_s} s: it would never get to work"
        faults.value(key, fault, "write a shorter `before`, or a longer `time` in `resources`")
    return Checkpoint(path=table["path"], signal=table.get("signal", "USR1"), before_s=before)


def envelope(path: Keys, table: dict[str, Any], faults: Faults) -> tuple[bool, Any]:
    """Return (whether the envelope is on, the kernel that libraries of linear algebra are held to or nothing)."""
    on, blas = table.get("envelope", "on") == "on", table.get("blas", "")
    if blas and not on:
        fault = f"`blas` is `{blas}`, and the envelope, of which it is part, is off"
        faults.value((*path, "blas"), fault, "leave out `envelope`, or `blas`")
    return on, blas
