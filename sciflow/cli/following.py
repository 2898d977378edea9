"""The commands that look at a run as a whole, or stop it: status, cancel."""

from __future__ import annotations

import sys
import time
from pathlib import Path  # noqa: TC003  part of what click reads
from typing import TYPE_CHECKING, Any

import click

from sciflow import api
from sciflow.cli.group import FOLDER, command, run_option
from sciflow.cli.show import answer, clock, on_terminal, safe, table, talk
from sciflow.runner import names, progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOOK_S, SLURM_S = 2.0, 10.0
SLOWER = 5.0  # looking takes at most a sixth of the time, however long the records are


@command()
@click.argument("bundle", type=FOLDER)
@run_option
@click.option(
    "--watch", is_flag=True, help="Keep saying it until every step has its end; with --json one object a line."
)
def status(bundle: Path, run_name: str, *, watch: bool, as_json: bool, quiet: bool) -> int:
    """Say how far a run is, from its records and what its workers say. Code 5 while a step is missing.

    Example: sciflow status bundles/digits-0123456789ab --watch
    """
    if watch and not quiet:
        found = _watched(bundle, run_name, as_json=as_json)
        if as_json:
            return _code(found)
    else:
        found = next(_looks(bundle, run_name, until_over=watch, every=False))
    answer(found, _last(found), as_json=as_json, lines=_stands(found))
    return _code(found)


def _code(found: Mapping[str, Any]) -> int:
    return names.EXIT_OK if _done(found) == found["steps"] else names.EXIT_INCOMPLETE


def _done(found: Mapping[str, Any]) -> int:
    return int(found["states"].get(names.DONE, 0))


def _last(found: Mapping[str, Any]) -> str:
    return f"{_done(found)} of {found['steps']} steps done"


def _looks(bundle: Path, run_name: str, *, until_over: bool, every: bool) -> Iterator[Mapping[str, Any]]:
    """Yield how a run stands: once, or until it is over; every look, or only the last."""
    while True:
        begun = time.monotonic()
        found = api.status(bundle, run_name)
        last = not until_over or found["over"]
        if every or last:
            yield found
        if last:
            return
        time.sleep(max(SLURM_S if found["rounds"] else LOOK_S, SLOWER * (time.monotonic() - begun)))


def _watched(bundle: Path, run_name: str, *, as_json: bool) -> Mapping[str, Any]:
    """Say how a run stands until it is over: drawn anew on a terminal, else a line a change; return the end."""
    screen = progress.Screen(sys.stdout) if on_terminal(sys.stdout) and not as_json else None
    before: Any = None
    found: Mapping[str, Any] = {}
    try:
        for found in _looks(bundle, run_name, until_over=True, every=True):
            changed = (found["tasks"], found["jobs"], [(one["worker"], one["state"]) for one in found["workers"]])
            if screen:
                columns, height = screen.size()
                about = [safe(line) for line in _about(found)][: max(0, height - 4)]
                room = height - 2 - len(about)
                screen.draw([*progress.rows(found, room), *about, progress.headline(_spoken(found), columns - 1)])
            elif changed != before and as_json:
                answer(found, "", as_json=True)
            elif changed != before and not found["over"]:
                click.echo(safe(progress.headline(_spoken(found))))
            before = changed
    finally:
        if screen:
            screen.clear()
    return found


def _spoken(found: Mapping[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("steps", "tasks", "rate", "left_s", "use", "cpus")}


def _stands(found: Mapping[str, Any]) -> list[str]:
    """Return a table of the tasks, and what is to be said of the run as a whole."""
    states = [state for state in found["states"] if state not in (names.DONE, progress.RUNNING, "waiting")]
    columns = [
        names.DONE,
        *(what for what in (progress.RUNNING, "waiting") if what in found["states"]),
        *sorted(states),
    ]
    rows = [["task", "steps", *columns]] + [
        [task, str(counts["steps"]), *(str(counts.get(column, 0)) for column in columns)]
        for task, counts in found["tasks"].items()
    ]
    paced = progress.parts({**_spoken(found), "tasks": {}})[1:]
    return [*table(rows), *([", ".join(paced)] if paced else []), *_about(found)]


def _about(found: Mapping[str, Any]) -> list[str]:
    """Return what is to be said of the machines and of Slurm."""
    lines = [
        f"{host}: {told['workers']} {'worker' if told['workers'] == 1 else 'workers'}, {told['running']} running, "
        f"{told['cpus']} cores"
        for host, told in found["hosts"].items()
    ]
    for worker in found["workers"]:
        if worker["state"] == "silent":
            since = f"since {clock(worker['time'])}" if worker["time"] else "yet"
            lines.append(f"{worker['host']}: no word {since} of worker {worker['worker']}, process {worker['pid']}")
        elif worker["state"] == "gone":
            lines.append(f"{worker['host']}: worker {worker['worker']} was killed; the next start clears up after it")
    for job in found["queue"]:
        states = ", ".join(f"{count} {state}" for state, count in job["states"].items())
        waits = f"; waits for {'; '.join(job['waits_for'])}" if job["waits_for"] else ""
        lines.append(f"job {job['job']} {job['name']}: {states}{waits}")
    if found.get("jobs_unknown"):
        lines.append(f"Slurm does not say what it still has: {found['jobs_unknown']}")
    if found["cancelled"] and _done(found) < found["steps"]:
        lines.append("cancelled: the next start goes on")
    return lines


@command()
@click.argument("bundle", type=FOLDER)
@run_option
def cancel(bundle: Path, run_name: str, *, as_json: bool, quiet: bool) -> int:
    """Stop a run in good order: its workers here and elsewhere, its jobs on Slurm. What is done stays; a start goes on.

    Example: sciflow cancel bundles/digits-0123456789ab
    """
    done = api.cancel(bundle, run_name, say=talk(quiet=quiet))
    lines = [f"worker {name}: has not ended yet" for name in done.left]
    lines += [f"worker {name}: was told, by a file in the run's folder" for name in done.elsewhere]
    lines += [f"job {job}: Slurm still has it" for job in done.jobs_left]
    lines += [f"Slurm's jobs are not known: {done.jobs_unknown}"] if done.jobs_unknown else []
    counts = [(len(done.ended), "worker ended", "workers ended"), (len(done.jobs), "job ended", "jobs ended")]
    counts.append((len(done.elsewhere), "worker told elsewhere", "workers told elsewhere"))
    said = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
    what = {
        "run": str(done.run),
        "ended": done.ended,
        "left": done.left,
        "elsewhere": done.elsewhere,
        "jobs": done.jobs,
        "jobs_left": done.jobs_left,
        "jobs_unknown": done.jobs_unknown,
        "over": done.over,
    }
    last = f"cancelled: {said}" if said else "nothing was running" if done.over else "not all has ended"
    answer(what, last, as_json=as_json, lines=lines)
    return names.EXIT_OK if done.over else names.EXIT_SURROUNDINGS
