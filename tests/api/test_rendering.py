"""A round for a scheduler that is not asked: what is claimed, what is written, and that its elements find themselves."""

import pytest

from sciflow import api
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import journal
from tests import small
from tests.launchers import standins


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["pbs", "lsf"])
def test_the_script_runs_the_whole_sweep_to_the_table_of_a_run_here(tmp_path, scheduler):
    bundle = small.compiled(tmp_path / "it's; touch canary" / "50% $(touch canary)")
    made = api.render(bundle, scheduler, "two words")
    found, _, _ = standins.submit(tmp_path, made.path)
    assert found.returncode == 0, found.stderr
    assert api.run(bundle, engine="host")[1] == 0
    tables = [(api.collect(bundle, run).parent / "results.csv").read_text() for run in ("two words", "main")]
    assert tables[0] == tables[1]
    assert api.verify(bundle).code == 0
    assert not list(tmp_path.rglob("canary"))


def test_a_round_is_claimed_and_written_down_as_others_are(tmp_path):
    bundle = small.compiled(tmp_path)
    first, second = api.render(bundle, "pbs"), api.render(bundle, "lsf", into=tmp_path / "mine.sh")
    assert first.path == bundle / "runs" / "main" / "rounds" / "0001" / "pbs.sh"
    assert ((second.path, second.number), (first.jobs, first.steps, first.later)) == (
        (tmp_path / "mine.sh", 2),
        (6, 6, 0),
    )
    assert [
        (number, state["scheduler"], state["ready"]) for number, state in journal.rounds(bundle / "runs" / "main")
    ] == [
        (1, "pbs", True),
        (2, "lsf", True),
    ]
    assert journal.element(str(bundle / "runs" / "main"), 1, 1, 3) == [("train", 3)]


def test_a_site_s_bounds_are_told(tmp_path):
    bundle = small.compiled(tmp_path)
    found = api.render(bundle, "pbs", array_limit=3, max_minutes=90)
    _, calls, _ = standins.submit(tmp_path, found.path)
    assert [call[call.index("-J") + 1] for call in calls if "-J" in call] == ["0-2"]
    assert (len(calls), {word for call in calls for word in call if "walltime" in word}) == (4, {"walltime=01:30:00"})


def test_a_step_that_may_take_longer_than_a_job_is_named_and_nothing_claimed(tmp_path):
    bundle = small.compiled(tmp_path)
    with pytest.raises(SurroundingsError, match="a step of `prepare` may take 60 minutes, and a job gets 30"):
        api.render(bundle, "pbs", max_minutes=30)
    assert not (bundle / "runs").exists()


def test_where_nothing_remains_nothing_is_rendered(tmp_path):
    with pytest.raises(UsageError, match="nothing remains of the run `main`"):
        api.render(small.ran(tmp_path), "lsf")


def test_a_path_that_no_script_can_hold_is_refused(tmp_path):
    bundle = small.compiled(tmp_path / "a\nEND\ntouch canary")
    with pytest.raises(UsageError, match="control characters"):
        api.render(bundle, "pbs")
    assert not (bundle / "runs").exists()


def test_steps_of_several_ranks_are_refused_before_anything_is_claimed(tmp_path):
    bundle = small.compiled(tmp_path, ("metrics = ", "resources = { ranks = 2 }\nmetrics = "))
    with pytest.raises(UsageError, match="`train` is several ranks, and Slurm alone starts those"):
        api.render(bundle, "pbs")
    assert journal.rounds(str(bundle / "runs" / "main")) == []
