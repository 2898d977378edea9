"""The commands for schedulers: hand a bundle to Slurm, say what that would ask for, render a round for others."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from sciflow import api
from sciflow.cli.group import FOLDER, WORKFLOW_FILE, command, run_option
from sciflow.cli.show import answer, clock, table, talk

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.api import Foreseen

HEAD = ["task", "jobs", "steps", "cores", "memory", "gpus", "time", "after"]


@command()
@click.argument("bundle", type=FOLDER)
@run_option
@click.option("--dry-run", is_flag=True, help="Submit nothing: say what the first round would ask for.")
@click.option(
    "--sbatch",
    "options",
    multiple=True,
    metavar="OPTION",
    help="An option of sbatch for all jobs of the run, like --sbatch=--constraint=skylake (may be repeated).",
)
def submit(bundle: Path, run_name: str, *, dry_run: bool, options: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Submit a bundle to Slurm, as `sbatch launch.sh` does; the job's id is the last line.

    Example: sciflow submit bundles/digits-0123456789ab --sbatch=--account=physics --dry-run
    """
    say = talk(quiet=quiet)
    if not dry_run:
        job = api.submit(bundle, run_name, options=options, say=say)
        answer({"job": job}, str(job), as_json=as_json)
        return
    found = api.foresee(bundle, run_name, options=options)
    if found.no_site:
        say(f"{found.no_site}: planned without its bounds")
    if found.going_on:
        say(f"jobs {', '.join(map(str, found.going_on))} of this run are in hand: until they end nothing is submitted")
    answer(dataclasses.asdict(found), _last(found), as_json=as_json, lines=_jobs(found))


def _jobs(found: Foreseen) -> list[str]:
    """Return a line an array."""
    rows = [
        [
            one.task,
            f"{one.jobs:,}",
            f"{one.steps:,}",
            str(one.cores),
            f"{one.memory_mib:,} MiB",
            str(one.gpus),
            f"{one.minutes} min",
            " ".join(str(other + 1) for other in one.after),
        ]
        for one in found.forecast.jobs
    ]
    if not rows:
        return []
    options = [f"options: {' '.join(found.options)}"] if found.options else []
    return [*table([["", *HEAD], *([str(at), *row] for at, row in enumerate(rows, 1))]), *options]


def _last(found: Foreseen) -> str:
    """Return the sum of it."""
    ahead = found.forecast
    if not ahead.jobs:
        return f"no jobs: {ahead.later:,} steps wait for room" if ahead.later else "no jobs: nothing remains"
    nodes = "" if ahead.node_hours is None else f" ({ahead.node_hours:,.1f} node-hours)"
    later = f"; {ahead.later:,} steps are left to later rounds" if ahead.later else ""
    return (
        f"{sum(one.jobs for one in ahead.jobs):,} jobs, at most {ahead.core_hours:,.1f} core-hours{nodes}, "
        f"from {clock(ahead.begins)}, over by {clock(ahead.ends)} if none has to wait{later}"
    )


@command()
@click.argument("bundle", type=FOLDER)
@run_option
@click.option(
    "--scheduler", type=click.Choice(["pbs", "lsf"]), required=True, help="PBS Pro or LSF; neither was tried by us."
)
@click.option("-o", "--output", type=WORKFLOW_FILE, metavar="FILE", help="Where the script goes (default: in the run).")
@click.option(
    "--array-limit", type=click.IntRange(1), default=api.ARRAY_LIMIT, show_default=True, help="Jobs an array may have."
)
@click.option("--max-minutes", type=click.IntRange(1), metavar="M", help="How long a job may take (default: no bound).")
def render(
    bundle: Path,
    run_name: str,
    *,
    scheduler: str,
    output: Path | None,
    array_limit: int,
    max_minutes: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plan one round of a bundle for PBS Pro or LSF, as a script that submits it; its path is the last line.

    Example: sciflow render bundles/digits-0123456789ab --scheduler pbs --max-minutes 1440
    """
    say = talk(quiet=quiet)
    found = api.render(
        bundle, scheduler, run_name, into=output, array_limit=array_limit, max_minutes=max_minutes, say=say
    )
    say(f"round {found.number}: {found.steps:,} steps in {found.jobs:,} jobs, once you run the script with sh")
    if found.later:
        say(f"{found.later:,} steps are left to later rounds")
    answer(dataclasses.asdict(found), str(found.path), as_json=as_json)
