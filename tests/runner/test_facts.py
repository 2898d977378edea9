"""What a machine is and allows; and whether a process of it has ended."""

import os
import subprocess

import pytest

from sciflow.runner import facts


def test_a_host_says_what_a_reader_needs():
    found = facts.host()
    assert found["kernel"] == os.uname().release
    assert found["cpus"] == len(os.sched_getaffinity(0))
    assert found["memory_mib"] > 0


def test_no_secret_of_the_environment_is_a_fact(monkeypatch):
    monkeypatch.setenv("SLURM_JWT", "s3cret")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert facts.host()["scheduler"] == {"SLURM_JOB_ID": "7"}


def test_slurm_s_word_on_cores_is_kept_where_it_is_less(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert facts.cpus() == 1


def test_slurm_s_word_on_cores_counts_for_nothing_outside_of_a_job(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "0")
    assert facts.cpus() == len(os.sched_getaffinity(0))


def test_slurm_s_word_on_memory_is_kept_where_it_is_less(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    assert facts.memory_mib() == 100


@pytest.mark.parametrize(
    ("chosen", "count"), [("0,1", 2), ("", 0), ("-1", 0), ("NoDevFiles", 0), ("GPU-a, GPU-b,GPU-c", 3)]
)
def test_chosen_gpus_are_counted(monkeypatch, chosen, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert facts.gpus() == count


def test_this_process_is_not_gone():
    assert not facts.gone(facts.owner())


def test_a_process_that_was_waited_for_is_gone():
    with subprocess.Popen(["sleep", "60"]) as process:
        owner = [*facts.owner()[:2], process.pid, facts.process(process.pid)]
        assert not facts.gone(owner)
        process.kill()
        process.wait()
        assert facts.gone(owner)


def test_a_process_that_nobody_waited_for_is_gone():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        owner = [*facts.owner()[:2], process.pid, facts.process(process.pid)]
        process.stdin.close()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert facts.gone(owner)


def test_another_process_by_the_same_number_is_not_the_one():
    host, boot, pid, start = facts.owner()
    assert facts.gone([host, boot, pid, start + "0"])


def test_whatever_ran_before_this_boot_is_gone():
    host, _, pid, start = facts.owner()
    assert facts.gone([host, "before", pid, start])


def test_of_another_machine_nothing_is_known():
    _, boot, _, _ = facts.owner()
    assert not facts.gone(["elsewhere", boot, 2**22 - 1, "1"])


def test_a_process_with_a_bracket_in_its_name_is_read(tmp_path):
    odd = tmp_path / "a) R 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "60"]) as process:
        started = facts.process(process.pid)
        process.kill()
    assert int(started) >= int(facts.process(os.getpid()))


def test_what_a_task_asks_for_beyond_a_capacity_is_told_with_what_there_is():
    tasks = [
        {"name": "small", "resources": {"cpus": 2, "gpus": 0, "memory_mib": 1}},
        {"name": "large", "resources": {"cpus": 4, "gpus": 1, "memory_mib": 1}},
    ]
    found = facts.lacking(tasks, {"cpus": 2, "gpus": 0, "memory_mib": 100})
    assert found == {"large": {"cpus": [4, 2], "gpus": [1, 0]}}
