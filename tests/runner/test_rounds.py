"""A round is planned purely: what remains, the site's limits, what was learned -> arrays with options and edges."""

import json
import os
import stat
import subprocess

import pytest

from sciflow.runner import names, rounds
from tests.runner.conftest import task

LIMITS = {"array": 1001}
TASKS = [
    task("prepare", "true", resources={"time_s": 600, "memory_mib": 2048}),
    task(
        "train",
        "true",
        uses=["x"],
        needs=["prepare"],
        resources={"time_s": 600, "cpus": 4, "gpus": 1, "memory_mib": 8192},
    ),
    task("summary", "true", needs=["train"], gather="train", resources={"time_s": 60}),
]
PLAN = {"name": "t", "tasks": TASKS, "slurm": {}}


def planned(remaining, known=None, limits=LIMITS):
    return rounds.plan_round(PLAN, remaining, known or {}, limits)


def test_a_whole_round_is_planned():
    assert planned({"prepare": [0], "train": [0, 1, 2, 3], "summary": [0]}) == [
        {
            "task": "prepare",
            "elements": [[0]],
            "options": ["--ntasks=1", "--cpus-per-task=1", "--mem=2048M", "--time=22"],
            "after": [],
        },
        {
            "task": "train",
            "elements": [[0, 1, 2], [3]],
            "options": ["--ntasks=1", "--cpus-per-task=4", "--mem=8192M", "--time=42", "--gres=gpu:1"],
            "after": [0],
        },
        {
            "task": "summary",
            "elements": [[0]],
            "options": ["--ntasks=1", "--cpus-per-task=1", "--mem=40M", "--time=4"],
            "after": [1],
        },
    ]


def test_an_array_is_no_longer_than_the_site_allows():
    found = planned({"train": list(range(20))}, {"train": 1800}, {"array": 8})
    assert [len(array["elements"]) for array in found] == [8, 8, 4]


def test_what_comes_after_waits_for_each_part():
    found = planned({"train": list(range(20)), "summary": [0]}, {"train": 1800}, {"array": 8})
    assert found[-1]["after"] == [0, 1, 2]


def test_no_step_is_left_out_or_doubled():
    found = planned({"train": list(range(1000))}, {"train": 7.0}, {"array": 3})
    assert [step for array in found for element in array["elements"] for step in element] == list(range(1000))


def test_elements_are_sized_by_what_was_learned():
    (found,) = planned({"train": list(range(100))}, {"train": 60.0})
    assert [len(element) for element in found["elements"]] == [30, 30, 30, 10]


def test_before_anything_was_learned_declared_times_count():
    (found,) = planned({"train": list(range(6))})
    assert [len(element) for element in found["elements"]] == [3, 3]


def test_a_step_longer_than_an_element_has_one_of_its_own():
    (found,) = planned({"train": [0, 1]}, {"train": 7200.0})
    assert found["elements"] == [[0], [1]]


def test_steps_of_no_time_at_all_are_packed():
    (found,) = planned({"train": list(range(10))}, {"train": 0.0})
    assert found["elements"] == [list(range(10))]


def test_a_limit_leaves_room_for_the_declared_time():
    (found,) = planned({"train": list(range(30))}, {"train": 60.0})
    assert "--time=42" in found["options"]


def test_a_task_with_nothing_left_has_no_array_and_no_edge():
    assert [(array["task"], array["after"]) for array in planned({"train": [1], "prepare": []})] == [("train", [])]


@pytest.mark.parametrize(("seconds", "wanted"), [(1, 1), (60, 1), (61, 2), (59.5, 1), (0, 0)])
def test_slurm_counts_whole_minutes(seconds, wanted):
    assert rounds.minutes(seconds) == wanted


def test_a_job_s_own_options_overrule_the_workflow_s(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_PARTITION", "short")
    monkeypatch.delenv("SLURM_JOB_ACCOUNT", raising=False)
    monkeypatch.delenv("SLURM_JOB_QOS", raising=False)
    assert rounds.common({"slurm": {"partition": "main", "mail_type": "END"}}) == [
        "--mail-type=END",
        "--partition=short",
    ]


def test_a_script_survives_an_odd_path(tmp_path):
    bundle = tmp_path / 'it\'s "a" $HOME'
    (bundle / "runner").mkdir(parents=True)
    (bundle / "runner" / "__main__.py").write_text("import sys; print(sys.argv[1:])\n")
    script = rounds.script(str(bundle), ["element", "--run", "it's"])
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True).stdout
    assert said == "['element', '--run', \"it's\"]\n"


def test_a_script_is_the_runner_and_no_shell_around_it():
    assert rounds.script("/b", ["round"]).splitlines()[1].startswith("exec 'python3' '-I' '-B'")


def written(run, number, state):
    folder = run / names.ROUNDS / f"{number:04}"
    folder.mkdir(parents=True)
    (folder / rounds.FILE).write_text(json.dumps(state))


