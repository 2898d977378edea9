"""Steps that are several ranks over several nodes, started by srun on a private cluster, as its user."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import facts, names, records
from tests.conftest import PLAIN_USER
from tests.live.cluster import Cluster, processes
from tests.live.sweep import plain

pytestmark = pytest.mark.live("slurm")

WORKFLOW = """\
format = 1

[workflow]
name = "ranks"

[tasks.before]
shell = "echo 7 > seven.txt"
outputs = { seven = "seven.txt" }
resources = { memory = "50 MB", time = "1m" }

[tasks.cfd]
needs = ["before"]
shell = '''COMMAND'''
outputs = { who = "who/" }
resources = { nodes = 2, ranks = 4, memory = "50 MB", time = "TIME" }

[tasks.after]
needs = ["cfd"]
shell = '''cat {cfd.who}/* | sort | tr "\\\\n" " " > all.txt'''
outputs = { all = "all.txt" }
resources = { memory = "50 MB", time = "1m" }
"""
WRITES = """mkdir -p who; read seven < {before.seven}; echo "rank $SLURM_PROCID"
echo $SLURM_PROCID-$SLURMD_NODENAME-$seven > {outputs.who}/$SLURM_PROCID"""


# A rank says that it is at work, in which of Slurm's steps, and waits for a gate to be opened.
HELD = """echo $$ > LIVE/$SLURM_STEP_ID-$SLURM_PROCID; while [ ! -e LIVE/open ]; do sleep 0.1; done
mkdir -p who; echo > who/$SLURM_PROCID"""
RANKS = 4
ALL_DONE = dict.fromkeys(("before", "cfd", "after"), "done")
LIMIT_S = 300


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as found:
        yield found


class Study:
    """A study of one point, in a folder of the plain user's; LIVE in its command is a folder that all ranks see."""

    def __init__(self, cluster, folder, command, *, time="5m", task="", image="", mpi="", nodes=2):
        text = WORKFLOW.replace("COMMAND", command).replace("TIME", time).replace("LIVE", f"{folder}/live")
        text = text.replace("ranks = 4", f'ranks = 4, mpi = "{mpi}"') if mpi else text
        text = text.replace("nodes = 2", f"nodes = {nodes}")
        (folder / "workflow.toml").write_text(text.replace("[tasks.after]", f"{task}\n\n[tasks.after]") + image)
        self.cluster, self.folder, self.live = cluster, folder, folder / "live"
        self.live.mkdir()
        self.bundle = api.compile(folder / "workflow.toml", into=folder / "bundles").path
        self.run = self.bundle / names.RUNS / names.DEFAULT_RUN
        subprocess.run(["chown", "-R", PLAIN_USER, folder], check=True)

    def launch(self, engine="host", **settings):
        """Submit it."""
        words = ["sbatch", "--parsable", "--output=launch-%j.out", self.bundle / names.LAUNCHER]
        settings = {"SCIFLOW_ENGINE": engine, **settings}
        plain({**self.cluster.environment, **settings}, *words, cwd=self.folder)

    def queue(self, wanted="%j %T %r"):
        return self.cluster.ask("squeue", "-h", "-r", "-u", PLAIN_USER, "-o", wanted).splitlines()

    def drained(self):
        self.cluster.until(lambda: not self.queue(), "the queue to empty", LIMIT_S)

    def finish(self, *words, **settings):
        self.launch(*words, **settings)
        self.drained()

    def held(self, step=0):
        """Wait until the four ranks of one of Slurm's steps are at work; return their processes."""
        self.cluster.until(lambda: len(self._begun(step)) == RANKS, "four ranks to begin", LIMIT_S)
        return self._begun(step)

    def _begun(self, step):
        found = [path.read_text().strip() for path in self.live.glob(f"{step}-*")]
        return [int(text) for text in found if text]

    def open(self):
        """Let all ranks that wait go on."""
        (self.live / "open").touch()

    def of_run(self, word):
        """Return the processes of this study with a word in their command: of srun there is a second, its watcher."""
        found = []
        for pid in processes(self.folder):
            with contextlib.suppress(OSError):
                if os.fsencode(word) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    found.append(pid)
        return found

    def said(self):
        paths = [*self.folder.glob("launch-*.out"), *(self.run / names.LOGS).glob("*.log")]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in paths)

    def records(self):
        return [one for one in records.read(str(self.run)) if "facts" not in one]

    def states(self):
        settled = records.settle(str(self.run), self.records())[0]
        return {task: record["state"] for (task, _), record in settled.items()}

    def workers(self):
        return list(records.settle(str(self.run), records.read(str(self.run)))[1]["workers"].values())

    def of(self, task):
        return [one for one in self.records() if one["task"] == task]

    def output(self, task, name):
        (record,) = [one for one in self.of(task) if one["state"] == names.DONE]
        folder = Path(records.attempt_folder(str(self.run), task, 0, record["attempt"]))
        return folder / record["outputs"][name]["path"].rstrip("/")


def alive(pids):
    return [pid for pid in pids if facts.process(pid)]


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="sciflow-ranks-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_ranks_on_two_nodes_each_write_who_they_are_and_a_later_step_reads_it(cluster, folder):
    study = Study(cluster, folder, WRITES)
    study.finish()
    assert study.states() == ALL_DONE, study.said()
    assert study.output("after", "all").read_text().split() == ["0-n1-7", "1-n1-7", "2-n2-7", "3-n2-7"]
    (record,) = study.of("cfd")
    assert sorted(record["stdout"].split("\n")) == ["", *(f"rank {number}" for number in range(RANKS))]
    assert {record[what] for what in ("user_s", "system_s", "peak_mib", "read_bytes", "written_bytes")} == {None}
    (worker,) = [one for one in study.workers() if one["worker"] == record["worker"]]
    assert worker["facts"]["scheduler"]["SLURM_JOB_NUM_NODES"] == "2"
    assert (worker["box"]["network"], worker["box"]["memory"]) == ("host", "not watched")
    assert api.collect(study.bundle).exists()
    assert api.report(study.bundle).exists()


