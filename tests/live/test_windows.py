"""Hard hours on a real Slurm: a step stops at its checkpoint when they close, and goes on from there when they open."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from sciflow.runner import records, rounds
from tests.conftest import PLAIN_USER
from tests.live.cluster import Cluster
from tests.runner.conftest import NOW, studies, task

pytestmark = [
    pytest.mark.live("slurm"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root can start a cluster of its own"),
]
NOON_S = 12 * 3600
CLOSES_S, OPENS_S = 45, 105  # from now
GRACE_S = 12
COUNTED = 700
COUNT = f"""
trap 'exit 75' USR1
n=$(cat ckpt/n 2>/dev/null || echo 0)
while [ $n -lt {COUNTED} ]; do n=$((n + 1)); echo $n > ckpt/part; mv ckpt/part ckpt/n; sleep 0.1; done
echo $n > o
"""


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="sciflow windows, "))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_step_stops_at_closing_and_goes_on_from_its_checkpoint_at_the_next_opening(home):
    making = studies(home)
    closes = int(time.time()) + CLOSES_S
    shift = (NOON_S - closes) % 86400  # of a zone in which it is noon when the first window closes
    opens = closes + OPENS_S - CLOSES_S
    schedule = {**NOW, "policy": "off-peak", "opens": 700, "closes": 720, "hard": True, "transitions": [[0, shift]]}
    schedule["also"] = [[721, 740]]
    step = task(
        "a",
        COUNT,
        checkpoint={"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 5},
        outputs={"o": "o"},
        resources={"time_s": 600},
    )
    found = next(making)([step], schedule=schedule)
    subprocess.run(["chown", "-R", PLAIN_USER, home], check=True)
    with Cluster() as cluster:
        text, log = rounds.script(str(found.path), ["round"]), found.path.parent / "launch.log"
        words = ["runuser", "-u", PLAIN_USER, "--", "sbatch", f"--output={log}"]
        subprocess.run(words, input=text.encode(), cwd="/", env=cluster.environment, check=True, capture_output=True)
        cluster.until(lambda: not cluster.ask("squeue", "-h"), "the queue to empty", 400)
    told = [one for one in records.read(str(found.run_folder)) if "facts" not in one]
    told.sort(key=lambda one: one["start"])
    assert [one["state"] for one in told] == ["interrupted", "done"], [
        log.read_text(),
        *(one.read_text() for one in found.run_folder.glob("logs/*.log")),
    ]
    assert told[0]["end"] <= closes + GRACE_S
    assert told[1]["start"] >= opens - 1
    assert found.output("a", 0, "o") == f"{COUNTED}\n"
    assert told[1]["wall_s"] < COUNTED * 0.1  # less than all of it
    next(making, None)
