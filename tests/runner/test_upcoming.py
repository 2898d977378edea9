"""The next round as it would be: planned without claiming anything, and refused with the task's name."""

import pytest

from sciflow.runner import slurm, upcoming
from tests.runner.conftest import task


def test_what_remains_is_planned_without_a_site_and_claims_nothing(study):
    found = study([task("a", "true", uses=["x"]), task("b", "false", uses=["x"], needs=["a"])], [{"x": 1}, {"x": 2}])
    run = str(found.run_folder)
    remains = upcoming.remains(str(found.path), found.plan, run)
    assert remains[2] == {"a": [0, 1], "b": [0, 1]}
    state, elements = upcoming.planned(found.plan, remains, {"array": 10})
    assert (elements, state["limits"]) == ([{"a": [[0, 1]], "b": [[0, 1]]}], {"array": 10, "window_s": None})
    assert not (found.path / "runs").exists()
    found.run(code=5)
    assert upcoming.remains(str(found.path), found.plan, run)[2] == {}


def test_a_step_that_no_job_may_take_as_long_as_is_named_with_what_to_do(study):
    found = study([task("a", "true", resources={"time_s": 7200})])
    remains = upcoming.remains(str(found.path), found.plan, str(found.run_folder))
    with pytest.raises(slurm.SlurmError, match="a step of `a` may take 120 minutes, and a job gets 60: give it"):
        upcoming.planned(found.plan, remains, {"array": 10, "minutes": 60})
