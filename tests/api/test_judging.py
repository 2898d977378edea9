"""Results and verdicts by the api: collect, replay, samples."""

import json

import pytest

from sciflow import api
from sciflow.errors import BundleError, IncompleteError, TrustError
from tests import small


@pytest.fixture
def ran(tmp_path):
    return small.ran(tmp_path)


def test_collect_writes_a_row_a_point(ran):
    place = api.collect(ran)
    assert (place.name, len((place.parent / "results.csv").read_text().splitlines())) == ("results.parquet", 5)


def test_collect_has_nothing_to_say_of_a_run_that_never_was(tmp_path):
    with pytest.raises(IncompleteError, match=r"run `main` of .* has no records yet"):
        api.collect(small.compiled(tmp_path))


def test_a_replay_of_a_sound_study_agrees_and_leaves_the_first_run_alone(ran):
    before = small.contents(ran / "runs" / "main")
    found = api.replay(ran, engine="host")
    assert (found.verdict.agrees, found.run.name, found.surroundings) == (True, "replay-1", ())
    assert small.contents(ran / "runs" / "main") == before


def test_a_replay_writes_down_its_verdict(ran):
    found = api.replay(ran, engine="host", points=[1])
    written = json.loads((found.run / "replay.json").read_text())
    assert (written["against"], written["points"], written["bundle"]) == ("main", [1], api.verify(ran).id)


def test_each_replay_is_a_run_of_its_own(ran):
    assert [api.replay(ran, engine="host", points=[0]).run.name for _ in range(2)] == ["replay-1", "replay-2"]


def test_a_replay_of_some_points_runs_only_what_they_need(ran):
    found = api.replay(ran, engine="host", points=[0])
    assert api.status(ran, found.run.name)["tasks"]["train"]["done"] == 1


def test_a_replay_of_a_random_study_differs_in_every_number(tmp_path):
    bundle = api.compile(small.random_study(tmp_path)).path
    api.run(bundle, engine="host")
    found = api.replay(bundle, engine="host")
    different = {item.what for item in found.items if item.status == "different"}
    assert not found.verdict.agrees
    assert len([what for what in different if "score" in what]) == 4


def test_a_replay_needs_a_result_to_compare_with(tmp_path):
    with pytest.raises(IncompleteError, match="has no result to compare with"):
        api.replay(small.compiled(tmp_path), engine="host")


def test_a_replay_of_a_strangers_bundle_runs_nothing(ran, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    with pytest.raises(TrustError, match="sealed by nobody you trust"):
        api.replay(ran, engine="host")
    assert not (ran / "runs" / "replay-1").exists()


def test_a_replay_of_a_changed_bundle_runs_nothing(ran):
    (ran / "code" / "t.py").write_text("other")
    with pytest.raises(BundleError, match=r"code/t\.py"):
        api.replay(ran, engine="host")
    assert not (ran / "runs" / "replay-1").exists()


def test_a_sample_is_decided_by_the_bundles_id():
    assert api.sample("a" * 64, 1000, 5) == api.sample("a" * 64, 1000, 5)
    assert api.sample("a" * 64, 1000, 5) != api.sample("b" * 64, 1000, 5)


def test_a_larger_sample_holds_the_smaller():
    assert set(api.sample("a" * 64, 1000, 5)) < set(api.sample("a" * 64, 1000, 50))


def test_a_sample_of_more_than_there_is_is_all():
    assert api.sample("a" * 64, 3, 50) == [0, 1, 2]
