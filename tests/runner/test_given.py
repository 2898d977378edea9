"""What an attempt is given: placeholders and functions get the same things, by each loop, and nothing is left behind."""

import json
import shutil
import sys

import pytest

from tests.runner.conftest import boxed, task

PYTHON = {"outputs": {"result": "result"}, "metrics": "metrics.json"}
CODE = """\
import os

def prepare():
    return (1, 2)

def train(prepare, rate, clean_up, inputs, outputs, seed):
    with open(clean_up["table"]) as table, open(inputs["reads"]) as reads, open(outputs["model"], "w") as model:
        model.write(table.read() + reads.read())
    return {"y": sum(prepare) * rate, "kind": type(rate).__name__, "seed": seed == int(os.environ["SCIFLOW_SEED"])}

def place(point=None, **more):
    return {"where": point, "more": len(more)}

def summary(train, point=None):
    return {"steps": len(train), "best": max(one["metrics"]["y"] for one in train), "where": point,
            "models": "".join(open(one["outputs"]["model"]).read() for one in train)}

def variables():
    return {name: value for name, value in os.environ.items() if name == "MODE"}
"""
ROWS = [{"rate": rate, "other": other} for rate in (1.0, 2.5) for other in ("a", "b")]


def function(name, uses=(), needs=(), *, outputs=(), **more):
    return task(
        name, [], python=f"study:{name}", uses=list(uses), needs=list(needs),
        outputs={**dict(outputs), "result": "result"}, metrics="metrics.json", **more
    )  # fmt: skip


CHAIN = [
    function("prepare"),
    task("clean-up", "echo table > t.csv", outputs={"table": "t.csv"}),
    function("train", ["rate"], ["prepare", "clean-up"], outputs={"model": "m.txt"}),
    function("place", ["rate", "other"]),
    function("summary", [], ["train"], gather="train"),
]


@pytest.fixture(params=["python", "sh"])
def python_box(request, tmp_path):
    """Give a box that has a python3 and is served by each loop in turn: to the shell's, this python3 seems cut down."""
    if request.param == "python":
        return boxed(tmp_path / "box")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("cat", "echo", "env", "kill", "printf", "rm", "setsid", "sh"):
        (bare / name).symlink_to(shutil.which(name))
    (bare / "python3").write_text(
        f'#!/bin/sh\ncase "$*" in *os.wait4*) exit 1 ;; esac\nexec {sys.executable} "$@"\n', encoding="utf-8"
    )
    (bare / "python3").chmod(0o755)
    return boxed(tmp_path / "box", bare)


@pytest.fixture
def ran(study, python_box):
    found = study(CHAIN, ROWS, code={"study.py": CODE}, inputs={"reads": "reads\n"}, boxes=[python_box])
    found.run()
    return found


def test_functions_are_given_values_tasks_inputs_and_outputs(ran):
    settled = ran.settled()
    assert [settled["train", step]["metrics"] for step in (0, 1)] == [
        {"y": 3.0, "kind": "float", "seed": True},
        {"y": 7.5, "kind": "float", "seed": True},
    ]
    assert ran.output("train", 0, "model") == "table\nreads\n"


def test_points_share_the_steps_of_a_function(ran):
    assert sorted(ran.states()) == sorted(
        [("prepare", 0), ("clean-up", 0), ("train", 0), ("train", 1), ("summary", 0)]
        + [("place", step) for step in range(4)]
    )


def test_a_point_is_given_to_a_step_that_is_one_points_alone(ran):
    settled = ran.settled()
    assert [settled["place", step]["metrics"] for step in range(4)] == [{"where": at, "more": 2} for at in range(4)]


def test_a_function_that_gathers_is_given_all_records_and_no_point(ran):
    found = json.loads(ran.output("summary", 0, "result"))
    assert found == {"steps": 2, "best": 7.5, "where": None, "models": "table\nreads\n" * 2}


def test_nothing_is_left_of_a_call_but_its_outputs(ran):
    left = {path.relative_to(ran.run_folder).parts[0] for path in ran.run_folder.rglob("*") if path.is_file()}
    assert left == {"outputs", "segments"}
    names = {path.name for path in (ran.run_folder / "outputs").rglob("*") if path.is_file()}
    assert names == {"result", "m.txt", "t.csv"}


def test_a_function_that_raises_fails_its_step_and_its_words_are_on_record(study):
    found = study([function("broken")], code={"study.py": "def broken():\n    raise ValueError('no such depth')\n"})
    found.run(code=5)
    record = found.settled()["broken", 0]
    assert (record["state"], record["code"]) == ("failed", 1)
    assert record["stderr"].endswith("in broken\n    raise ValueError('no such depth')\nValueError: no such depth\n")
    assert "call.py" not in record["stderr"]


def test_a_function_sees_its_tasks_environment(study):
    found = study([function("variables", environment={"MODE": "fast"})], code={"study.py": CODE})
    found.run()
    assert found.settled()["variables", 0]["metrics"] == {"MODE": "fast"}


def test_a_file_of_the_code_may_bear_the_name_of_the_result(study):
    found = study([function("prepare")], code={"study.py": CODE, "result": "the code's own"})
    found.run()
    assert found.settled()["prepare", 0]["state"] == "done"


def test_an_image_without_python_is_told_of(study, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("env", "printf", "setsid", "sh"):
        (bare / name).symlink_to(shutil.which(name))
    found = study([function("prepare")], code={"study.py": CODE}, boxes=[boxed(tmp_path / "box", bare)])
    said = found.run(code=3).stderr
    assert "python3 cannot call functions" in said
    assert "put a whole python3 into the image" in said
    assert not found.records()
