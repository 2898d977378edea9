"""The commands about cron: a bundle's line put into the user's crontab, and taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sciflow import api
from sciflow.cli.group import FOLDER, Grouped, command, engine_option, run_option, sciflow
from sciflow.cli.show import answer, talk
from sciflow.runner.crontab import TABLES

if TYPE_CHECKING:
    from pathlib import Path

scrontab_option = click.option("--scrontab", is_flag=True, help="Slurm's table instead of cron's.")


@sciflow.group(cls=Grouped)
def cron() -> None:
    """Have cron run what remains of a bundle, within its hours, until it is done.

    Example: sciflow cron install bundles/digits-0123456789ab
    """


@command("install", of=cron)
@click.argument("bundle", type=FOLDER)
@run_option
@engine_option
@click.option(
    "--every", type=int, default=api.EVERY_MIN, show_default=True, metavar="MINUTES", help="How often it is called."
)
@scrontab_option
@click.option("--print", "only_print", is_flag=True, help="Print the line, and change nothing.")
def install(
    bundle: Path,
    run_name: str,
    *,
    engine: str | None,
    every: int,
    scrontab: bool,
    only_print: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Add a line to your crontab that runs what remains of a bundle, and takes itself away when that is done.

    It is called every few minutes, does nothing outside the hours or while a run is going on, and keeps a log in the
    run's folder. All other lines stay as they are; twice is once. The line is the last on stdout.

    Example: sciflow cron install bundles/digits-0123456789ab
    """
    made = api.cron_install(
        bundle,
        run_name,
        engine=engine,
        every_min=every,
        table=TABLES[scrontab],
        only_print=only_print,
        say=talk(quiet=quiet),
    )
    if not only_print:
        what = "is in" if made.changed else "was already in"
        talk(quiet=quiet)(f"the line {what} your {made.table}; its log: {made.log}")
    what_is = {"line": made.text, "table": made.table, "log": str(made.log), "changed": made.changed}
    answer(what_is, made.text.rstrip("\n"), as_json=as_json)


@command("remove", of=cron)
@click.argument("bundle", type=FOLDER)
@run_option
@scrontab_option
def remove(bundle: Path, run_name: str, *, scrontab: bool, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Take a bundle's line out of your crontab, and nothing else. A run that is going on goes on: see `cancel`.

    Example: sciflow cron remove bundles/digits-0123456789ab
    """
    removed = api.cron_remove(bundle, run_name, table=TABLES[scrontab])
    answer({"removed": removed}, "removed" if removed else "there was none", as_json=as_json)
