"""A small sweep on a private cluster: a plain user's study, its launches, what is on record, and a checker of it all.

Its steps can be held: each says that it is at work, then waits for a gate to be opened. So what a test injects always
comes while a step runs, however fast or slow the machine is.
"""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from sciflow import api
from sciflow.runner import journal, names, records
from tests.conftest import PLAIN_USER
from tests.live.cluster import processes

ROOT = Path(__file__).parent.parent.parent
RUNUSER = shutil.which("runuser") or "/usr/sbin/runuser"
# A step is held until the gate is open: to all, or to those of its point.
HELD = ": > LIVE/{x}-$$; while [ ! -e LIVE/open ] && [ ! -e LIVE/open-{x} ]; do sleep 0.1; done; "
# A declared time of ten minutes: three such steps make an element of one chain.
WORKFLOW = """\
format = 1

[workflow]
name = "chains"

[parameters]
x = { range = [0, POINTS] }

[tasks.first]
shell = "FIRST echo {x} > a.txt"
outputs = { a = "a.txt" }
resources = { memory = "50 MB", time = "10m", cpus = CPUS }

[tasks.second]
needs = ["first"]
shell = "NAP read a < {first.a}; echo $((a * 2)) > b.txt"
outputs = { b = "b.txt" }
resources = { memory = "50 MB", time = "10m" }

[tasks.third]
needs = ["second"]
shell = '''read b < {second.b}; printf '{{"y": %s}}' $b > metrics.json'''
metrics = "metrics.json"
resources = { memory = "50 MB", time = "10m" }

[tasks.total]
gather = "second"
shell = '''NAP sort -n {second.records} | wc -l > t.txt; read t < t.txt; printf '{{"t": %s}}' $t > metrics.json'''
outputs = { t = "t.txt" }
metrics = "metrics.json"
resources = { memory = "50 MB", time = "10m" }
"""
NEEDS = {"first": (), "second": ("first",), "third": ("second",), "total": ("second",)}
DRAINED_S = 300