def test_rounds_are_read_in_order(tmp_path):
    written(tmp_path, 2, {"b": 1})
    written(tmp_path, 1, {"a": 1})
    (tmp_path / names.ROUNDS / ".aside").mkdir()
    assert rounds.rounds(str(tmp_path)) == [(1, {"a": 1}), (2, {"b": 1})]


def test_a_run_without_rounds_has_none(tmp_path):
    assert rounds.rounds(str(tmp_path)) == []


def test_an_element_is_its_round_s_word(tmp_path):
    written(tmp_path, 3, {"arrays": [{"task": "a", "elements": [[0]]}, {"task": "b", "elements": [[0, 1], [2]]}]})
    assert rounds.element(str(tmp_path), 3, 1, 0) == [("b", 0), ("b", 1)]


def test_the_jobs_of_a_run_are_those_written_down_the_last_submitted_first(tmp_path):
    rounds.launched(str(tmp_path), 5, "sciflow:l")
    jobs = [{"id": 6, "mark": "sciflow:a", "name": "a"}, {"id": None, "mark": "sciflow:b", "name": "b"}]
    written(tmp_path, 1, {"jobs": jobs})
    written(tmp_path, 2, {"jobs": [{"id": 9, "mark": "sciflow:c", "name": "c"}]})
    assert [(job["id"], job["mark"]) for job in rounds.recorded(str(tmp_path))] == [
        (9, "sciflow:c"),
        (6, "sciflow:a"),
        (5, "sciflow:l"),
    ]


def test_a_run_that_was_never_submitted_has_no_jobs(tmp_path):
    assert rounds.recorded(str(tmp_path)) == []


def test_a_launch_that_was_cut_off_while_it_was_written_down_is_left_out(tmp_path):
    rounds.launched(str(tmp_path), 5, "sciflow:l")
    with (tmp_path / names.ROUNDS / rounds.LAUNCHES).open("a") as stream:
        stream.write('{"id": 6')
    assert [job["id"] for job in rounds.recorded(str(tmp_path))] == [5]


def test_a_job_stands_where_id_and_mark_agree(tmp_path, monkeypatch):
    program(tmp_path, "squeue", "echo '5 sciflow:a'; echo '6 other'; echo '7 '")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    jobs = [{"id": number, "mark": mark} for number, mark in ((5, "sciflow:a"), (6, "sciflow:b"), (7, ""))]
    assert rounds.standing(jobs) == jobs[:1]
    assert rounds.standing([]) == []


def program(folder, name, text):
    """Write a program of the test's own and return its path."""
    file = folder / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


def test_a_command_that_is_not_there_is_named():
    with pytest.raises(rounds.SlurmError, match="`no-such-program`"):
        rounds.ask(["no-such-program"])


def test_what_a_command_refuses_with_is_repeated(tmp_path):
    with pytest.raises(rounds.SlurmError, match="said: no such partition"):
        rounds.ask([program(tmp_path, "p", "echo no such partition >&2; exit 1")])


def test_what_a_command_of_slurm_s_is_told_is_clean(tmp_path, monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "wrong")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    said = rounds.ask([program(tmp_path, "p", "env")])
    names_told = {line.split("=")[0] for line in said.splitlines()}
    assert {"SLURM_CONF"} == {name for name in names_told if name.startswith(("SLURM", "SBATCH"))}
    assert "TZ=UTC" in said.splitlines()


def test_a_controller_that_is_away_for_a_moment_is_asked_again(tmp_path):
    text = f"[ -e '{tmp_path}/once' ] && echo fine && exit 0; touch '{tmp_path}/once'; echo Unable to contact slurm controller >&2; exit 1"
    assert rounds.ask([program(tmp_path, "p", text)], tries=2) == "fine\n"


def test_a_fault_that_lasts_is_not_asked_again(tmp_path):
    counting = program(tmp_path, "p", f"echo x >> '{tmp_path}/count'; echo no >&2; exit 1")
    with pytest.raises(rounds.SlurmError):
        rounds.ask([counting], tries=5)
    assert (tmp_path / "count").read_text() == "x\n"


def test_where_there_is_no_slurm_a_round_says_so(study, tmp_path):
    (tmp_path / "empty").mkdir()
    found = study([task("a", "true")])
    said = found.run("round", code=3, env={**os.environ, "PATH": str(tmp_path / "empty")}).stderr
    assert "`scontrol`" in said


def test_a_finished_run_needs_no_round(study, tmp_path):
    found = study([task("a", "true")])
    found.run()
    said = found.run("round", env={**os.environ, "PATH": "/nowhere"}).stderr
    assert "finished: 1 steps done, 0 not" in said


def test_a_run_in_which_nothing_can_move_needs_no_round(study):
    found = study([task("a", "false"), task("b", "true", needs=["a"])])
    found.run(code=5)
    assert "finished: 0 steps done, 2 not" in found.run("round", code=5, env={**os.environ, "PATH": "/nowhere"}).stderr
