"""One `sbatch` of a sweep of three stages on a two-node Slurm of its own, under several bounds of the site.

    python benchmarks/rounds.py [--points 5000] [--only NAME ...]

For each: rounds, Slurm's jobs, how long the submitting process took, the longest queue (looked at twice a second), the
wall time, and whether every step is done once and the table is that of a local run. Beside it: an `sbatch` a step, so
many as 500 take, and a bare array that does the same work. Run as root, after tests/testbed/install.sh.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sciflow import api
from sciflow.runner import journal, records
from tests.conftest import PLAIN_USER
from tests.live.cluster import Cluster

WORKFLOW = """\
format = 1

[workflow]
name = "stages"

[parameters]
x = {{ range = [0, {points}] }}

[tasks.first]
shell = "echo {{x}} > a.txt"
outputs = {{ a = "a.txt" }}
resources = {{ memory = "50 MB", time = "10s" }}

[tasks.second]
needs = ["first"]
shell = "read a < {{first.a}}; echo $((a * 2)) > b.txt"
outputs = {{ b = "b.txt" }}
resources = {{ memory = "50 MB", time = "10s" }}

[tasks.third]
needs = ["second"]
shell = '''read b < {{second.b}}; printf '{{{{"y": %s}}}}' $b > metrics.json'''
metrics = "metrics.json"
resources = {{ memory = "50 MB", time = "10s" }}
"""
SITES = {
    "arrays of 1001": {"more": ["MaxArraySize=1001"]},
    "arrays of 101": {"more": ["MaxArraySize=101"]},
    "arrays of 11": {"more": ["MaxArraySize=11"]},
    "36 jobs a user": {"submits": 36},
}
SBATCHES = 500
LOOK_S = 0.5


def as_user(cluster, *words, cwd="/"):
    """Run a command as the plain user."""
    done = subprocess.run(
        ["runuser", "-u", PLAIN_USER, "--", *map(str, words)],
        env=cluster.environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{words}: {done.stderr}")
    return done.stdout


class Sampler(threading.Thread):
    """Looks at the queue until it is empty; `longest` is the most that stood in it."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.longest = cluster, 0

    def run(self):
        while True:
            lines = self.cluster.ask("squeue", "--noheader", "--array", "--format=%i", check=False).splitlines()
            self.longest = max(self.longest, len(lines))
            if not lines:
                return
            time.sleep(LOOK_S)


def made(folder, points):
    """Compile the study; return its bundle, the plain user's."""
    (folder / "workflow.toml").write_text(WORKFLOW.format(points=points))
    bundle = api.compile(folder / "workflow.toml", into=folder / "bundles").path
    subprocess.run(["chown", "-R", PLAIN_USER, folder], check=True)
    return bundle


def swept(cluster, folder, bundle):
    """Submit once and wait until the queue is empty; return what there is to say."""
    start = time.monotonic()
    job = as_user(cluster, "sbatch", "--parsable", bundle / "launch.sh", cwd=folder).strip()
    sampler = Sampler(cluster)
    sampler.start()
    first_s = None
    while sampler.is_alive():
        if first_s is None and "COMPLETED" in cluster.ask("scontrol", "show", "job", job, check=False):
            told = dict(word.partition("=")[::2] for word in cluster.ask("scontrol", "show", "job", job).split())
            first_s = told["RunTime"]
        sampler.join(LOOK_S)
    wall_s = time.monotonic() - start
    run = bundle / "runs" / "main"
    past = journal.rounds(str(run))
    jobs = 1 + sum(array["elements"] for _, state in past for array in state["arrays"]) + len(past)
    attempts = [(one["task"], one["step"]) for one in records.read(str(run)) if "facts" not in one]
    return {
        "rounds": len(past),
        "jobs": jobs,
        "launch": first_s,
        "queue": sampler.longest,
        "wall_s": wall_s,
        "attempts": len(attempts),
        "steps": len(set(attempts)),
        "table": (api.collect(bundle, "main").parent / "results.csv").read_bytes(),
    }


def floors(cluster, folder, points):
    """Return (seconds an `sbatch` takes, seconds a bare array of one job a node core takes for the same work)."""
    start = time.monotonic()
    one = "sbatch --begin=now+1hour --output=/dev/null --wrap=true >/dev/null"
    script = f"for i in $(seq {SBATCHES}); do {one}; done"
    as_user(cluster, "sh", "-c", script, cwd=folder)
    each = (time.monotonic() - start) / SBATCHES
    cluster.ask("scancel", "--user=" + PLAIN_USER)
    cluster.until(lambda: not cluster.ask("squeue", "-h"), "the queue to empty")
    work = (
        f"mkdir -p {folder}/bare; i=$SLURM_ARRAY_TASK_ID; while [ $i -lt {points} ]; do"
        f' d={folder}/bare/$i; mkdir $d; sh -c "echo $i > $d/a"; sh -c "read a < $d/a; echo \\$((a * 2)) > $d/b";'
        f' sh -c "read b < $d/b; echo \\$b > $d/c"; i=$((i + 4)); done'
    )
    start = time.monotonic()
    as_user(cluster, "sbatch", "--array=0-3", "--mem=100M", "--output=/dev/null", f"--wrap={work}", cwd=folder)
    cluster.until(lambda: not cluster.ask("squeue", "-h"), "the bare array to end", 3600)
    return each, time.monotonic() - start


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--only", nargs="+", choices=list(SITES), default=list(SITES))
    chosen = parser.parse_args()
    if os.getuid():
        raise SystemExit("run me as root: I start a cluster")
    home = Path(tempfile.mkdtemp(prefix="sciflow-rounds-"))
    home.chmod(0o755)
    try:
        steps = 3 * chosen.points
        folder = home / "local"
        folder.mkdir()
        bundle = made(folder, chosen.points)
        start = time.monotonic()
        subprocess.run(["runuser", "-u", PLAIN_USER, "--", str(bundle / "launch.sh"), "--quiet"], check=True)
        print(f"{chosen.points:,} points, {steps:,} steps; here, without Slurm: {time.monotonic() - start:.1f} s\n")
        wanted = (api.collect(bundle, "main").parent / "results.csv").read_bytes()
        print(f"{'':16} rounds   jobs  longest queue  first launch   wall s  attempts  steps  table")
        ids = set()
        for name in chosen.only:
            folder = home / name.replace(" ", "-")
            folder.mkdir()
            bundle = made(folder, chosen.points)
            ids.add(bundle.name)
            with Cluster(**SITES[name]) as cluster:
                found = swept(cluster, folder, bundle)
                same = "as here" if found["table"] == wanted else "DIFFERS"
                print(
                    f"{name:16} {found['rounds']:6} {found['jobs']:6} {found['queue']:14} {found['launch']:>13} "
                    f"{found['wall_s']:8.1f} {found['attempts']:9} {found['steps']:6}  {same}",
                    flush=True,
                )
        with Cluster() as cluster:
            each, bare = floors(cluster, home, chosen.points)
        print(f"\nthe same bundle each time: {'yes' if len(ids) == 1 else 'NO'}")
        print(f"an sbatch a step: {each * 1000:.0f} ms each by {SBATCHES}, so {each * steps:.0f} s to submit {steps:,}")
        print(f"a bare array of 4 jobs, without records: {bare:.1f} s")
    finally:
        shutil.rmtree(home)


if __name__ == "__main__":
    main()
