"""The size of a workflow before anything is made of it, and its points."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api import making
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sciflow.plan.lock import Lock
    from sciflow.workflow.points import Points
    from sciflow.workflow.spec import Sweep, Workflow

MANY_POINTS = 10_000
MANY_FILES = 100_000
MANY_CPU_HOURS = 10_000
HOURS_A_YEAR = 8_766


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The size of a sweep: points, steps of each task, and what they may use by their declared limits."""

    name: str
    points: int
    doubles: int
    """Points left out because they had stood before."""
    axes: tuple[int, ...]
    """How often each axis turns; their product are the points."""
    steps: Mapping[str, int]
    cpu_hours: float
    gpu_hours: float
    longest_path_s: int
    peak_memory_mib: int
    """Of the largest single step."""
    jobs: int
    """Elements of Slurm's arrays, as they are packed while no duration has been learned."""
    files: int
    """Outputs of all steps; beside them a run leaves some two files a job."""
    input_bytes: int
    image_bytes: int | None
    """Of the image that the lock pins; nothing where none is pinned yet, or none is wanted."""
    warnings: tuple[str, ...]


def check(file: Path, *, sweep: str = "") -> Checked:
    """Read a workflow whole and measure one of its sweeps: the only one, or the named one. Raises as `check_all`."""
    (found,) = check_all(file, sweeps=[sweep] if sweep else [], alone=True)
    return found


def check_all(file: Path, *, sweeps: Sequence[str] = (), alone: bool = False) -> tuple[Checked, ...]:
    """Read a workflow whole and measure its sweeps (all, or those named); nothing is resolved, built or written.

    `alone`: refuse more than one sweep. Raises WorkflowError, UsageError, SurroundingsError.
    """
    from sciflow.plan import lock, lockfile

    workflow = making.read(file)
    kept = lockfile.read(file.with_name(names.LOCK))
    pinned = lock.files(workflow, file.parent, kept)
    image = kept.image.size or None if kept and kept.image else None
    return tuple(_measured(workflow, sweep, pinned, image) for sweep in making.chosen(workflow, sweeps, alone=alone))


def _measured(workflow: Workflow, sweep: Sweep, pinned: Lock, image_bytes: int | None) -> Checked:
    from sciflow.plan import graph
    from sciflow.runner import order, packing

    plan = graph.plan(workflow, sweep, pinned, [])
    tasks = plan["tasks"]
    hours = {
        what: sum(task["steps"] * amount(task["resources"]) * task["resources"]["time_s"] for task in tasks) / 3600
        for what, amount in (("cpus", packing.cores), ("gpus", itemgetter("gpus")))
    }
    files = sum(task["steps"] * len(task["outputs"]) for task in tasks)
    doubles = sweep.points.doubles if sweep.points else 0
    axes = tuple(axis["turns"] for axis in plan["axes"])
    return Checked(
        name=plan["name"],
        points=plan["points"],
        doubles=doubles,
        axes=axes,
        steps={task["name"]: task["steps"] for task in tasks},
        cpu_hours=hours["cpus"],
        gpu_hours=hours["gpus"],
        longest_path_s=max(order.rank(tasks).values()),
        peak_memory_mib=max(packing.memory_mib(task["resources"]) for task in tasks),
        jobs=sum(-(-task["steps"] // packing.packed(task)) for task in tasks),
        files=files,
        input_bytes=sum(found.size for entry in pinned.inputs for found in entry.files),
        image_bytes=image_bytes,
        warnings=(*_warnings(plan["points"], axes, doubles, hours["cpus"], files), *_growing(tasks)),
    )


def _warnings(points: int, axes: Sequence[int], doubles: int, cpu_hours: float, files: int) -> Iterator[str]:
    """Say what of a sweep is larger than it looks."""
    if points > MANY_POINTS:
        product = " x ".join(f"{turns:,}" for turns in axes)
        yield f"{points:,} points" + (f" = {product}" if len(axes) > 1 else "")
    if doubles:
        yield f"{doubles:,} points of its blocks had stood before, and were left out"
    if cpu_hours > MANY_CPU_HOURS:
        yield f"its declared limits come to {cpu_hours / HOURS_A_YEAR:,.1f} years of one core"
    if files > MANY_FILES:
        yield f"its steps leave {files:,} files: does your quota allow as many?"


def _growing(tasks: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say what a step may come to use when it is tried again with more."""
    for task in tasks:
        retry = task["retry"]
        grown = [
            f"{task['resources'][key] * retry[growth] ** retry['times']:,.10g} {unit}"
            for key, growth, unit in (("memory_mib", "grow_memory", "MiB"), ("time_s", "grow_time", "s"))
            if retry[growth] > 1 and retry["times"]
        ]
        if grown:
            yield f"a step of `{task['name']}` may come to use {' or '.join(grown)} when it is tried again"


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """Some points of a sweep: `columns` are point (its number), point_id, then parameters and derived columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: int


def points(file: Path, *, sweep: str = "", first: int | None = None, last: int | None = None) -> Listing:
    """Return the points of a sweep: the first so many, the last so many, or all. Raises as `check_all`."""
    found = _points(file, sweep)
    count = len(found)
    start = 0 if last is None else max(0, count - last)
    stop = count if first is None else min(first, count)
    chosen = found[start:stop] if start or first is not None else found
    rows = tuple(_rows(found, start, chosen))
    return Listing(columns=_columns(found), rows=rows, total=count)


def save_points(file: Path, place: Path, *, sweep: str = "") -> int:
    """Write all points of a sweep to a .csv or .parquet file; return how many. Raises as `check_all`."""
    from sciflow.results import table

    found = _points(file, sweep)
    kinds = {"point": "int", "point_id": "text", **{column.name: column.kind for column in found.columns}}
    columns = zip(*_rows(found, 0, found), strict=True)
    table.save(place, [(name, kinds[name], values) for name, values in zip(_columns(found), columns, strict=True)])
    return len(found)


def _points(file: Path, sweep: str) -> Points:
    from sciflow.workflow.sweep import points as of_sweep

    workflow = making.read(file)
    (chosen,) = making.chosen(workflow, [sweep] if sweep else [], alone=True)
    return of_sweep(workflow, chosen)


def _columns(found: Points) -> tuple[str, ...]:
    return ("point", "point_id", *(column.name for column in found.columns))


def _rows(found: Points, start: int, chosen: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    from sciflow.runner.points import name

    columns = [column.name for column in found.columns]
    derived = {column.name for column in found.columns if column.derived}
    for number, row in zip(itertools.count(start), chosen, strict=False):
        yield (number, name(dict(zip(columns, row, strict=True)), derived), *row)
