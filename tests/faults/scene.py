"""A scene: a small study that is disturbed, started again, and held to what an undisturbed run leaves.

A fault is injected with strace(1): into the runner itself, or into the box with the loop, its lanes and their steps.
SCIFLOW_FAULT_POINTS says at how many points each kind of fault is tried; left out, a few of them spread evenly.
"""

import collections
import concurrent.futures
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from sciflow.runner import names, records
from tests.runner.conftest import HOST, task

POINTS = int(os.environ.get("SCIFLOW_FAULT_POINTS", "0"))
AT_ONCE = 2
PATIENCE_S = 20.0  # until the last process of a disturbed run has ended
RUN_S = 60.0
# The host's box, with room for words that run the loop inside under something else.
BOX = {**HOST, "enter": ["/bin/sh", "-c", 'exec $FAULTS env -i PATH="$0" "$@"', "{path}"]}

TASKS = (
    task("prepare", ["set -e; echo 10 > ", {"output": "base"}, "; echo prepared"], outputs={"base": "base.txt"}),
    task(
        "train",
        [
            "set -e; read b < ",
            {"upstream": ["prepare", "base"]},
            "; x=",
            {"parameter": "x"},
            '; y=$((b * x)); echo $y > model.txt; echo "{\\"y\\": $y}" > metrics.json; echo trained; echo hm >&2',
        ],
        uses=["x"],
        needs=["prepare"],
        outputs={"model": "model.txt"},
        metrics="metrics.json",
    ),
    task(
        "score",
        [
            "set -e; read m < ",
            {"upstream": ["train", "model"]},
            '; echo $m > ckpt/m; echo "{\\"s\\": $((m + 1))}" > metrics.json',
        ],
        uses=["x"],
        needs=["train"],
        metrics="metrics.json",
        checkpoint={"path": "ckpt", "signal": 10, "before_s": 1},
    ),
    task(
        "total",
        [
            "set -e; n=$(wc -l < ",
            {"records": "score"},
            "); mkdir -p all/in; echo $n > all/in/n.txt; echo $n > all/n.txt; echo $n > n.txt",
        ],
        needs=["score"],
        gather="score",
        outputs={"n": "n.txt", "all": "all/"},
    ),
)
ROWS = ({"x": 1}, {"x": 2})


