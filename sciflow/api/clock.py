"""What time it is, and waiting: the machine's clock, and one that tests and dry runs can set."""

from __future__ import annotations

import datetime as dt
import time
from typing import Protocol

from sciflow.errors import UsageError

NAP_S = 60.0
"""The longest wait at a time: a machine that slept meanwhile finds out no later than this."""


class Clock(Protocol):
    """A clock: UTC seconds since 1970, and waiting."""

    def now(self) -> float:
        """Return the time, in UTC seconds since 1970."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return the time, in UTC seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class SimulatedClock:
    """A clock that stands where it is set, and goes on by what is waited, at once."""

    def __init__(self, start: dt.datetime | float) -> None:
        """Set it to a time with a zone, or to UTC seconds since 1970. Raises UsageError for a time without a zone."""
        if isinstance(start, dt.datetime):
            if start.tzinfo is None:
                raise UsageError(f"`{start}` has no time zone", hint="write `datetime(…, tzinfo=UTC)`")
            start = start.timestamp()
        self._now = float(start)

    def now(self) -> float:
        """Return the time, in UTC seconds since 1970."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Go on by these seconds."""
        self._now += seconds


def wait(clock: Clock, until: float) -> None:
    """Wait until an instant (UTC seconds since 1970), in naps."""
    while (left := until - clock.now()) > 0:
        clock.sleep(min(left, NAP_S))
