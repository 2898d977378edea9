"""Steps of several ranks: the words that start them, who may start them, how they are signalled and ended."""

import sys
from types import SimpleNamespace

import pytest

from sciflow.runner import box, names, ranks, slurm
from tests.runner.conftest import program, task

NEEDS = {"cpus": 2, "memory_mib": 100, "gpus": 0, "time_s": 60, "nodes": 2, "ranks": 5, "mpi": "pmix"}
CFD = task("cfd", "true", resources=NEEDS)
ONE = task("one", "true")
GIVEN = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_NTASKS": "5"}


def test_a_task_that_is_one_process_is_refused_nowhere():
    assert ranks.refusal([ONE]) == ""


def test_several_ranks_are_refused_where_no_job_was_submitted_for_them():
    assert ranks.refusal([ONE, CFD]) == (
        "a step of `cfd` is 5 ranks on 2 nodes, which Slurm alone starts: submit it there "
        "(`sciflow submit`, or `sbatch launch.sh`)"
    )


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (GIVEN, ""),
        ({**GIVEN, "SLURM_NTASKS": "4"}, "was given 4 on 2"),
        ({**GIVEN, "SLURM_JOB_NUM_NODES": "1"}, "was given 5 on 1"),
        ({}, "was given 1 on 1"),
    ],
)
def test_a_job_with_fewer_nodes_or_ranks_than_were_asked_for_is_refused(given, wanted):
    said = ranks.refusal([CFD], given)
    assert wanted in said
    assert bool(said) == bool(wanted)


BOXES = [{"engine": "docker"}, {"engine": "apptainer", "enter_rank": ["a"]}, {"engine": "host", "enter_rank": []}]


def test_only_engines_that_can_start_ranks_are_tried_for_them():
    assert [one["engine"] for one in ranks.boxes(BOXES, [CFD])] == ["apptainer", "host"]
    assert ranks.boxes(BOXES, [ONE]) == BOXES


def test_an_engine_that_cannot_start_ranks_is_refused_by_name():
    with pytest.raises(box.BoxError, match="cannot be started in `docker`; wanted: one of apptainer, host"):
        ranks.boxes(BOXES, [CFD], "docker")


def test_the_ranks_come_out_even_and_each_ends_with_the_first_that_fails():
    assert ranks.words(NEEDS, "a1", "/r/rank.py", "/w/3.rank.json") == [
        *["srun", "--nodes=2", "--ntasks=5", "--ntasks-per-node=3", "--cpus-per-task=2", "--job-name=a1"],
        *["--input=none", "--kill-on-bad-exit=1", "--mpi=pmix"],
        *[sys.executable, "-I", "-S", "-B", "/r/rank.py", "/w/3.rank.json", "a1"],
    ]


def test_how_ranks_find_each_other_is_left_to_the_site_where_it_is_not_said():
    assert not [word for word in ranks.words({**NEEDS, "mpi": ""}, "a", "r", "t") if word.startswith("--mpi")]


def test_srun_is_told_of_its_job_and_of_nothing_else():
    told = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "SECRET": "s", "PATH": "/other", "APPTAINER_BIND": "/"}
    assert ranks.settings(told, "/bin") == {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "n1", "PATH": "/bin"}


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Stand in for Slurm: `queue` holds its steps; scancel ends one only by the signal KILL; all is written down."""
    program(tmp_path, "squeue", f"cat '{tmp_path}/queue'")
    text = f"echo \"$*\" >> '{tmp_path}/asked'; [ \"$1\" = --signal=9 ] && : > '{tmp_path}/queue'; true"
    program(tmp_path, "scancel", text)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    (tmp_path / "queue").write_text("7_1.0|a0\n7_1.3|a1\n7_1.batch|batch\n")
    return tmp_path


def test_a_signal_goes_to_the_step_of_that_attempt(queue):
    ranks.send("a1", 15)
    assert (queue / "asked").read_text() == "--signal=15 7_1.3\n"


def test_ranks_that_live_on_are_killed_until_slurm_has_them_no_more(queue):
    ranks.end("a1")
    assert (queue / "asked").read_text() == "--signal=9 7_1.3\n"


def test_ranks_that_have_ended_are_left_alone(queue):
    ranks.end("a2")
    assert not (queue / "asked").exists()


def test_ranks_that_do_not_end_are_told_of(queue, monkeypatch):
    monkeypatch.setattr(ranks, "GONE_S", 0)
    program(queue, "scancel", "true")
    with pytest.raises(box.BoxError, match=r"step 7_1.3 of Slurm's\) do not end"):
        ranks.end("a1")


def test_where_nobody_knows_whether_ranks_have_ended_nothing_more_is_started(queue):
    program(queue, "squeue", "echo no such cluster >&2; exit 1")
    with pytest.raises(box.BoxError, match="no such cluster"):
        ranks.end("a1")
    with pytest.raises(slurm.SlurmError):
        ranks.send("a1", 15)


@pytest.fixture
def log(tmp_path):
    def write(text):
        (tmp_path / "err").write_text(text)
        return str(tmp_path / "err")

    return write


LONG = "x\n" * ranks.BYTES


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("srun: error: n2: task 2: Exited with exit code 3\nsrun: error: n1: tasks 0-1: Terminated\n", "rank 2 on n2: Exited with exit code 3"),
        (LONG + "srun: error: n1: tasks 1,3: Segmentation fault\n", "rank 1 on n1: Segmentation fault"),
        ("a program's own words\n", ""),
    ],
)  # fmt: skip
def test_what_failed_first_is_the_reason(log, said, wanted):
    assert ranks.reason(log(said)) == ((names.FAILED, wanted) if wanted else (None, ""))


def test_a_rank_that_slurm_ended_for_want_of_memory_is_told_apart(log):
    said = log("srun: error: n1: task 0: Out Of Memory\n")
    assert ranks.reason(said) == (names.MEMORY, "rank 0 on n1: Out Of Memory")


def end(code, number=0):
    return SimpleNamespace(code=code, signal=number)


def marks(folder, *which):
    for number in which:
        (folder / str(number)).touch()
    return str(folder)


def test_a_step_of_which_every_rank_has_begun_was_started_however_it_ended(tmp_path, log):
    begun = marks(tmp_path, 0, 1, 2)
    for how in (end(0), end(3), end(0, 9)):
        assert ranks.unstarted(begun, 3, how, log("srun: error: n2: task 2: Exited with exit code 3\n")) == ""


def test_that_srun_ended_well_is_no_proof_that_its_ranks_did(tmp_path, log, monkeypatch):
    monkeypatch.setattr(ranks, "SEEN_S", 0)
    assert "not all begun" in ranks.unstarted(marks(tmp_path, 0, 1), 3, end(0), log(""))


def test_ranks_that_slurm_could_not_launch_were_not_started_whatever_the_code(tmp_path, log):
    said = log("srun: error: task 2 launch failed: Unspecified error\nsrun: error: n1: task 0: Killed\n")
    for how in (end(0), end(137)):
        assert ranks.unstarted(marks(tmp_path, 0, 1, 2), 3, how, said) == "task 2 launch failed: Unspecified error"


def test_a_rank_that_did_not_enter_its_box_is_told_from_one_that_failed_in_it(tmp_path, log):
    said = log("srun: error: n2: task 2: Exited with exit code 255\n")
    assert "not entered by rank 2 on n2" in ranks.unstarted(marks(tmp_path, 0, 1), 3, end(255), said)
    assert ranks.unstarted(marks(tmp_path, 2), 3, end(255), said) == ""
