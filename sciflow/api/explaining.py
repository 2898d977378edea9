"""Why a step is where it is: what its key is made of, what it waits for, its attempts, and why more than one."""

from __future__ import annotations

import json
import time
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api.following import step_of
from sciflow.runner import hours, launched, names, points, progress, records
from sciflow.runner.standing import Standing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.bundle.folder import Bundle, Settled
    from sciflow.bundle.workers import Worker

SHOWN = 20  # of what a step needs, so many are named one by one
FAILURES = records.FINAL[1:]
WAITING = "waiting"


def why(path: Path, step: str, run_name: str = names.DEFAULT_RUN) -> dict[str, Any]:
    """Say all that is known of a step (`train/12`).

    {"run", "task", "step", "state", "point": the first that calls for it, "values", "key", "key_of": what its digest is
    made of, "needs": [{"task", "steps": how many of it, "states": {state: n}, "open": the first that are not done}],
    "resources", "waits_for": [words], "attempts": [{"attempt", "state", "reason", "worker", "host", …}],
    "again": [words]}. Raises UsageError where there is no such step.
    """
    from sciflow.bundle import folder, workers

    bundle = folder.read(path)
    name, number = step_of(bundle, step)
    settled, more = bundle.settled(run_name)
    steps, now = bundle.steps(), time.time()
    task = next(entry for entry in bundle.plan["tasks"] if entry["name"] == name)
    crew = workers.read(bundle.run(run_name))
    running = {
        (one.task, one.step): worker for worker in crew if worker.state(now) == "at work" for one in worker.running
    }
    found = {"run": run_name, "task": name, "step": number, "resources": task["resources"]}
    found["state"] = _state((name, number), settled, running)
    found |= _identity(bundle, steps, task, number, Standing(str(bundle.run(run_name)), bundle.plan))
    found["needs"] = _needs(list(steps.needs(task, number)), settled, running)
    mine = [one for one in bundle.attempts(run_name) if (one["task"], one["step"]) == (name, number)]
    counts = settled.get((name, number))
    found["attempts"] = [_attempt(one, counts, more["workers"]) for one in mine]
    found["again"] = _again(task, [one for one in mine if one["state"] != names.SKIPPED], counts)
    found["waits_for"] = _waits(bundle, task, found, running.get((name, number)), (run_name, crew, now))
    return found


def _state(key: tuple[str, int], settled: Settled, running: Mapping[tuple[str, int], Worker]) -> str:
    state = str(settled[key]["state"]) if key in settled else WAITING
    return progress.RUNNING if key in running and state != names.DONE else state


def _identity(
    bundle: Bundle, steps: points.Steps, task: Mapping[str, Any], number: int, standing: Standing
) -> dict[str, Any]:
    """Return the step's values and its key, and the parts that the key is the digest of."""
    table = points.Table(str(bundle.path), bundle.plan)
    try:
        first = steps.first(task["name"], number)
        values = {use: table.values(first)[use] for use in task["uses"]}
        keys = points.Keys(bundle.plan, steps, table, standing)
        key = keys.of(task["name"], number)
        upstream = [(f"{need}/{other}", keys.of(need, other)) for need, other in steps.needs(task, number)]
    finally:
        table.close()
        standing.close()
    parts = {
        "task": task["digest"],
        "values": values,
        "code": bundle.plan["code"],
        "image": bundle.plan["image"],
        "inputs": {name: entry["sha256"] for name, entry in sorted(bundle.plan["inputs"].items())},
        "upstream": dict(upstream[:SHOWN]),
        "upstream_steps": len(upstream),
    }
    return {"point": first, "values": values, "key": key, "key_of": parts}


def _needs(
    needed: Sequence[tuple[str, int]], settled: Settled, running: Mapping[tuple[str, int], Worker]
) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for key in needed:
        told = found.setdefault(key[0], {"task": key[0], "steps": 0, "states": {}, "open": []})
        state = _state(key, settled, running)
        told["steps"] += 1
        told["states"][state] = told["states"].get(state, 0) + 1
        if state != names.DONE and len(told["open"]) < SHOWN:
            told["open"].append({"step": key[1], "state": state})
        if len(needed) <= SHOWN:
            told.setdefault("all", []).append(key[1])
    return list(found.values())


