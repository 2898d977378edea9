"""The clocks that an engine waits by."""

import datetime as dt
import time

import pytest

from sciflow.api import clock
from sciflow.errors import UsageError

TUESDAY = dt.datetime(2026, 11, 17, 10, tzinfo=dt.UTC)


def test_a_simulated_clock_stands_where_it_is_set():
    assert clock.SimulatedClock(TUESDAY).now() == clock.SimulatedClock(TUESDAY.timestamp()).now() == TUESDAY.timestamp()


def test_a_simulated_clock_goes_on_by_what_is_waited_at_once():
    simulated = clock.SimulatedClock(TUESDAY)
    clock.wait(simulated, TUESDAY.timestamp() + 12 * 3600)
    assert simulated.now() == TUESDAY.timestamp() + 12 * 3600


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(UsageError, match="has no time zone"):
        clock.SimulatedClock(TUESDAY.replace(tzinfo=None))


def test_the_system_s_clock_waits_for_real():
    system = clock.SystemClock()
    before = time.time()
    clock.wait(system, before + 0.05)
    assert system.now() >= before + 0.05


def test_what_is_past_is_not_waited_for():
    simulated = clock.SimulatedClock(TUESDAY)
    clock.wait(simulated, 0)
    assert simulated.now() == TUESDAY.timestamp()
