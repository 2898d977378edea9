"""A copy of a Python runs where nothing of the host is to be had but its kernel; what cannot be copied is said."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.runner import borrow, verdict

ROOMS = Path(borrow.__file__).parent
INSIDE = {"call", "kernel", "lane", "loop", "space"}  # rooms that import each other by these names, in the box


def imported(room):
    """Return the modules that a room imports of Python's own."""
    found = set()
    for node in ast.walk(ast.parse(room.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return found - INSIDE


def test_whatever_the_rooms_import_is_tried():
    rooms = set().union(*(imported(room) for room in ROOMS.glob("*.py")))
    missing = {name for name in rooms if name not in borrow.MODULES and f"{name}.util" not in borrow.MODULES}
    assert missing == set()


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the Python that runs these tests."""
    folder = tmp_path_factory.mktemp("copy") / "python"
    subprocess.run([sys.executable, "-I", "-B", ROOMS / "borrow.py", folder], check=True)
    return folder


def said(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True, env={}).stdout.strip()


def test_a_copy_is_the_same_python(copy):
    code = "import sys; print(sys.version)"
    assert said(copy / "bin" / "python3", "-I", "-c", code) == sys.version.strip()


def test_a_copy_knows_itself_by_what_starts_it_and_finds_its_own_library(copy):
    code = "import os, sys; print(os.path.realpath(sys.executable)); print(os.path.realpath(os.__file__))"
    executable, library = said(copy / "bin" / "python3", "-I", "-c", code).splitlines()
    assert executable == str(copy / "bin" / "python3")
    assert library.startswith(str(copy))


def test_a_copy_loads_nothing_of_the_host(copy):
    code = f"import {', '.join(borrow.MODULES)}; print(open('/proc/self/maps').read())"
    paths = {
        line.split(None, 5)[5] for line in said(copy / "bin" / "python3", "-I", "-c", code).splitlines() if "/" in line
    }
    assert {path for path in paths if ".so" in path and str(copy) not in os.path.normpath(path)} == set()


def test_a_copy_runs_where_there_is_nothing_else(copy, tmp_path):
    busybox = shutil.which("busybox")
    if not busybox or borrowed_by_the_host(busybox):
        pytest.skip("there is no busybox that stands alone")
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(busybox, root / "bin" / "sh")
    shutil.copytree(copy, root / "python")
    words = ["chroot", root, "/python/bin/python3", "-I", "-B", "-c", "import json, hashlib; print(6 * 7)"]
    found = subprocess.run(
        words if os.getuid() == 0 else ["unshare", "-r", *words], capture_output=True, text=True, check=False
    )
    if found.returncode and "Operation not permitted" in found.stderr:
        pytest.skip("no user may change the root here")
    assert found.stdout == "42\n", found.stderr


def borrowed_by_the_host(program):
    """Say whether a program needs a loader of the host's."""
    return bool(borrow.loader(program))


def test_a_copy_verifies_a_bundle_as_any_python_does(copy, study_bundle):
    words = [copy / "bin" / "python3", "-I", "-B", study_bundle / "verify.py"]
    found = subprocess.run(words, capture_output=True, text=True, check=False, env={"HOME": "/nonexistent"})
    assert found.returncode == verdict.judge(str(study_bundle)).code
    assert "untrusted: " in found.stdout


@pytest.fixture
def study_bundle(study):
    from tests.runner.conftest import task

    return study([task("a", "true")]).path


def test_a_python_that_is_cut_down_is_named(tmp_path):
    code = "import sys; sys.modules['json'] = None; sys.path.insert(0, sys.argv[1]); import borrow; borrow.main(sys.argv[2])"
    words = [sys.executable, "-I", "-B", "-c", code, ROOMS, tmp_path / "python"]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "the image's python3 is cut down" in found.stderr
    assert not (tmp_path / "python").exists()


def test_what_is_no_program_is_named(tmp_path):
    (tmp_path / "script").write_text("#!/bin/sh\n" * 10)
    with pytest.raises(SystemExit, match="is no program of 64 bits, little-endian"):
        borrow.loader(tmp_path / "script")
