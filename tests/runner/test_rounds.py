"""A launch: what each job is given, what a launch may overrule, and when there is nothing to submit."""

import json
import os
import subprocess
from pathlib import Path

from sciflow.runner import journal, names, rounds
from tests.runner.conftest import program, task


def test_a_script_survives_an_odd_path(tmp_path):
    bundle = tmp_path / 'it\'s "a" $HOME'
    (bundle / "runner").mkdir(parents=True)
    (bundle / "runner" / "__main__.py").write_text("import sys; print(sys.argv[1:])\n")
    script = rounds.script(str(bundle), ["element", "--run", "it's"])
    said = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=True).stdout
    assert said == "['element', '--run', \"it's\"]\n"


def test_a_script_is_the_runner_and_no_shell_around_it():
    assert rounds.script("/b", ["round"]).splitlines()[1].startswith("exec 'python3' '-I' '-B'")


def test_a_node_that_was_given_up_is_noted_by_its_name(tmp_path, monkeypatch):
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    rounds.leave(str(tmp_path), 3)
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv("SLURMD_NODENAME", "n7")
    rounds.leave(str(tmp_path), 3)
    assert (tmp_path / names.ROUNDS / "0003" / rounds.LEFT / "n7").exists()


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


def test_two_rounds_that_brought_nothing_stop_it_unless_their_jobs_were_told_to_stop(study):
    found = study([task("a", "true")])
    for number in (1, 2):
        folder = found.run_folder / names.ROUNDS / f"{number:04}"
        folder.mkdir(parents=True)
        (folder / journal.FILE).write_text(json.dumps({"time": 0, "moved": 0, "arrays": [], "job": 0, "overrides": []}))
        lines = [{"name": "x", "mark": "sciflow:a", "id": 1}, {"ready": True}]
        (folder / journal.JOBS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    nothing = program(found.path.parent, "squeue", "exit 0")
    path = {**os.environ, "PATH": f"{Path(nothing).parent}:/usr/bin:/bin"}
    assert "2 rounds brought nothing on record" in found.run("round", "--next", code=5, env=path).stderr
    rounds.told_to_stop(str(found.run_folder), 1)
    program(found.path.parent, "scontrol", "echo asked >&2; exit 1")
    assert "`scontrol` said: asked" in found.run("round", "--next", code=3, env=path).stderr


def state(*jobs, asked=False, moved=0):
    return {"asked": asked, "moved": moved, "jobs": [{"name": name, "id": job} for name, job in jobs]}


def test_rounds_that_brought_nothing_count_from_when_somebody_last_launched(tmp_path):
    worked, empty = [("s-a", 3), ("s-next", 2)], [("s-next", 4)]
    past = [(1, state(*worked, asked=True)), (2, state(*worked)), (3, state(*empty)), (4, state(*worked))]
    run = str(tmp_path)
    assert rounds._tried(run, past) == [state(*worked, asked=True), state(*worked), state(*worked)]
    assert rounds._tried(run, [*past, (5, state(*worked, asked=True))]) == [state(*worked, asked=True)]
    assert rounds._tried(run, [(1, {"jobs": past[1][1]["jobs"]})]) == [
        {"jobs": past[1][1]["jobs"]}
    ]  # of an earlier release


def in_hand(found, reason):
    """Write down a round of one array and what comes after it, and return the answer of an squeue that has both."""
    told = {"time": 0, "overrides": [], "job": 0, "ready": False}
    folder = journal.claim(str(found.run_folder), 1, told, [{"a": [[0, 0]]}])
    entries = [{"name": "s-next", "mark": "sciflow:n", "id": 6}, {"name": "s-a", "mark": "sciflow:a", "id": 7}]
    (journal.Journal(folder)).ready()
    with open(folder + "/" + journal.JOBS, "a", encoding="utf-8") as stream:  # noqa: PTH123  the folder is a text
        stream.writelines(names.canonical(entry) + "\n" for entry in entries)
    return f"echo '6|PENDING|Dependency|sciflow:n'; echo '7|PENDING|{reason}|sciflow:a'"


def test_a_job_that_slurm_holds_since_a_crash_is_ended_so_that_the_next_round_comes(study, programs, tmp_path):
    found = study([task("a", "true")])
    (found.run_folder / names.ROUNDS).mkdir(parents=True)
    answer = in_hand(found, "launch failed requeued held")
    programs(squeue=answer, scancel=f"echo \"$@\" >> '{tmp_path}/said'")
    assert "round 1 is going on" in found.run("round").stderr
    assert (tmp_path / "said").read_text() == "--state=PENDING 7\n"


def test_where_nothing_but_what_slurm_holds_is_there_a_round_comes_at_once(study, programs, tmp_path):
    found = study([task("a", "true")])
    (found.run_folder / names.ROUNDS).mkdir(parents=True)
    in_hand(found, "")
    held = "echo '6|PENDING|launch failed requeued held|sciflow:n'"
    programs(squeue=held, scancel="true", scontrol="echo no more than this is asked >&2; exit 1")
    assert "no more than this is asked" in found.run("round", code=3).stderr


def test_a_job_that_waits_for_its_turn_or_is_held_by_its_user_is_left_alone(study, programs, tmp_path):
    found = study([task("a", "true")])
    (found.run_folder / names.ROUNDS).mkdir(parents=True)
    answer = in_hand(found, "JobHeldUser")
    programs(squeue=answer, scancel=f"echo \"$@\" >> '{tmp_path}/said'")
    assert "round 1 is going on" in found.run("round").stderr
    assert not (tmp_path / "said").exists()
