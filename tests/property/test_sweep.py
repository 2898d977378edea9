"""The points of a sweep are those of a brute-force search; what is made of them agrees; a written workflow reads back.

300 examples a law, of some a third; `SCIFLOW_EXAMPLES=10000 pytest tests/property/test_sweep.py` tries so many.
"""

import dataclasses
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sciflow.bundle import emit
from sciflow.errors import WorkflowError
from sciflow.plan import graph, lock
from sciflow.runner import points as runner
from sciflow.workflow import draft, load, sweep
from sciflow.workflow.spec import Checkpoint, Metric, Parameter, Placeholder, Resources, Retry, Run, Task, Workflow
from tests.property import oracle
from tests.property.spaces import spaces

EXAMPLES = int(os.environ.get("SCIFLOW_EXAMPLES", "300"))
LAW = settings(derandomize=True, max_examples=EXAMPLES, deadline=None)
LESSER = settings(LAW, max_examples=EXAMPLES // 3)  # what follows from how points are stored, whatever they are


def made(workflow, index=0):
    """Return the points of a sweep, or nothing where an expression has no value at one."""
    chosen = workflow.sweeps[index]
    try:
        return sweep.make(workflow.parameters, workflow.derive, chosen)
    except sweep.PointError:
        return None


def by_name(found):
    names = [column.name for column in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found]


@LAW
@pytest.mark.slow
@given(workflow=spaces())
def test_the_points_are_those_of_a_brute_force_search(workflow):
    found = made(workflow)
    try:
        expected, doubles = oracle.points(workflow, workflow.sweeps[0])
    except (oracle.Absent, ArithmeticError):
        assert found is None
        return
    if found is None:
        # An expression has no value among combinations that something of other parameters leaves out, all of them.
        assert oracle.empty(workflow, workflow.sweeps[0])
        return
    assert [tuple(row.items()) for row in by_name(found)] == [tuple(dict(row).items()) for row in expected]
    if all(len(block.include) == 0 for block in workflow.sweeps[0].blocks):
        assert found.doubles == doubles


@pytest.mark.slow
@LESSER
@given(workflow=spaces())
def test_the_size_is_no_less_than_the_number_of_points(workflow):
    found = made(workflow)
    assume(found is not None)
    assert sweep.size(workflow.parameters, workflow.derive, workflow.sweeps[0]) >= len(found) + found.doubles


@LESSER
@given(workflow=spaces())
def test_a_point_is_the_same_by_its_number_and_in_turn(workflow):
    found = made(workflow)
    assume(found is not None)
    every = list(found)
    assert len(found) == len(every) == len(set(every))
    assert [found[number] for number in range(len(every))] == every
    assert found[::-1] == every[::-1]


@LESSER
@given(workflow=spaces())
def test_the_lines_of_the_axes_are_the_canonical_form_of_their_rows(workflow):
    found = made(workflow)
    assume(found is not None)
    for axis in found.axes:
        rows = [dict(zip(axis.names, row, strict=True)) for row in axis.rows()]
        assert [json.loads(line, parse_int=float) for line in axis.lines()] == rows
        assert len(axis) == len(rows)


@LAW
@pytest.mark.slow
@given(workflow=spaces(), data=st.data())
def test_the_runner_reads_from_a_bundle_what_was_compiled(workflow, data):
    found = made(workflow)
    assume(found is not None and len(found))
    names = [column.name for column in found.columns]
    listed = data.draw(st.lists(st.lists(st.sampled_from(names), unique=True), min_size=1, max_size=3))
    tasks = tuple(
        Task(name=f"t{index}", shell=False, words=(("true",),), parameters=tuple(uses))
        for index, uses in enumerate(listed)
    )
    whole = dataclasses.replace(workflow, tasks=tasks)
    plan = graph.plan(whole, whole.sweeps[0], lock.Lock(), [])
    rows = by_name(found)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = (line for axis in found.axes for line in axis.lines())
        emit._points(emit.Content(plan=plan, lines=lines, texts={}, lock=lock.Lock(), folder=folder), folder)
        kinds = runner.kinds(plan)
        read = list(runner.read(name, plan))
        assert [{key: row[key] for key in names} for row in read] == rows
        assert all(
            value is None or type(value) is {"int": int, "float": float, "bool": bool}.get(kinds[key], str)
            for row in read
            for key, value in row.items()
        )
        table = runner.Table(name, plan)
        assert [table.values(point) for point in range(len(rows))] == rows
        table.close()
        steps = runner.Steps(plan, runner.lines(name, plan))
    out = {"tasks": plan["tasks"], "axes": [{"columns": names, "turns": len(rows)}]}
    expected = runner.Steps(out, [rows])
    for task in plan["tasks"]:
        assert list(steps.of[task["name"]]) == list(expected.of[task["name"]])
        assert steps.count(task["name"]) == expected.count(task["name"]) == task["steps"]


KINDS = {"int": st.integers(-(2**63), 2**63 - 1), "float": st.floats(allow_nan=False, allow_infinity=False)}
KINDS |= {"bool": st.booleans(), "text": st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=5)}


