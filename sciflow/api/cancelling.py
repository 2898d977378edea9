"""Stop a run in good order: a word to all its workers, a signal to those of this machine, an end to its Slurm jobs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api.carrying import Say, silent
from sciflow.api.whole import replace
from sciflow.runner import facts, journal, names, slurm

if TYPE_CHECKING:
    from sciflow.bundle.workers import Worker

WAIT_S = 60.0
LOOK_S, SLURM_S, TOLD_S = 0.2, 2.0, 10.0
LAUNCH_S = 120.0  # a round submits its jobs in less


@dataclass(frozen=True, kw_only=True, slots=True)
class Cancelled:
    """What a cancel did: workers of this machine that ended and those that did not, those told elsewhere, Slurm's jobs.

    `jobs` were ended, `jobs_left` Slurm still has; `jobs_unknown` says why Slurm could not be asked, or nothing.
    """

    run: Path
    ended: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    jobs: tuple[int, ...] = ()
    jobs_left: tuple[int, ...] = ()
    jobs_unknown: str = ""

    @property
    def over(self) -> bool:
        """Say whether nothing that can be seen from here is left."""
        return not (self.left or self.jobs_left or self.jobs_unknown)


def cancel(path: Path, run_name: str = names.DEFAULT_RUN, *, wait_s: float = WAIT_S, say: Say = silent) -> Cancelled:
    """Stop a run in good order, and wait until it has stopped here; what was done stays on record.

    Workers heed a file in the run's folder, those of this machine a signal too. Jobs are ended by the ids that this
    run's rounds wrote down, and by no other sign. The next start of the run takes the file away.
    """
    from sciflow.bundle import folder, workers

    run = folder.read(path).run(run_name)
    if not run.is_dir():
        return Cancelled(run=run)
    replace(run / names.CANCEL, json.dumps({"time": int(time.time()), "host": facts.owner()[0]}) + "\n")
    asked: dict[str, Worker] = {}
    elsewhere: dict[str, Worker] = {}
    jobs, end, looked, told = _Jobs(run), time.monotonic() + wait_s, float("-inf"), time.monotonic()
    while True:
        crew = [worker for worker in workers.read(run) if not worker.gone]
        elsewhere |= {worker.name: worker for worker in crew if not worker.here}
        for worker in crew:
            if worker.here and worker.name not in asked:
                say(f"stopping worker {worker.name} (process {worker.pid} on {worker.host})")
                _signal(worker)
                asked[worker.name] = worker
        if time.monotonic() - looked >= SLURM_S:
            looked = time.monotonic()
            jobs.end(say)
        left = sorted(worker.name for worker in crew if worker.here)
        if not (left or jobs.left or jobs.coming()) or time.monotonic() >= end:
            break
        if time.monotonic() - told >= TOLD_S:
            told = time.monotonic()
            say(f"waiting for {len(left)} workers and {len(jobs.left)} jobs to end")
        time.sleep(LOOK_S)
    return Cancelled(
        run=run,
        ended=tuple(sorted(set(asked) - set(left))),
        left=tuple(left),
        elsewhere=tuple(f"{name} on {elsewhere[name].host}" for name in sorted(elsewhere)),
        jobs=tuple(sorted(jobs.asked - jobs.left)),
        jobs_left=tuple(sorted(jobs.left)),
        jobs_unknown=jobs.unknown,
    )


def _signal(worker: Worker) -> None:
    """Ask a worker of this machine to stop. It is looked at once more: a process's number may be another's by now."""
    if facts.gone([worker.host, worker.boot, worker.pid, worker.started]):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # it has just ended; or it is another user's
        os.kill(worker.pid, signal.SIGTERM)


class _Jobs:
    """The jobs that a run's rounds wrote down, as far as Slurm still has them."""

    def __init__(self, run: Path) -> None:
        self._run = str(run)
        self.asked: set[int] = set()
        self.left: set[int] = set()
        self.unknown = ""

    def coming(self) -> bool:
        """Say whether a round is just submitting: its jobs are written down one after the other."""
        past = journal.rounds(self._run)
        return bool(past) and not past[-1][1]["ready"] and time.time() - past[-1][1]["time"] < LAUNCH_S

    def end(self, say: Say) -> None:
        """End what Slurm has of them; one that a round submits meanwhile is found the next time."""
        written = journal.recorded(self._run)
        if not written:
            return
        if not shutil.which("squeue") or not shutil.which("scancel"):
            self.unknown = "Slurm's commands are not on this machine's PATH: say it again where they are"
            return
        try:
            standing: list[dict[str, Any]] = journal.standing(written)
            new = [int(job["id"]) for job in standing if int(job["id"]) not in self.asked]
            if new:
                say(f"ending Slurm's jobs {', '.join(str(job) for job in new)}")
                slurm.ask(["scancel", *(str(job) for job in new)], tries=slurm.TRIES)
        except slurm.SlurmError as error:
            self.unknown = str(error)
            return
        self.asked |= set(new)
        self.left, self.unknown = {int(job["id"]) for job in standing}, ""
