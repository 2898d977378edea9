"""When it is open, when it opens, when it closes: nights, weekends, holidays, both changes of the clocks."""

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
    assert window({**NIGHTS, "max_wait_s": 36 * 3600}, "2026-11-18 12:00") == ("11-18 22:00", "11-19 08:00")


def test_a_zone_without_changes_has_one_offset():
    assert hours.offset([[0, 3600]], 10**9) == 3600


def test_before_the_first_known_offset_the_first_holds():
    assert hours.offset([[1000, 3600], [2000, 7200]], 5) == 3600


def test_without_a_zone_it_is_utc():
    assert hours.window({**DAYS, "transitions": []}, at("2026-11-18 08:00", "UTC")) == (
        at("2026-11-18 09:00", "UTC"),
        at("2026-11-18 17:00", "UTC"),
    )


# ---- Several windows, holidays


NOONS = {**NIGHTS, "also": [[12 * 60, 13 * 60]]}


def test_of_several_windows_the_next_one_opens():
    assert window(NOONS, "2026-11-18 10:00") == ("11-18 12:00", "11-18 13:00")
    assert window(NOONS, "2026-11-18 14:00") == ("11-18 22:00", "11-19 08:00")


def test_windows_that_overlap_or_touch_are_one():
    assert window({**NIGHTS, "also": [[7 * 60, 9 * 60], [9 * 60, 10 * 60]]}, "2026-11-18 23:00") == (
        "11-18 23:00",
        "11-19 10:00",
    )


def test_a_holiday_is_open_all_day_and_joins_the_nights_beside_it():
    feast = {**NIGHTS, "holidays": ["2026-12-25"]}
    assert window(feast, "2026-12-24 12:00") == ("12-24 22:00", "12-26 08:00")


def test_a_holiday_is_a_day_of_the_zone():
    feast = {**NIGHTS, "opens": 0, "closes": 0, "weekends": True, "holidays": ["2026-12-24"]}
    assert window(feast, "2026-12-23 12:00") == ("12-24 00:00", "12-25 00:00")


def test_holidays_in_a_row_are_one_window_however_many_they_are():
    days = [(dt.date(2026, 12, 1) + dt.timedelta(days=day)) for day in range(31)]
    workdays = [day.isoformat() for day in days if day.weekday() < 5]
    feast = {**DAYS, "weekends": True, "holidays": workdays}
    assert window(feast, "2026-11-30 20:00") == ("12-01 00:00", "01-01 00:00")


def test_holidays_that_have_passed_do_not_matter():
    assert window({**NIGHTS, "holidays": ["2020-01-01"]}, "2026-11-18 21:30") == ("11-18 22:00", "11-19 08:00")


def test_a_window_that_the_clocks_skip_is_none():
    skipped = {**NIGHTS, "opens": 120, "closes": 180}  # on 29 March, 03:00 follows 02:00
    assert window(skipped, "2026-03-29 00:30") == ("03-30 02:00", "03-30 03:00")


def test_a_window_within_what_the_clocks_skip_is_moved_on():
    skipped = {**NIGHTS, "opens": 125, "closes": 170}
    assert window(skipped, "2026-03-29 00:30") == ("03-29 03:05", "03-29 03:50")


# ---- Waiting


def test_a_window_within_which_the_waiting_ends_does_not_close():
    """From then on the hours would not keep it from going on."""
    assert window({**NIGHTS, "max_wait_s": 12 * 3600}, "2026-11-18 12:00") == ("11-18 22:00", None)


def test_a_window_closes_while_there_is_time_left_to_wait():
    waited = window({**NIGHTS, "max_wait_s": 36 * 3600}, "2026-11-18 23:00", since=at("2026-11-18 12:00"))
    assert waited == ("11-18 23:00", "11-19 08:00")


# ---- Years to come


@pytest.mark.parametrize(
    "zone", ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"]
)
def test_behind_the_frozen_years_a_zone_goes_on_by_its_rule(zone):
    frozen, step = [list(pair) for pair in transitions(zone)], 6 * 3600 + 1
    for instant in range(at("2059-06-01 00:00"), at("2103-01-01 00:00"), step):
        wanted = dt.datetime.fromtimestamp(instant, ZoneInfo(zone)).utcoffset().total_seconds()
        assert hours.offset(frozen, instant) == wanted, instant


def test_a_window_many_years_from_now_is_where_it_should_be():
    assert window(NIGHTS, "2071-07-01 12:00") == ("07-01 22:00", "07-02 08:00")


# ---- The longest


@pytest.mark.parametrize(
    ("schedule", "length_h"),
    [
        (NIGHTS, 10),
        ({**NIGHTS, "weekends": True}, 58),
        ({**DAYS, "weekends": True}, 48),
        (NOONS, 10),
        ({**NOONS, "holidays": ["1970-01-07"]}, 10),
        ({**NIGHTS, "opens": 0, "closes": 0, "weekends": True}, 48),
    ],
)
def test_the_longest_window_is_that_of_an_ordinary_week(schedule, length_h):
    assert hours.longest(schedule) == length_h * 3600