def test_ranks_past_their_time_are_told_on_all_nodes_and_then_killed(cluster, folder):
    study = Study(cluster, folder, "trap 'echo told $SLURM_PROCID' TERM; while :; do sleep 0.1; done", time="4s")
    study.finish()
    assert study.states() == {"before": "done", "cfd": "time", "after": "skipped"}, study.said()
    (record,) = study.of("cfd")
    told = {line for line in record["stdout"].split("\n") if line.startswith("told")}
    assert told == {f"told {number}" for number in range(RANKS)}
    assert processes(folder) == []


def test_the_ranks_of_an_srun_that_was_killed_are_ended_before_the_step_is_tried_again(cluster, folder):
    study = Study(cluster, folder, HELD, task='retry = { times = 1, on = ["failed"] }')
    study.launch()
    first = study.held()
    for pid in study.of_run("srun"):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    second = study.held(1)
    assert alive(first) == []
    assert len(alive(second)) == RANKS
    study.open()
    study.drained()
    assert study.states() == ALL_DONE, study.said()
    assert [(one["state"], one["signal"]) for one in study.of("cfd")] == [("failed", 9), ("done", None)]


@pytest.mark.parametrize("whom", ["element", "worker"])
def test_a_job_that_is_ended_leaves_no_rank_and_the_step_goes_on_in_another(cluster, folder, whom):
    study = Study(cluster, folder, HELD)
    study.launch()
    first = study.held()
    if whom == "worker":
        (pid,) = study.of_run("element")
        os.kill(pid, signal.SIGKILL)
    else:
        (job,) = [line.split()[0] for line in study.queue("%A %j") if line.endswith("-cfd")]
        plain(cluster.environment, "scancel", job)
    cluster.until(lambda: not alive(first), "the ranks to end", LIMIT_S)
    study.open()
    study.drained()
    assert study.states() == ALL_DONE, study.said()


def test_a_rank_that_fails_ends_the_others_and_is_the_reason(cluster, folder):
    study = Study(cluster, folder, "[ $SLURM_PROCID != 2 ] || exit 3; sleep 600")
    study.finish()
    (record,) = study.of("cfd")
    assert (record["state"], record["reason"]) == ("failed", "rank 2 on n2: Exited with exit code 3")
    assert processes(folder) == []


def test_more_nodes_than_there_are_is_refused_by_the_task_s_name(cluster, folder):
    study = Study(cluster, folder, WRITES, nodes=3)
    study.finish()
    assert "a step of `cfd` asks for 3 nodes, and a job in partition `main` gets 2 at most" in study.said()


MPI = """
import ctypes

mpi = ctypes.CDLL("libmpich.so.12")
WORLD, INT, SUM = 0x44000000, 0x4C000405, 0x58000003  # mpi.h of MPICH
assert mpi.MPI_Init(None, None) == 0
rank, size, total = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
mpi.MPI_Comm_rank(WORLD, ctypes.byref(rank))
mpi.MPI_Comm_size(WORLD, ctypes.byref(size))
mine = ctypes.c_int(10 ** rank.value)
assert mpi.MPI_Allreduce(ctypes.byref(mine), ctypes.byref(total), 1, INT, SUM, WORLD) == 0
mpi.MPI_Finalize()
open("who/%d" % rank.value, "w").write("%d-%d-%d\\n" % (rank.value, size.value, total.value))
"""
IMAGE = """
[code]
include = ["mpi.py"]

[image]
debian = "bookworm"
packages = ["python3", "libmpich12"]
"""


def imaged(cluster, folder, cache, command, **more):
    """Return a study with an image that has an MPI library; it is resolved and built once for all tests."""
    (folder / "mpi.py").write_text(MPI)
    kept = cache / "mpi.lock"
    if kept.exists():
        shutil.copy(kept, folder / "workflow.lock")
    study = Study(cluster, folder, command, image=IMAGE, **more)
    shutil.copy(folder / "workflow.lock", kept)
    return study


@pytest.mark.live("mmdebstrap", "apptainer")
def test_ranks_in_boxes_of_their_own_add_up_by_mpi_over_both_nodes(cluster, folder, cache):
    study = imaged(cluster, folder, cache, "mkdir -p who; exec python3 mpi.py", mpi="pmi2")
    study.finish("apptainer", SCIFLOW_CACHE=str(cache))
    assert study.states() == ALL_DONE, study.said() + str(study.of("cfd"))
    assert study.output("after", "all").read_text().split() == [f"{number}-4-1111" for number in range(RANKS)]
    (worker,) = [one for one in study.workers() if one["worker"] == study.of("cfd")[0]["worker"]]
    assert (worker["box"]["engine"], worker["box"]["isolation"]) == ("apptainer", "container")


@pytest.mark.live("mmdebstrap", "apptainer")
def test_ranks_in_boxes_are_told_and_killed_as_others_are(cluster, folder, cache):
    study = imaged(cluster, folder, cache, "trap 'echo told' TERM; echo pid $$; while :; do sleep 0.1; done", time="5s")
    study.finish("apptainer", SCIFLOW_CACHE=str(cache))
    assert study.states() == {"before": "done", "cfd": "time", "after": "skipped"}, study.said()
    (record,) = study.of("cfd")
    lines = record["stdout"].split("\n")
    ranks = [int(line.split()[1]) for line in lines if line.startswith("pid")]
    assert (len(ranks), alive(ranks)) == (RANKS, [])
    assert lines.count("told") >= RANKS
