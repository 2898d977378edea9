"""Folders below `work/`: claimed and given up in an order that leaves none behind, whatever is killed in between."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sciflow.runner import facts, owner


@pytest.fixture
def ended():
    """Return the owner.json of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    host, boot, _, _ = facts.owner()
    return json.dumps([host, boot, process.pid, "1"])


def held(tmp_path, text, name="w1"):
    folder = tmp_path / "work" / name
    folder.mkdir(parents=True)
    (folder / "1").mkdir()
    (folder / "owner.json").write_text(text)
    return folder


def test_a_worker_says_whose_its_folder_is(tmp_path):
    owner.claim(str(tmp_path / "work/w1"))
    assert json.loads((tmp_path / "work/w1/owner.json").read_text()) == facts.owner()


def test_workers_that_come_and_go_at_once_do_not_disturb_each_other(tmp_path):
    work = tmp_path / "work"

    def come_and_go(worker):
        for turn in range(200):
            mine = work / f"w{worker}-{turn}"
            owner.clear_left(str(tmp_path))
            owner.claim(str(mine))
            assert (mine / "owner.json").exists()
            owner.give_up(str(mine))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_while_it_is_looked_at_is_made_again(tmp_path, monkeypatch):
    folder = tmp_path / "work/w1"
    folder.mkdir(parents=True)
    isdir = os.path.isdir

    def late(path):
        if path == str(folder):
            monkeypatch.undo()
            owner.clear_left(str(tmp_path))  # another worker: nobody has claimed it yet
        return isdir(path)

    monkeypatch.setattr(os.path, "isdir", late)
    owner.claim(str(folder))
    assert [path.name for path in folder.iterdir()] == ["owner.json"]


def test_a_file_in_the_place_of_a_folder_is_told_of(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/w1").write_text("")
    with pytest.raises(FileExistsError, match="w1"):
        owner.claim(str(tmp_path / "work/w1"))


def test_what_is_given_up_leaves_nothing(tmp_path):
    owner.claim(str(tmp_path / "work/w1"))
    owner.give_up(str(tmp_path / "work/w1"))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_worker_that_was_killed_is_removed(tmp_path, ended):
    held(tmp_path, ended)
    owner.clear_left(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_worker_at_work_is_left_alone(tmp_path):
    folder = held(tmp_path, json.dumps(facts.owner()))
    owner.clear_left(str(tmp_path))
    assert (folder / "1").is_dir()


@pytest.mark.parametrize("part", [False, True])
def test_the_folder_of_one_that_was_killed_before_it_said_whose_it_is_goes_too(tmp_path, part):
    folder = tmp_path / "work/w1"
    folder.mkdir(parents=True)
    if part:
        (folder / ".owner.json").write_text('["ho')
    owner.clear_left(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_taken_away_while_it_is_claimed_is_made_anew(tmp_path):
    code = "import sys; from sciflow.runner import owner\nfor _ in range(300): owner.clear_left(sys.argv[1])"
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2]) as clearing:
        number = 0
        while clearing.poll() is None:
            number += 1
            owner.claim(str(tmp_path / f"work/w{number}"))
            assert (tmp_path / f"work/w{number}/owner.json").is_file()
            owner.give_up(str(tmp_path / f"work/w{number}"))
    assert clearing.returncode == 0