def plain(environment, *words, cwd="/", check=True, **more):
    """Run a command as the plain user; return it, done."""
    done = subprocess.run(
        [RUNUSER, "-u", PLAIN_USER, "--", *map(str, words)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=DRAINED_S,
        **more,
    )
    assert not check or done.returncode == 0, (words, done.stdout, done.stderr)
    return done


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A study of so many points, compiled, in a folder of the plain user's, and the cluster it runs on."""

    cluster: object
    folder: Path
    bundle: Path
    points: int

    @property
    def run(self):
        return self.bundle / names.RUNS / names.DEFAULT_RUN

    @property
    def live(self):
        return self.folder / "live"

    @property
    def steps(self):
        return 3 * self.points + 1

    def plain(self, *words, **more):
        """Run a command as the plain user, on this cluster."""
        return plain(self.cluster.environment, *words, cwd=self.folder, **more)

    def launch(self, *options):
        """Submit the bundle as its user does; return the job's id."""
        said = self.plain("sbatch", "--parsable", "--output=launch-%j.out", *options, self.bundle / names.LAUNCHER)
        return int(said.stdout)

    def runner(self, *words, check=False, **settings):
        """Run a verb of the bundle's own runner, here."""
        environment = {**self.cluster.environment, **settings}
        words = ["/usr/bin/python3", "-I", "-B", self.bundle / "runner" / "__main__.py", *words]
        return plain(environment, *words, cwd=self.folder, check=check)

    def sciflow(self, code, *words):
        """Run a few lines of Python that use sciflow, as the plain user."""
        settings = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        return plain(
            {**self.cluster.environment, **settings}, "/usr/bin/python3", "-c", code, self.bundle, *words, check=False
        )

    def at_work(self, x=None):
        """Return the first steps that have begun, as (point, process), whether or not they still run."""
        found = [tuple(map(int, path.name.split("-"))) for path in self.live.glob("[0-9]*-*")]
        return sorted(one for one in found if x is None or one[0] == x)

    def held(self, count):
        """Wait until so many first steps have begun, and wait at the gate."""
        self.cluster.until(lambda: len(self.at_work()) >= count, f"{count} steps to begin", DRAINED_S)

    def doubled(self):
        """Return the processes of each first step of which more than one copy lives, as [(pid, …), …]: split brains."""
        alive, living = set(processes(self.live)), defaultdict(list)
        for x, pid in self.at_work():
            if pid in alive:
                living[x].append(pid)
        return [tuple(pids) for pids in living.values() if len(pids) > 1]

    def open(self, x=None):
        """Open the gate."""
        (self.live / ("open" if x is None else f"open-{x}")).touch()

    def queue(self, wanted="%i %j %T %r"):
        """Return what Slurm has of the user, a line an element."""
        return self.cluster.ask("squeue", "-h", "-r", "-u", PLAIN_USER, "-o", wanted).splitlines()

    def jobs(self):
        """Return {element's task-part of the job's name: [(array id, index)]} of the run's jobs that Slurm has."""
        found = defaultdict(list)
        for line in self.queue("%j %F %K"):
            name, job, index = line.split()
            found[name.removeprefix("sciflow-chains").lstrip("-")].append((int(job), index))
        return found

    def drained(self, limit_s=DRAINED_S, *, held=False):
        """Wait until the user has no job left; or, with `held`, none but such as Slurm holds, and what waits for them."""

        def empty():
            self.cluster.resume()
            told = self.cluster.ask("squeue", "-h", "-r", "-u", PLAIN_USER, "-o", "%T %r", check=False).splitlines()
            kept = any("held" in line for line in told)
            over = kept and all(line.startswith("PENDING") and ("held" in line or "Depend" in line) for line in told)
            return (not told or (held and over)) and self.cluster.answers()

        try:
            self.cluster.until(empty, "the queue to empty", limit_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.queue()}\n{self.said()}") from None

    def idle(self, limit_s=60):
        """Wait until no runner of this bundle is at work, whether Slurm knows of it or not."""
        self.cluster.until(lambda: not self.workers(), "the last worker to end", limit_s)

    def workers(self):
        """Return the processes that run an element of this bundle."""
        wanted = os.fsencode(self.bundle / "runner" / "__main__.py")
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit():
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if words[0].endswith(b"python3") and wanted in words and b"element" in words:
                        found.append(int(entry.name))
        return found

    def finish(self, launches=8):
        """Launch until nothing remains, and nothing is held; return how many launches that took."""
        for number in range(launches):
            self.drained(held=True)
            for line in self.queue("%i %j %r"):
                job, name, reason = line.split(None, 2)
                if name == "sciflow-chains" and "held" in reason:  # a launch that Slurm could not start: its user's
                    self.plain("scancel", job)
            if not self.queue() and Counter(self.states().values())["done"] == self.steps:
                return number
            self.launch()
        raise AssertionError(f"{launches} launches have not finished it: {self.states()}\n{self.said()}")

    def said(self):
        """Return the ends of the logs of launches and rounds."""
        paths = [*sorted(self.folder.glob("launch-*.out")), *sorted((self.run / names.LOGS).glob("*.log"))]
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1500:]}" for path in paths)

    def records(self):
        """Return all that is on record of steps, in the order of the segments."""
        return [one for one in records.read(str(self.run)) if "facts" not in one]

    def settled(self):
        return records.settle(str(self.run), self.records())[0]

    def states(self):
        """Return {(task, step): state}."""
        return {key: record["state"] for key, record in self.settled().items()}

    def table(self):
        """Return the table of the run, collected anew."""
        return (api.collect(self.bundle, names.DEFAULT_RUN).parent / "results.csv").read_bytes()

    def rounds(self):
        return journal.rounds(str(self.run))

    def check(self):
        """Hold the whole history of attempts against what must be true of it, whatever has happened."""
        return faults(self.run, self.points, self.records())

    def whole(self, wanted):
        """Say that the sweep has come out as if nothing had happened."""
        assert self.check() == []
        assert set(self.states().values()) == {"done"}, self.said()
        assert len(self.states()) == self.steps
        assert self.table() == wanted


