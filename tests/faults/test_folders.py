"""F22: the folder of a run, or a part of it, is missing or may not be written to: that is told, and nothing is lost."""

import os
import shutil

import pytest

from tests.faults import scene as made
from tests.faults.test_chaos import PLAIN
from tests.runner.conftest import task

PLAINLY = pytest.mark.skipif(os.getuid() == 0 and not PLAIN, reason="root may write anywhere, and setpriv is missing")
PARTS = ("segments", "outputs", "outputs/train", "work", "checkpoints", "logs", ".")
LONG = task("prepare", "head -c 40000 /dev/zero | tr '\\0' x; echo 10 > base.txt", outputs={"base": "base.txt"})


@pytest.fixture
def one(study):
    """Give a scene with a step whose log is too long for its record."""
    return made.Scene(study([LONG, *made.TASKS[1:]], made.ROWS, boxes=[made.BOX]))


@PLAINLY
@pytest.mark.parametrize("part", PARTS)
def test_where_a_part_of_a_run_may_not_be_written_it_is_named_and_the_run_goes_on_later(one, part):
    """F22."""
    wanted = made.undisturbed(one)
    shut = one.folder / part
    shut.mkdir(parents=True)
    (shut / "kept").touch()  # an empty folder may be taken away and made anew
    shut.chmod(0o555)
    code, said = one.go(through=PLAIN)
    shut.chmod(0o755)
    (shut / "kept").unlink()
    assert (code, one.quiet()) == (3, {}), said
    assert f"{one.folder}/" in said
    assert "Permission denied" in said
    assert "Traceback" not in said
    assert one.recovered(wanted) == []


@PLAINLY
def test_where_a_bundle_s_runs_may_not_be_written_that_is_told(one):
    """F22."""
    (one.path / "runs").mkdir()
    (one.path / "runs").chmod(0o555)
    code, said = one.go(through=PLAIN)
    (one.path / "runs").chmod(0o755)
    assert (code, one.quiet()) == (3, {}), said
    assert said.endswith(f"sciflow: {one.path}/runs/main: Permission denied\n")


@pytest.mark.parametrize("part", PARTS)
def test_what_is_taken_away_from_a_run_at_work_is_no_silent_success(one, part, tmp_path):
    """F22: a folder removed while steps run. What was lost with it is done again, or was not needed."""
    wanted, gate = made.undisturbed(one), tmp_path / "gate"
    gate.touch()
    box = {"FAULTS": f"sh {tmp_path}/held"}
    (tmp_path / "held").write_text(f'while [ -e "{gate}" ]; do sleep 0.02; done; exec "$@"\n')
    process = one.start(**box)
    while not list(one.folder.glob("work/*/engine-*.log")):
        pass
    shutil.rmtree(one.folder / part, ignore_errors=True)
    gate.unlink()
    said = process.communicate(timeout=made.RUN_S)[1]
    assert not one.quiet()
    assert process.returncode in (0, 3, 5), said
    assert "Traceback" not in said
    if process.returncode == 0:
        assert one.wrong(wanted) == []
    assert one.recovered(wanted, "--failed") == []
