"""Scenes to be disturbed."""

import subprocess
from pathlib import Path

import pytest

from tests.faults import scene as made
from tests.runner.conftest import studies


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Give scenes of the same study, to be disturbed at the same time."""
    makings = [studies(tmp_path_factory.mktemp("scene")) for _ in range(made.AT_ONCE)]
    yield [made.Scene(next(making)(made.TASKS, made.ROWS, boxes=[made.BOX])) for making in makings]
    for making in makings:
        next(making, None)


@pytest.fixture(scope="module")
def wanted(scenes):
    """Return what an undisturbed run leaves."""
    return made.undisturbed(scenes[0])


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """Build what stands before the C library."""
    target = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", target, source, "-ldl"], check=True)
    return str(target)


@pytest.fixture
def study(tmp_path):
    """Give the function that compiles a sealed bundle for one test."""
    yield from studies(tmp_path)
