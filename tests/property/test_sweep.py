"""The points of a sweep are those of a brute-force search; a written workflow is read back equal."""

import itertools
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.workflow import draft, load, sweep
from sciflow.workflow.spec import Derived, Metric, Parameter, Placeholder, Resources, Sweep, Task, Workflow

NAMES = ("p", "q", "r", "s")
KINDS = {"int": st.integers(-(2**63), 2**63 - 1), "float": st.floats(allow_nan=False, allow_infinity=False)}
KINDS |= {"bool": st.booleans(), "text": st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=5)}


@st.composite
def spaces(draw):
    """Return parameters of small whole numbers and a sweep over them."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    values = {name: draw(st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True)) for name in names}
    groups, free = [], list(names)
    while free and draw(st.booleans()):
        first = free.pop(0)
        alike = [name for name in free if len(values[name]) == len(values[first])]
        if alike:
            partner = draw(st.sampled_from(alike))
            free.remove(partner)
            groups.append(tuple(draw(st.permutations([first, partner]))))
    where = draw(st.sampled_from(["", f"{names[0]} > 3", f"{names[-1]} % 2 == 0 or {names[0]} < 2", "total >= 9"]))
    derive = (Derived(name="twice", expression="total * 2"), Derived(name="total", expression=" + ".join(names)))
    parameters = tuple(Parameter(name=name, kind="int", values=tuple(values[name])) for name in names)
    return Workflow(name="w", parameters=parameters, sweep=Sweep(zip=tuple(groups), derive=derive, where=where))


def brute_force(workflow):
    """Try all combinations in order, and keep those in which each zipped group stands at one turn."""
    names = [one.name for one in workflow.parameters]
    turns = [range(len(one.values)) for one in workflow.parameters]
    kept = []
    for at in itertools.product(*turns):
        place = dict(zip(names, at, strict=True))
        if any(len({place[name] for name in group}) > 1 for group in workflow.sweep.zip):
            continue
        row = {one.name: one.values[place[one.name]] for one in workflow.parameters}
        total = sum(row.values())
        if not workflow.sweep.where or eval(workflow.sweep.where, {}, {**row, "total": total}):  # noqa: S307  the oracle
            kept.append((*row.values(), total, total * 2))
    return kept


@settings(derandomize=True, max_examples=200, deadline=None)
@given(workflow=spaces())
def test_the_points_are_those_of_a_brute_force_search(workflow):
    # Dropping combinations from the grid keeps their order, so a zipped group turns where its first member does.
    assert list(sweep.points(workflow)) == brute_force(workflow)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(workflow=spaces())
def test_the_size_is_the_number_of_points_that_where_is_asked_about(workflow):
    everything = Workflow(name="w", parameters=workflow.parameters, sweep=Sweep(zip=workflow.sweep.zip))
    assert sweep.size(workflow) == len(list(sweep.points(everything)))


@st.composite
def workflows(draw):
    parameters = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True)):
        kind = draw(st.sampled_from(sorted(KINDS)))
        values = draw(st.lists(KINDS[kind], min_size=1, max_size=3, unique=True))
        unit = draw(st.sampled_from(["", "s", "µm"]))
        parameters.append(Parameter(name=name, kind=kind, values=tuple(values), unit=unit))
    names = [one.name for one in parameters]
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
    task = Task(
        name="train",
        shell=False,
        words=tuple(draw(st.lists(word, min_size=1, max_size=4))),
        outputs=(("o", "out/o.txt"),),
        metrics=draw(st.sampled_from(["", "m.json"])),
        parameters=draw(st.none() | st.just(tuple(names))),
        resources=draw(resources),
    )
    metrics = (Metric(name="loss", goal="minimize", tolerance=draw(st.floats(0, 1))),) if task.metrics else ()
    gather = Task(  # noqa: S604  a task's command, not a call of one
        name="all",
        shell=True,
        words=(("cat ", Placeholder(kind="records", owner="train")),),
        needs=("train",),
        gather="train",
    )
    return Workflow(name="w", parameters=tuple(parameters), tasks=(task, gather), metrics=metrics)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(workflow=workflows())
def test_a_written_workflow_is_read_back_equal(workflow):
    assert load.parse(draft.write(workflow), file=Path("w.toml")) == workflow
