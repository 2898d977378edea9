from pathlib import Path

import pytest

from sciflow.workflow import draft, load
from tests.workflow.studies import full, small


def test_a_full_workflow_is_read_back_equal(tmp_path):
    workflow = full(tmp_path)
    assert load.parse(draft.write(workflow), file=tmp_path / "again.toml") == workflow


def test_what_stands_at_its_default_is_left_out():
    assert (
        draft.write(small("")) == 'format = 1\n\n[workflow]\nname = "study"\n\n[tasks.one]\nrun = [\n    "true",\n]\n'
    )


def test_parameters_keep_their_order_though_one_has_a_unit():
    workflow = small("[parameters]\na = { values = [1], unit = 's' }\nb = [2]\nc = { values = [3], unit = 's' }\n")
    again = load.parse(draft.write(workflow), file=Path("w.toml"))
    assert [one.name for one in again.parameters] == ["a", "b", "c"]


def test_an_empty_list_of_parameters_is_kept():
    workflow = small("[tasks.two]\nrun = ['x']\nparameters = []\n")
    assert load.parse(draft.write(workflow), file=Path("w.toml")).tasks[1].parameters == ()


def test_a_function_is_written_without_what_every_function_has(tmp_path):
    (tmp_path / "m.py").write_text("def f(): pass\n")
    text = (
        'format = 1\n\n[workflow]\nname = "x"\n\n[code]\ninclude = [\n    "m.py",\n]\n\n'
        '[tasks.t]\npython = "m:f"\nparameters = []\n\n[tasks.t.outputs]\nmodel = "m.bin"\n'
    )
    workflow = load.parse(text, file=tmp_path / "w.toml")
    again = draft.write(workflow)
    assert ("result" in again, "metrics" in again) == (False, False)
    assert load.parse(again, file=tmp_path / "w.toml") == workflow


def test_a_functions_own_name_for_its_metrics_is_kept(tmp_path):
    (tmp_path / "m.py").write_text("def f(): pass\n")
    text = 'format = 1\n[workflow]\nname = "x"\n[code]\ninclude = ["m.py"]\n[tasks.t]\npython = "m:f"\nmetrics = "y.json"\n'
    workflow = load.parse(text, file=tmp_path / "w.toml")
    assert load.parse(draft.write(workflow), file=tmp_path / "w.toml") == workflow


def again(text):
    """Return a workflow of these further sections, and the same after it was written and read."""
    workflow = small(text)
    return workflow, load.parse(draft.write(workflow), file=Path("w.toml"))


@pytest.mark.parametrize(
    "said",
    [
        "retry = { times = 0, on = ['node'] }",
        "retry = { times = 100, on = ['memory', 'time'] }",
        "retry = { times = 1, grow_time = 100 }",
        "checkpoint = { path = 'a/b', before = '59m59s' }",
        "isolate = 'step'",
        "envelope = 'off'",
        "blas = 'generic'",
        "outputs = { all = 'all/' }",
    ],
)
def test_how_a_task_s_steps_are_tried_is_read_back_equal(said):
    workflow, other = again(f"[tasks.two]\nrun = ['x']\n{said}\n")
    assert other == workflow
    assert workflow.tasks[1] != small("[tasks.two]\nrun = ['x']\n").tasks[1]


@pytest.mark.parametrize(
    ("said", "most"), [("max_failures = 3", 3), ("keep_going = false", 1), ("keep_going = true", 0)]
)
def test_what_a_run_keeps_to_is_read_back_equal(said, most):
    workflow, other = again(f"[run]\n{said}\n")
    assert (other, workflow.run.max_failures) == (workflow, most)


SWEEPS = """
[parameters]
t = [{ x = 1, y = [1.5] }, { x = 2 }]
n = { replicates = 3 }
r = { range = [0, 40, 2], unit = "s" }
u = { uniform = [0, 1], when = "n == 1" }
k = { choice = ["a", "b"], weights = [3, 1] }

[sweep]
derive = { d = "r * 2" }
sample = { method = "sobol", points = 4, seed = 7 }
exclude = [{ t = { x = 2 } }]

[sweeps.one]
include = [{ t = { x = 3 }, n = 9 }]

[sweeps.two]
blocks = [{ parameters = { r = [1, 3] } }, { where = "n == 2" }]
"""


def test_sweeps_of_every_feature_are_read_back_equal():
    workflow = small(SWEEPS)
    assert load.parse(draft.write(workflow), file=Path("w.toml")) == workflow


def test_replicates_and_long_even_ranges_are_written_as_such():
    text = draft.write(small(SWEEPS))
    assert "replicates = 3" in text
    assert "range = [\n    0,\n    40,\n    2,\n]" in text


def test_a_document_of_any_kind_is_written_as_toml():
    assert draft.toml({"a": [1], "b": {"c": "x"}}) == 'a = [\n    1,\n]\n\n[b]\nc = "x"\n'
