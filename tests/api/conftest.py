"""A folder of a scientist's own for each test: programs and modules in it, and a process to run them in."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty folder, which is also where modules are imported from; what is imported is forgotten after."""
    folder = tmp_path / "study"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


@pytest.fixture
def write(here):
    """Return what writes a file into that folder, its text dedented."""

    def put(path, text):
        place = here / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(textwrap.dedent(text), encoding="utf-8")
        return place

    return put


@pytest.fixture
def python(here):
    """Return what runs Python on some words, in that folder, and gives the finished process."""

    def run(*words, text=None, stdin=None, code=0, **environment):
        found = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=here,
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCIFLOW_RUN_NOW": "1", **environment},
            stdin=stdin if stdin is not None else subprocess.DEVNULL if text is None else None,
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert found.returncode == code, found.stderr
        return found

    return run
