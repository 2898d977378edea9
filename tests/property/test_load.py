"""Whatever stands in a file, it is a workflow or is refused with faults that each have words."""

import copy
import tomllib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.errors import WorkflowError
from sciflow.workflow import load
from tests.workflow.studies import FULL

FILE = Path(__file__).with_name("workflow.toml")
WHOLE = tomllib.loads(FULL)


def paths(value, path=()):
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        yield from paths(inner, (*path, step))


PATHS = sorted(paths(WHOLE), key=str)
scalars = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.sampled_from(["a", "gamma", "train", "{gamma}", "{", "2h", "1 / 0", "gamma > 0", "..", "x'y"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
changes = st.lists(
    st.tuples(st.sampled_from(PATHS), st.sampled_from(["set", "drop", "rename"]), values), min_size=1, max_size=4
)


def judged(text):
    """Read a text; every fault of what is refused has words and a place within the text."""
    try:
        load.parse(text, file=FILE)
    except WorkflowError as error:
        lines = text.replace("\r\n", "\n").split("\n")
        for fault in error.faults:
            assert fault.text
            assert "does not fit" not in fault.text
            assert 0 <= fault.line <= len(lines)
            assert fault.column <= (len(lines[fault.line - 1]) + 1 if fault.line else 0)


@pytest.mark.slow
@settings(derandomize=True, max_examples=400, deadline=None)
@given(changes=changes)
def test_a_workflow_with_anything_in_any_place_is_read_or_refused(changes):
    data = copy.deepcopy(WHOLE)
    for path, what, value in changes:
        owner = data
        for step in path[:-1]:
            fits = isinstance(owner, dict) and step in owner
            fits = fits or (isinstance(owner, list) and isinstance(step, int) and step < len(owner))
            owner = owner[step] if fits else {}
        if isinstance(owner, dict) and path[-1] in owner:
            old = owner.pop(path[-1])
            if what == "set":
                owner[path[-1]] = value
            elif what == "rename":
                owner[f"{path[-1]}x"] = old
    judged(tomli_w.dumps(data))


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    at=st.integers(0, len(FULL) - 1),
    length=st.integers(0, 5),
    put=st.text(max_size=4) | st.sampled_from(list("[]{}='\"\n,.#")),
)
def test_a_workflow_with_any_stretch_replaced_is_read_or_refused(at, length, put):
    judged(FULL[:at] + put + FULL[at + length :])