@st.composite
def workflows(draw):
    """Return a workflow with all that a file may say, but functions, whose code must be there."""
    workflow = draw(spaces(named=draw(st.booleans())))
    names = [one.name for one in workflow.parameters]
    literal = st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc"]) | st.sampled_from("{}\n\t'\"\\"), min_size=1
    )
    pieces = [Placeholder(kind="parameter", name=name) for name in names] + [Placeholder(kind="output", name="o")]
    word = st.tuples(literal, st.sampled_from(pieces)) | st.tuples(literal)
    resources = st.builds(
        Resources,
        cpus=st.integers(1, 64),
        memory_mib=st.integers(1, 10**6),
        gpus=st.integers(0, 8),
        time_s=st.integers(1, 10**6),
    )
    may = draw(resources)
    task = Task(
        name="train",
        shell=False,
        words=tuple(draw(st.lists(word, min_size=1, max_size=4))),
        outputs=(("o", draw(st.sampled_from(["out/o.txt", "out/all/"]))),),
        metrics=draw(st.sampled_from(["", "m.json"])),
        parameters=draw(st.none() | st.just(tuple(names))),
        resources=may,
        **draw(attempts(may)),
    )
    metrics = (Metric(name="loss", goal="minimize", tolerance=draw(st.floats(0, 1))),) if task.metrics else ()
    gather = Task(  # noqa: S604  a task's command, not a call of one
        name="all",
        shell=True,
        words=(("cat ", Placeholder(kind="records", owner="train")),),
        needs=("train",),
        gather="train",
    )
    run = Run(max_failures=draw(st.integers(0, 10**6)))
    return dataclasses.replace(workflow, tasks=(task, gather), run=run, metrics=metrics)


@st.composite
def attempts(draw, resources):
    """Draw what a task says of how its steps are tried."""
    on = draw(st.sets(st.sampled_from(["failed", "memory", "time"])))
    factor = st.floats(1, 100)
    retry = Retry(
        times=draw(st.integers(0, 100)),
        on=tuple(sorted(on)),
        grow_memory=draw(factor) if "memory" in on else 1.0,
        grow_time=draw(factor) if "time" in on else 1.0,
    )
    checkpoint = st.builds(
        Checkpoint,
        path=st.sampled_from(["ckpt", "state/it's", "out/ckpt2"]),
        signal=st.sampled_from(sorted(graph.SIGNALS)),
        before_s=st.integers(1, max(1, resources.time_s - 1)),
    )
    envelope = draw(st.booleans())
    return {
        "retry": retry,
        "checkpoint": draw(st.none() | checkpoint) if resources.time_s > 1 else None,
        "isolate": draw(st.sampled_from(["worker", "spaces", "step"])),
        "envelope": envelope,
        "blas": draw(st.sampled_from(["", "haswell", "generic"])) if envelope else "",
    }


@LAW
@pytest.mark.slow
@given(workflow=workflows())
def test_a_written_workflow_is_read_back_equal(workflow):
    found = [made(workflow, index) for index in range(len(workflow.sweeps))]
    text = draft.write(workflow)
    if all(found):  # each has its points, and has some
        again = load.parse(text, file=Path("w.toml"))
        assert again == workflow
        assert [list(one.points) for one in again.sweeps] == [list(one) for one in found]
    else:
        with pytest.raises(WorkflowError) as caught:
            load.parse(text, file=Path("w.toml"))
        assert all(fault.text and fault.line for fault in caught.value.faults)


@LAW
@given(values=st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.lists(KINDS[kind], min_size=1, unique=True)))
def test_values_of_any_size_and_script_are_read_back_equal(values):
    kind = {int: "int", float: "float", bool: "bool", str: "text"}[type(values[0])]
    axis = Parameter(name="p", kind=kind, values=tuple(values))
    workflow = Workflow(name="w", parameters=(axis,), tasks=(Task(name="t", shell=False, words=(("true",),)),))
    assert load.parse(draft.write(workflow), file=Path("w.toml")) == workflow
