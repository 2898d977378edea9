"""From a workflow to a bundle, by the api: check, compile, init, schema."""

import json
import shutil
import subprocess

import polars as pl
import pytest

from sciflow import api
from sciflow.bundle import seal
from sciflow.errors import SurroundingsError, UsageError, WorkflowError
from tests import small


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


def test_check_measures_each_sweep(tmp_path):
    found = api.check_all(small.several(tmp_path))
    assert [(one.name, one.points) for one in found] == [("small-slow", 2), ("small-fast", 1)]


def test_check_counts_what_had_stood_before(tmp_path):
    blocks = "[sweep]\nblocks = [{ where = 'size == 1' }, { where = 'rate == 1.0' }]\n[tasks.prepare]"
    found = api.check(small.write(tmp_path, ("[tasks.prepare]", blocks)))
    assert (found.points, found.doubles) == (3, 1)


def test_check_reads_values_from_parquet(tmp_path):
    pl.DataFrame({"size": [1, 2, 3]}).write_parquet(tmp_path / "design.parquet")
    found = api.check(small.write(tmp_path, ("size = [1, 2]", 'size = { from = "design.parquet" }')))
    assert found.points == 6


def test_each_named_sweep_is_a_bundle_of_its_name(tmp_path):
    made = api.compile_all(small.several(tmp_path))
    assert [one.path.name for one in made] == [f"small-slow-{made[0].id[:12]}", f"small-fast-{made[1].id[:12]}"]


def test_a_bundle_of_a_named_sweep_holds_its_points_alone(tmp_path):
    made = api.compile(small.several(tmp_path), sweep="fast")
    assert json.loads((made.path / "plan.json").read_bytes())["points"] == 1
    assert (made.path / "points.jsonl").read_text() == '{"rate":1,"size":2}\n'


def test_a_sweep_compiled_alone_is_the_one_compiled_with_all(tmp_path):
    file = small.several(tmp_path)
    assert api.compile(file, sweep="fast").id == api.compile_all(file)[1].id


def test_sweeps_are_compiled_in_the_order_they_are_asked_for(tmp_path):
    made = api.compile_all(small.several(tmp_path), sweeps=["fast", "slow"])
    assert [one.path.name.rpartition("-")[0] for one in made] == ["small-fast", "small-slow"]


def test_a_sweep_that_is_not_there_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match=r"`small` has no sweep `fine`") as caught:
        api.compile(small.several(tmp_path), sweep="fine")
    assert caught.value.hint == "its sweeps are `slow`, `fast`"
    assert not (tmp_path / "workflow.lock").exists()


def test_a_sweep_of_a_file_whose_one_sweep_has_no_name_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"`small` has no sweep `fine`") as caught:
        api.compile(small.write(tmp_path), sweep="fine")
    assert caught.value.hint == "it has one, without a name"


def test_one_of_several_sweeps_is_asked_for_by_name(tmp_path):
    with pytest.raises(UsageError, match="has several sweeps, and one is wanted"):
        api.compile(small.several(tmp_path))
    assert not (tmp_path / "bundles").exists()


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


def test_init_writes_a_study_that_checks(tmp_path):
    found = api.check(api.init(tmp_path / "study") / "workflow.toml")
    assert found.points > 1


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


def test_a_named_key_seals(tmp_path):
    seal.new("ada")
    assert api.verify(small.compiled(tmp_path, key="ada")).signers == ["ada"]


def test_the_same_code_has_the_same_id_at_every_commit_and_outside_git(tmp_path):
    if not shutil.which("git"):
        pytest.skip("git is not installed")

    def git(folder, *words):
        who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, "-C", folder, *words], check=True, capture_output=True)

    found = []
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        small.write(folder)
        if number:
            (folder / "notes.txt").write_text(str(number))
            git(folder, "init", "-q")
            git(folder, "add", ".")
            git(folder, "commit", "-q", "-m", "x")
        found.append(api.compile(folder / "workflow.toml").id)
        locked = (folder / "workflow.lock").read_text()
        assert ("commit = " in locked, "clean = true" in locked) == (bool(number), bool(number))
    assert len(set(found)) == 1
