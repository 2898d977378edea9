"""Hand a bundle to Slurm, or say what that would ask for."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api.carrying import Say, choose, present, silent
from sciflow.api.running import refuse_changed
from sciflow.errors import SurroundingsError, UsageError
from sciflow.plan import forecast
from sciflow.runner import journal, launched, names, slurm, upcoming
from sciflow.runner import options as sbatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.bundle.folder import Bundle


@dataclass(frozen=True, kw_only=True, slots=True)
class Foreseen:
    """What a submission would ask for now.

    `going_on` are jobs of the run that Slurm still has: while there are any nothing more is submitted.
    `no_site` says why Slurm could not be asked, or nothing; then none of a site's bounds is heeded.
    """

    forecast: forecast.Forecast
    options: tuple[str, ...]
    going_on: tuple[int, ...] = ()
    no_site: str = ""


def _options(bundle: Bundle, run_name: str, given: Sequence[str]) -> list[str]:
    """Return sbatch's options for the jobs of a run: those given, after those of the environment or the round before.

    Raises UsageError for one that is a round's own affair.
    """
    for word in given:
        fault = sbatch.refusal(word)
        if fault:
            raise UsageError(fault, hint="an option is written in full, like `--constraint=skylake`")
    past = journal.rounds(str(bundle.run(run_name)))
    try:
        return [*sbatch.overrides(past[-1][1] if past else None), *given]
    except slurm.SlurmError as error:
        raise UsageError(str(error)) from error


def submit(path: Path, run_name: str = names.DEFAULT_RUN, *, options: Sequence[str] = (), say: Say = silent) -> int:
    """Submit a bundle to Slurm, as `sbatch launch.sh` does; return the job's id.

    `options` are sbatch's, `--constraint=skylake` for instance, for this job and all that its rounds submit. They are
    on record in each round's file. Raises UsageError, SurroundingsError.
    """
    from sciflow.bundle import folder

    refuse_changed(path)
    bundle = folder.read(path)
    chosen = _options(bundle, run_name, options)
    present(bundle, choose(bundle, None), say)
    run = bundle.run(run_name)
    (run / names.LOGS).mkdir(parents=True, exist_ok=True)
    (run / names.CANCEL).unlink(missing_ok=True)  # that was for those at work then: this is a fresh start
    token, here = names.token(), path.resolve()
    mark = slurm.MARK + token
    words = ["sbatch", "--parsable", f"--comment={mark}", *chosen]
    words += [slurm.log(str(run.resolve() / names.LOGS / f"launch-{token}.log"))]
    # What Slurm tells of a job's command cannot be taken apart again for every path: so it is told.
    more = {"SCIFLOW_BUNDLE": str(here), **({sbatch.OVERRIDES: shlex.join(chosen)} if chosen else {})}
    try:
        answer = slurm.ask(
            [*words, str(here / names.LAUNCHER), *(["--run", run_name] if run_name != names.DEFAULT_RUN else [])],
            tries=slurm.TRIES,
            more=more,
        )
    except slurm.SlurmError as error:
        raise SurroundingsError(str(error)) from error
    job = int(answer.strip().split(";")[0])
    journal.launched(str(run), job, mark)
    return job


def foresee(path: Path, run_name: str = names.DEFAULT_RUN, *, options: Sequence[str] = ()) -> Foreseen:
    """Return what `submit` would ask Slurm for now, in its first round; nothing is submitted or written.

    Where there is no Slurm the round is planned without a site's bounds. Raises UsageError, SurroundingsError.
    """
    from sciflow.bundle import folder

    refuse_changed(path)
    bundle = folder.read(path)
    run, plan = str(bundle.run(run_name)), bundle.plan
    chosen = sbatch.common(plan, _options(bundle, run_name, options))
    limits = {"array": slurm.DEFAULT_ARRAY, "user": most_jobs(plan)}
    no_site, standing = "", []
    try:
        if shutil.which("scontrol") is None:
            no_site = "there is no Slurm on this machine"
        else:
            limits, standing = upcoming.site(plan, chosen), journal.standing(journal.recorded(run))
    except slurm.SlurmError as error:
        no_site = str(error)
    return Foreseen(
        forecast=_forecast(path, plan, run, limits),
        options=tuple(chosen),
        going_on=tuple(int(job["id"]) for job in standing),
        no_site=no_site,
    )


def most_jobs(plan: Mapping[str, Any]) -> int | None:
    """Return how many jobs of a run may be in the queue at once, or None. Raises UsageError."""
    try:
        found: int | None = sbatch.most_jobs(plan)
    except slurm.SlurmError as error:
        raise UsageError(str(error)) from error
    return found


def _forecast(path: Path, plan: Mapping[str, Any], run: str, limits: Mapping[str, Any]) -> forecast.Forecast:
    found = upcoming.remains(str(path), plan, run)
    _, stands, left = found
    with contextlib.closing(stands):
        try:
            state, elements = upcoming.planned(plan, found, limits, launched.first(run))
        except slurm.SlurmError as error:
            raise SurroundingsError(str(error)) from error
        return forecast.forecast(plan, state, elements, left, stands.learned())