def _attempt(
    record: Mapping[str, Any], counts: Mapping[str, Any] | None, crew: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    kept = ("attempt", "state", "reason", "worker", "start", "end", "wall_s", "code", "signal")
    host = crew.get(record["worker"], {}).get("facts", {}).get("host", "")
    return {key: record.get(key) for key in kept} | {
        "host": host,
        "counts": counts is not None and record["attempt"] == counts["attempt"],
    }


def _again(
    task: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], counts: Mapping[str, Any] | None
) -> list[str]:
    """Say of each attempt but the last why another came after it. Within a bundle a key cannot change."""
    times, tried, told = int((task.get("retry") or {}).get("times", 0)), 0, []
    for number, record in enumerate(attempts[:-1], 1):
        state, reason = record["state"], f" ({record['reason']})" if record["reason"] else ""
        if state in FAILURES:
            tried += 1
            by = f"its task's retry, {tried} of {times}" if tried <= times else "`--failed`"
            told.append(f"attempt {number} ended as {state}{reason}, and {by} ran it again")
        elif state == names.NODE:
            told.append(f"attempt {number} was lost with its surroundings{reason}, which uses up no retry")
        elif state == names.INTERRUPTED:
            told.append(f"attempt {number} was stopped{reason}, and the next start went on")
        elif state == names.SUPERSEDED:
            told.append(f"attempt {number} ran at the same time as another, which was first")
        elif counts is not None and record["attempt"] == counts["attempt"]:
            told.append(f"attempt {number} counts; another worker had the step at the same time")
        else:
            told.append(f"attempt {number} ended well, but was cut off before its outputs had their name")
    return told


def _waits(
    bundle: Bundle,
    task: Mapping[str, Any],
    found: Mapping[str, Any],
    at: Worker | None,
    around: tuple[str, Sequence[Worker], float],
) -> list[str]:
    """Say what must happen before a step that is not done can end; nothing for one that is."""
    state, again = found["state"], "`sciflow run --failed` runs it again"
    if state == names.DONE:
        return []
    if at is not None:
        return [f"nothing: it runs on {at.host} (worker {at.name})"]
    ups = [(f"{need['task']}/{one['step']}", one["state"]) for need in found["needs"] for one in need["open"]]
    lost = [f"{up} is {its}" for up, its in ups if its in (*FAILURES, names.SKIPPED)]
    if lost:
        return [f"{_some(lost)}: a step whose need did not succeed is skipped; {again}, once that is done"]
    if state in FAILURES:
        times = int((task.get("retry") or {}).get("times", 0))
        tried = sum(1 for one in found["attempts"] if one["state"] in FAILURES)
        covered = state in (task.get("retry") or {}).get("on", ())
        if not covered or tried > times:
            return [f"nothing: it ended as {state}, and no retry is left; {again}"]
    told = [f"what it needs: {_some([f'{up} is {its}' for up, its in ups])}"] if ups else []
    return told + _start(bundle, task, *around)


def _start(bundle: Bundle, task: Mapping[str, Any], run_name: str, crew: Sequence[Worker], now: float) -> list[str]:
    """Say who is to start a step: a worker at work, or a start that has still to be made."""
    live = [worker for worker in crew if worker.state(now) == "at work"]
    wants = task["resources"]
    if live:
        asks = ", ".join(f"{what} {wants[what]}" for what in ("cpus", "memory_mib", "gpus") if wants[what])
        return [f"room beside what runs on {_some(sorted({worker.host for worker in live}))}: it asks for {asks}"]
    told = []
    cancelled = cancel_time(bundle.run(run_name))
    if cancelled is not None:
        told.append(f"a fresh start: the run was cancelled{cancelled}")
    start, _ = hours.window(bundle.plan["schedule"], int(now), launched.first(str(bundle.run(run_name))))
    if start > now:
        shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(start))
        told.append(f"the hours: they open at {shown}; `sciflow run --now` starts at once")
    return [*told, "a worker: none is at work; `sciflow run`, or `sbatch launch.sh`, starts one"]


def cancel_time(run: Path) -> str | None:
    """Return when a run was cancelled, as words behind `cancelled`; None where it was not."""
    try:
        told = json.loads((run / names.CANCEL).read_text(encoding="utf-8"))
        return time.strftime(" at %Y-%m-%d %H:%M UTC", time.gmtime(told["time"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def _some(told: Sequence[str]) -> str:
    return ", ".join(told[:3]) + (f" and {len(told) - 3} more" if len(told) > 3 else "")  # noqa: PLR2004  three are enough