class Scene:
    """A bundle and its runs. `python` is the interpreter that runs it."""

    def __init__(self, study):
        self.study, self.path, self.folder = study, study.path, study.run_folder

    @property
    def log(self):
        return self.path.parent / "strace.log"

    def strace(self, *words):
        """Return the words that run a program under strace, with these."""
        return ["strace", "-q", "-o", str(self.log), *words]

    def words(self, *more):
        return [*self.study.words("run", "--quiet", *more)]

    def start(self, *more, strace=(), box=(), through=(), **environment):
        """Start the runner, and say with which words of strace it runs, or its box does; return the process."""
        settings = {**os.environ, "FAULTS": " ".join(box), **environment}
        return subprocess.Popen(
            [*through, *strace, *self.words(*more)],
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def go(self, *more, **how):
        """Run the runner to its end; return (exit code, what it said)."""
        process = self.start(*more, **how)
        try:
            said = process.communicate(timeout=RUN_S)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            return "it does not end", process.communicate()[1]
        return process.returncode, said

    def alive(self):
        """Return the processes of this scene: {pid: command line}. They are known by what they were told."""
        found, mark = {}, os.fsencode(self.path)
        for entry in sorted(path.name for path in Path("/proc").iterdir()):
            if not entry.isdigit() or int(entry) == os.getpid():
                continue
            try:
                line, given = (Path("/proc", entry, name).read_bytes() for name in ("cmdline", "environ"))
                here = os.fsencode(Path("/proc", entry, "cwd").readlink())
            except OSError:
                continue
            if mark in line or mark in given or mark in here:
                found[int(entry)] = line.replace(b"\0", b" ").decode(errors="replace")
        return found

    def quiet(self):
        """Wait until no process is left; return those that are, after a while, and end them."""
        end = time.monotonic() + PATIENCE_S
        while left := self.alive():
            if time.monotonic() > end:
                for pid in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        return left

    def clear(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def records(self):
        return list(records.read(str(self.folder)))

    def table(self):
        """Return {(task, step): (state, metrics, {output: digest of what lies there})}."""
        settled = records.settle(str(self.folder), self.records())[0]
        return {
            key: (record["state"], record["metrics"], {name: self.digest(record, name) for name in record["outputs"]})
            for key, record in settled.items()
        }

    def digest(self, record, name):
        """Hash a published output anew, and hold its record to it."""
        folder = records.attempt_folder(str(self.folder), record["task"], record["step"], record["attempt"])
        told, path = record["outputs"][name], Path(folder) / record["outputs"][name]["path"]
        if told["path"].endswith("/"):
            files = {
                str(one.relative_to(path)): hashlib.sha256(one.read_bytes()).hexdigest()
                for one in sorted(path.rglob("*"))
                if one.is_file()
            }
            found = names.digest(files)
        else:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        return found if found == told["sha256"] else f"{found}, and on record {told['sha256']}"

    def left(self):
        """Return what stands in the run's folder: names without what is random in them."""
        return {
            re.sub(r"w?[0-9a-f]{16}", "…", path.relative_to(self.folder).as_posix())
            for path in self.folder.rglob("*")
            if path.relative_to(self.folder).parts[0] not in (names.SEGMENTS, names.LOGS)
        }

    def wrong(self, wanted):
        """Return what is wrong with a run that was disturbed and has been started again; nothing, if all is right."""
        found = []
        try:
            told, table = self.records(), self.table()
        except records.TornError as error:
            return [f"torn: {error}"]
        if table != wanted.table:
            found.append(f"the table is {table}")
        won = collections.Counter(
            (record["task"], record["step"])
            for record in told
            if record.get("state") == names.DONE and records.published(str(self.folder), record)
        )
        found += [f"{key} was published {count} times" for key, count in won.items() if count > 1]
        attempts = [(record["attempt"], record["state"]) for record in told if "attempt" in record]
        found += [f"{key} is on record twice" for key, count in collections.Counter(attempts).items() if count > 1]
        if self.left() != wanted.left:
            found.append(f"there stands {sorted(self.left() ^ wanted.left)}")
        return found

    def recovered(self, wanted, *more):
        """Start again and look; return what is wrong."""
        code, said = self.go(*more)
        found = [] if code == 0 else [f"started again it ends with {code}: {said.strip()}"]
        left = self.quiet()
        found += [f"a process is left: {words}" for words in left.values()]
        return found + self.wrong(wanted)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run leaves: its table, and what stands in its folder."""

    table: object
    left: object


def undisturbed(scene):
    """Run a scene undisturbed; return what it leaves."""
    scene.clear()
    code, said = scene.go()
    assert code == 0, said
    assert not scene.quiet()
    wanted = Wanted(scene.table(), scene.left())
    assert all(state == "done" for state, _, _ in wanted.table.values())
    assert scene.wrong(wanted) == []
    scene.clear()
    return wanted


CALL = re.compile(r"^(\d+) +(\w+)\(")


def counted(scene, log, where):
    """Run a scene under strace; return {name of a call: how often the process calls it that calls it most}.

    Beside it, how often each had been called when the runner's own work began: its reading of the manifest.
    """
    scene.clear()
    words = ["strace", "-qq", "-o", str(log)] + (["-f"] if where == "box" else [])
    code, said = scene.go(**{("box" if where == "box" else "strace"): words})
    assert code == 0, said
    assert not scene.quiet()
    scene.clear()
    counts, before = collections.Counter(), None
    for text in log.read_text(errors="replace").splitlines():
        if where == "box":
            match = CALL.match(text)
            key = match and match.groups()
        else:
            match = re.match(r"(\w+)\(", text)
            key = match and ("", match.group(1))
            if before is None and "manifest.json" in text:
                before = {name: count for (_, name), count in counts.items()}
        if key:
            counts[key] += 1
    most = {}
    for (_, name), count in counts.items():
        most[name] = max(most.get(name, 0), count)
    return most, before or {}


def spread(points, many):
    """Choose so many of {name: [point, …]}, as evenly among names, and among the points of one, as can be."""
    chosen, left = [], sorted(points.items(), key=lambda item: len(item[1]))
    for number, (_, these) in enumerate(left):
        share = min(len(these), max(0, many - len(chosen)) // (len(left) - number))
        chosen += [these[(2 * at + 1) * len(these) // (2 * share)] for at in range(share)]
    return chosen


def each(scenes, points, act):
    """Do `act(scene, point)` for all points, as many at once as there are scenes; return [(point, what is wrong)]."""
    free, found, lock = list(scenes), [], threading.Lock()

    def one(point):
        with lock:
            scene = free.pop()
        try:
            scene.clear()
            wrong = act(scene, point)
            if wrong:
                with lock:
                    found.append((point, wrong))
                    print(point, wrong, file=sys.stderr, flush=True)
        finally:
            with lock:
                free.append(scene)

    with concurrent.futures.ThreadPoolExecutor(len(scenes)) as pool:
        list(pool.map(one, points))
    return found
