"""The verbs, as a program calls them: what they return, what they leave, and what they refuse."""

import json
import shutil

import pytest

from sciflow import api
from sciflow.bundle import seal
from sciflow.errors import BundleError, IncompleteError, SurroundingsError, TrustError, UsageError, WorkflowError
from sciflow.runner import names
from tests import small

RANDOM = ('"train", "{prepare.clean}"', '"noise", "{prepare.clean}"')
NOISE = """\
elif verb == "noise":
    with open("metrics.json", "w") as target:
        json.dump({"score": int.from_bytes(__import__("os").urandom(4), "big")}, target)
"""


def random_study(folder):
    """Write a study whose steps give another number each time."""
    file = small.write(folder, RANDOM)
    with (folder / "t.py").open("a", encoding="utf-8") as code:
        code.write(NOISE)
    return file


@pytest.fixture
def ran(tmp_path):
    return small.ran(tmp_path)


def test_check_counts_points_and_steps_and_writes_nothing(tmp_path):
    file = small.write(tmp_path)
    before = small.contents(tmp_path)
    found = api.check(file)
    assert (found.points, dict(found.steps)) == (4, {"prepare": 1, "train": 4, "total": 1})
    assert small.contents(tmp_path) == before


def test_check_adds_up_what_steps_may_use(tmp_path):
    resources = 'metrics = "metrics.json"\nresources = { cpus = 2, gpus = 1, memory = "3 GiB", time = "2h" }'
    found = api.check(small.write(tmp_path, ('metrics = "metrics.json"', resources)))
    assert (found.cpu_hours, found.gpu_hours) == (4 * 2 * 2 + 2 * 1, 4 * 2)
    assert (found.longest_path_s, found.peak_memory_mib) == (3600 + 7200 + 3600, 3072)


def test_check_measures_the_inputs(tmp_path):
    assert api.check(small.write(tmp_path)).input_bytes == 3


def test_compile_gives_the_path_and_the_id(tmp_path):
    made = api.compile(small.write(tmp_path))
    assert made.path == tmp_path / "bundles" / f"small-{made.id[:12]}"


def test_compile_says_once_that_it_made_a_key(tmp_path):
    file = small.write(tmp_path)
    assert [api.compile(file).key_made for _ in range(2)] == [True, False]


def test_compile_writes_the_lock_beside_the_file_and_into_the_bundle(tmp_path):
    bundle = small.compiled(tmp_path)
    assert (tmp_path / "workflow.lock").read_bytes() == (bundle / "workflow.lock").read_bytes()


def test_a_lock_that_fits_is_not_written_again(tmp_path):
    file = small.write(tmp_path)
    api.compile(file)
    before = (tmp_path / "workflow.lock").stat().st_ino
    api.compile(file)
    assert (tmp_path / "workflow.lock").stat().st_ino == before


def test_compile_says_what_changed_since_the_lock(tmp_path):
    file = small.write(tmp_path)
    api.compile(file)
    (tmp_path / "t.py").write_text("other")
    (tmp_path / "start.txt").write_text("other")
    assert api.compile(file).changes == ("code `t.py`: changed", "input `start`: changed")


def test_update_says_what_changed_too(tmp_path):
    file = small.write(tmp_path)
    api.compile(file)
    (tmp_path / "u.py").write_text("new")
    assert api.compile(file, update=True).changes == ("code `u.py`: new",)


def test_locked_takes_a_lock_that_fits(tmp_path):
    file = small.write(tmp_path)
    assert api.compile(file).id == api.compile(file, locked=True).id


def test_locked_refuses_changed_code_naming_the_file_and_writes_nothing(tmp_path):
    file = small.write(tmp_path)
    api.compile(file)
    (tmp_path / "t.py").write_text("other")
    before = small.contents(tmp_path)
    with pytest.raises(SurroundingsError, match=r"no longer fits:\n  code `t\.py`: changed"):
        api.compile(file, locked=True)
    assert small.contents(tmp_path) == before


def test_locked_without_a_lock_is_refused(tmp_path):
    with pytest.raises(SurroundingsError, match="does not exist, and --locked resolves nothing"):
        api.compile(small.write(tmp_path), locked=True)
    assert not (tmp_path / "workflow.lock").exists()


def test_a_lock_that_is_none_is_refused_and_left_as_it_is(tmp_path):
    file = small.write(tmp_path)
    (tmp_path / "workflow.lock").write_text("what?")
    with pytest.raises(SurroundingsError, match="is not a lock that sciflow wrote"):
        api.compile(file)
    assert (tmp_path / "workflow.lock").read_text() == "what?"


def test_update_writes_a_lock_that_is_none_anew(tmp_path):
    file = small.write(tmp_path)
    (tmp_path / "workflow.lock").write_text("what?")
    api.compile(file, update=True)
    assert "t.py sha256:" in (tmp_path / "workflow.lock").read_text()


def test_a_point_without_a_value_leaves_nothing(tmp_path):
    file = small.write(tmp_path, ("[tasks.prepare]", '[sweep]\nderive = { x = "1 / (size - 1)" }\n[tasks.prepare]'))
    before = small.contents(tmp_path)
    with pytest.raises(WorkflowError):
        api.compile(file)
    assert small.contents(tmp_path) == before


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


def test_logs_show_what_failed_with_what_it_said(tmp_path):
    bundle = small.compiled(tmp_path, ('"train", "{prepare.clean}"', '"train", "nowhere"'))
    api.run(bundle, engine="host")
    found = api.logs(bundle)
    assert {(record["task"], record["step"]) for record in found} == {("train", step) for step in range(4)}
    assert all("nowhere" in record["stderr"] for record in found)


@pytest.mark.parametrize("step", ["train", "train/9", "train/", "train/²", "train/-1", "nobody/0", "/"])
def test_a_step_without_a_record_is_refused_with_the_steps_there_are(ran, step):
    with pytest.raises(UsageError, match="has no record of a step") as caught:
        api.logs(ran, step)
    assert "train/0…3" in caught.value.hint


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
    bundle = api.compile(random_study(tmp_path)).path
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


def test_init_writes_a_study_that_checks(tmp_path):
    assert api.check(api.init(tmp_path / "study") / "workflow.toml").points > 1


def test_init_leaves_a_folder_with_something_in_it_alone(tmp_path):
    (tmp_path / "mine").write_text("")
    with pytest.raises(UsageError, match="is there already and is not empty"):
        api.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_schema_of_workflows_is_json_with_a_name():
    assert json.loads(api.schema())["$id"]


def test_a_schema_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="there is no schema `nothing`"):
        api.schema("nothing")


@pytest.mark.parametrize("name", ["../pyproject", "workflow-1.json/..", ""])
def test_a_schema_is_no_path(name):
    with pytest.raises(UsageError, match="there is no schema"):
        api.schema(name)


def test_fetch_says_which_engine_is_ready(tmp_path):
    assert api.fetch(small.compiled(tmp_path), engine="host") == "host"


def test_carry_leaves_a_bundle_without_an_image_as_it_is(tmp_path):
    bundle = small.compiled(tmp_path)
    before = small.contents(bundle)
    api.carry(bundle)
    assert small.contents(bundle) == before


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="Slurm is here: tests/live holds this verb to it")
def test_submit_says_what_is_missing_where_there_is_no_slurm(tmp_path):
    with pytest.raises(SurroundingsError, match="sbatch"):
        api.submit(small.compiled(tmp_path))


def test_a_named_key_seals(tmp_path):
    seal.new("ada")
    assert api.verify(small.compiled(tmp_path, key="ada")).signers == ["ada"]
