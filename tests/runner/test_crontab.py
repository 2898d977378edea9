"""The user's table: one run's line comes and goes, all others stay byte for byte, whoever else writes it."""

import os
import subprocess
import sys
import threading

import pytest

from sciflow.runner import crontab
from tests import tabled

MARK, OTHER = "sciflow:0123456789ab:0123456789ab", "sciflow:0123456789ab:ffffffffffff"
LINE = f"*/5 * * * * true # {MARK}\n"
MINE = b"# mine \xff\r\n\nMAILTO=me\n5 4 * * * echo 'a  b' \\% | cat # not sciflow\n\t\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    programs, place = tabled.put(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return place


def install(mark=MARK, line=LINE):
    return crontab.change("crontab", lambda found: crontab.added(found, mark, line))


def remove(mark=MARK):
    return crontab.change("crontab", lambda found: crontab.without(found, mark))


# ---- Text


def test_a_line_is_added_at_the_end():
    assert crontab.added(MINE, MARK, LINE) == MINE + LINE.encode()


def test_a_line_is_put_in_the_place_of_the_one_that_was_there():
    assert crontab.added(crontab.added(MINE, MARK, LINE), MARK, LINE) == MINE + LINE.encode()


def test_a_line_is_taken_away_and_nothing_else():
    assert crontab.without(crontab.added(MINE, MARK, LINE), MARK) == MINE


def test_a_last_line_without_an_end_gets_one():
    assert crontab.added(b"5 4 * * * true", MARK, LINE) == b"5 4 * * * true\n" + LINE.encode()


def test_the_line_of_another_run_stays():
    other = LINE.replace(MARK, OTHER)
    both = crontab.added(crontab.added(MINE, OTHER, other), MARK, LINE)
    assert crontab.without(both, MARK) == MINE + other.encode()


def test_a_line_that_only_speaks_of_the_mark_stays():
    spoken = f"# see {MARK} below\n".encode()
    assert crontab.without(spoken, MARK) == spoken


def test_the_options_of_a_line_of_scrontab_go_with_it_and_those_of_others_stay():
    theirs = b"#SCRON --time=5\n0 * * * * true\n"
    ours = f"#SCRON --mem=1M\n#SCRON --comment={MARK}\n{LINE}"
    assert crontab.without(crontab.added(theirs, MARK, ours) + theirs, MARK) == theirs + theirs


def test_a_mark_is_of_a_bundle_its_place_and_a_run(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    one = crontab.mark(str(tmp_path / "a"), "main")
    assert one == crontab.mark(f"{tmp_path}/b/../a", "main")
    assert len({one, crontab.mark(str(tmp_path / "b"), "main"), crontab.mark(str(tmp_path / "a"), "other")}) == 3
    assert one.startswith("sciflow:44136fa355b3:")


# ---- The table


def test_where_there_is_no_table_one_is_made_and_taken_away_again(table):
    assert (install(), table.read_text()) == (True, LINE)
    assert (remove(), table.exists()) == (True, False)


def test_twice_is_once(table):
    assert [install(), install()] == [True, False]
    assert table.read_text() == LINE


def test_where_there_is_no_line_none_is_taken_away(table):
    table.write_bytes(MINE)
    assert remove() is False
    assert table.read_bytes() == MINE


def test_what_another_program_adds_meanwhile_is_kept(tmp_path, monkeypatch):
    """Between the first reading and the writing somebody adds a line: it is read again, and theirs stays."""
    programs, table = tabled.put(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    calls = []

    def edit(found):
        calls.append(found)
        if len(calls) == 1:
            table.write_bytes(MINE)
        return crontab.added(found, MARK, LINE)

    assert crontab.change("crontab", edit)
    assert (table.read_bytes(), len(calls)) == (MINE + LINE.encode(), 2)


def test_of_many_bundles_at_once_every_line_stays(table):
    marks = [f"sciflow:0123456789ab:{number:012x}" for number in range(8)]
    threads = [threading.Thread(target=install, args=(mark, LINE.replace(MARK, mark))) for mark in marks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(table.read_text().splitlines()) == sorted(LINE.replace(MARK, mark).strip() for mark in marks)


def test_what_the_program_says_against_it_is_told(tmp_path, monkeypatch):
    programs, _ = tabled.put(tmp_path, before="echo 'You (ada) are not allowed' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    with pytest.raises(crontab.TableError, match=r"`crontab` said: You \(ada\) are not allowed"):
        install()


def test_a_program_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(crontab.TableError, match="`scrontab`: No such file"):
        crontab.read("scrontab")


# ---- The lock


def test_a_lock_has_one_holder():
    held = crontab.lock("sciflow-test-one")
    assert crontab.lock("sciflow-test-one") is None
    held.close()
    again = crontab.lock("sciflow-test-one")
    assert again is not None
    again.close()


def test_a_lock_ends_with_its_holder_however_that_ends():
    code = "from sciflow.runner import crontab; held = crontab.lock('sciflow-test-two'); print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        holder.stdout.readline()
        assert crontab.lock("sciflow-test-two") is None
        holder.kill()
        holder.wait()
    held = crontab.lock("sciflow-test-two")
    assert held is not None
    held.close()
