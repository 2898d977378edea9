"""Hard hours, in simulated time: 1,000 cases in six zones around changes of their clocks. `nights` says what a case is."""

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest

from sciflow.runner import names
from sciflow.runner.work import GRACE_S, TICK_S
from tests.property import nights

pytestmark = pytest.mark.slow

CASES = 1000
AFTER_S = GRACE_S + 2 * TICK_S  # between closing and the end of a step that heeds nothing
GOAL = 0.9


@pytest.fixture(scope="module")
def worked():
    return [nights.nights(seed) for seed in range(CASES)]


def test_every_window_is_where_the_clocks_on_the_wall_have_it(worked):
    for case, _, found in worked:
        true = nights.spans(case, case.now)
        wanted = [(max(start, case.now), close) for start, close in true if close > case.now][: len(found)]
        assert [(night.start, night.close) for night in found] == wanted, case


def test_no_step_runs_outside_a_hard_window_beyond_the_grace(worked):
    for case, _, found in worked:
        true = nights.spans(case, case.now)
        for night in found:
            (window,) = [(start, close) for start, close in true if start <= night.start < close]
            for name, step, start, end, how in night.ran:
                assert window[0] <= start < window[1], (case, name, step)
                assert end <= window[1] + (AFTER_S if how == "cut" else TICK_S), (case, name, step, how)


def test_nine_tenths_of_what_the_windows_have_are_used(worked):
    """What was cut off does not count as used."""
    every = [night for _, _, found in worked for night in found]
    assert len(every) >= CASES
    assert sum(night.used for night in every) >= GOAL * sum(night.capacity for night in every)


def test_no_step_is_cut_off_twice_without_a_checkpoint(worked):
    for case, _, found in worked:
        cut = [
            (name, step) for night in found for name, step, _, _, how in night.ran if how == "cut" and name != "long"
        ]
        assert len(cut) == len(set(cut)), case


def test_what_was_cut_off_is_done_in_the_next_window_if_that_has_room_for_it(worked):
    went_on = 0
    for _, machine, found in worked:
        for night, after in itertools.pairwise(found):
            limit_s = 2 * machine.tasks["train"]["resources"]["time_s"]
            cut = {key[:2] for key in night.ran if key[4] == "cut" and key[0] != "long"}
            if after.close - after.start > limit_s and machine.case.longs < machine.case.cores:
                went_on += len(cut)
                assert all(key in machine.settled for key in cut)
    assert went_on > 0


def test_what_came_to_a_checkpoint_goes_on_and_nothing_of_it_is_done_again(worked):
    carried = 0
    for _, machine, found in worked:
        for key in {run[:2] for night in found for run in night.ran if run[4] == "kept"}:
            runs = [run for night in found for run in night.ran if run[:2] == key and run[4] != "cut"]
            done = sum(end - start for _, _, start, end, _ in runs)
            assert done <= machine.durations[key] + 1e-6
            carried += len(runs) > 1
            if runs[-1][4] == names.DONE:
                assert done == pytest.approx(machine.durations[key])
    assert carried > 100


def test_the_cases_are_of_every_zone_and_of_both_changes_of_its_clocks(worked):
    seen = set()
    for case, _, found in worked:
        zone, night = ZoneInfo(case.zone), found[0]
        before, after = (dt.datetime.fromtimestamp(at, zone).utcoffset() for at in (night.start, night.close))
        if before != after:
            seen.add((case.zone, before < after))
    assert seen == {(zone, forward) for zone in nights.ZONES for forward in (True, False)}
