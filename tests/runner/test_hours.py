"""When it is open, when it opens, when it closes: nights, weekends, both changes of the clocks."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from sciflow.plan.lock import transitions
from sciflow.runner import hours

ZURICH = [list(pair) for pair in transitions("Europe/Zurich")]
NIGHTS = {
    "policy": "off-peak",
    "opens": 22 * 60,
    "closes": 8 * 60,
    "weekends": False,
    "max_wait_s": 0,
    "hard": False,
    "transitions": ZURICH,
}
DAYS = {**NIGHTS, "opens": 9 * 60, "closes": 17 * 60}


def at(text, zone="Europe/Zurich"):
    """Return the UTC second of a wall clock's reading, `2026-11-18 21:30`."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def window(schedule, text, **more):
    """Return the window at a reading of the wall clock, as two readings."""
    found = hours.window(schedule, at(text), **more)
    zone = ZoneInfo("Europe/Zurich")
    return tuple(instant and dt.datetime.fromtimestamp(instant, zone).strftime("%m-%d %H:%M") for instant in found)


def test_in_the_evening_it_opens_at_night():
    assert window(NIGHTS, "2026-11-18 21:30") == ("11-18 22:00", "11-19 08:00")


def test_within_the_night_it_is_open_now():
    assert window(NIGHTS, "2026-11-19 03:00") == ("11-19 03:00", "11-19 08:00")


def test_at_the_opening_it_is_open():
    assert window(NIGHTS, "2026-11-18 22:00") == ("11-18 22:00", "11-19 08:00")


def test_at_the_closing_it_is_closed():
    assert window(NIGHTS, "2026-11-19 08:00") == ("11-19 22:00", "11-20 08:00")


def test_hours_of_the_day_do_not_cross_midnight():
    assert window(DAYS, "2026-11-18 18:00") == ("11-19 09:00", "11-19 17:00")


def test_weekends_join_the_nights_around_them():
    assert window({**NIGHTS, "weekends": True}, "2026-11-20 12:00") == ("11-20 22:00", "11-23 08:00")


def test_a_weekend_is_open_by_day():
    assert window({**DAYS, "weekends": True}, "2026-11-21 20:00") == ("11-21 20:00", "11-23 00:00")


def test_without_hours_only_the_weekend_is_open():
    weekends = {**NIGHTS, "opens": 0, "closes": 0, "weekends": True}
    assert window(weekends, "2026-11-18 21:30") == ("11-21 00:00", "11-23 00:00")


def test_without_weekends_saturday_is_a_day_like_others():
    assert window(NIGHTS, "2026-11-21 12:00") == ("11-21 22:00", "11-22 08:00")


@pytest.mark.parametrize(("night", "length"), [("2026-03-28", 9), ("2026-10-24", 11), ("2026-11-18", 10)])
def test_a_night_is_as_long_as_the_clocks_make_it(night, length):
    start, close = hours.window(NIGHTS, at(f"{night} 22:00"))
    assert (close - start) / 3600 == length


def test_an_opening_that_the_clocks_skip_is_moved_on():
    skipped = {**NIGHTS, "opens": 150, "closes": 360}  # 02:30 is not, on 29 March
    assert window(skipped, "2026-03-29 01:00") == ("03-29 03:30", "03-29 06:00")


def test_an_opening_that_occurs_twice_is_the_first():
    twice = {**NIGHTS, "opens": 150, "closes": 360}
    start, close = hours.window(twice, at("2026-10-25 01:00"))
    assert (close - start) / 3600 == 4.5


def test_with_policy_now_it_is_open_and_does_not_close():
    assert hours.window({**NIGHTS, "policy": "now"}, 1000) == (1000, None)


def test_it_waits_no_longer_than_it_may():
    assert window({**NIGHTS, "max_wait_s": 3600}, "2026-11-18 12:00") == ("11-18 13:00", None)


def test_waiting_counts_from_the_first_launch():
    waited = window({**NIGHTS, "max_wait_s": 3 * 3600}, "2026-11-18 12:00", since=at("2026-11-18 08:00"))
    assert waited == ("11-18 12:00", None)


def test_waiting_is_of_no_matter_where_it_opens_in_time():
    assert window({**NIGHTS, "max_wait_s": 12 * 3600}, "2026-11-18 12:00") == ("11-18 22:00", "11-19 08:00")


def test_a_zone_without_changes_has_one_offset():
    assert hours.offset([[0, 3600]], 10**9) == 3600


def test_before_the_first_known_offset_the_first_holds():
    assert hours.offset([[1000, 3600], [2000, 7200]], 5) == 3600


def test_without_a_zone_it_is_utc():
    assert hours.window({**DAYS, "transitions": []}, at("2026-11-18 08:00", "UTC")) == (
        at("2026-11-18 09:00", "UTC"),
        at("2026-11-18 17:00", "UTC"),
    )
