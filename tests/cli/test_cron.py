"""The commands about cron."""

import json
import os

import pytest

from tests import small, tabled


@pytest.fixture
def bundle(tmp_path):
    return small.compiled(tmp_path / "study")


@pytest.fixture
def table(tmp_path, monkeypatch):
    programs, place = tabled.put(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return place


def test_install_prints_the_line_that_it_has_added(table, bundle):
    found = small.sciflow("cron", "install", bundle, "--engine", "host")
    assert (found.returncode, found.stdout) == (0, table.read_text())
    assert "the line is in your crontab; its log: " in found.stderr


def test_install_twice_says_that_it_was_there(table, bundle):
    small.sciflow("cron", "install", bundle, "--engine", "host")
    assert "was already in your crontab" in small.sciflow("cron", "install", bundle, "--engine", "host").stderr


def test_print_prints_the_line_alone(table, bundle):
    found = small.sciflow("cron", "install", bundle, "--engine", "host", "--print", "--every", "10")
    assert (found.stdout[:5], found.stderr, table.exists()) == ("*/10 ", "", False)


def test_remove_says_whether_there_was_one(table, bundle):
    small.sciflow("cron", "install", bundle, "--engine", "host")
    assert [small.sciflow("cron", "remove", bundle).stdout for _ in range(2)] == ["removed\n", "there was none\n"]
    assert not table.exists()


def test_programs_are_told_what_was_done(table, bundle):
    made = json.loads(small.sciflow("cron", "install", bundle, "--engine", "host", "--json").stdout)
    assert (made["line"], made["table"], made["changed"]) == (table.read_text(), "crontab", True)
    assert json.loads(small.sciflow("cron", "remove", bundle, "--json").stdout) == {"removed": True}


def test_minutes_that_do_not_divide_an_hour_are_refused(bundle):
    found = small.sciflow("cron", "install", bundle, "--engine", "host", "--print", "--every", "7")
    assert (found.returncode, "every 7 minutes" in found.stderr) == (2, True)
