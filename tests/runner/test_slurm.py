"""The door to Slurm: what it is asked with, what its answers mean, what it refuses."""

import pytest

from sciflow.runner import slurm
from tests.runner.conftest import program


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(slurm.SlurmError, match="`no-such-program`"):
        slurm.ask(["no-such-program"])


def test_what_a_command_refuses_with_is_repeated(tmp_path):
    with pytest.raises(slurm.SlurmError, match="said: no such partition"):
        slurm.ask([program(tmp_path, "p", "echo no such partition >&2; exit 1")])


def test_what_a_command_of_slurm_s_is_told_is_clean(tmp_path, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "wrong")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    said = slurm.ask([program(tmp_path, "p", "env")])
    names_told = {line.split("=")[0] for line in said.splitlines()}
    assert {"SLURM_CONF"} == {name for name in names_told if name.startswith(("SLURM", "SBATCH"))}
    assert "TZ=UTC" in said.splitlines()


def test_a_controller_that_is_away_for_a_moment_is_asked_again(tmp_path):
    text = f"[ -e '{tmp_path}/once' ] && echo fine && exit 0; touch '{tmp_path}/once'; echo Unable to contact slurm controller >&2; exit 1"
    assert slurm.ask([program(tmp_path, "p", text)], tries=2) == "fine\n"


def test_a_fault_that_lasts_is_not_asked_again(tmp_path):
    counting = program(tmp_path, "p", f"echo x >> '{tmp_path}/count'; echo no >&2; exit 1")
    with pytest.raises(slurm.SlurmError):
        slurm.ask([counting], tries=5)
    assert (tmp_path / "count").read_text() == "x\n"


@pytest.mark.parametrize(
    "said",
    [
        "sbatch: error: AssocMaxSubmitJobLimit",
        "Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
        "sbatch: error: QOSMaxSubmitJobPerUserLimit",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
    ],
)
def test_a_bound_of_jobs_is_told_from_other_refusals(tmp_path, said):
    with pytest.raises(slurm.FullError):
        slurm.ask([program(tmp_path, "p", f'echo "{said}" >&2; exit 1')])


def test_a_command_that_does_not_answer_is_left(tmp_path):
    with pytest.raises(slurm.SlurmError, match="has not answered in 1 s"):
        slurm.ask([program(tmp_path, "p", "exec sleep 60")], wait_s=1)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("UNLIMITED", None),
        ("NONE", None),
        ("30", 30),
        ("02:30", 2),
        ("12:00:00", 720),
        ("1-00:00:00", 1440),
        ("2-03", 3060),
        ("7-12:30", 10830),
    ],
)
def test_time_limits_are_read_in_each_of_slurm_s_forms(text, wanted):
    assert slurm.minutes(text) == wanted


PARTITIONS = """\
echo 'PartitionName=short Default=YES MaxTime=02:00:00 OverSubscribe=NO TotalCPUs=128 TotalNodes=2 State=UP'
echo 'PartitionName=big Default=NO MaxTime=UNLIMITED OverSubscribe=EXCLUSIVE TotalCPUs=640 TotalNodes=5 State=UP'
"""
CONFIG = "echo 'MaxArraySize            = 101'; echo 'MaxJobCount             = 500'; echo 'AccountingStorageType = {}'"


def site(programs, accounting="accounting_storage/slurmdbd", sacctmgr="exit 1", sinfo="exit 1", **words):
    programs(
        sinfo=sinfo,
        scontrol=f'case "$*" in *config) {CONFIG.format(accounting)};; *) {PARTITIONS};; esac',
        squeue='case "$*" in *--me*) echo 1;; *) echo 1; echo 2; echo 3;; esac',
        sacctmgr=sacctmgr,
    )
    return slurm.site(**words)


def test_a_site_s_bounds_are_read(programs):
    assert site(programs) == {
        "array": 101,
        "jobs": 500,
        "all": 3,
        "mine": 1,
        "user": None,
        "partition": "short",
        "minutes": 120,
        "whole": False,
        "nodes": 2,
        "widest": 2,
        "cpus": 64,
        "largest": {},
    }


def test_the_largest_node_of_the_partition_is_asked_for(programs, tmp_path):
    told = f"echo \"$@\" > '{tmp_path}/asked'; echo '64|256000'; echo '128|128000'"
    assert site(programs, sinfo=told)["largest"] == {"cpus": 128, "memory_mib": 256000}
    assert "--partition=short" in (tmp_path / "asked").read_text()
    assert site(programs, sinfo="true")["largest"] == {}


def test_of_several_partitions_the_least_counts(programs):
    found = site(programs, partition="short,big")
    assert (found["minutes"], found["whole"], found["nodes"], found["cpus"]) == (120, True, 2, 64)
    found = site(programs, partition="big")
    assert (found["minutes"], found["whole"], found["cpus"]) == (None, True, 128)


