"""The group of all commands: its help, its list, and the word for a slip."""

import click
import pytest

from sciflow.cli import group, main
from tests import small

NAMES = [
    "init",
    "check",
    "compile",
    "run",
    "submit",
    "cron",
    "render",
    "status",
    "logs",
    "why",
    "cancel",
    "collect",
    "report",
    "verify",
    "replay",
    "schema",
    "lock",
    "fetch",
    "doctor",
    "key",
    "cache",
]


def commands(of=group.sciflow, before=()):
    for name, command in sorted(of.commands.items()):
        yield (*before, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*before, name))


def test_the_commands_stand_in_the_order_of_a_studys_life():
    assert group.sciflow.list_commands(click.Context(group.sciflow)) == NAMES


@pytest.mark.parametrize(("words", "command"), [((), group.sciflow), *commands()], ids=str)
def test_every_help_has_an_example_that_is_a_command(words, command):
    lines = [line.strip() for line in (command.help or "").splitlines()]
    (example,) = [line for line in lines if line.startswith("Example: ")]
    assert " ".join(["sciflow", *words]) in example


@pytest.mark.parametrize(
    ("words", "command"), [found for found in commands() if not isinstance(found[1], click.Group)], ids=str
)
def test_every_command_answers_programs_and_keeps_silent_when_asked(words, command):
    assert {"--json", "--quiet"} <= {option for parameter in command.params for option in parameter.opts}


def test_the_help_lists_the_exit_codes():
    found = small.sciflow("--help")
    assert (found.returncode, "70 a fault of sciflow's own" in " ".join(found.stdout.split())) == (0, True)


def test_help_has_its_short_form():
    assert small.sciflow("check", "-h").stdout == small.sciflow("check", "--help").stdout


def test_the_version_is_told():
    assert small.sciflow("--version").stdout.startswith("sciflow 0.")


@pytest.mark.parametrize(("slip", "meant"), [("comple", "compile"), ("chek", "check"), ("verfy", "verify")])
def test_a_slip_is_answered_with_the_nearest_command(slip, meant):
    found = small.sciflow(slip)
    assert (found.returncode, found.stdout) == (2, "")
    assert "Did you mean" in found.stderr
    assert meant in found.stderr


def test_a_slip_among_the_commands_about_keys_is_answered_too():
    found = small.sciflow("key", "trst")
    assert (found.returncode, "Did you mean" in found.stderr, "trust" in found.stderr) == (2, True, True)


def test_no_words_at_all_give_the_help():
    found = small.sciflow()
    assert found.returncode == 2
    assert "compile" in found.stdout + found.stderr


def test_the_command_line_ends_with_a_code_even_when_called_from_a_program(monkeypatch):
    monkeypatch.setattr("sys.argv", ["sciflow", "--version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
