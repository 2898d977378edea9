"""Plan a round for a scheduler that a bundle cannot ask, and write it down as a script to submit."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sciflow.api.carrying import Say, choose, present, silent
from sciflow.api.running import refuse_changed
from sciflow.api.submitting import most_jobs
from sciflow.api.whole import replace
from sciflow.errors import SurroundingsError, UsageError
from sciflow.launchers import lsf, pbs
from sciflow.launchers.scheduler import Planned
from sciflow.runner import facts, grants, journal, launched, names, packing, slurm, upcoming

SCHEDULERS = MappingProxyType({"pbs": pbs.render, "lsf": lsf.render})
ARRAY_LIMIT = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendered:
    """A round that is written down: its script, its number, its jobs and steps; `later` are steps that have no job."""

    path: Path
    number: int
    jobs: int
    steps: int
    later: int


def render(
    path: Path,
    scheduler: str,
    run_name: str = names.DEFAULT_RUN,
    *,
    into: Path | None = None,
    array_limit: int = ARRAY_LIMIT,
    max_minutes: int | None = None,
    say: Say = silent,
) -> Rendered:
    """Plan the next round of a run, claim it, and write the script that submits it to `pbs` or `lsf`.

    What a site allows is not asked: an array has `array_limit` elements, a job takes `max_minutes`. The script stands
    in the round's folder, or in the file `into`. Raises UsageError where nothing remains, SurroundingsError.
    """
    from sciflow.bundle import folder

    refuse_changed(path)
    here = path.resolve()
    bundle = folder.read(here)
    if not str(here).isprintable():
        raise UsageError(f"`{here}` has control characters in it, and cannot stand in a script", hint="move the bundle")
    run, plan = bundle.run(run_name), bundle.plan
    past, found = journal.rounds(str(run)), upcoming.remains(str(here), plan, str(run))
    _, stands, left = found
    if not left:
        raise UsageError(f"nothing remains of the run `{run_name}`", hint="`sciflow status` says how it ended")
    limits = {"array": array_limit, "minutes": max_minutes, "user": most_jobs(plan)}
    with contextlib.closing(stands):
        try:
            state, elements = upcoming.planned(plan, found, limits, launched.first(str(run)))
        except slurm.SlurmError as error:
            raise SurroundingsError(str(error)) from error
    several = [array["task"] for array in state["arrays"] if grants.spread(array["needs"])]
    if several:
        raise UsageError(
            f"a step of `{several[0]}` is several ranks, and Slurm alone starts those",
            hint="`sciflow submit` submits it there; or leave `nodes` and `ranks` out, and start ranks in the command",
        )
    present(bundle, choose(bundle, None), say)
    number = past[-1][0] + 1 if past else 1
    state.update(scheduler=scheduler, overrides=[], job=0, owner=facts.owner(), left=[])
    place = journal.claim(str(run), number, state, elements)
    if place is None:
        raise SurroundingsError(f"another launch has just begun round {number}", hint="look at `sciflow status` first")
    (run / names.LOGS).mkdir(parents=True, exist_ok=True)
    (run / names.CANCEL).unlink(missing_ok=True)  # that was for those at work then: this is a fresh start
    planned = Planned(
        name=plan["name"],
        bundle=str(here),
        run=run_name,
        number=number,
        arrays=state["arrays"],
        begins=int(state["begin"]) if state["begin"] > state["time"] else None,
        most=plan["slurm"].get("max_running"),
    )
    file = into or Path(place) / f"{scheduler}.sh"
    replace(file, SCHEDULERS[scheduler](planned))
    journal.Journal(place).ready()
    steps = sum(packing.counts(elements).values())
    return Rendered(
        path=file,
        number=number,
        jobs=len(elements),
        steps=steps,
        later=sum(len(one) for one in left.values()) - steps,
    )
