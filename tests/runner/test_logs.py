"""What steps print: short streams in their records, long ones in an archive, and neither lost nor torn."""

import os
from pathlib import Path

import pytest

from sciflow.runner import logs


@pytest.fixture
def archive(tmp_path):
    found = logs.Archive(str(tmp_path), "w1")
    yield found
    found.close()


def printed(tmp_path, data):
    (tmp_path / "log").write_bytes(data)
    return str(tmp_path / "log")


def test_a_short_stream_is_in_its_record_whole(archive, tmp_path):
    assert archive.keep(printed(tmp_path, b"x" * logs.KEPT_BYTES)) == ("x" * logs.KEPT_BYTES, None)
    assert not (tmp_path / "logs").exists()


def test_a_long_stream_leaves_its_ends_in_the_record_and_itself_in_the_archive(archive, tmp_path):
    data = b"head" + b"x" * logs.KEPT_BYTES + b"tail"
    kept, where = archive.keep(printed(tmp_path, data))
    archive.sync()
    assert (kept[:4], kept[-4:], "… 8 bytes left out …" in kept) == ("head", "tail", True)
    assert where == [0, len(data), len(data)]
    assert logs.read(str(tmp_path), {"worker": "w1", "stdout": kept, "logs": {"stdout": where}}, "stdout") == data


def test_streams_stand_in_the_archive_one_after_another(archive, tmp_path):
    datas = [bytes([65 + number]) * (logs.KEPT_BYTES + number + 1) for number in range(3)]
    wheres = [archive.keep(printed(tmp_path, data))[1] for data in datas]
    archive.sync()
    found = [
        logs.read(str(tmp_path), {"worker": "w1", "stderr": "", "logs": {"stderr": where}}, "stderr")
        for where in wheres
    ]
    assert found == datas


def test_of_a_very_long_stream_the_archive_holds_both_ends(archive, tmp_path):
    data = b"head" + b"\0" * logs.ARCHIVED_BYTES + b"tail"
    _, where = archive.keep(printed(tmp_path, data))
    archive.sync()
    found = logs.read(str(tmp_path), {"worker": "w1", "stdout": "", "logs": {"stdout": where}}, "stdout")
    assert (found[:4], found[-4:], "… 8 bytes left out …".encode() in found) == (b"head", b"tail", True)
    assert where[2] == len(data)


def test_the_room_of_a_long_stream_is_given_back(archive, tmp_path):
    path = printed(tmp_path, b"x" * (logs.KEPT_BYTES + 1))
    archive.keep(path)
    assert not Path(path).exists()


def test_without_its_archive_a_record_still_tells_both_ends(tmp_path):
    record = {"worker": "gone", "stdout": "head … tail", "logs": {"stdout": [0, 9, 9]}}
    assert logs.read(str(tmp_path), record, "stdout") == "head … tail".encode()


def test_a_log_that_is_not_there_is_empty(archive, tmp_path):
    assert archive.keep(str(tmp_path / "log")) == ("", None)


@pytest.mark.parametrize("lay", [os.symlink, os.link, lambda _, path: os.mkfifo(path)])
def test_what_a_step_puts_where_its_log_was_is_neither_read_nor_waited_for(archive, tmp_path, lay):
    (tmp_path / "other").write_text("sings")
    lay(tmp_path / "other", tmp_path / "log")
    assert archive.keep(str(tmp_path / "log")) == ("", None)
    assert not os.path.lexists(tmp_path / "log")
    assert (tmp_path / "other").read_text() == "sings"
