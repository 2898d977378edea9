"""A round for PBS Pro, by a stand-in for qsub: what it is told, in which order, and what is left where it refuses."""

import pytest

from sciflow.launchers import pbs
from tests.launchers import standins
from tests.launchers.test_scheduler import ARRAYS, PLANNED


@pytest.fixture
def script(tmp_path):
    """Write the script of a round whose bundle is not there, so that its jobs only fail."""
    file = tmp_path / "pbs.sh"
    file.write_text(pbs.render(PLANNED).replace("-J 0-999%", "-J 0-1%").replace("-J 0-36%", "-J 0-1%"))
    return file


def test_each_array_waits_for_those_before_it_and_the_first_is_let_go_last(script, tmp_path):
    found, calls, after = standins.submit(tmp_path, script, "-q", "long queue")
    assert found.stdout.split() == ["1.server", "2[].server", "3[].server", "4.server"]
    assert [call[:2] for call in calls] == [["-q", "long queue"]] * 4
    waits = [[word for word in call if word.startswith("depend=") or word == "-h"] for call in calls]
    depends = [["-h"], ["depend=afterany:1.server"], ["depend=afterany:1.server"]]
    assert waits == [*depends, ["depend=afterany:2[].server:3[].server"]]
    assert after == ["qrls 1.server"]


def test_what_an_element_needs_is_asked_for(script, tmp_path):
    _, calls, _ = standins.submit(tmp_path, script)
    assert ("select=1:ncpus=4:mem=8192mb:ngpus=2" in calls[1], "walltime=25:10:00" in calls[1]) == (True, True)
    assert "select=1:ncpus=1:mem=512mb" in calls[0]
    assert [calls[1][calls[1].index(word) + 1] for word in ("-N", "-J")] == ["sciflow-digits-train", "0-1%40"]


def test_an_array_of_one_is_a_job(script, tmp_path):
    _, calls, _ = standins.submit(tmp_path, script)
    assert [("-J" in call) for call in calls] == [one["elements"] > 1 for one in ARRAYS]


def test_a_refusal_takes_back_what_was_submitted(script, tmp_path):
    found, calls, after = standins.submit(tmp_path, script, refused=3)
    assert (found.returncode, len(calls)) == (1, 3)
    assert after == ["qdel 1.server", "qdel 2[].server"]
