import pytest

from sciflow.containers import locked
from sciflow.errors import SurroundingsError, WorkflowError


def test_a_file_is_pinned_by_its_bytes_and_its_x_bit(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0o755)
    assert locked.pin(tmp_path / "a", "in/a") == locked.LockedFile(
        path="in/a",
        sha256="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
        size=1,
        executable=True,
    )


def test_a_name_that_no_manifest_may_list_is_refused(tmp_path):
    with pytest.raises(WorkflowError, match="its name cannot be carried in a bundle"):
        locked.pin(tmp_path / "a", "a\nb")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SurroundingsError, match="No such file"):
        locked.pin(tmp_path / "a", "a")


def test_what_moved_is_said_by_name():
    assert locked.moved("file", {"a": 1, "b": 1, "c": 1}, {"a": 1, "b": 2, "d": 1}) == [
        "file `b`: changed",
        "file `c`: gone",
        "file `d`: new",
    ]
