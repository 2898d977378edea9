"""The house: floors import downwards, each package has one door, the runner keeps to its language, rooms stay small."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "sciflow"
FLOORS = ["runner", "errors", "workflow", "containers", "plan", "launchers", "bundle", "results", "api", "cli"]
DOORS = {
    "altair": ["results/figures.py"],
    "click": ["cli/"],
    "cryptography": ["bundle/seal.py"],
    "docker": ["containers/docker.py"],
    "installer": ["containers/venv.py"],
    "jsonschema": ["workflow/shape.py"],
    "networkx": ["plan/graph.py"],
    "packaging": ["containers/pylock.py"],
    "polars": ["results/"],
    "spython": ["containers/instructions.py"],
    "tomli_w": ["workflow/draft.py"],
    "uv": ["containers/resolver.py"],
    "vl_convert": ["results/figures.py"],
}
LIMIT = 400
ROOMS = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if "schemas" not in path.parts)


def imports(room):
    """Yield the full names of what a room imports, wherever in it."""
    for node in ast.walk(ast.parse((PACKAGE / room).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = ["sciflow", *room.split("/")[:-1]]
                base = ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def floor(name):
    return name.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("room", [room for room in ROOMS if floor(room) in FLOORS])
def test_a_room_imports_only_from_its_own_floor_and_those_below(room):
    here = FLOORS.index(floor(room))
    above = {
        name
        for name in imports(room)
        if name.startswith("sciflow.") and name.split(".")[1] in FLOORS and FLOORS.index(name.split(".")[1]) > here
    }
    assert not above


@pytest.mark.parametrize("package", sorted(DOORS))
def test_a_package_has_one_door(package):
    users = {room for room in ROOMS if any(name.split(".")[0] == package for name in imports(room))}
    assert users
    assert all(any(room.startswith(door) for door in DOORS[package]) for room in users), users


# Rooms that others import by these names inside the box, where there is no package.
INSIDE = {"call", "kernel", "lane", "loop", "space"}


def test_every_package_that_is_imported_is_declared_or_ours():
    declared = {*DOORS, "sciflow", "referencing", "requests"}
    outside = {name.split(".")[0] for room in ROOMS for name in imports(room)} - declared - set(sys.stdlib_module_names)
    assert not outside - INSIDE


@pytest.mark.parametrize("room", [room for room in ROOMS if room.startswith("runner/")])
def test_the_runner_needs_the_standard_library_alone(room):
    ours = INSIDE if room in ("runner/loop.py", "runner/serve.py", "runner/rank.py", "runner/space.py") else set()
    assert {name.split(".")[0] for name in imports(room)} <= set(sys.stdlib_module_names) | {"sciflow"} | ours
    assert all(name.startswith("sciflow.runner") for name in imports(room) if name.startswith("sciflow"))


def test_the_runner_is_written_in_python_3_6():
    words = [
        Path(sys.executable).with_name("vermin"),
        "-q",
        "-t=3.6-",
        "--violations",
        "--eval-annotations",
        "--no-tips",
    ]
    found = subprocess.run([*words, str(PACKAGE / "runner")], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_is_small(room):
    assert len((PACKAGE / room).read_text(encoding="utf-8").splitlines()) <= LIMIT


@pytest.mark.parametrize("room", [room for room in ROOMS if room.count("/") == 1 and not room.endswith("__init__.py")])
def test_a_room_has_its_test_file(room):
    folder, name = room.split("/")
    assert (ROOT / "tests" / folder / f"test_{name.strip('_').removesuffix('.py').strip('_')}.py").exists()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_first_what_it_is_for(room):
    assert ast.get_docstring(ast.parse((PACKAGE / room).read_text(encoding="utf-8")))
