"""Cron's calls: one does what remains, all others nothing; a killed one stands in nobody's way; the line goes at the end."""

import json
import os
import signal
import time

import pytest

from sciflow.runner import crontab, names, turn
from tests import small, tabled
from tests.runner.conftest import task
from tests.runner.test_closing import closing_soon
from tests.runner.test_main import closed_now

OTHERS = "# mine\n5 4 * * * true\n"


@pytest.fixture
def called(study, tmp_path):
    """Return what compiles steps, puts their line into a table, and gives (study, table, what calls as cron does)."""

    def make(tasks, **more):
        found = study(tasks, **more)
        programs, table = tabled.put(tmp_path)
        mark = crontab.mark(str(found.path), "main")
        table.write_text(f"{OTHERS}* * * * * true # {mark}\n")
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}

        def call(code=0, **more):
            return found.run("run", "--quiet", "--cron", "crontab", code=code, env=environment, **more).stderr

        call.start = lambda: found.start("run", "--quiet", "--cron", "crontab", env=environment)
        call.has_line = lambda: mark in table.read_text()
        return found, table, call

    return make


def test_when_all_is_done_the_line_is_taken_away_and_no_other(called):
    found, table, call = called([task("a", "true")])
    said = call()
    assert found.states() == {("a", 0): "done"}
    assert table.read_text() == OTHERS
    assert "all steps are done: its line is taken out of the crontab" in said


def test_any_python_keeps_to_hard_hours_and_to_the_table(called, interpreter):
    schedule, _ = closing_soon(hard=True, left_s=300)
    schedule = {**schedule, "also": [[13 * 60, 14 * 60]], "holidays": ["2026-12-25"], "max_wait_s": 86400 * 9}
    tasks = [task("long", "true", resources={"time_s": 3600}), task("short", "true", resources={"time_s": 5})]
    found, table, call = called(tasks, schedule=schedule)
    assert "1 steps remain" in call(code=75, python=interpreter)
    assert found.states() == {("short", 0): "done"}
    found.run("run", "--now", python=interpreter)
    (found.run_folder / "cron.json").unlink()
    call(python=interpreter)
    assert table.read_text() == OTHERS


def test_where_all_was_done_already_it_says_so_and_goes(called):
    found, _, call = called([task("a", "true")])
    found.run()
    call()
    assert (call.has_line(), found.attempts()) == (False, {("a", 0): 1})


def test_what_failed_for_good_is_not_begun_again_every_few_minutes(called):
    found, _, call = called([task("a", "exit 3"), task("b", "true", needs=["a"])])
    assert "what can be done is done; `sciflow run --failed` tries again what failed" in call(code=5)
    assert (call.has_line(), found.states()) == (False, {("a", 0): "failed", ("b", 0): "skipped"})


def test_outside_the_hours_it_says_nothing_and_leaves_nothing(called):
    found, _, call = called([task("a", "true")], schedule=closed_now())
    assert call(code=75) == ""
    assert call.has_line()
    assert not found.run_folder.exists()


def test_while_a_run_is_going_on_it_ends_at_once_without_a_word(called, tmp_path):
    found, _, call = called([task("a", f"touch '{tmp_path}/begun'; sleep 60")])
    process = call.start()
    small.until((tmp_path / "begun").exists, "the run does not begin")
    assert call() == ""
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 75
    assert (call.has_line(), found.attempts()) == (True, {("a", 0): 1})


def test_while_a_run_that_a_person_started_is_going_on_it_does_nothing(called, tmp_path):
    found, _, call = called([task("a", f"touch '{tmp_path}/begun'; sleep 60")])
    process = found.start()
    small.until((tmp_path / "begun").exists, "the run does not begin")
    assert (call(), call.has_line()) == ("", True)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 75


def test_a_killed_run_stands_in_nobodys_way(called, tmp_path):
    words = f"[ -e '{tmp_path}/begun' ] || {{ touch '{tmp_path}/begun'; sleep 60; }}"
    found, _, call = called([task("a", words)])
    process = call.start()
    small.until((tmp_path / "begun").exists, "the run does not begin")
    process.kill()
    process.wait()
    call()
    assert (found.states(), call.has_line()) == ({("a", 0): "done"}, False)


def test_a_run_that_was_cancelled_is_not_begun_again_and_its_line_goes(called):
    found, _, call = called([task("a", "true")])
    found.run_folder.mkdir(parents=True)
    (found.run_folder / "cancel").touch()
    assert "the run was cancelled: its line is taken out" in call(code=75)
    assert (call.has_line(), found.states()) == (False, {})


def test_a_bundle_that_has_changed_is_named_once_and_its_line_goes(called):
    found, _, call = called([task("a", "true")])
    (found.path / "README.md").write_text("other\n")
    said = call(code=4)
    assert "README.md: has changed" in said
    assert "the bundle is not what was sealed: its line is taken out" in said
    assert not call.has_line()


def test_a_fault_of_the_surroundings_is_tried_again_ever_more_rarely(called):
    found, _, call = called([task("a", "true", resources={"cpus": 4096})])
    pauses = []
    for _ in range(3):
        assert "cannot run on this machine" in call(code=3)
        state = json.loads((found.run_folder / "cron.json").read_text())
        pauses.append(state["until"] - int(time.time()))
        assert call(code=75) == ""  # it waits
        (found.run_folder / "cron.json").write_text(json.dumps({**state, "until": 0}))
    assert [round(pause / 300) for pause in pauses] == [1, 2, 4]
    assert call.has_line()


def test_when_too_little_of_the_window_is_left_it_is_left_alone_until_that_closes(called):
    schedule, close = closing_soon(hard=True, left_s=300)
    found, _, call = called([task("a", "true", resources={"time_s": 3600})], schedule=schedule)
    assert "1 steps remain" in call(code=75)
    assert json.loads((found.run_folder / "cron.json").read_text()) == {"failed": 0, "until": close}
    assert call(code=75) == ""


def test_a_line_that_cannot_be_taken_away_is_told_of(called, tmp_path):
    _, _, call = called([task("a", "true")])
    tabled.put(tmp_path, before="echo no >&2; exit 1")
    assert "all steps are done; but its line cannot be taken away: `crontab` said: no" in call(code=3)
    assert call.has_line()


def test_a_wait_that_is_over_lets_it_begin_outside_the_hours(called):
    found, _, call = called([task("a", "true")], schedule={**closed_now(), "max_wait_s": 3600})
    call(code=75)
    (found.run_folder / "launched.json").write_text(json.dumps({"time": int(time.time()) - 3600}))
    call()
    assert found.states() == {("a", 0): "done"}


def test_a_table_of_another_name_is_refused(study):
    assert "not in `fcrontab`" in study([task("a", "true")]).run("run", "--cron", "fcrontab", code=2).stderr


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"failed": 1}', '{"failed": null, "until": 3}'])
def test_notes_that_cannot_be_read_are_none(study, text):
    found = study([task("a", "true")])
    found.run_folder.mkdir(parents=True)
    (found.run_folder / names.CRON).write_text(text)
    assert turn.due(str(found.path), str(found.run_folder), int(time.time()))


def test_a_plan_that_cannot_be_read_is_due_so_that_it_is_named(study):
    found = study([task("a", "true")], schedule=closed_now())
    assert not turn.due(str(found.path), str(found.run_folder), int(time.time()))
    (found.path / "plan.json").write_text("{")
    assert turn.due(str(found.path), str(found.run_folder), int(time.time()))
