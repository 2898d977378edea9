"""F23: clocks that are a day ahead, a day behind, or set back during a run, decide nothing and measure nothing."""

import os
import shlex
import signal
import time

import pytest

from tests.faults import scene as made
from tests.runner.conftest import HOST, task

pytestmark = pytest.mark.live("cc")
DAY_S = 86400
# The steps' own loop sees the same clock as the runner.
BOX = {**HOST, "enter": ["/bin/sh", "-c", 'exec env -i PATH="$0" $CLOCK "$@"', "{path}"]}


@pytest.fixture
def clock(shim, tmp_path):
    """Return the function that sets a clock so many seconds ahead; it returns the settings of who goes by that clock.

    Only the time of day is wrong by it.
    """

    def ahead(seconds):
        part = tmp_path / "clock.part"
        part.write_text(f"{seconds}\n")
        told = {"LD_PRELOAD": shim, "AHEAD": str(part.rename(tmp_path / "clock"))}
        return {**told, "CLOCK": shlex.join(f"{name}={value}" for name, value in told.items())}

    return ahead


def records(found):
    return [record for record in found.records() if "attempt" in record]


@pytest.mark.parametrize("first", [DAY_S, -DAY_S])
def test_machines_whose_clocks_are_a_day_apart_give_the_undisturbed_table(study, clock, first):
    """F23: two workers one after another, the second as far on the other side."""
    scene = made.Scene(study(made.TASKS, made.ROWS, boxes=[BOX]))
    wanted = made.undisturbed(scene)
    assert scene.go("--task", "train", **clock(first))[0] == 0
    before = {record["attempt"] for record in records(scene)}
    code, said = scene.go(**clock(-first))
    assert (code, scene.quiet(), scene.wrong(wanted)) == (0, {}, []), said
    told = records(scene)
    assert len(told) == len(wanted.table)
    assert all(0 < record["wall_s"] < 30 and record["end"] >= record["start"] for record in told)
    days = {round((record["start"] - time.time()) / DAY_S): record["attempt"] in before for record in told}
    assert days == {first // DAY_S: True, -first // DAY_S: False}


@pytest.mark.parametrize("by", [DAY_S, -DAY_S])
def test_a_clock_that_is_set_during_a_step_changes_neither_its_time_nor_its_limit(study, clock, tmp_path, by):
    """F23: a step of a limit of a minute, during which the clock is set forward or back by a day."""
    gate, begun = tmp_path / "gate", tmp_path / "begun"
    words = f"touch '{begun}'; while [ ! -e '{gate}' ]; do sleep 0.02; done; sleep 1; echo x > o"
    found = study([task("a", words, outputs={"o": "o"})], boxes=[BOX])
    process = found.start(env={**os.environ, **clock(0)})
    while not begun.exists():
        time.sleep(0.02)
    clock(by)
    time.sleep(1.2)  # so that limits are looked at, and it is told what is going on, by the new clock
    gate.touch()
    assert process.wait(30) == 0
    (record,) = records(found)
    assert record["state"] == "done"
    assert 2.2 < record["wall_s"] < 40
    assert record["end"] >= record["start"]


@pytest.mark.parametrize("state", ["failed", "skipped", "interrupted"])
def test_the_later_attempt_counts_though_its_clock_says_it_was_earlier(study, clock, tmp_path, state):
    """F23: by a clock that is a day behind, a step is tried once more; what the last attempt came to is what counts."""
    now, ready = tmp_path / "now", tmp_path / "ready"
    checkpoint = {"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 1}
    words = f"[ ! -e '{now}' ] || exit $(cat '{now}'); touch '{ready}'; trap 'exit 75' USR1; sleep 20 & wait"
    tasks = [task("before", f"[ ! -e '{now}.before' ]"), task("a", words, checkpoint=checkpoint, needs=["before"])]
    found = study(tasks, boxes=[BOX])
    settings = {**os.environ, **clock(DAY_S)}
    if state == "interrupted":
        process = found.start(env=settings)
        while not ready.exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 75
    else:
        (tmp_path / ("now.before" if state == "skipped" else "now")).write_text("3")
        found.run(code=5, env=settings)
        (tmp_path / "now.before").unlink(missing_ok=True)
    assert found.states()["a", 0] == state
    now.write_text("4")
    found.run("run", "--failed", code=5, env={**os.environ, **clock(-DAY_S)})
    last = found.settled()["a", 0]
    assert (last["state"], last["code"], last["nth"]) == ("failed", 4, 2)
    assert '"failed": 1' in found.run("status").stdout
    before = len(records(found))
    found.run(code=5)
    assert len(records(found)) == before
