"""The doctor's parts, and the schedulers."""

import pytest

from sciflow import api
from sciflow.api import surroundings
from tests.containers.test_needs import program


def test_every_part_says_what_it_is_and_whether_it_works():
    parts = api.doctor()
    assert {part["kind"] for part in parts} == {"engine", "need", "scheduler"}
    assert {"apptainer", "docker", "host", "user namespaces", "fuse", "cache", "slurm", "cron"} <= {
        part["part"] for part in parts
    }
    assert all(isinstance(part["works"], bool) for part in parts)


def test_nothing_is_asked_for_where_a_part_works_in_full():
    assert all(part["advice"] or not part["ask"] for part in api.doctor())


@pytest.mark.parametrize("ask", [surroundings.slurm, surroundings.cron])
def test_a_scheduler_that_is_absent_is_named(ask, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (ask().works, "not on PATH" in ask().advice) == (False, True)


def test_a_controller_that_does_not_answer_is_told_in_its_last_words(monkeypatch, tmp_path):
    for name in surroundings.SLURM:
        program(
            tmp_path / "p", name, 'test "$1" = --version && echo slurm 22.05.8 && exit 0; echo a; echo cut off; exit 1'
        )
    monkeypatch.setenv("PATH", str(tmp_path / "p"))
    found = surroundings.slurm()
    assert (found.works, found.version) == (False, "22.05.8")
    assert found.advice == "the controller does not answer: cut off"


def test_partitions_are_listed(monkeypatch, tmp_path):
    for name in surroundings.SLURM:
        program(tmp_path / "p", name, 'test "$1" = --version && echo slurm 22.05.8 || printf "main\\nlong\\nmain\\n"')
    monkeypatch.setenv("PATH", str(tmp_path / "p"))
    assert (surroundings.slurm().works, surroundings.slurm().advice) == (True, "partitions: long, main")


def test_a_user_without_a_crontab_may_have_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", program(tmp_path / "p", "crontab", "echo 'no crontab for ada' >&2; exit 1"))
    assert "allow" not in surroundings.cron().ask


def test_a_user_whom_cron_does_not_allow_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", program(tmp_path / "p", "crontab", "echo 'ada is not allowed' >&2; exit 1"))
    found = surroundings.cron()
    assert (found.works, found.advice, "cron.allow" in found.ask) == (False, "ada is not allowed", True)


def test_a_process_that_runs_is_found_by_its_name():
    assert surroundings._runs(("python", "pytest", "python3", "python3.11"))


def test_a_program_that_does_not_run_is_not_found():
    assert not surroundings._runs(("no-such-daemon",))
