"""Scenes to be disturbed."""

import subprocess
from pathlib import Path

import pytest

from tests.faults import scene as made
from tests.runner.conftest import beside_tmp, studies


def together(folders, tasks, box):
    """Yield scenes of the same study, one in each of some folders."""
    makings = [studies(folder) for folder in folders]
    yield [made.Scene(next(making)(tasks, made.ROWS, boxes=[box])) for making in makings]
    for making in makings:
        next(making, None)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Give scenes of the same study, to be disturbed at the same time."""
    folders = [tmp_path_factory.mktemp("scene") for _ in range(made.AT_ONCE)]
    yield from together(folders, made.TASKS, made.BOX)


@pytest.fixture(scope="module")
def apart():
    """Give scenes likewise, in which each step has mounts, processes and IPC of its own."""
    with beside_tmp() as top:
        folders = [top / str(number) for number in range(made.AT_ONCE)]
        for folder in folders:
            folder.mkdir()
        tasks = [{**one, "isolate": "spaces"} for one in made.TASKS]
        for found in together(folders, tasks, {**made.BOX, "isolation": "container"}):
            assert found[0].go()[0] == 0
            assert [record["box"]["spaces"] for record in found[0].records() if "box" in record] == ["own"]
            yield found


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
