"""Have cron do what remains of a bundle: put its line into the user's crontab, or take it away."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.api.carrying import Say, choose, present, silent
from sciflow.api.running import refuse_changed
from sciflow.errors import SurroundingsError
from sciflow.runner import crontab, launched, names, ranks, turn

if TYPE_CHECKING:
    from sciflow.bundle.folder import Bundle

EVERY_MIN = 5
KEPT = (
    "APPTAINER_CACHEDIR",
    "DOCKER_HOST",
    "PATH",
    "SCIFLOW_CACHE",
    "SCIFLOW_PYTHON",
    "SCIFLOW_TRUST",
    "SLURM_CONF",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
)
"""Variables that a run heeds, or its engine: cron knows none of them, and calls with those of this moment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A run's line: what stands in the table, or would; and whether the table was changed."""

    text: str
    table: str
    log: Path
    changed: bool


def cron_install(
    path: Path,
    run_name: str = names.DEFAULT_RUN,
    *,
    engine: str | None = None,
    every_min: int = EVERY_MIN,
    table: str = crontab.TABLES[0],
    only_print: bool = False,
    say: Say = silent,
) -> Line:
    """Put a run's line into the user's crontab (or scrontab), in place of one that it has there; return it.

    All other lines stay as they are. With `only_print` nothing is changed. The engine is chosen, and its image made
    ready, now: cron's calls use that one. Raises BundleError, UsageError, SurroundingsError.
    """
    from sciflow.bundle import folder
    from sciflow.launchers import cron

    refuse_changed(path)
    bundle = folder.read(path)
    fault = ranks.refusal(bundle.plan["tasks"])
    if fault:
        raise SurroundingsError(fault)
    chosen = choose(bundle, engine)
    text, mark = _rendered(bundle, run_name, chosen, every_min, table)
    run = bundle.run(run_name)
    log = run / names.LOGS / cron.LOG
    if only_print:
        return Line(text=text, table=table, log=log, changed=False)
    present(bundle, chosen, say)
    run.mkdir(parents=True, exist_ok=True)
    (run / names.CANCEL).unlink(missing_ok=True)  # that was for those at work then: this is a fresh start
    turn.forget(str(run))
    if bundle.plan["schedule"]["max_wait_s"]:
        launched.note(str(run), int(time.time()))
    return Line(text=text, table=table, log=log, changed=_change(table, mark, text))


def cron_remove(path: Path, run_name: str = names.DEFAULT_RUN, *, table: str = crontab.TABLES[0]) -> bool:
    """Take a run's line out of the user's crontab (or scrontab), and nothing else; say whether it had one."""
    from sciflow.bundle import folder

    folder.read(path)
    return _change(table, str(crontab.mark(str(path.resolve()), run_name)), "")


def _rendered(bundle: Bundle, run_name: str, engine: str, every_min: int, table: str) -> tuple[str, str]:
    from sciflow.launchers import cron

    place = str(bundle.path.resolve())
    mark = str(crontab.mark(place, run_name))
    settings = {name: os.environ[name] for name in KEPT if os.environ.get(name)}
    if "PATH" in settings:
        folders = dict.fromkeys(settings["PATH"].split(os.pathsep))
        settings["PATH"] = os.pathsep.join(one for one in folders if Path(one).is_absolute() and Path(one).is_dir())
    text = cron.line(
        bundle=place, run=run_name, mark=mark, engine=engine, every=every_min, settings=settings, table=table
    )
    return (cron.entry(bundle.plan, text, mark) if table == cron.SCRON else text), mark


def _change(table: str, mark: str, text: str) -> bool:
    """Change the table: a text in place of a mark's lines, or none. Raises SurroundingsError."""

    def edit(found: bytes) -> bytes:
        return bytes(crontab.added(found, mark, text) if text else crontab.without(found, mark))

    try:
        return bool(crontab.change(table, edit))
    except crontab.TableError as error:
        hint = "your site may not let you use it: `--print` shows the line; on Slurm, `sbatch launch.sh` needs no cron"
        raise SurroundingsError(str(error), hint=hint) from error
