"""A round for LSF, by a stand-in for bsub: what it is told, in which order, and what is left where it refuses."""

import pytest

from sciflow.launchers import lsf
from tests.launchers import standins
from tests.launchers.test_scheduler import PLANNED


@pytest.fixture
def script(tmp_path):
    """Write the script of a round whose bundle is not there, so that its jobs only fail."""
    file = tmp_path / "lsf.sh"
    file.write_text(lsf.render(PLANNED).replace("[1-1000]", "[1-2]").replace("[1-37]", "[1-2]"))
    return file


def test_each_array_waits_for_those_before_it(script, tmp_path):
    found, calls, after = standins.submit(tmp_path, script, "-P", "my project")
    assert (found.stdout.split(), after) == (["1", "2", "3", "4"], [])
    assert [call[:2] for call in calls] == [["-P", "my project"]] * 4
    waits = [call[call.index("-w") + 1] if "-w" in call else "" for call in calls]
    assert waits == ["", "ended(1)", "ended(1)", "ended(2) && ended(3)"]


def test_what_an_element_needs_is_asked_for(script, tmp_path):
    _, calls, _ = standins.submit(tmp_path, script)
    asked = {word: calls[1][calls[1].index(word) + 1] for word in ("-J", "-n", "-R", "-W", "-gpu")}
    assert asked == {
        "-J": "sciflow-digits-train[1-2]%40",
        "-n": "4",
        "-R": "span[hosts=1] rusage[mem=8192MB]",
        "-W": "1510",
        "-gpu": "num=2",
    }
    assert "-gpu" not in calls[0]


def test_a_refusal_takes_back_what_was_submitted(script, tmp_path):
    found, calls, after = standins.submit(tmp_path, script, refused=3)
    assert (found.returncode, len(calls)) == (1, 3)
    assert after == ["bkill 1", "bkill 2"]
