"""From the end of an attempt to its record, through real steps."""

import contextlib
import subprocess

import pytest

from tests.runner.conftest import task


def only(study, words, code=0, **more):
    found = study([task("a", words, **more)])
    found.run(code=code)
    return found.settled()["a", 0]


def test_what_a_step_used_is_on_record(study):
    record = only(study, "head -c 3000000 /dev/zero > big; sync big 2>/dev/null; sleep 0.1", memory_mib=100)
    assert 0.1 <= record["wall_s"] < 30
    assert record["peak_mib"] > 0
    assert record["written_bytes"] >= 3_000_000
    assert record["read_bytes"] >= 0


def test_an_end_is_never_before_its_start(study):
    record = only(study, "true")
    assert record["end"] >= record["start"] > 1e9


def test_a_folder_is_published_whole(study):
    found = study([task("a", "mkdir -p maps/deep; echo 1 > maps/x; echo 2 > maps/deep/y", outputs={"m": "maps/"})])
    found.run()
    record = found.settled()["a", 0]
    assert (record["outputs"]["m"]["files"], record["outputs"]["m"]["size"]) == (2, 4)
    folder = found.run_folder / "outputs" / "a" / "000000" / record["attempt"] / "maps"
    assert sorted(path.name for path in folder.rglob("*")) == ["deep", "x", "y"]


def test_a_step_that_needs_a_folder_is_told_where_it_is(study):
    tasks = [
        task("a", "echo 1 > maps/x", outputs={"m": "maps/"}),
        task("b", ["cat ", {"upstream": ["a", "m"]}, "/x > o"], needs=["a"], outputs={"o": "o"}),
    ]
    found = study(tasks)
    found.run()
    assert found.output("b", 0, "o") == "1\n"


def test_an_empty_folder_fails_its_step(study):
    record = only(study, "true", code=5, outputs={"m": "maps/"})
    assert (record["state"], record["reason"]) == ("failed", "the folder `maps/` was left empty")


def test_a_long_stream_is_in_the_archive_of_its_worker(study):
    found = study([task("a", "yes x | head -c 100000; echo end >&2")])
    found.run()
    record = found.settled()["a", 0]
    at, size, total = record["logs"]["stdout"]
    archive = (found.run_folder / "logs" / f"{record['worker']}.log").read_bytes()
    assert (archive[at : at + size], total) == (b"x\n" * 50000, 100000)
    assert (len(record["stdout"]) < 20000, record["stderr"], "stderr" in record["logs"]) == (True, "end\n", False)


@contextlib.contextmanager
def small(place):
    """Put a disk that is soon full on a folder."""
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no tmpfs may be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.parametrize("then", ["", "|| exit 0"])  # or its metrics are cut off, which is found as they are read
def test_what_failed_for_want_of_room_is_not_taken_for_its_own_failure(study, tmp_path, then):
    """F3: the disk on which the run is, as the step meets it."""
    large = tmp_path / "large"
    large.write_bytes(b"1" * 3_000_000)
    found = study([task("a", f"cat '{large}' > m {then}", metrics="m", outputs={"p": "p"})])
    with small(found.path / "runs"):
        assert "No space left" in found.run(code=3).stderr
        assert found.states() == {}
        large.write_text('{"y": 1}')
        found.run(code=5)
        assert found.settled()["a", 0]["reason"] == "`p` was not written"
