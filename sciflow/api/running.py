"""Start a bundle here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING

from sciflow.api.carrying import Say, choose, present, silent
from sciflow.errors import BundleError, UsageError
from sciflow.runner import names, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence


def refuse_changed(path: Path) -> None:
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
    tasks: Sequence[str] = (),
    steps: Sequence[str] = (),
    max_failures: int | None = None,
    quiet: bool = False,
    say: Say = silent,
) -> tuple[Path, int]:
    """Run what remains of a bundle here; return the run's folder and the runner's exit code (0 done, 5 incomplete, …).

    The runner of the bundle itself does the work, in a process of its own; it talks on standard error, and `quiet`
    keeps it from saying how far it is. With `degrade`, tasks that ask for more than is here run with what is here, and
    the records say so. `programs` is a PATH for the host engine, instead of this process's own.

    `tasks` and `points` together choose the steps of these tasks at these points, `steps` (`train/12`) single ones
    beside them; what they need is run too. After `max_failures` failed steps no more are started (0: never; left out:
    as the workflow says). Raises UsageError for what the bundle does not have.
    """
    from sciflow.bundle import folder

    refuse_changed(path)
    bundle = folder.read(path)
    place = bundle.run(run_name)
    fault = wanted.refusal(bundle.plan, points, tasks, steps)
    if fault:
        raise UsageError(fault[0], hint=fault[1])
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
    words += [
        *(word for task in tasks for word in ("--task", task)),
        *(word for step in steps for word in ("--step", step)),
    ]
    words += [] if max_failures is None else ["--max-failures", str(max_failures)]
    words += ["--quiet"] if quiet else []
    environment = {**os.environ, "PATH": programs} if programs else None
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment)
    while True:
        try:
            return place, process.wait()
        except KeyboardInterrupt:
            continue  # the runner had the same signal, and ends its steps in order
