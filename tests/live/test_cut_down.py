"""Debian images whose python3 lacks most of its modules, or that have none: found out before the first step."""

import pytest

from sciflow import api
from tests.live.conftest import settled

pytestmark = pytest.mark.live("mmdebstrap", "apptainer")
WORKFLOW = """\
format = 1

[workflow]
name = "cut-down"

[image]
debian = "bookworm"
packages = ["{package}"]

[code]
include = ["study.py"]

[parameters]
x = [1, 2]

[tasks.look]
shell = "python3 -c 'import json' 2> /dev/null || echo {{x}} without json"
"""
FUNCTION = '\n[tasks.call]\npython = "study:call"\n'


@pytest.mark.parametrize("package", ["python3-minimal", "dash"])
def test_the_shell_starts_steps_and_functions_are_refused_before_any(plain, package):
    source = plain.folder / "workflow.toml"
    source.write_text(WORKFLOW.format(package=package))
    plain.folder.joinpath("study.py").write_text("def call(x):\n    return {'y': x}\n")
    without = api.compile(source).path
    source.write_text(source.read_text() + FUNCTION)  # the image stays, by the lock that lies here now
    calling = api.compile(source).path
    plain.give(plain.folder)

    found = plain.run(without / "launch.sh")
    assert found.returncode == 0, found.stderr
    steps, more = settled(without)
    assert [worker["box"]["loop"] for worker in more["workers"].values()] == ["sh"]
    assert [steps["look", row]["stdout"] for row in (0, 1)] == ["1 without json\n", "2 without json\n"]

    found = plain.run(calling / "launch.sh")
    assert found.returncode == 3
    assert "the box's python3 cannot call functions" in found.stderr
    assert "put a whole python3 into the image" in found.stderr
    assert not settled(calling)[0]
