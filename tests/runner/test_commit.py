"""Ends are put on record together: outputs, then records, then names; and the first to have a name keeps it."""

from pathlib import Path

import pytest

from sciflow.runner import commit, kernel, logs, records, standing
from tests.runner.conftest import task
from tests.runner.test_standing import record

PLAN = {"tasks": [{**task("a", "true"), "steps": 20}]}


@pytest.fixture
def worker(tmp_path):
    """Give the function that makes the batch of a worker on one run: (batch, segment, standing)."""
    made = []

    def make(name):
        segment, archive = records.Segment(str(tmp_path), name), logs.Archive(str(tmp_path), name)
        stands = standing.Standing(str(tmp_path), PLAN)
        made.extend([segment, archive, stands])
        return commit.Batch(str(tmp_path), PLAN, segment, stands, archive), segment, stands

    yield make
    for found in made:
        found.close()


def success(tmp_path, step, attempt):
    """Stage an output of a step; return its (record, where it lies)."""
    staged = tmp_path / attempt
    (staged / attempt).mkdir(parents=True)
    (staged / attempt / "o.txt").write_text(attempt)
    outputs = {"o": {"path": "o.txt", "sha256": "0" * 64, "size": 1}}
    return {**record("a", step, "done", float(step), outputs=outputs), "attempt": attempt}, str(staged)


@pytest.mark.parametrize("count", [1, commit.FEW + 5])
def test_what_was_committed_has_its_names_and_stands(tmp_path, worker, count):
    batch, _, stands = worker("w1")
    for step in range(count):
        batch.add(*success(tmp_path, step, f"t{step}"))
    assert (len(batch), len(batch.commit()), len(batch)) == (count, count, 0)
    assert [stands.state("a", step) for step in range(count)] == ["done"] * count
    assert (tmp_path / "outputs" / "a" / "000000" / "t0" / "o.txt").read_text() == "t0"
    assert standing.Standing(str(tmp_path), PLAN).count("done") == count


def test_nothing_is_said_before_it_is_committed(tmp_path, worker):
    batch, segment, stands = worker("w1")
    batch.add(*success(tmp_path, 0, "t0"))
    assert (stands.state("a", 0), Path(segment.path).stat().st_size) == (None, 0)
    assert not (tmp_path / "outputs").exists()


@pytest.mark.parametrize(("took", "waits"), [(0.001, commit.SOON_S), (0.05, 0.05 * commit.PART), (10, commit.LATEST_S)])
def test_ends_wait_for_others_the_longer_the_slower_the_disk_is(tmp_path, worker, monkeypatch, took, waits):
    now = [0.0]
    monkeypatch.setattr(commit.time, "monotonic", lambda: now[0])
    batch, segment, _ = worker("w1")
    write = segment.commit

    def slow():
        now[0] += took
        write()

    monkeypatch.setattr(segment, "commit", slow)
    batch.add(record("a", 0, "failed", 1.0))
    batch.commit()
    now[0] += 2 * commit.LATEST_S
    assert not batch.due()
    batch.add(record("a", 1, "failed", 1.0))
    now[0] += waits * 0.9
    assert not batch.due()
    now[0] += waits * 0.2
    assert batch.due()


def test_many_ends_do_not_wait_for_others(worker, monkeypatch):
    monkeypatch.setattr(commit.time, "monotonic", lambda: 0.0)  # no time goes by: only their number can make it due
    batch, _, _ = worker("w1")
    for step in range(commit.MOST):
        assert not batch.due()
        batch.add(record("a", step, "failed", 1.0))
    assert batch.due()


def test_the_second_to_publish_is_superseded_and_takes_the_first_for_its_own(tmp_path, worker):
    first, second = worker("w1"), worker("w2")
    first[0].add(*success(tmp_path, 3, "t1"))
    first[0].commit()
    second[0].add(*success(tmp_path, 3, "t2"))
    second[0].commit()
    assert second[2].record("a", 3)["attempt"] == "t1"
    states = [one["state"] for one in records.read(str(tmp_path)) if one["attempt"] == "t2"]
    assert states == ["done", "superseded"]
    assert [path.name for path in (tmp_path / "outputs" / "a" / "000003").iterdir()] == ["t1"]


def test_a_name_whose_record_was_taken_away_is_told_of(tmp_path, worker, monkeypatch):
    monkeypatch.setenv("SCIFLOW_LATE_S", "0.1")
    (tmp_path / "outputs" / "a" / "000003" / "gone").mkdir(parents=True)
    batch, _, _ = worker("w1")
    batch.add(*success(tmp_path, 3, "t1"))
    with pytest.raises(records.TornError, match="outputs/a/000003 stands, and its record is lost"):
        batch.commit()


def test_failures_and_successes_are_committed_in_their_order(tmp_path, worker):
    batch, _, stands = worker("w1")
    batch.add(record("a", 0, "failed", 1.0))
    batch.add(*success(tmp_path, 1, "t1"))
    batch.add(record("a", 2, "skipped", 2.0))
    assert [one["state"] for one in batch.commit()] == ["failed", "done", "skipped"]
    assert (stands.state("a", 0), stands.tried("a", 0)) == ("failed", {"failed": 1})


def test_a_whole_file_system_is_forced_to_the_disk_where_the_library_can(tmp_path):
    assert commit.file_system(str(tmp_path), kernel.Kernel()) in (True, False)
    assert list(commit.files(str(Path(tmp_path)))) == [str(tmp_path)]
