"""Start a bundle, here or on Slurm, and see how far it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api.carrying import Say, choose, present, silent
from sciflow.errors import BundleError, SurroundingsError, UsageError
from sciflow.runner import names, rounds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _refuse_changed(path: Path) -> None:
    """Raise BundleError, naming what changed, unless a bundle is what was sealed. Who sealed it is not asked."""
    from sciflow.bundle import folder
    from sciflow.bundle import verify as verdicts

    folder.expect(path)
    found = verdicts.judge(path)
    if found.code == names.EXIT_CHANGED:
        raise BundleError(
            "\n".join(found.lines()), hint="copy the bundle again from where it is whole, or compile it anew"
        )


def run(
    path: Path,
    run_name: str = names.DEFAULT_RUN,
    *,
    engine: str | None = None,
    jobs: int | None = None,
    now: bool = False,
    failed: bool = False,
    degrade: bool = False,
    programs: str | None = None,
    points: Sequence[int] = (),
    say: Say = silent,
) -> tuple[Path, int]:
    """Run what remains of a bundle here; return the run's folder and the runner's exit code (0 done, 5 incomplete, …).

    The runner of the bundle itself does the work, in a process of its own; it talks on standard error. With `degrade`,
    tasks that ask for more than is here run with what is here, and the records say so. `programs` is a PATH for the
    host engine, instead of this process's own.
    """
    from sciflow.bundle import folder

    _refuse_changed(path)
    bundle = folder.read(path)
    place = bundle.run(run_name)
    chosen = choose(bundle, engine)
    present(bundle, chosen, say)
    words = [
        sys.executable,
        "-I",
        "-B",
        str(path / names.RUNNER / "__main__.py"),
        "run",
        "--run",
        run_name,
        "--engine",
        chosen,
    ]
    words += [*(["-j", str(jobs)] if jobs else []), *(["--now"] if now else []), *(["--failed"] if failed else [])]
    words += [*(["--degrade"] if degrade else []), *(word for point in points for word in ("--point", str(point)))]
    environment = {**os.environ, "PATH": programs} if programs else None
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment)
    while True:
        try:
            return place, process.wait()
        except KeyboardInterrupt:
            continue  # the runner had the same signal, and ends its steps in order


def submit(path: Path, *, say: Say = silent) -> int:
    """Submit a bundle to Slurm, as `sbatch launch.sh` does; return the job's id."""
    from sciflow.bundle import folder

    _refuse_changed(path)
    bundle = folder.read(path)
    present(bundle, choose(bundle, None), say)
    logs = bundle.run() / names.LOGS
    logs.mkdir(parents=True, exist_ok=True)
    try:
        answer = rounds.ask(
            [
                "sbatch",
                "--parsable",
                f"--output={str(logs).replace('%', '%%')}/launch-%j.log",
                str(path.resolve() / names.LAUNCHER),
            ],
            tries=rounds.SBATCH_TRIES,
        )
    except rounds.SlurmError as error:
        raise SurroundingsError(str(error)) from error
    return int(answer.strip().split(";")[0])


def status(path: Path, run_name: str = names.DEFAULT_RUN) -> dict[str, Any]:
    """Count what is on record: {"steps", "tasks": {task: {"steps", state: n}}, "rounds", "jobs"}.

    `jobs` are those of the last round that Slurm still has.
    """
    from sciflow.bundle import folder
    from sciflow.runner import records

    bundle = folder.read(path)
    settled, _ = bundle.settled(run_name)
    found: dict[str, Any] = {"run": run_name, **records.counts(bundle.plan, settled)}
    past = rounds.rounds(str(bundle.run(run_name)))
    found["rounds"] = len(past)
    found["jobs"] = []
    if past and shutil.which("squeue"):
        try:
            found["jobs"] = rounds.live([job["id"] for job in past[-1][1]["jobs"] if job["id"]])
        except rounds.SlurmError as error:
            found["jobs_unknown"] = str(error)  # records are the truth; that the queue is out of reach is worth a word
    return found


def logs(path: Path, step: str | None = None, run_name: str = names.DEFAULT_RUN) -> list[Mapping[str, Any]]:
    """Return the record of one step (`train/12`), or of every step that did not succeed. Raises UsageError."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    settled, _ = bundle.settled(run_name)
    if step is None:
        return [record for _, record in sorted(settled.items()) if record["state"] not in (names.DONE, names.SKIPPED)]
    task, _, number = step.partition("/")
    record = settled.get((task, int(number))) if number.isdecimal() else None
    if record is None:
        known = ", ".join(f"{entry['name']}/0…{entry['steps'] - 1}" for entry in bundle.plan["tasks"])
        raise UsageError(f"run `{run_name}` has no record of a step `{step}`", hint=f"the steps are {known}")
    return [record]
