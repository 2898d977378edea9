"""A bundle's line in the user's table: put there, taken away, printed; what it says runs the bundle."""

import json
import os
import shutil
import subprocess

import pytest

from sciflow import api
from sciflow.errors import BundleError, SurroundingsError, UsageError
from tests import small, tabled

OTHERS = "# mine\nMAILTO=me\n5 4 * * * true\n"


@pytest.fixture
def table(tmp_path, monkeypatch):
    programs, place = tabled.put(tmp_path)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    place.write_text(OTHERS)
    return place


@pytest.fixture
def bundle(tmp_path):
    return small.compiled(tmp_path / "a study, 50%")


def command(line):
    return line.split(" ", 5)[5].replace("\\%", "%")


def test_the_line_is_put_at_the_end_of_the_table_and_taken_away_again(table, bundle):
    made = api.cron_install(bundle, engine="host")
    assert table.read_text() == OTHERS + made.text
    assert (made.table, made.changed) == ("crontab", True)
    assert api.cron_remove(bundle) is True
    assert table.read_text() == OTHERS


def test_twice_is_once(table, bundle):
    assert [api.cron_install(bundle, engine="host").changed for _ in range(2)] == [True, False]
    assert table.read_text().count("sciflow:") == 1
    assert [api.cron_remove(bundle), api.cron_remove(bundle)] == [True, False]


def test_other_words_change_the_line_and_add_none(table, bundle):
    api.cron_install(bundle, engine="host")
    made = api.cron_install(bundle, engine="host", every_min=10)
    assert table.read_text() == OTHERS + made.text
    assert made.text.startswith("*/10 ")


def test_two_runs_have_two_lines(table, bundle):
    api.cron_install(bundle, engine="host")
    api.cron_install(bundle, "second", engine="host")
    assert table.read_text().count("sciflow:") == 2
    api.cron_remove(bundle, "second")
    assert "--run=main" in table.read_text()


def test_printing_changes_nothing(table, bundle):
    made = api.cron_install(bundle, engine="host", only_print=True)
    assert (made.changed, table.read_text()) == (False, OTHERS)
    assert not (bundle / "runs").exists()


def test_what_the_line_says_runs_the_bundle_and_takes_the_line_away(table, bundle):
    made = api.cron_install(bundle, engine="host")
    ran = subprocess.run(
        ["/bin/sh", "-c", command(made.text)],
        env={"HOME": os.environ["HOME"], "PATH": "/usr/bin:/bin"},  # as cron's own is
        capture_output=True,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == (b"", b"")
    assert "all steps are done: its line is taken out of the crontab" in made.log.read_text()
    assert api.status(bundle)["states"] == {"done": 6}
    assert table.read_text() == OTHERS


def test_a_run_that_was_cancelled_begins_afresh(table, bundle):
    run = bundle / "runs" / "main"
    api.cron_install(bundle, engine="host")
    (run / "cancel").touch()
    (run / "cron.json").write_text('{"failed": 9, "until": 99999999999}')
    api.cron_install(bundle, engine="host")
    assert not {"cancel", "cron.json"} & {path.name for path in run.iterdir()}


def test_waiting_counts_from_the_installing(table, tmp_path):
    hours = '[schedule]\npolicy = "off-peak"\nhours = "22:00-08:00"\nmax_wait = "1d"\n\n[tasks.prepare]'
    bundle = small.compiled(tmp_path / "study", ("[tasks.prepare]", hours))
    api.cron_install(bundle, engine="host")
    assert json.loads((bundle / "runs" / "main" / "launched.json").read_text())["time"] > 0


def test_variables_that_a_run_heeds_are_in_the_line(table, bundle, monkeypatch):
    monkeypatch.setenv("SCIFLOW_CACHE", "/some where")
    monkeypatch.setenv("SECRET", "x")
    text = api.cron_install(bundle, engine="host", only_print=True).text
    assert "'SCIFLOW_CACHE=/some where'" in text
    assert "SECRET" not in text


def test_folders_that_are_not_there_are_left_out_of_the_path(table, bundle, monkeypatch):
    monkeypatch.setenv("PATH", f"/no/such:relative:{os.environ['PATH']}:{os.environ['PATH']}")
    text = api.cron_install(bundle, engine="host", only_print=True).text
    (path,) = (word for word in text.split(" ") if word.startswith("PATH="))
    assert not {"/no/such", "relative"} & set(path[5:].split(":"))
    assert len(path[5:].split(":")) == len(set(path[5:].split(":")))


def test_scrontab_has_a_table_of_its_own(tmp_path, monkeypatch, bundle):
    programs, place = tabled.put(tmp_path, "scrontab")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    plain = shutil.move(bundle, tmp_path / "plain")
    made = api.cron_install(plain, engine="host", table="scrontab")
    assert place.read_text() == made.text
    assert made.text.startswith("#SCRON --job-name=sciflow-small\n")
    assert api.cron_remove(plain, table="scrontab") is True
    assert not place.exists()


def test_a_bundle_that_has_changed_gets_no_line(table, bundle):
    (bundle / "README.md").write_text("other\n")
    with pytest.raises(BundleError, match=r"README\.md: has changed"):
        api.cron_install(bundle, engine="host")
    assert table.read_text() == OTHERS


def test_a_path_that_no_line_can_say_is_refused(table, tmp_path):
    with pytest.raises(UsageError, match="control character"):
        api.cron_install(small.compiled(tmp_path / "a\nb"), engine="host")
    assert table.read_text() == OTHERS


def test_where_cron_is_not_to_be_used_it_says_what_else_there_is(bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match="`crontab`: No such file") as caught:
        api.cron_install(bundle, engine="host")
    assert "--print" in caught.value.hint


def test_steps_of_several_ranks_are_refused_since_cron_cannot_start_them(table, bundle, tmp_path):
    spread = small.compiled(tmp_path / "b", ("metrics = ", "resources = { ranks = 2 }\nmetrics = "))
    with pytest.raises(SurroundingsError, match="`train` is 2 ranks on 1 nodes, which Slurm alone starts"):
        api.cron_install(spread, engine="host")
    assert table.read_text() == OTHERS
