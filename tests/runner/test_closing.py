"""Closing time: what is still started before it, and what becomes of the steps that run when it comes."""

import signal
import time

import pytest

from sciflow.runner import closing
from tests.runner.conftest import NOW, task

CLOSE = 100_000
NOON_S = 12 * 3600
SOON_S = 6  # for a runner to have begun, on a busy machine
KEPT = {"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 60}


def plain(time_s=600, **more):
    return task("a", "true", resources={"time_s": time_s}, **more)


# ---- By a given clock


@pytest.mark.parametrize(("left_s", "fits"), [(600, True), (599, False), (0, False)])
def test_in_a_hard_window_a_step_is_started_that_can_end(left_s, fits):
    assert closing.Closing(CLOSE, hard=True).fits(plain(), 600, CLOSE - left_s) is fits


@pytest.mark.parametrize(("left_s", "fits"), [(120, True), (119, False), (60, False), (1, False)])
def test_a_step_that_checkpoints_is_started_while_there_is_time_to_come_further(left_s, fits):
    assert closing.Closing(CLOSE, hard=True).fits(plain(checkpoint=KEPT), 600, CLOSE - left_s) is fits


def test_a_short_step_is_not_started_once_it_would_be_asked_to_checkpoint_at_once():
    assert not closing.Closing(CLOSE, hard=True).fits(plain(checkpoint=KEPT), 1, CLOSE - 60)
    assert closing.Closing(CLOSE, hard=True).fits(plain(checkpoint=KEPT), 1, CLOSE - 61)


@pytest.mark.parametrize(("now", "fits"), [(CLOSE - 1, True), (CLOSE, False)])
def test_in_a_soft_window_any_step_is_started_until_it_closes(now, fits):
    assert closing.Closing(CLOSE, hard=False).fits(plain(), 600, now) is fits


def test_a_soft_window_asks_and_ends_nobody():
    soft = closing.Closing(CLOSE, hard=False)
    assert (soft.asks(plain(checkpoint=KEPT), CLOSE), soft.ends(CLOSE), soft.over(CLOSE)) == (False, False, True)


def test_a_hard_window_asks_for_a_checkpoint_in_time_and_ends_what_is_left():
    hard = closing.Closing(CLOSE, hard=True)
    assert [hard.asks(plain(checkpoint=KEPT), CLOSE - left) for left in (61, 60)] == [False, True]
    assert not hard.asks(plain(), CLOSE)
    assert [hard.ends(CLOSE - 1), hard.ends(CLOSE)] == [False, True]


def test_where_nothing_closes_all_is_started_and_nothing_ended():
    never = closing.Closing(None, hard=True)
    assert never.fits(plain(), 10**9, CLOSE)
    assert not (never.over(CLOSE))
    assert not (never.ends(CLOSE))
    assert not (never.asks(plain(checkpoint=KEPT), CLOSE))
    assert not never.near([plain()], CLOSE)


def test_it_is_near_when_the_longest_step_might_not_end():
    hard, tasks = closing.Closing(CLOSE, hard=True), [plain(30), plain(600)]
    assert [hard.near(tasks, CLOSE - left) for left in (600, 599)] == [False, True]


@pytest.mark.parametrize(
    ("learned", "cut", "seconds"), [(None, False, 600), (10, False, 20), (10, True, 600), (500, False, 600)]
)
def test_a_step_is_expected_to_take_what_was_declared_or_twice_what_was_learned(learned, cut, seconds):
    assert closing.expected(plain(), learned, cut) == seconds


# ---- In a real run


def closing_soon(hard, left_s=SOON_S):
    """Return a schedule whose window closes in so many seconds, by a zone in which it is nearly noon now, and when."""
    close = int(time.time()) + left_s
    shift = (NOON_S - close) % 86400
    schedule = {**NOW, "policy": "off-peak", "opens": 0, "closes": 720, "hard": hard, "transitions": [[0, shift]]}
    return schedule, close


def until(moment):
    """Return the words of a step that runs until a moment has passed."""
    return f"while [ $(date +%s) -le {moment} ]; do sleep 0.1; done"


def test_what_cannot_end_before_closing_is_not_started_and_the_rest_is(study):
    schedule, _ = closing_soon(hard=True, left_s=3000)
    found = study(
        [task("long", "true", resources={"time_s": 3600}), task("short", "true", resources={"time_s": 5})],
        schedule=schedule,
    )
    said = found.run(code=75).stderr
    assert found.states() == {("short", 0): "done"}
    assert "the hours are over at " in said
    assert "1 steps remain for the next" in said


@pytest.mark.slow
def test_what_is_learned_lets_a_step_start_that_was_declared_longer_and_it_is_ended_at_closing(study):
    schedule, close = closing_soon(hard=True)
    rows = [{"x": x} for x in (0, 1)]
    words = ["[ ", {"parameter": "x"}, " = 0 ] || sleep 600"]
    found = study([task("a", words, uses=["x"], resources={"time_s": 3600})], rows, schedule=schedule)
    found.run("run", "--point", "0", "--now")  # quick, as all of its task are taken to be from now on
    found.run(code=75)
    record = found.settled()["a", 1]
    assert (record["state"], record["reason"]) == ("interrupted", "the hours are over")
    assert record["end"] >= close


@pytest.mark.slow
def test_what_was_cut_off_is_started_again_only_where_it_can_end_by_what_is_declared(study):
    schedule, _ = closing_soon(hard=True, left_s=3000)
    rows = [{"x": x} for x in (0, 1)]
    words = ["[ ", {"parameter": "x"}, " = 0 ] || sleep 600"]
    found = study([task("a", words, uses=["x"], resources={"time_s": 3600})], rows, schedule=schedule)
    found.run("run", "--point", "0", "--now")
    process = found.start("run")
    while not list((found.run_folder / "work").glob("*/now.json")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)  # cut off as at closing, without waiting for it
    assert process.wait(30) == 75
    before = found.attempts()
    found.run(code=75)
    assert found.attempts() == before == {("a", 0): 1, ("a", 1): 1}


COUNT = """
trap 'exit 75' USR1
n=$(cat ckpt/n 2>/dev/null || echo 0)
while [ $n -lt 600 ]; do n=$((n + 1)); echo $n > ckpt/part; mv ckpt/part ckpt/n; [ -e DONE ] || sleep 0.1; done
echo $n > o
"""


@pytest.mark.slow
def test_a_step_is_asked_for_its_checkpoint_before_closing_and_goes_on_at_the_next_opening(study, tmp_path):
    schedule, close = closing_soon(hard=True)
    kept, words = dict(KEPT, before_s=2), COUNT.replace("DONE", str(tmp_path / "done"))
    step = task("a", words, checkpoint=kept, outputs={"o": "o"}, resources={"time_s": 3600})
    found = study([step], schedule=schedule)
    found.run(code=75)
    record = found.settled()["a", 0]
    assert (record["state"], record["reason"]) == ("interrupted", "stopped at a checkpoint")
    assert record["end"] < close
    (tmp_path / "done").touch()
    found.run("run", "--now")
    assert found.output("a", 0, "o") == "600\n"


@pytest.mark.slow
def test_a_step_that_does_not_heed_closing_is_killed_after_its_grace_and_has_not_failed(study):
    schedule, _close = closing_soon(hard=True)
    kept = dict(KEPT, before_s=1)
    words = "trap '' USR1 TERM; while :; do sleep 0.1; done"
    found = study([task("a", words, checkpoint=kept, resources={"time_s": 3600})], schedule=schedule)
    found.run(code=75)
    record = found.settled()["a", 0]
    assert (record["state"], record["signal"], record["reason"]) == ("interrupted", 9, "the hours are over")


@pytest.mark.slow
def test_when_a_soft_window_closes_what_runs_may_end_and_nothing_else_begins(study):
    schedule, close = closing_soon(hard=False)
    rows = [{"x": x} for x in (0, 1)]
    found = study([task("a", until(close), uses=["x"])], rows, schedule=schedule)
    said = found.run("run", "-j", "1", code=75).stderr
    assert found.states() == {("a", 0): "done"}
    assert found.settled()["a", 0]["end"] >= close
    assert "1 steps remain" in said


@pytest.mark.slow
def test_started_with_now_it_is_not_ended_at_closing(study):
    schedule, close = closing_soon(hard=True)
    found = study([task("a", until(close), resources={"time_s": 60})], schedule=schedule)
    found.run("run", "--now")
    assert found.settled()["a", 0]["end"] >= close


def test_a_job_ends_for_certain_where_the_hours_do_not_end_before():
    assert closing.Closing().within(50).close == 50
    assert closing.Closing(40).within(50).close == 40
    found = closing.Closing(60).within(50)
    assert (found.close, found.ends(50), found.what) == (50, True, "this job is")
