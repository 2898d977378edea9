"""A place: what one step does to its folder does not reach the next."""

import os
import stat
from pathlib import Path

import pytest

from sciflow.runner import place


@pytest.fixture
def here(tmp_path):
    return place.Place(str(tmp_path), "/sciflow/work", 3, "/code", ["a.py", "lib"])


def entries(here):
    return {path.name: str(path.readlink()) for path in Path(here.folder).iterdir()}


CODE = {"a.py": "/code/a.py", "lib": "/code/lib"}


def test_a_place_links_to_the_code(here):
    assert entries(here) == CODE


def test_the_box_has_its_own_name_for_a_place(here):
    assert (here.inside, here.tell("call.json", ["{}"])) == ("/sciflow/work/3", "/sciflow/work/3.call.json")


def scribble(path):
    (path / "left").write_text("x")


def nest(path):
    (path / "deep" / "er").mkdir(parents=True)
    (path / "deep" / "er" / "left").write_text("x")
    (path / "deep").chmod(0)


def replace(path):
    (path / "a.py").unlink()
    (path / "a.py").write_text("mine")


def remove(path):
    (path / "lib").unlink()


def shut(path):
    path.chmod(0)


def away(path):
    path.rename(path.with_name("elsewhere"))


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("harm", [scribble, nest, replace, remove, shut, away, link])
def test_whatever_a_step_does_to_its_folder_is_undone(here, tmp_path, harm):
    harm(tmp_path / "3")
    here.restore()
    assert entries(here) == CODE
    assert stat.S_IMODE(os.lstat(here.folder).st_mode) == place.MODE
    assert stat.S_ISDIR(os.lstat(here.folder).st_mode)


def test_what_was_told_before_is_told_no_more(here, tmp_path):
    here.tell("parameters.json", ["a long text"])
    here.tell("parameters.json", ["short", "er"])
    assert (tmp_path / "3.parameters.json").read_text() == "shorter"


@pytest.mark.parametrize("lay", [os.symlink, os.link])
def test_nothing_is_written_through_a_link_that_a_step_has_laid(here, tmp_path, lay):
    (tmp_path / "kept").write_text("kept")
    lay(tmp_path / "kept", tmp_path / "3.parameters.json")
    here.tell("parameters.json", ["new"])
    assert ((tmp_path / "kept").read_text(), (tmp_path / "3.parameters.json").read_text()) == ("kept", "new")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_stands_in_a_file_s_place_is_taken_away(here, tmp_path, make):
    make(tmp_path / "3.parameters.json")
    here.tell("parameters.json", ["new"])
    assert (tmp_path / "3.parameters.json").read_text() == "new"


def test_the_folders_of_outputs_stand_before_a_step_begins(here, tmp_path):
    here.ready(["deep/er/o.txt", "maps/", "plain.txt"])
    assert (tmp_path / "3" / "deep" / "er").is_dir()
    assert (tmp_path / "3" / "maps").is_dir()


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("lay", [os.symlink, os.link, lambda _, path: os.mkfifo(path)])
def test_what_a_step_puts_where_its_log_is_does_not_reach_the_next(here, tmp_path, stream, lay):
    (tmp_path / "other").write_text("sings")
    lay(tmp_path / "other", here.logs[stream])
    here.free_logs()
    assert not os.path.lexists(here.logs[stream])
    assert (tmp_path / "other").read_text() == "sings"
