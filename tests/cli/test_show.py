"""How answers and refusals look."""

import json

import pytest

from sciflow.cli import show
from sciflow.errors import Fault, UsageError, WorkflowError

FAULTS = [Fault(file="w.toml", line=line, column=1, text="no", hint="yes") for line in (1, 2)]


def test_the_thing_itself_comes_last(capsys):
    show.answer({"a": 1}, "the thing", as_json=False, lines=["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\nthe thing\n"


def test_a_program_gets_one_object_on_one_line(capsys):
    show.answer({"b": 1, "a": "é"}, "the thing", as_json=True, lines=["one"])
    assert capsys.readouterr().out == '{"a": "é", "b": 1}\n'


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\rb", "bell\a", "\x9b31m", "a\u202eb"])
def test_what_a_terminal_could_act_on_is_escaped(text):
    assert show.safe(text).isprintable()


def test_lines_stay_lines():
    assert show.safe("one\ntwo") == "one\ntwo"


def test_an_error_is_said_on_stderr_alone(capsys):
    show.refused(UsageError("no such run", hint="make one"), as_json=False)
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", "error: no such run\n  hint: make one\n")


def test_many_faults_are_counted(capsys):
    show.refused(WorkflowError(FAULTS), as_json=False)
    assert capsys.readouterr().err.splitlines()[-1] == "2 faults"


def test_a_program_gets_the_code_and_every_fault_with_its_place(capsys):
    show.refused(WorkflowError(FAULTS), as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["code"], [fault["line"] for fault in found["faults"]]) == (2, [1, 2])


def test_talk_goes_to_stderr(capsys):
    show.talk(quiet=False)("working")
    assert capsys.readouterr() == ("", "working\n")


def test_quiet_talk_is_silence(capsys):
    show.talk(quiet=True)("working")
    assert capsys.readouterr() == ("", "")


def test_a_table_has_its_columns_two_spaces_apart():
    assert show.table([["task", "n"], ["a", "10"]]) == ["task  n", "a     10"]


def test_nobody_watches_a_pipe(tmp_path):
    with (tmp_path / "out").open("w") as stream:
        assert not show.on_terminal(stream)


def test_an_instant_is_written_in_utc():
    assert show.clock(0.0) == "1970-01-01 00:00:00 UTC"
