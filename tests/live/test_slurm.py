"""A real two-node Slurm, as a plain user: one sbatch from another folder, and the sweep is done when the queue is empty."""

import os
import time
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import records
from tests.live.conftest import STEPS, compiled, settled, table

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.live("slurm")


def drained(user, jobs, limit_s=240):
    """Wait until none of the user's jobs with these name stems is in the queue; return whether that came to pass."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = user.run("squeue", "--noheader", "--me", "--format=%j")
        if found.returncode == 0 and not [name for name in found.stdout.split() if name.startswith(jobs)]:
            return True
        time.sleep(1)
    return False


def submitted(user, bundle, *options):
    """Submit a bundle from another folder than its own, and wait for the queue to empty."""
    elsewhere = user.folder / "elsewhere"
    if not elsewhere.exists():
        elsewhere.mkdir()
        user.give(elsewhere)
    found = user.run("sbatch", *options, bundle / "launch.sh", cwd=elsewhere)
    assert found.returncode == 0, found.stderr
    assert drained(user, "sciflow-small")
    return "".join(path.read_text() for path in sorted(elsewhere.glob("slurm-*.out")))


def states(bundle):
    counts = {}
    for (task, _), record in settled(bundle)[0].items():
        counts[task, record["state"]] = counts.get((task, record["state"]), 0) + 1
    return counts


def attempts(bundle):
    """Return the (task, step) of every attempt on record, also of those that do not count."""
    found = records.read(str(bundle / "runs/main"))
    return [(record["task"], record["step"]) for record in found if "facts" not in record]


def test_one_sbatch_runs_the_sweep_to_the_local_table(plain):
    bundle = compiled(plain.folder, image="")
    plain.give(plain.folder)
    said = submitted(plain, bundle)
    assert sum(count for (_, state), count in states(bundle).items() if state == "done") == STEPS, said
    assert len(attempts(bundle)) == STEPS
    assert plain.run(bundle / "launch.sh", "--run", "local").returncode == 0
    assert table(bundle) == table(bundle, "local")


@pytest.mark.live("apptainer", "mmdebstrap")
def test_one_sbatch_runs_the_sweep_in_its_image(plain):
    bundle = compiled(plain.folder)
    plain.give(plain.folder)
    said = submitted(plain, bundle)
    assert sum(count for (_, state), count in states(bundle).items() if state == "done") == STEPS, said
    assert {worker["box"]["engine"] for worker in settled(bundle)[1]["workers"].values()} == {"apptainer"}


def test_a_failed_step_costs_only_what_needs_it(plain):
    bundle = compiled(plain.folder, image="", fails="b")
    plain.give(plain.folder)
    submitted(plain, bundle)
    assert states(bundle) == {
        ("prepare", "done"): 1,
        ("train", "done"): 9,
        ("train", "failed"): 1,
        ("after", "done"): 9,
        ("after", "skipped"): 1,
        ("summary", "skipped"): 1,
    }
    again = plain.run("python3", "-I", bundle / "runner/__main__.py", "round")
    assert again.returncode == 5
    assert "19 steps done, 3 not" in again.stderr


def test_a_second_launch_while_the_first_goes_on_adds_nothing(plain):
    bundle = compiled(plain.folder, image="")
    plain.give(plain.folder)
    plain.run("sbatch", bundle / "launch.sh")
    submitted(plain, bundle)
    submitted(plain, bundle)
    assert sum(count for (_, state), count in states(bundle).items() if state == "done") == STEPS
    assert len(attempts(bundle)) == len(set(attempts(bundle))) == STEPS


def opening_later(user):
    """Compile the study with hours that begin in two hours, and give it away; return the bundle and when it opens."""
    now = time.gmtime(time.time() + 7200)
    opens, closes = f"{now.tm_hour:02}:00", f"{(now.tm_hour + 2) % 24:02}:00"
    file = user.folder / "study" / "workflow.toml"
    compiled(user.folder, image="")
    hours = f'hours = "{opens}-{closes}"\ntimezone = "UTC"'
    file.write_text(f'{file.read_text()}\n[schedule]\npolicy = "off-peak"\n{hours}\n')
    bundle = api.compile(file).path
    user.give(user.folder)
    return bundle, opens


def queued(user, count, wanted="%i %j %S"):
    """Wait until so many jobs of the study are in the queue; return what Slurm says of them."""
    jobs, end = [], time.monotonic() + 60
    while len(jobs) < count and time.monotonic() < end:
        time.sleep(1)
        jobs = user.run("squeue", "--noheader", "--me", f"--format={wanted}").stdout.splitlines()
        jobs = [job for job in jobs if "sciflow-small-" in job]
    return jobs


def test_outside_hours_everything_waits_for_the_opening(plain):
    bundle, opens = opening_later(plain)
    assert plain.run("sbatch", bundle / "launch.sh").returncode == 0
    jobs = queued(plain, 4)
    try:
        begins = {job.split()[2] for job in jobs if "prepare" in job}
        assert len(jobs) == 4, jobs
        assert len(begins) == 1
        assert begins.pop().endswith(f"T{opens}:00") or os.environ.get("TZ") not in (None, "UTC")
    finally:
        plain.run("scancel", *[job.split()[0].split("_")[0] for job in jobs])


CANCEL = """\
import sys
from pathlib import Path
from sciflow import api
found = api.cancel(Path(sys.argv[1]), say=print)
print(len(found.jobs), found.over)
"""


def test_a_cancel_ends_the_jobs_of_the_run_and_no_others(plain):
    bundle, _ = opening_later(plain)
    other = plain.run("sbatch", "--parsable", "--begin=now+1hour", "--comment=sciflow:other", "--wrap=true")
    assert plain.run("sbatch", bundle / "launch.sh").returncode == 0
    try:
        assert len(queued(plain, 4)) == 4
        code = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        settings = [f"{name}={value}" for name, value in code.items()]
        said = plain.run("env", *settings, "/usr/bin/python3", "-c", CANCEL, bundle)
        assert (said.stdout.splitlines()[-1], said.stderr) == ("4 True", "")
        left = plain.run("squeue", "--noheader", "--me", "--format=%F %T").stdout.split()
        assert left == [other.stdout.strip(), "PENDING"]
    finally:
        for job in [other.stdout.strip(), *(line.split()[0] for line in queued(plain, 0, "%F %j"))]:
            plain.run("scancel", job)
