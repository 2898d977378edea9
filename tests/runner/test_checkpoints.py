"""What a step keeps for its next attempt, also where two copies of it run at once."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sciflow.runner import checkpoints


def begun(tmp_path, attempt, ended=()):
    return checkpoints.begin(str(tmp_path), "t", 5, attempt, set(ended))


def write(folder, text):
    (Path(folder) / "state").write_text(text)


def read(folder):
    return (Path(folder) / "state").read_text()


def test_the_first_attempt_begins_with_nothing(tmp_path):
    assert list(Path(begun(tmp_path, "a1")).iterdir()) == []


def test_an_attempt_goes_on_from_what_the_last_one_left(tmp_path):
    write(begun(tmp_path, "a1"), "far")
    assert read(begun(tmp_path, "a2", ["a1"])) == "far"
    assert [path.name for path in Path(checkpoints.folder(str(tmp_path), "t", 5)).iterdir()] == ["a2"]


def test_two_attempts_at_once_do_not_write_into_one_folder(tmp_path):
    first = begun(tmp_path, "a1")
    write(first, "far")
    second = begun(tmp_path, "a2")
    write(second, "further")
    assert (read(first), read(second)) == ("far", "further")


def test_of_several_the_one_that_has_ended_is_taken(tmp_path):
    first, second = begun(tmp_path, "a1"), begun(tmp_path, "a2")
    write(first, "of a1")
    write(second, "of a2")
    assert read(begun(tmp_path, "a3", ["a1"])) == "of a1"


def test_a_checkpoint_that_went_on_is_told_from_one_that_did_not(tmp_path):
    folder = begun(tmp_path, "a1")
    write(folder, "far")
    before = checkpoints.marks(folder)
    assert checkpoints.marks(folder) == before
    write(folder, "further")
    assert checkpoints.marks(folder) != before


def test_nothing_is_kept_of_a_step_that_is_done(tmp_path):
    write(begun(tmp_path, "a1"), "far")
    checkpoints.done(str(tmp_path), "t", 5)
    assert not Path(checkpoints.folder(str(tmp_path), "t", 5)).exists()


@pytest.mark.parametrize("_", range(20))
def test_many_attempts_that_begin_at_once_all_begin_with_what_was_left(tmp_path, _):
    write(begun(tmp_path, "a0"), "far")
    with ThreadPoolExecutor(4) as pool:
        folders = pool.map(lambda name: begun(tmp_path, name, ["a0"]), ["a1", "a2", "a3", "a4"])
        assert [read(folder) for folder in folders] == ["far"] * 4
