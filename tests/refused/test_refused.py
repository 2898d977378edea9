"""Each folder here holds a workflow that is refused, and the exact words it is refused with."""

import os
import shutil
from pathlib import Path

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import load

HERE = Path(__file__).parent
CASES = sorted(path.parent.name for path in HERE.glob("*/expected.txt"))


def contents(folder):
    return sorted((path, path.lstat().st_size) for path in folder.rglob("*"))


@pytest.mark.parametrize("case", CASES)
def test_a_workflow_is_refused_with_these_words(case, tmp_path, monkeypatch):
    folder = shutil.copytree(HERE / case, tmp_path / case, symlinks=True)
    monkeypatch.chdir(folder)
    before = contents(folder)
    with pytest.raises(WorkflowError) as caught:
        load.read(Path("workflow.toml"))
    assert str(caught.value) + "\n" == (HERE / case / "expected.txt").read_text(encoding="utf-8")
    assert caught.value.exit_code == 2
    assert contents(folder) == before


@pytest.mark.parametrize("case", CASES)
def test_no_message_is_bare_jargon_or_holds_a_raw_control_character(case):
    words = (HERE / case / "expected.txt").read_text(encoding="utf-8")
    assert "invalid" not in words.lower()
    assert "given schemas" not in words
    assert all(char.isprintable() or char == "\n" for char in words)


def test_there_are_cases_enough_and_each_folder_is_one():
    folders = [entry.name for entry in os.scandir(HERE) if entry.is_dir() and not entry.name.startswith("__")]
    assert sorted(folders) == CASES
    assert len(CASES) >= 250
