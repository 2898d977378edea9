"""Make the plan: tasks in order, what each step depends on, and how points share steps. Pure; networkx's one door."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sciflow.runner import names
from sciflow.workflow import dependence, sweep
from sciflow.workflow.order import order
from sciflow.workflow.schedule import windows

if TYPE_CHECKING:
    import networkx as nx

    from sciflow.plan.lock import Lock
    from sciflow.workflow.spec import Placeholder, Schedule, Sweep, Task, Word, Workflow

Plan = Mapping[str, Any]
"""A plan is the JSON document that travels: see `schemas/plan-1.json`."""


def _part(part: str | Placeholder) -> str | dict[str, Any]:
    if isinstance(part, str):
        return part
    if part.kind == "upstream":
        return {"upstream": [part.owner, part.name]}
    return {part.kind: part.owner if part.kind == "records" else part.name}


def _words(words: Sequence[Word]) -> list[list[str | dict[str, Any]]]:
    return [[_part(part) for part in word] for word in words]


def graph(workflow: Workflow) -> nx.DiGraph[str]:
    """Return the graph of tasks, an edge from each task to those that need it: for pictures, and for programs."""
    # It takes longer to import than a plan takes to make, and a plan has no need of it.
    import networkx as nx  # noqa: PLC0415

    found: nx.DiGraph[str] = nx.DiGraph()
    found.add_nodes_from(task.name for task in workflow.tasks)
    found.add_edges_from((need, task.name) for task in workflow.tasks for need in task.needs)
    return found


def ordered(workflow: Workflow) -> list[Task]:
    """Return the tasks in topological order; among equals, in the order of the file."""
    by_name = {task.name: task for task in workflow.tasks}
    return [by_name[name] for name in order({task.name: task.needs for task in workflow.tasks})[0]]


DECIDING = ("cpus", "gpus", "nodes", "ranks", "mpi")  # the resources that decide a step's results
SIGNALS = {"HUP": 1, "INT": 2, "USR1": 10, "USR2": 12, "TERM": 15}
"""Linux, signal(7): where a plan is made, they may have other numbers than where it runs."""


def _attempts(task: Task) -> dict[str, Any]:
    """Return how a task's steps are tried: what of it no result depends on, and what some do."""
    retry, checkpoint = task.retry, task.checkpoint
    return {
        "retry": {
            "times": retry.times,
            "on": list(retry.on),
            "grow_memory": retry.grow_memory,
            "grow_time": retry.grow_time,
        },
        "checkpoint": checkpoint
        and {"path": checkpoint.path, "signal": SIGNALS[checkpoint.signal], "before_s": checkpoint.before_s},
        "isolate": task.isolate,
        "envelope": task.envelope,
        "blas": task.blas,
    }


def _resources(task: Task) -> dict[str, Any]:
    found = task.resources
    made: dict[str, Any] = {
        "cpus": found.cpus,
        "memory_mib": found.memory_mib,
        "gpus": found.gpus,
        "time_s": found.time_s,
    }
    # Of a step that is one process a plan says what it said before there were ranks.
    return made | ({"nodes": found.nodes, "ranks": found.ranks, "mpi": found.mpi} if found.ranks else {})


def _digest(entry: Mapping[str, Any]) -> str:
    """Digest what of a task decides its results: how long or how much memory it may take does not."""
    deciding = {key: entry[key] for key in ("shell", "words", "gather", "needs", "outputs", "metrics", "environment")}
    if entry["python"]:  # a command's key is what it was before there were functions
        deciding["python"] = entry["python"]
    if not entry["envelope"]:  # likewise, a task's that says neither of these
        deciding["envelope"] = False
    if entry["blas"]:
        deciding["blas"] = entry["blas"]
    deciding |= {what: amount for what, amount in entry["resources"].items() if what in DECIDING}
    return str(names.digest(deciding))


def _boxes(boxes: Iterable[Mapping[str, Any]], tasks: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the words of boxes as far as a plan of these tasks has a use for them."""
    ranks = any("ranks" in task["resources"] for task in tasks)
    return [{key: words for key, words in box.items() if ranks or key != "enter_rank"} for box in boxes]


def _schedule(schedule: Schedule, lock: Lock) -> dict[str, Any]:
    made = {
        **windows(schedule),
        "policy": schedule.policy,
        "max_wait_s": schedule.max_wait_s,
        "hard": schedule.hard,
        "timezone": lock.timezone,
        "transitions": [list(pair) for pair in lock.transitions],
    }
    if schedule.when_idle:  # a plan that does not say it is what it was before there was such a key
        made["when_idle"] = True
    return made


def named(workflow: Workflow, chosen: Sweep) -> str:
    """Return the name of a sweep's bundle."""
    return f"{workflow.name}-{chosen.name}" if chosen.name else workflow.name


def plan(workflow: Workflow, chosen: Sweep, lock: Lock, boxes: Iterable[Mapping[str, Any]]) -> Plan:
    """Return the plan of one sweep. Points are looked at axis by axis: a large grid costs no more than a small one."""
    points = sweep.points(workflow, chosen)
    depends = dependence.uses(workflow.tasks, [column.name for column in points.columns])
    tasks: list[dict[str, Any]] = []
    for task in ordered(workflow):
        entry: dict[str, Any] = {
            "name": task.name,
            "uses": list(depends[task.name]),
            "needs": list(task.needs),
            "gather": task.gather,
            "shell": task.shell,
            "words": _words(task.words),
            "python": task.python,
            "outputs": dict(task.outputs),
            "metrics": task.metrics,
            "environment": dict(task.environment),
            "resources": _resources(task),
            **_attempts(task),
        }
        tasks.append({**entry, "digest": _digest(entry)})
    document: dict[str, Any] = {
        "format": names.FORMAT,
        "kind": "plan",
        "name": named(workflow, chosen),
        "title": workflow.title,
        "parameters": [
            {
                "name": column.name,
                "kind": column.kind,
                "unit": column.unit,
                "derived": column.derived,
                "repeats": column.repeats,
            }
            for column in points.columns
        ],
        "axes": [{"columns": list(axis.names), "turns": axis.turns} for axis in points.axes],
        "tasks": tasks,
        "run": {"max_failures": workflow.run.max_failures},
        "code": lock.code_digest,
        "code_files": {file.path: file.sha256 for file in lock.code},
        "inputs": {
            entry.name: {"path": f"{entry.name}/{entry.path.rstrip('/').rsplit('/', 1)[-1]}", "sha256": entry.sha256}
            for entry in lock.inputs
        },
        "image": lock.image.identity if lock.image else None,
        "boxes": _boxes(boxes, tasks),
        "metrics": [
            {
                "name": metric.name,
                "goal": metric.goal,
                "unit": metric.unit,
                "require": metric.require,
                "tolerance": metric.tolerance,
            }
            for metric in workflow.metrics
        ],
        "charts": [
            {
                "name": chart.name,
                "kind": chart.kind,
                "x": chart.x,
                "y": chart.y,
                "value": chart.value,
                "color": chart.color,
                "facet": list(chart.facet),
                "aggregate": chart.aggregate,
                "title": chart.title,
            }
            for chart in workflow.charts
        ],
        "schedule": _schedule(workflow.schedule, lock),
        "slurm": dict(workflow.slurm),
    }
    for entry in tasks:
        entry["steps"] = math.prod(axis.distinct(entry["uses"]) for axis in points.axes)
    document["points"] = len(points)
    return document
