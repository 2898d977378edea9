"""A run stopped in good order: real workers, real signals, and programs that answer as Slurm's do."""

import json
import os
import subprocess
import sys

import pytest

from sciflow import api
from sciflow.runner import facts, journal, names
from tests import small


@pytest.fixture
def started(tmp_path):
    """Return what starts a run of the study whose training steps wait for a file, and waits until they do."""
    processes = []

    def start(**environment):
        bundle = small.compiled(tmp_path / "study", *small.gated(tmp_path / "gate", f"touch '{tmp_path}/begun'"))
        words = [sys.executable, "-m", "sciflow", "run", str(bundle), "--engine", "host", "-j", "1"]
        processes.append(subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        small.until((tmp_path / "begun").exists, "the run does not begin")
        return bundle, processes[-1]

    yield start
    (tmp_path / "gate").touch()
    for process in processes:
        process.communicate(timeout=60)


def test_a_run_that_is_at_work_ends_in_good_order(started):
    bundle, process = started()
    said = []
    found = api.cancel(bundle, say=said.append)
    process.communicate(timeout=60)
    assert (len(found.ended), found.left, found.over, process.returncode) == (1, (), True, names.EXIT_LATER)
    assert said[0].startswith(f"stopping worker {found.ended[0]} (process ")
    assert not (bundle / "runs" / "main" / "work").exists()


def test_what_is_done_stays_and_the_next_start_goes_on(started, tmp_path):
    bundle, _ = started()
    api.cancel(bundle)
    assert api.status(bundle)["states"] == {"done": 1, "interrupted": 1, "waiting": 4}
    assert api.status(bundle)["cancelled"]
    (tmp_path / "gate").touch()
    assert api.run(bundle, engine="host")[1] == 0
    assert not api.status(bundle)["cancelled"]


def test_where_nothing_runs_nothing_is_ended(tmp_path):
    bundle = small.ran(tmp_path)
    found = api.cancel(bundle)
    assert (found.ended, found.elsewhere, found.jobs, found.over) == ((), (), (), True)


def test_a_run_that_never_was_is_left_as_it_is(tmp_path):
    bundle = small.compiled(tmp_path)
    assert api.cancel(bundle).over
    assert not (bundle / "runs").exists()


def test_a_worker_elsewhere_is_told_by_a_file(tmp_path):
    bundle = small.ran(tmp_path)
    small.at_work(bundle, owner=["elsewhere", "another boot", os.getpid(), "1"])
    found = api.cancel(bundle)
    assert (found.elsewhere, found.over) == (("wlive on elsewhere",), True)
    assert json.loads((bundle / "runs" / "main" / "cancel").read_text())["host"] == facts.owner()[0]


def test_a_worker_that_does_not_end_is_named(tmp_path):
    bundle = small.ran(tmp_path)
    deaf = "import signal, time\nsignal.signal(signal.SIGTERM, lambda *_: print('asked', flush=True))\nprint('ready', flush=True)\nwhile True: time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        small.at_work(bundle, owner=[*facts.owner()[:2], process.pid, facts.process(process.pid)])
        found = api.cancel(bundle, wait_s=0.5)
        asked = process.stdout.readline()
        process.kill()
    assert (found.left, found.over, asked) == (("wlive",), False, "asked\n")


def test_a_process_that_only_has_the_number_of_a_worker_is_left_alone(tmp_path):
    bundle = small.ran(tmp_path)
    with subprocess.Popen(["sleep", "60"]) as process:
        small.at_work(bundle, owner=[*facts.owner()[:2], process.pid, "1"])
        found = api.cancel(bundle)
        alive = process.poll() is None
        process.kill()
    assert (found.ended, alive) == ((), True)


# ---- Slurm's jobs


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Put programs on PATH that answer as squeue and scancel do; return the queue's file, and what scancel was told."""
    folder, queue, ended = tmp_path / "programs", tmp_path / "queue", tmp_path / "ended"
    folder.mkdir()
    queue.touch()
    ended.touch()
    texts = {
        "squeue": f"cat '{queue}'",
        "scancel": f"for job; do echo \"$job\" >> '{ended}'; sed -i \"/^$job|/d\" '{queue}'; done",
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return queue, ended


def round_of(bundle, *jobs):
    """Write a round that has submitted jobs: pairs of an id and a mark."""
    folder = bundle / "runs" / "main" / "rounds" / "0001"
    folder.mkdir(parents=True)
    state = {"time": 0, "begin": 0, "moved": 0, "arrays": [], "job": 0, "owner": facts.owner()}
    (folder / journal.FILE).write_text(json.dumps(state))
    listed = [{"id": job, "mark": mark, "name": mark.replace("sciflow:", "sciflow-")} for job, mark in jobs]
    lines = [json.dumps(entry) + "\n" for entry in [*listed, {"ready": True}]]
    (folder / journal.JOBS).write_text("".join(lines))


def test_the_jobs_of_the_run_are_ended_and_no_others_the_last_submitted_first(tmp_path, slurm):
    queue, ended = slurm
    bundle = small.compiled(tmp_path / "study")
    round_of(bundle, (11, "sciflow:a"), (12, "sciflow:b"), (13, "sciflow:next"))
    queue.write_text(
        "11|RUNNING|None|sciflow:a\n13|PENDING|Dependency|sciflow:next\n14|RUNNING|None|sciflow:other\n15|RUNNING|None|(null)\n"
    )
    found = api.cancel(bundle)
    assert ended.read_text().split() == ["13", "11"]
    assert (found.jobs, found.jobs_left, found.over) == ((11, 13), (), True)


def test_a_job_that_only_has_the_id_of_one_is_left_alone(tmp_path, slurm):
    queue, ended = slurm
    bundle = small.compiled(tmp_path / "study")
    round_of(bundle, (11, "sciflow:a"))
    queue.write_text("11|RUNNING|None|somebody's\n")
    assert (api.cancel(bundle).jobs, ended.read_text()) == ((), "")


def test_a_launch_that_still_waits_is_ended_too(tmp_path, slurm):
    queue, _ = slurm
    bundle = small.compiled(tmp_path / "study")
    journal.launched(str(bundle / "runs" / "main"), 9, "sciflow:launch")
    queue.write_text("9|PENDING|Priority|sciflow:launch\n")
    assert api.cancel(bundle).jobs == (9,)


def test_where_slurm_does_not_answer_that_is_told(tmp_path, slurm):
    bundle = small.compiled(tmp_path / "study")
    round_of(bundle, (11, "sciflow:a"))
    (tmp_path / "programs" / "squeue").write_text("#!/bin/sh\necho no controller >&2; exit 1\n")
    found = api.cancel(bundle)
    assert ("no controller" in found.jobs_unknown, found.over) == (True, False)


def test_where_there_is_no_slurm_its_jobs_are_not_known(tmp_path, monkeypatch):
    bundle = small.compiled(tmp_path / "study")
    round_of(bundle, (11, "sciflow:a"))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = api.cancel(bundle)
    assert ("PATH" in found.jobs_unknown, found.over) == (True, False)
