"""Runs an experiment from beginning to end: compile, wait for its hours, run, collect."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from sciflow.api import carrying, found, plain, running, submitting
from sciflow.api.clock import Clock, SystemClock, wait
from sciflow.errors import IncompleteError, SurroundingsError, UsageError
from sciflow.runner import facts, hours, names, slurm
from sciflow.workflow.faults import likely

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN_NAME = ("host", "apptainer", "docker", "podman")
BACKENDS = {"auto": None, "local": None, **{name: name for name in OWN_NAME}, "slurm": None}
UNMET = ("degrade", "strict")
RUN_NOW = "SCIFLOW_RUN_NOW"
POLL_S = 15.0
TOLD_FAILURES = 3
HOUR_S = 3600


class Compilable(Protocol):
    """What an engine can run: an ExperimentalWorkflow, a Workflow."""

    def compile(self, into: str | Path, **words: Any) -> plain.Bundle:
        """Compile it into a bundle below a folder."""
        ...


def tell(text: str) -> None:
    """Say a line on standard error."""
    sys.stderr.write(f"sciflow: {text}\n")
    sys.stderr.flush()


class Engine:
    """Runs sweeps here, or on Slurm.

    `workers`: cores to use (all there are, if left out). `backend`: `auto` (or `local`: the first container engine that
    works, or the host where there is no image), `host`, `apptainer`, `docker`, `podman`, `slurm`. `on_unmet`: where a
    task asks for more than is here, `degrade` runs it with what is here, and says so on record; `strict` refuses before
    anything starts. `run_now` starts outside the workflow's hours. `into`: where bundles go. `say` is told what
    happens.
    """

    def __init__(
        self,
        workers: int | None = None,
        backend: str = "auto",
        clock: Clock | None = None,
        on_unmet: str = "degrade",
        *,
        run_now: bool = False,
        into: str | Path = "bundles",
        say: carrying.Say = tell,
    ) -> None:
        """Choose how to run. Raises UsageError."""
        if backend not in BACKENDS:
            raise UsageError(f"there is no backend `{backend}`", hint=likely(str(backend), BACKENDS, what="backends"))
        if on_unmet not in UNMET:
            raise UsageError(f"`on_unmet` is `{on_unmet}`", hint="`degrade` or `strict`")
        if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
            raise UsageError(f"`workers` is `{workers}`", hint="wanted: a number of cores, 1 or more")
        self.workers, self.backend, self.on_unmet = workers, backend, on_unmet
        self.clock: Clock = clock or SystemClock()
        self.run_now = run_now or os.environ.get(RUN_NOW, "") not in ("", "0")
        self.into, self.say = Path(into), say

    def __repr__(self) -> str:
        """Say what it is, in a line."""
        return f"<Engine {self.backend!r}, workers: {self.workers or 'all cores'}>"

    def execute_parameter_sweep(
        self,
        workflow: Compilable,
        raise_on_failure: bool = False,  # noqa: FBT001, FBT002  a word of the published API
        *,
        sweep: str = "",
    ) -> found.Results:
        """Compile a workflow, run what remains of it, and return the results, also where steps failed.

        Of several sweeps the named one is run. It waits for the workflow's hours first. Raises WorkflowError,
        SurroundingsError; IncompleteError where steps failed and `raise_on_failure` is said.
        """
        bundle = workflow.compile(self.into, sweep=sweep, say=self.say)
        if self.backend == "slurm":
            started = "at once"
            self._on_slurm(bundle)
        else:
            started = self._here(bundle)
        results = bundle.collect()
        results.started = started
        lost = self._lost(results)
        if lost and raise_on_failure:
            raise IncompleteError(lost, hint="`results.failed` names them all; leave out `raise_on_failure` to have it")
        if lost:
            self.say(lost)
        return results

    def _here(self, bundle: plain.Bundle) -> str:
        engine = BACKENDS[self.backend] or (None if bundle.plan["image"] else "host")
        self._refuse_unmet(bundle.plan)
        counts = bundle.status()["tasks"].values()
        remains = any(task["steps"] > task.get(names.DONE, 0) for task in counts)
        started = self._wait(bundle.plan) if remains else "at once"
        place, code = running.run(
            bundle.path,
            engine=engine,
            jobs=self.workers,
            # The hours have been waited for, by this engine's clock. By the system's, hard ones end it at closing, too.
            now=started != "in hours" or not isinstance(self.clock, SystemClock),
            degrade=self.on_unmet == "degrade",
            programs=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            say=self.say,
        )
        plain.heed(code, place)
        return started

    def _refuse_unmet(self, plan: Mapping[str, Any]) -> None:
        capacity = facts.capacity()
        capacity["cpus"] = self.workers or capacity["cpus"]
        lacking = facts.lacking(plan["tasks"], capacity)
        if not lacking or self.on_unmet != "strict":
            return
        told = "; ".join(
            f"`{task}` asks for "
            + ", ".join(f"{what} {wanted} (here: {there})" for what, (wanted, there) in short.items())
            for task, short in lacking.items()
        )
        raise SurroundingsError(
            f"this machine cannot run it: {told}", hint='`on_unmet="degrade"` runs with what is here'
        )

    def _wait(self, plan: Mapping[str, Any]) -> str:
        """Wait for the workflow's hours, and say why it is time to start."""
        schedule, now = plan["schedule"], int(self.clock.now())
        if schedule["policy"] == "now":
            return "at once"
        start, _ = hours.window(schedule, now, since=now)
        if start <= now:
            self._overrun(plan)
            return "in hours"
        if self.run_now:
            return "run_now"
        forced = start < hours.window({**schedule, "max_wait_s": 0}, now)[0]
        shown = time.strftime("%H:%M", time.gmtime(start + hours.offset(schedule["transitions"], start)))
        why = f"off_peak, after max_wait of {_spoken(schedule['max_wait_s'])}" if forced else "off_peak"
        self.say(f"waiting until {shown} ({why}); {RUN_NOW}=1 or Engine(run_now=True) to start")
        self._overrun(plan)
        wait(self.clock, start)
        return "max_wait" if forced else "in hours"

    def _overrun(self, plan: Mapping[str, Any]) -> None:
        """Warn of tasks that may go on when the hours are over: the hours say when work starts, not when it ends."""
        length_s = hours.longest({**plan["schedule"], "weekends": False})
        if not length_s:
            return
        long = [task for task in plan["tasks"] if task["resources"]["time_s"] > length_s]
        if long:
            tasks = ", ".join(f"`{task['name']}` ({_spoken(task['resources']['time_s'])})" for task in long)
            self.say(f"warning: {tasks} may take longer than the window of {_spoken(length_s)}, and go on after it")

    def _on_slurm(self, bundle: plain.Bundle) -> None:
        """Submit the bundle, and look every few seconds until Slurm has nothing of it any more."""
        job = submitting.submit(bundle.path, say=self.say)
        self.say(f"submitted as job {job}")
        while True:
            counts = bundle.status()
            if all(task["steps"] <= task.get(names.DONE, 0) for task in counts["tasks"].values()):
                return
            try:
                there = {one for told in slurm.queue().values() for one, _, _ in told}
            except slurm.SlurmError as error:
                raise SurroundingsError(str(error)) from error
            if not there.intersection([job, *counts["jobs"]]):
                return
            self.clock.sleep(POLL_S)

    def _lost(self, results: found.Results) -> str:
        """Say which steps failed, in a line; nothing where none did."""
        lost = results.failed
        if not lost:
            return ""
        some = "; ".join(f"{one.task}/{one.step} {one.state}: {one.reason}" for one in lost[:TOLD_FAILURES])
        return f"{len(lost)} of {results.steps.height} steps are not done: {some}" + "; …" * (len(lost) > TOLD_FAILURES)


def _spoken(seconds: int) -> str:
    return f"{seconds / HOUR_S:g} h"
