"""F1, F9, F27, in the launcher: killed at any call of the system, and launched again, it doubles nothing and loses nothing.

Slurm's commands are stood in for by `controller.py`, which keeps what it was told. SCIFLOW_FAULT_POINTS says at how many
points it is tried.
"""

import collections
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults import controller
from tests.faults import scene as made
from tests.runner.conftest import studies, task

pytestmark = pytest.mark.live("strace")
MANY = made.POINTS or 10
WAIT_S = 0.6  # a step takes so long: were it in two elements that wait for the same, both would run it
TASKS = (
    task("first", f"sleep {WAIT_S}; echo 1 > o", outputs={"o": "o"}, resources={"time_s": 1800}),
    task("each", f"sleep {WAIT_S}", uses=["x"], needs=["first"], resources={"time_s": 1800}),
    task("last", f"sleep {WAIT_S}", needs=["each"], gather="each"),
)
ROWS = ({"x": 1}, {"x": 2})
STEPS = {("first", 0), ("each", 0), ("each", 1), ("last", 0)}


class Site(made.Scene):
    """A bundle beside a Slurm that is stood in for."""

    def __init__(self, study):
        super().__init__(study)
        self.bed = study.path.parent / "slurm"
        self.bin = study.path.parent / "bin"
        controller.put(self.bed, self.bin)
        self.queue = None

    def clear(self):
        super().clear()
        shutil.rmtree(self.bed, ignore_errors=True)
        self.queue = controller.Queue(self.bed)

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
        return {**kept, "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", **more}

    def launch(self, *strace):
        """Launch as a person does; return (exit code, what it said) once the commands that it called have ended, too."""
        found = subprocess.run(
            [*strace, *self.study.words("round")],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=made.RUN_S,
        )
        end = time.monotonic() + made.PATIENCE_S
        while any(str(self.bed) in words for words in self.alive().values()) and time.monotonic() < end:
            time.sleep(0.01)
        return found.returncode, found.stderr

    def begin(self, job, element):
        """Start an element as Slurm does, from its script."""
        settings = {"SLURM_JOB_ID": str(job["id"]), "SLURMD_NODENAME": "n1"}
        if job["count"]:
            settings |= {"SLURM_ARRAY_JOB_ID": str(job["id"]), "SLURM_ARRAY_TASK_ID": str(element)}
        return subprocess.Popen(
            ["sh", "-c", job["script"]],
            env=self.environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def drive(self):
        """Start all that waits for nothing, at once, and so on until nothing is left; return what it said."""
        said, running = "", {}
        while True:
            for job, element in self.queue.ready():
                if (job["id"], element) not in running:
                    running[job["id"], element] = self.begin(job, element)
            if not running:
                return said
            for key, process in list(running.items()):
                if process.poll() is not None:
                    said += process.communicate()[1]
                    del running[key]
                    self.queue.end(*key)
            time.sleep(0.02)

    def attempts(self):
        """Return {(task, step): how many attempts are on record}."""
        return collections.Counter(
            (record["task"], record["step"]) for record in self.records() if record.get("state", "skipped") != "skipped"
        )


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    makings = [studies(tmp_path_factory.mktemp("site")) for _ in range(made.AT_ONCE)]
    yield [Site(next(making)(TASKS, ROWS)) for making in makings]
    for making in makings:
        next(making, None)


def undisturbed(site, log):
    """Launch, and drive all of it to the end; return {name of a call: [(name, which), …]} of the launcher's own work."""
    site.clear()
    code, said = site.launch("strace", "-qq", "-o", str(log))
    assert code == 0, said
    said = site.drive()
    assert site.attempts() == dict.fromkeys(STEPS, 1), said
    counts, found, begun = collections.Counter(), {}, False
    for line in log.read_text(errors="replace").splitlines():
        begun = begun or "manifest.json" in line
        match = re.match(r"(\w+)\(", line)
        if match:
            counts[match.group(1)] += 1
            if begun:
                found.setdefault(match.group(1), []).append((match.group(1), counts[match.group(1)]))
    return found


def test_a_launcher_killed_at_any_call_and_launched_again_doubles_nothing_and_loses_nothing(sites, tmp_path):
    """F1, F9: no step is in the hands of two jobs at once, and all are done when the queue is empty."""
    points, hit = undisturbed(sites[0], tmp_path / "log"), []

    def act(site, point):
        name, which = point
        inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={which}"]
        code, said = site.launch("strace", "-qq", "-o", str(site.log), *inject)
        hit.append(code < 0)
        found = ["it went wrong: " + said] if "Traceback" in said else []
        code, said = site.launch()
        found += [f"launched again it ends with {code}: {said}"] if code else []
        told = site.drive()
        attempts = site.attempts()
        if attempts != dict.fromkeys(STEPS, 1):
            found.append(f"attempts at steps are {dict(attempts)}; it said {said} {told}")
        return found

    chosen = made.spread(points, MANY)
    found = made.each(sites, chosen, act)
    print(f"launcher: {sum(map(len, points.values()))} calls, {len(chosen)} tried, {sum(hit)} killed")
    assert found == []
    assert sum(hit) > len(hit) / 2  # no two runs are alike to the last call


def test_a_bundle_changed_between_submission_and_start_is_refused(sites):
    """F27: by the job that was to run a part of it; nothing is run, and mended it goes on."""
    site = sites[0]
    site.clear()
    assert site.launch()[0] == 0
    plan = site.path / "plan.json"
    text = plan.read_text()
    (job, element) = next((job, one) for job, one in site.queue.ready() if job["count"])
    for path, change in (
        (plan, text.replace("sleep", "sleeq")),
        (site.path / "runner/work.py", "raise SystemExit(9)\n"),
    ):
        before = path.read_text()
        path.write_text(change)
        process = site.begin(job, element)
        said = process.communicate(timeout=made.RUN_S)[1]
        assert (process.returncode, Path(path).name in said) == (4, True), said
        path.write_text(before)
    assert not site.attempts()
    site.drive()
    assert site.attempts() == dict.fromkeys(STEPS, 1)


def test_the_folder_of_logs_is_made_before_anything_is_submitted(sites):
    """F22: Slurm fails a job without a word whose log it cannot open."""
    site = sites[0]
    site.clear()
    shutil.rmtree(site.path / "runs", ignore_errors=True)
    code, said = site.launch()
    assert (code, bool(site.queue.all())) == (0, True), said
