"""Records survive whatever cuts them off, and every reader settles them alike."""

import errno
import os

import pytest

from sciflow.runner import records


def record(step=0, state="done", end=1.0, attempt="a", **more):
    return {"task": "t", "step": step, "state": state, "end": end, "attempt": attempt, "outputs": {}, **more}


@pytest.fixture
def run(tmp_path):
    """Write a segment of three records and return (run, the segment's path)."""
    segment = records.Segment(str(tmp_path), "w1")
    for step in range(3):
        segment.append(record(step))
    segment.close()
    return str(tmp_path), tmp_path / "segments" / "w1.jsonl"


def steps(run):
    return [found["step"] for found in records.read(run)]


def test_what_was_written_is_read(run):
    whole = list(records.read(run[0]))
    assert [{**found, "check": None} for found in whole] == [{**record(step), "check": None} for step in range(3)]


def test_a_metric_larger_than_any_column_s_integer_comes_back_as_a_float(tmp_path):
    # RFC 8785 writes 1e20 as 100000000000000000000.
    found = records.parsed(records.line(record(metrics={"a": 1e20, "b": 2**63 - 1, "c": -1e19}))[:-1].encode())
    assert [(value, type(value)) for value in found["metrics"].values()] == [
        (1e20, float),
        (2**63 - 1, int),
        (-1e19, float),
    ]


def test_nothing_is_written_before_it_is_committed(tmp_path):
    segment = records.Segment(str(tmp_path), "w")
    segment.append(record())
    assert steps(str(tmp_path)) == []
    segment.close()
    assert steps(str(tmp_path)) == [0]


def test_a_segment_has_one_writer(run):
    with pytest.raises(FileExistsError):
        records.Segment(run[0], "w1")


def test_a_run_that_was_never_started_has_no_records(tmp_path):
    assert list(records.read(str(tmp_path))) == []


def test_a_torn_tail_is_dropped(run):
    whole = run[1].read_bytes()
    run[1].write_bytes(whole[:-5])
    assert steps(run[0]) == [0, 1]


def test_a_last_line_that_is_not_whole_is_dropped(run):
    whole = run[1].read_bytes()
    run[1].write_bytes(whole[:-5] + b"\0\0\0\0\n")
    assert steps(run[0]) == [0, 1]


def test_a_line_bent_before_the_end_is_named(run):
    whole = run[1].read_bytes()
    run[1].write_bytes(whole.replace(b'"step":1', b'"step":7'))
    with pytest.raises(records.TornError, match=r"segments/w1\.jsonl: line 2"):
        list(records.read(run[0]))


def test_other_files_beside_segments_are_left_alone(run):
    (run[1].parent / "notes.txt").write_text("x\n")
    assert steps(run[0]) == [0, 1, 2]


def test_segments_are_read_in_the_order_of_their_names(run):
    segment = records.Segment(run[0], "w0")
    segment.append(record(9))
    segment.close()
    assert steps(run[0]) == [9, 0, 1, 2]


# ---- Which record counts


def settled(run, *found):
    return records.settle(str(run), found)[0].get(("t", 0), {}).get("attempt")


def test_a_success_beats_a_later_failure(tmp_path):
    assert settled(tmp_path, record(attempt="good"), record(attempt="bad", state="failed", end=2.0)) == "good"


def test_the_earliest_of_two_successes_counts(tmp_path):
    assert settled(tmp_path, record(attempt="late", end=2.0), record(attempt="early", end=1.0)) == "early"


def test_of_two_successes_at_once_the_name_decides(tmp_path):
    assert settled(tmp_path, record(attempt="b"), record(attempt="a")) == "a"


def test_the_latest_of_two_failures_counts(tmp_path):
    assert settled(tmp_path, record(attempt="x", state="time", end=2.0), record(attempt="y", state="failed")) == "x"


def test_of_two_failures_the_one_that_knew_of_the_other_counts_whatever_the_clocks_said(tmp_path):
    first, second = record(attempt="x", state="failed", end=9.0), record(attempt="y", state="time", nth=2)
    assert settled(tmp_path, first, second) == settled(tmp_path, second, first) == "y"


def test_a_success_whose_outputs_were_not_published_does_not_count(tmp_path):
    assert settled(tmp_path, record(outputs={"o": {}})) is None


def test_a_success_counts_once_its_folder_stands(tmp_path):
    (tmp_path / "outputs" / "t" / "000000" / "a").mkdir(parents=True)
    assert settled(tmp_path, record(outputs={"o": {}})) == "a"


def test_what_was_superseded_does_not_count(tmp_path):
    assert settled(tmp_path, record(state="superseded")) is None


def test_attempts_are_counted_and_skips_are_none(tmp_path):
    found = [record(attempt="x", state="failed"), record(attempt="y"), record(1, state="skipped")]
    assert records.settle(str(tmp_path), found)[1]["attempts"] == {("t", 0): 2}


def test_workers_are_kept_by_name(tmp_path):
    worker = {"worker": "w", "facts": {}}
    assert records.settle(str(tmp_path), [worker])[1]["workers"] == {"w": worker}


def test_a_folder_that_is_not_there_cannot_be_forced_to_the_disk(tmp_path):
    with pytest.raises(OSError, match=os.strerror(errno.ENOENT)):
        records.sync_folder(str(tmp_path / "none"))


@pytest.mark.parametrize("text", [b"", b"{}", b'{"check":"0123456789abcdef"}', b'{"check":"0123456789abcdef";"a":1}'])
def test_a_line_that_does_not_begin_as_one_is_not_whole(text):
    assert records.parsed(text) is None


def test_of_nothing_that_waits_nothing_is_written(run):
    before = run[1].read_bytes()
    segment = records.Segment(run[0], "w2")
    segment.commit()
    segment.close()
    assert (run[1].parent / "w2.jsonl").read_bytes() == b""
    assert run[1].read_bytes() == before


def test_an_index_has_a_row_a_record_of_what_is_settled(tmp_path):
    segment = records.Segment(str(tmp_path), "w")
    at = [segment.append(record(step)) for step in range(2)]
    segment.commit()
    segment.enter([(at[0], 0, 3, "done"), (at[1], 1, 3, "failed")])
    segment.close()
    index = (tmp_path / "segments" / "w.idx").read_bytes()
    assert list(records.ROW.iter_unpack(index)) == [
        (at[0], 0, 3, records.STATES.index("done"), 0),
        (at[1], 1, 3, records.STATES.index("failed"), 0),
    ]
    assert records.parsed((tmp_path / "segments" / "w.jsonl").read_bytes()[at[1] : -1])["step"] == 1


def test_a_file_system_that_cannot_force_folders_to_the_disk_is_left_to_its_ways():
    with pytest.raises(OSError, match=os.strerror(errno.EINVAL)):
        force("/proc")
    records.sync_folder("/proc")


def force(path):
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def test_a_disk_that_fails_under_a_folder_is_named(tmp_path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)  # the kernel's part: no disk here can be made to fail
    with pytest.raises(OSError, match=os.strerror(errno.EIO)) as caught:
        records.sync_folder(str(tmp_path))
    assert caught.value.filename == str(tmp_path)
