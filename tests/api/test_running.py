"""Bundles started by the api."""

import os
import sys

import pytest

from sciflow import api
from sciflow.errors import BundleError, SurroundingsError, UsageError
from sciflow.runner import names
from tests import small


@pytest.fixture
def ran(tmp_path):
    return small.ran(tmp_path)


def test_run_makes_every_step_and_its_results(ran):
    found = api.status(ran)
    assert {task: counts["done"] for task, counts in found["tasks"].items()} == {"prepare": 1, "train": 4, "total": 1}
    (total,) = api.logs(ran, "total/0")
    made = ran / "runs" / "main" / "outputs" / "total" / "000000" / total["attempt"] / "sum.txt"
    assert float(made.read_text()) == 4 * 10 + (1 + 2) * (0.5 + 1.0)


def test_run_again_has_nothing_to_do(ran):
    before = small.contents(ran)
    assert api.run(ran, engine="host") == (ran / "runs" / "main", 0)
    assert small.contents(ran) == before


def test_run_leaves_a_whole_bundle(ran):
    assert api.verify(ran).code == 0


def test_run_only_what_a_point_needs(tmp_path):
    bundle = small.compiled(tmp_path)
    api.run(bundle, engine="host", points=[2])
    assert {task: counts.get("done", 0) for task, counts in api.status(bundle)["tasks"].items()} == {
        "prepare": 1,
        "train": 1,
        "total": 0,
    }


def test_run_refuses_a_changed_bundle_before_it_starts(tmp_path):
    bundle = small.compiled(tmp_path)
    (bundle / "code" / "t.py").write_text("other")
    with pytest.raises(BundleError, match=r"code/t\.py: has changed"):
        api.run(bundle, engine="host")
    assert not (bundle / "runs").exists()


def test_run_with_an_engine_that_is_none_says_which_there_are(tmp_path):
    with pytest.raises(SurroundingsError, match="steam"):
        api.run(small.compiled(tmp_path), engine="steam")


def test_a_failed_step_makes_the_run_incomplete_and_its_dependents_skipped(tmp_path):
    bundle = small.compiled(tmp_path, ('"train", "{prepare.clean}"', '"train", "nowhere"'))
    assert api.run(bundle, engine="host")[1] == names.EXIT_INCOMPLETE
    tasks = api.status(bundle)["tasks"]
    assert (tasks["prepare"].get("done"), tasks["train"].get("failed"), tasks["total"].get("skipped")) == (1, 4, 1)


GREEDY = ("[tasks.total]\n", "[tasks.total]\nresources = { cpus = 4096 }\n")


def test_a_step_too_large_for_this_machine_is_refused(tmp_path):
    bundle = small.compiled(tmp_path, GREEDY)
    assert api.run(bundle, engine="host")[1] == names.EXIT_SURROUNDINGS


def test_a_step_too_large_runs_with_what_is_here_where_that_is_asked(tmp_path):
    bundle = small.compiled(tmp_path, GREEDY)
    assert api.run(bundle, engine="host", degrade=True)[1] == names.EXIT_OK


def test_the_host_finds_programs_where_it_is_told_to(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "greet").write_text("#!/bin/sh\necho hello\n")
    (folder / "greet").chmod(0o755)
    bundle = small.compiled(
        tmp_path,
        (f'["{sys.executable}", "t.py", "total"', '["greet", "total"'),
        ("outputs = { sum", "# outputs = { sum"),
        (', "{outputs.sum}"', ""),
    )
    assert api.run(bundle, engine="host", programs=f"{folder}{os.pathsep}{os.environ['PATH']}")[1] == names.EXIT_OK
    assert api.logs(bundle, "total/0")[0]["stdout"] == "hello\n"


@pytest.mark.parametrize(
    ("words", "done"),
    [
        ({"tasks": ["prepare"]}, {"prepare": 1}),
        ({"tasks": ["train"]}, {"prepare": 1, "train": 4}),
        ({"tasks": ["train"], "points": [1]}, {"prepare": 1, "train": 1}),
        ({"steps": ["train/3"]}, {"prepare": 1, "train": 1}),
        ({"steps": ["train/3"], "points": [0]}, {"prepare": 1, "train": 2}),
        ({"tasks": ["total"]}, {"prepare": 1, "train": 4, "total": 1}),
    ],
)
def test_run_only_some_tasks_and_steps_and_what_they_need(tmp_path, words, done):
    bundle = small.compiled(tmp_path)
    assert api.run(bundle, engine="host", **words)[1] == names.EXIT_OK
    tasks = api.status(bundle)["tasks"]
    assert {name: counts["done"] for name, counts in tasks.items() if "done" in counts} == done


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ({"tasks": ["tran"]}, "there is no task `tran`", "did you mean `train`?"),
        ({"steps": ["train/4"]}, "there is no step `train/4`", "train/0...3"),
        ({"points": [4]}, "there are points 0 to 3, and no 4", ""),
        ({"points": [0], "tasks": ["total"]}, "`total` gathers all points", "`total/0`"),
    ],
)
def test_run_of_what_the_bundle_does_not_have_is_refused_before_it_starts(tmp_path, words, said, hint):
    bundle = small.compiled(tmp_path)
    with pytest.raises(UsageError, match=said) as caught:
        api.run(bundle, engine="host", **words)
    assert hint in caught.value.hint
    assert not (bundle / "runs").exists()


def test_a_quiet_run_says_nothing_of_how_far_it_is(tmp_path, capfd):
    api.run(small.compiled(tmp_path), engine="host", quiet=True)
    assert "steps done" not in capfd.readouterr().err


def test_a_start_takes_the_word_to_stop_away(ran):
    (ran / "runs" / "main" / "cancel").touch()
    api.run(ran, engine="host")
    assert not (ran / "runs" / "main" / "cancel").exists()