def upstream(task, step, points):
    """Return what a step needs."""
    if task == "total":
        return [("second", number) for number in range(points)]
    return [(need, step) for need in NEEDS[task]]


def faults(run, points, found):
    """Return what is wrong with a history of attempts: [] where each step has one winner, and none began too early.

    Every success of a step must have left the same; of those with outputs one has the step's name, and its record.
    """
    settled, done = records.settle(str(run), found)[0], defaultdict(list)
    for one in found:
        if one["state"] in (names.DONE, names.SUPERSEDED):
            done[one["task"], one["step"]].append(one)
    told = [fault for key in sorted(done) for fault in _winners(run, key, done[key], settled[key])]
    for one in found:
        for need in upstream(one["task"], one["step"], points) if one["state"] != names.SKIPPED else ():
            if need not in settled or settled[need]["state"] != names.DONE:
                told.append(f"{one['task']}/{one['step']} was started, and {need} has not succeeded")
            elif min(other["end"] for other in done[need]) > one["start"]:
                told.append(f"{one['task']}/{one['step']} was started before {need} had ended")
    return told


def _winners(run, key, found, settled):
    """Yield what is wrong with the successes of a step."""
    contents = {
        names.canonical([one["metrics"], {name: put["sha256"] for name, put in one["outputs"].items()}])
        for one in found
    }
    if len(contents) > 1:
        yield f"{key}: attempts that succeeded differ: {sorted(contents)}"
    if settled["state"] != names.DONE:
        yield f"{key}: it succeeded, and stands as {settled['state']}"
    folder = Path(records.step_folder(str(run), *key))
    published = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    if found[0]["outputs"] and published != [settled["attempt"]]:
        yield f"{key}: {settled['attempt']} counts, and published are {published}"


@contextlib.contextmanager
def swept(cluster, *, points, held=False, first="", cpus=1, nap="", disk=""):
    """Make a sweep in a folder of the plain user's; when it is left, its jobs are ended and the folder removed.

    `held`: first steps wait at the gate; `first` is what they run before anything; `nap` what later ones do. `disk` is
    how large a disk of its own the folder has, as mount takes it; without, it is as large as this machine's.
    """
    folder = Path(tempfile.mkdtemp(prefix="sciflow-sweep-"))
    folder.chmod(0o755)
    if disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk},mode=755", "sweep", folder], check=True)
    try:
        (folder / "live").mkdir()
        begin = (HELD.replace("LIVE", str(folder / "live")) if held else "") + first
        text = WORKFLOW.replace("POINTS", str(points)).replace("FIRST", begin).replace("CPUS", str(cpus))
        (folder / "workflow.toml").write_text(text.replace("NAP", nap))
        bundle = api.compile(folder / "workflow.toml", into=folder / "bundles").path
        give(folder)
        yield Sweep(cluster=cluster, folder=folder, bundle=bundle, points=points)
    finally:
        if cluster is not None:
            cluster.ask("scancel", "--user=" + PLAIN_USER, check=False)
            cluster.until(lambda: not cluster.ask("squeue", "-h", check=False), "the queue to empty")
        if disk:
            subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder)


def give(folder):
    """Make a tree that root wrote the plain user's."""
    entry = pwd.getpwnam(PLAIN_USER)
    for place in [folder, *folder.rglob("*")]:
        os.chown(place, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def undisturbed(points):
    """Return the table of such a sweep that nothing has disturbed: run here, without Slurm."""
    with swept(None, points=points) as sweep:
        subprocess.run(
            [RUNUSER, "-u", PLAIN_USER, "--", sweep.bundle / names.LAUNCHER, "--quiet"],
            check=True,
            stdout=sys.stderr,
        )
        assert sweep.check() == []
        return sweep.table()