def test_the_least_bound_of_a_user_s_jobs_counts(programs):
    told = 'case "$*" in *qos*) echo "|40|";; *) echo "36|"; echo "50|200";; esac'
    assert site(programs, sacctmgr=told)["user"] == 36
    assert site(programs, sacctmgr=told, most=20)["user"] == 20


def test_where_nothing_is_accounted_for_it_is_not_asked(programs, tmp_path):
    assert site(programs, "accounting_storage/none", f"touch '{tmp_path}/asked'; echo 5")["user"] is None
    assert not (tmp_path / "asked").exists()


def test_the_queue_is_read_by_mark(programs):
    lines = "7|RUNNING|None|sciflow:a\n7|PENDING|Resources|sciflow:a\n8|PENDING|Dependency|a|b\n9|RUNNING|None|"
    programs(squeue=f"printf '{lines}\n'")
    assert slurm.queue() == {
        "sciflow:a": [(7, "RUNNING", "None"), (7, "PENDING", "Resources")],
        "a|b": [(8, "PENDING", "Dependency")],
        "": [(9, "RUNNING", "None")],
    }


NEEDS = {"cpus": 4, "memory_mib": 8192, "gpus": 0, "minutes": 30, "lead_s": 90}


def test_an_element_s_needs_become_options():
    assert slurm.shape(NEEDS, {}) == [
        "--ntasks=1",
        "--cpus-per-task=4",
        "--mem=8192M",
        "--time=30",
        "--signal=B:USR1@90",
    ]


def test_where_jobs_get_whole_nodes_all_of_one_is_asked_for():
    assert slurm.shape({**NEEDS, "gpus": 2}, {"whole": True}) == [
        "--ntasks=1",
        "--exclusive",
        "--mem=0",
        "--gres=gpu:2",
        "--time=30",
        "--signal=B:USR1@90",
    ]


def test_nodes_that_have_nothing_to_do_are_counted(programs):
    programs(sinfo='case "$*" in *=big*) echo 3;; *) echo 3; echo 4;; esac')
    assert (slurm.idle(), slurm.idle("big")) == (7, 3)


def test_what_others_of_the_user_s_jobs_are_called_is_no_part_of_the_queue(programs):
    programs(squeue="printf '1|PENDING|None|sciflow:a\\n2|RUNNING|None|of two\\nlines|and bars\\n3|RUNNING|None|\\n'")
    assert slurm.queue() == {
        "sciflow:a": [(1, "PENDING", "None")],
        "of two": [(2, "RUNNING", "None")],
        "": [(3, "RUNNING", "None")],
    }


def test_a_command_may_be_told_more(tmp_path):
    said = slurm.ask([program(tmp_path, "p", 'echo "$SCIFLOW_X"')], more={"SCIFLOW_X": "a, b"})
    assert said == "a, b\n"


@pytest.mark.parametrize(
    ("path", "option"),
    [("/a b/x.log", "/a b/x.log"), ("/50%j/x.log", "/50%%j/x.log"), ("/a\\50%j/x.log", "/a\\\\50%j/x.log")],
)
def test_a_log_s_name_holds_no_placeholder(path, option):
    assert slurm.log(path) == "--output=" + option


SPREAD = {**NEEDS, "nodes": 2, "ranks": 5, "mpi": "pmix"}


def test_several_ranks_are_asked_for_node_by_node_and_core_by_core():
    assert slurm.shape({**SPREAD, "memory_mib": 8193}, {}) == [
        *["--nodes=2", "--ntasks=5", "--ntasks-per-node=3", "--cpus-per-task=4", "--mem-per-cpu=2049M"],
        *["--time=30", "--signal=B:USR1@90"],
    ]


def test_several_ranks_on_whole_nodes_have_all_their_memory():
    assert slurm.shape(SPREAD, {"whole": True}) == [
        *["--nodes=2", "--ntasks=5", "--ntasks-per-node=3", "--cpus-per-task=4", "--exclusive", "--mem=0"],
        *["--time=30", "--signal=B:USR1@90"],
    ]


def test_the_steps_of_a_job_are_found_by_their_name(programs, tmp_path):
    programs(squeue=f"echo \"$*\" > '{tmp_path}/asked'; printf '7_1.0|a0\\n7_1.3|a1\\n7_1.4|a1\\n7_1.batch|batch\\n'")
    assert slurm.steps("7", "a1") == ["7_1.3", "7_1.4"]
    assert "--steps --jobs=7" in (tmp_path / "asked").read_text()


def test_a_partition_may_give_a_job_fewer_nodes_than_it_has():
    assert [slurm._widest({"TotalNodes": "8", "MaxNodes": most}) for most in ("UNLIMITED", "2", "20")] == [8, 2, 8]
