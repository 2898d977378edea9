"""A lane: what it says, what it finds, and what it clears away."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciflow.runner import lane


@given(told=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1))  # no word holds a NUL
def test_fields_are_read_as_they_were_written(told):
    line = lane.line(told)
    assert "\n" not in line
    assert lane.fields(line.encode()) == [one.encode() for one in told]


def test_a_program_is_found_on_the_path_it_is_to_have(tmp_path):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "second" / "tool").chmod(0o755)
    path = os.fsencode(f"{tmp_path}/first:{tmp_path}/second")
    assert lane.program(b"tool", path) == os.fsencode(f"{tmp_path}/second/tool")
    with pytest.raises(FileNotFoundError):
        lane.program(b"tool", os.fsencode(tmp_path))


def test_on_an_empty_path_nothing_is_found_but_what_stands_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError):
        lane.begin([b"true"], {b"PATH": b""})


def test_a_word_with_a_slash_is_a_path():
    assert lane.program(b"./tool", b"/bin") == b"./tool"


def test_this_process_is_among_the_processes():
    parent, group, session, pages = lane.processes()[os.getpid()]
    assert (parent, group, session, pages > 100) == (os.getppid(), os.getpgrp(), os.getsid(0), True)


def test_what_a_process_holds_is_told_where_it_is_more_than_it_may():
    held = bytearray(64 << 20)
    assert lane.holds(os.getpid(), 32, {os.getpid(): lane.processes()[os.getpid()]}) >= len(held) >> 20


def test_nothing_is_told_of_a_process_that_holds_no_more_than_it_may():
    assert lane.holds(os.getpid(), 1 << 20, lane.processes()) is None


def test_what_a_lane_has_inherited_is_held_by_its_step():
    own, orphan = (7, 8, 2, 100), (7, 9, 2, 1 << 30)  # both are children of the lane, of the same session
    apart = {8: own, 9: orphan}
    assert lane.holds(8, 1, apart) is None
    assert lane.holds(8, 1, apart, lane=7) is not None


def test_of_what_may_not_be_looked_at_closely_it_is_not_said_how_much_it_holds():
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        assert lane.holds(1, 1, {1: (0, 0, 0, 1 << 30)}) == ""
    finally:
        os.seteuid(me)


def test_what_stands_in_a_folder_is_taken_away(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_text("x")
    (tmp_path / "deep").chmod(0)
    (tmp_path / "link").symlink_to("/etc")
    lane.empty(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert os.path.isdir("/etc")  # noqa: PTH112


def test_a_folder_that_is_none_is_left_alone(tmp_path):
    file = tmp_path / "file"
    file.write_text("kept")
    file.chmod(0o600)
    lane.renew(str(file))
    lane.renew(str(tmp_path / "nothing"))
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("kept", 0o600)


def test_a_counter_of_the_killed_counts_from_what_was(tmp_path):
    count = lane.Killed()
    assert count() == count() >= 0
