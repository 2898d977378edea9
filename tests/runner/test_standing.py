"""Where each step stands: the same whether it is read by index, by lines, or from all records."""

import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.runner import names, records, standing
from tests.runner.conftest import task

PLAN = {"tasks": [{**task("a", "true"), "steps": 6}, {**task("b", "true"), "steps": 3}]}
STATES = (names.DONE, names.FAILED, names.MEMORY, names.TIME, names.NODE, names.SKIPPED, names.INTERRUPTED)


def record(name, step, state, end=0.0, **more):
    found = {"task": name, "step": step, "state": state, "end": end, "attempt": f"{name}{step}{end}", "outputs": {}}
    return {**found, "key": "k", "wall_s": 1.0, **more}


def write(run, worker, told, entered=None):
    """Write a segment, of whose records the first `entered` (all, if left out) are in its index."""
    segment = records.Segment(str(run), worker)
    segment.append({"worker": worker, "facts": {}})
    rows = [(segment.append(one), one["step"], "ab".index(one["task"]), one["state"]) for one in told]
    segment.commit()
    segment.enter(rows[:entered])
    segment.close()


def stands(run, plan=PLAN):
    found = standing.Standing(str(run), plan)
    states = {(name, step): found.state(name, step) for name, count in (("a", 6), ("b", 3)) for step in range(count)}
    found.close()
    return {key: state for key, state in states.items() if state}


def settled(run):
    return {key: found["state"] for key, found in records.settle(str(run), records.read(str(run)))[0].items()}


def test_a_step_without_a_record_has_no_state(tmp_path):
    assert stands(tmp_path) == {}


@settings(max_examples=60, deadline=None)
@given(
    told=st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(STATES)), max_size=12),
        min_size=1,
        max_size=3,
    ),
    entered=st.lists(st.integers(0, 12), min_size=3, max_size=3),
)
def test_what_stands_is_what_the_records_settle(tmp_path_factory, told, entered):
    run, clock = tmp_path_factory.mktemp("run"), 0
    for number, lines in enumerate(told):
        found = []
        for name, step, state in lines:
            clock += 1
            found.append(record(name, step, state, float(clock)))
        write(run, f"w{number}", found, entered[number])
    assert stands(run) == settled(run)


def test_the_record_that_counts_is_read_from_its_segment(tmp_path):
    write(tmp_path, "w1", [record("a", 1, names.DONE, 1.0), record("b", 2, names.FAILED, 2.0)])
    found = standing.Standing(str(tmp_path), PLAN)
    assert (found.record("a", 1)["attempt"], found.record("b", 2)["attempt"]) == ("a11.0", "b22.0")
    found.close()


def test_an_index_that_was_cut_off_is_made_up_for_by_the_lines(tmp_path):
    write(tmp_path, "w1", [record("a", step, names.DONE, float(step)) for step in range(6)])
    index = tmp_path / "segments" / "w1.idx"
    for size in range(0, 6 * records.ROW.size + 1, 5):
        os.truncate(index, size)
        assert stands(tmp_path) == {("a", step): "done" for step in range(6)}
        index.write_bytes(index.read_bytes() + bytes(200))  # as a file system may leave it after a power failure
        assert stands(tmp_path) == {("a", step): "done" for step in range(6)}


def test_a_torn_last_line_is_dropped(tmp_path):
    write(tmp_path, "w1", [record("a", 0, names.DONE), record("a", 1, names.DONE)], 0)
    segment = tmp_path / "segments" / "w1.jsonl"
    segment.write_bytes(segment.read_bytes()[:-5])
    assert stands(tmp_path) == {("a", 0): "done"}


def test_a_bent_line_is_named_by_whoever_reads_it(tmp_path):
    write(tmp_path, "w1", [record("a", 0, names.DONE), record("a", 1, names.DONE)])
    segment = tmp_path / "segments" / "w1.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"k"', b'"j"'))
    found = standing.Standing(str(tmp_path), PLAN)
    with pytest.raises(records.TornError, match=r"segments/w1\.jsonl: the line at byte"):
        found.record("a", 1)
    found.close()


def test_a_success_whose_outputs_have_no_name_yet_does_not_count(tmp_path):
    outputs = {"o": {"path": "o.txt", "sha256": "0" * 64, "size": 1}}
    write(tmp_path, "w1", [record("a", 0, names.DONE, outputs=outputs)], 0)
    assert stands(tmp_path) == {}
    Path(records.attempt_folder(str(tmp_path), "a", 0, "a00.0")).mkdir(parents=True)
    assert stands(tmp_path) == {("a", 0): "done"}


def test_a_record_of_no_step_there_is_is_refused(tmp_path):
    write(tmp_path, "w1", [record("a", 6, names.DONE)], 0)
    with pytest.raises(records.TornError, match="a/6"):
        standing.Standing(str(tmp_path), PLAN)


RETRY = {"times": 2, "on": ["memory", "time"], "grow_memory": 2.0, "grow_time": 1.0}
RETRYING = {"tasks": [{**PLAN["tasks"][0], "retry": RETRY}, PLAN["tasks"][1]]}


