"""A round that is only planned, as what it would ask a cluster for and by when it could be over. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.runner import packing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOUR_S = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Jobs:
    """The jobs of one array, all alike; `steps` are those of all of them, `seconds` the work of the one with most."""

    task: str
    jobs: int
    steps: int
    cores: int
    memory_mib: int
    gpus: int
    minutes: int
    seconds: float
    after: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What a launch would submit now. Instants are UTC seconds; hours are what jobs may take at most.

    `ends` is when its last step is done if every job begins as soon as it may, and steps take what they took before,
    or else what they declare. `later` are the steps that this round has no jobs for. `node_hours` is None where it is
    not known how large a node is.
    """

    jobs: tuple[Jobs, ...]
    begins: float
    ends: float
    later: int
    core_hours: float
    node_hours: float | None


def forecast(
    plan: Mapping[str, Any],
    state: Mapping[str, Any],
    elements: Sequence[Mapping[str, Any]],
    left: Mapping[str, Sequence[int]],
    known: Mapping[str, float],
) -> Forecast:
    """Return what a planned round comes to. `known` is {task: seconds a step takes}, as far as that was learned."""
    tasks, limits = {task["name"]: task for task in plan["tasks"]}, state["limits"]
    found: list[Jobs] = []
    ends: list[float] = []
    for array in state["arrays"]:
        held = elements[array["first"] : array["first"] + array["elements"]]
        needs, side = array["needs"], packing.at_once(array["needs"], limits)
        # What an element has beyond its time it leaves to the next round.
        seconds = min(max(_work(one, tasks, known) for one in held) / side, needs["minutes"] * 60.0)
        turns = -(-array["elements"] // (plan["slurm"].get("max_running") or array["elements"]))
        ends.append(max([ends[other] for other in array["after"]] or [0.0]) + turns * seconds)
        found.append(
            Jobs(
                task=array["task"],
                jobs=array["elements"],
                steps=sum(packing.counts(held).values()),
                cores=limits["cpus"] * needs.get("nodes", 1) if limits.get("whole") else packing.cores(needs),
                memory_mib=packing.memory_mib(needs),
                gpus=needs["gpus"],
                minutes=needs["minutes"],
                seconds=seconds,
                after=tuple(array["after"]),
            )
        )
    begins = float(max(state["begin"], state["time"]))
    hours = sum(one.jobs * one.cores * one.minutes / 60 for one in found)
    busy = sum(_work(one, tasks, known, cores=True) for one in elements)
    site = limits.get("cpus", 0) * limits.get("nodes", 0)  # no more than these work at once
    return Forecast(
        jobs=tuple(found),
        begins=begins,
        ends=begins + max([*ends, busy / site if site else 0.0]),
        later=sum(len(steps) for steps in left.values()) - sum(one.steps for one in found),
        core_hours=hours,
        node_hours=hours / limits["cpus"] if limits.get("cpus") else None,
    )


def _work(
    element: Mapping[str, Any], tasks: Mapping[str, Any], known: Mapping[str, float], *, cores: bool = False
) -> float:
    """Return the seconds of an element's steps one after the other, or those of their cores."""
    return float(
        sum(
            count * packing.seconds(tasks[name], known) * (packing.cores(tasks[name]["resources"]) if cores else 1)
            for name, count in packing.counts([element]).items()
        )
    )