@pytest.mark.parametrize(
    ("states", "final"),
    [
        ([names.MEMORY], False),
        ([names.MEMORY, names.TIME], False),
        ([names.MEMORY, names.TIME, names.MEMORY], True),
        ([names.FAILED], True),
        ([names.MEMORY, names.FAILED], True),
        ([names.NODE] * 5, False),
        ([names.INTERRUPTED] * 5, False),
        ([names.DONE], True),
        ([names.SKIPPED], False),
    ],
)
def test_a_step_is_final_once_it_is_done_or_has_no_retry_left(tmp_path, states, final):
    write(tmp_path, "w1", [record("a", 0, state, float(number)) for number, state in enumerate(states)])
    found = standing.Standing(str(tmp_path), RETRYING)
    assert found.final("a", 0) == final
    assert found.codes("a")[0] == {"done": 1, "skipped": 3}.get(states[-1], 2 if final else 0)
    found.close()


def test_failures_that_are_forgotten_were_never_tried(tmp_path):
    write(tmp_path, "w1", [record("a", 0, names.FAILED), record("a", 1, names.DONE), record("b", 0, names.SKIPPED)])
    found = standing.Standing(str(tmp_path), PLAN)
    found.forget_failures()
    assert [found.state("a", 0), found.state("a", 1), found.state("b", 0)] == [None, "done", None]
    assert found.tried("a", 0) == {}
    found.close()


def test_what_is_noted_stands(tmp_path):
    found = standing.Standing(str(tmp_path), PLAN)
    segment = records.Segment(str(tmp_path), "w1")
    number, at = found.segment(segment.path), segment.append(record("a", 3, names.DONE))
    segment.commit()
    found.note("a", 3, names.DONE, number, at)
    segment.close()
    assert (found.state("a", 3), found.record("a", 3)["attempt"], found.count(names.DONE)) == ("done", "a30.0", 1)
    found.close()


def test_times_are_learned_from_successes(tmp_path):
    told = [record("a", step, names.DONE, float(step), wall_s=float(step)) for step in range(4)]
    write(tmp_path, "w1", [*told, record("b", 0, names.FAILED, wall_s=99.0)])
    found = standing.Standing(str(tmp_path), PLAN)
    assert found.learned() == {"a": 1.5}
    found.close()


def test_counts_are_of_all_steps(tmp_path):
    write(tmp_path, "w1", [record("a", 0, names.DONE), record("b", 1, names.FAILED)])
    found = standing.Standing(str(tmp_path), PLAN)
    told = {"steps": 9, "tasks": {"a": {"steps": 6, "done": 1}, "b": {"steps": 3, "failed": 1}}}
    assert found.counts() == told
    assert json.dumps(found.counts())
    found.close()


def test_a_success_whose_outputs_were_taken_away_is_to_be_done_again(tmp_path):
    plan = {"tasks": [{**PLAN["tasks"][0], "outputs": {"o": "o.txt"}}, PLAN["tasks"][1]]}
    outputs = {"o": {"path": "o.txt", "sha256": "0" * 64, "size": 1}}
    for step in range(2):
        Path(records.attempt_folder(str(tmp_path), "a", step, f"a{step}0.0")).mkdir(parents=True)
    write(tmp_path, "w1", [record("a", step, names.DONE, outputs=outputs) for step in range(2)])
    assert stands(tmp_path, plan) == {("a", 0): "done", ("a", 1): "done"}
    shutil.rmtree(tmp_path / "outputs" / "a" / "000000")
    assert stands(tmp_path, plan) == {("a", 1): "done"}


def test_the_next_attempt_knows_of_all_before_it_also_of_those_forgotten(tmp_path):
    write(tmp_path, "w1", [record("a", 0, "failed", 9.0), record("a", 1, "done"), record("b", 0, "time", 9.0, nth=4)])
    found = standing.Standing(str(tmp_path), PLAN)
    told = [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert [found.nth(*key) for key in told] == [2, 2, 1, 5]
    found.forget_failures()
    assert [found.nth(*key) for key in told] == [2, 2, 1, 5]
    found.close()


@pytest.mark.parametrize("workers", [("w1", "w2"), ("w2", "w1")])
def test_the_attempt_that_knew_of_the_other_counts_whatever_the_clocks_said(tmp_path, workers):
    write(tmp_path, workers[0], [record("a", 0, "interrupted", 9.0)])
    write(tmp_path, workers[1], [record("a", 0, "failed", 1.0, nth=2)])
    assert stands(tmp_path)["a", 0] == "failed"
    assert settled(tmp_path)["a", 0] == "failed"


def test_a_task_of_which_a_step_stands_interrupted_is_known(tmp_path):
    write(tmp_path, "w1", [record("a", 0, names.INTERRUPTED), record("b", 0, names.INTERRUPTED, 1.0)])
    write(tmp_path, "w2", [record("b", 0, names.DONE, 2.0)])
    found = standing.Standing(str(tmp_path), PLAN)
    assert (found.cut("a"), found.cut("b")) == (True, False)
