"""Off-peak hours: is it open now, when does it open, when does it close. One arithmetic for every launcher.

A schedule is a plain dict, as the plan holds it: `policy` (`now` or `off-peak`), `opens` and `closes` (minutes after
midnight), `also` (more such pairs of a day, if there are), `weekends`, `holidays` (dates on which it is open all day,
if there are), `max_wait_s`, `hard`, and `transitions`: [[UTC second, offset in seconds], …], ascending, the zone's
offsets frozen when the workflow was locked, because Python 3.6 has no zoneinfo and a node may have no tzdata.
All instants are UTC seconds; lengths come from UTC instants, since a night may last 9, 10 or 11 hours.
"""

import calendar
import time

DAY_S = 86400
SATURDAY, SUNDAY = 5, 6
LOOK_AHEAD_DAYS = 9  # a week and the days around it: every window that can matter for "when does it open"
A_WEDNESDAY = 6 * DAY_S  # 1970-01-07: with the days around it, a whole week and the nights beside its weekend
LAST_YEAR = 2060  # the offsets of a zone are frozen up to the beginning of this year
CYCLE = 28  # so many years in a row hold every calendar: seven first weekdays, each with and without a leap day


def january(year):
    """Return the UTC second at which a year begins."""
    return calendar.timegm((year, 1, 1, 0, 0, 0))


def known(instant):
    """Return the instant of the frozen years at which a zone has the offset that it has by rule at this one.

    Rules name weekdays of months (`the last Sunday of March`), so that years of the same calendar change alike.
    """
    year = time.gmtime(instant).tm_year
    if year < LAST_YEAR:
        return instant
    kind = calendar.isleap(year), calendar.weekday(year, 1, 1)
    for like in range(LAST_YEAR - CYCLE, LAST_YEAR):
        if (calendar.isleap(like), calendar.weekday(like, 1, 1)) == kind:
            break
    return instant - january(year) + january(like)


def offset(transitions, instant):
    """Return the zone's offset from UTC, in seconds, at an instant."""
    instant, low, high = known(instant), 0, len(transitions)
    while high - low > 1:  # bisect has no `key` before Python 3.10, and a list of keys costs more than this
        middle = (low + high) // 2
        low, high = (middle, high) if transitions[middle][0] <= instant else (low, middle)
    return transitions[low][1] if transitions else 0


def instant(transitions, wall):
    """Return the UTC instant of a wall clock reading (seconds since 1970 as the wall shows them).

    A reading that occurs twice is the first of the two; one that is skipped is moved on by the gap (PEP 495, fold=0).
    """
    # No zone is a day away from UTC, nor changes its offset twice in two days.
    before, after = offset(transitions, wall - DAY_S), offset(transitions, wall + DAY_S)
    fits = [wall - shift for shift in (before, after) if offset(transitions, wall - shift) == shift]
    return min(fits) if fits else wall - before


def day_of(date):
    """Return the number of a day, from 1970-01-01 on, by its date (`2026-12-25`)."""
    year, month, day = date.split("-")
    return calendar.timegm((int(year), int(month), int(day), 0, 0, 0)) // DAY_S


def times(schedule):
    """Return the hours of a day as [(opens, closes)], in seconds of the wall clock after midnight."""
    pairs = [(schedule["opens"], schedule["closes"])] + [tuple(pair) for pair in schedule.get("also", ())]
    # Equal ones are no hours: then only weekends and holidays are open.
    return [(a * 60, b * 60 + (DAY_S if b < a else 0)) for a, b in pairs if a != b]


def windows(schedule, now):
    """Return the open windows around an instant as merged, ascending [(open, close)], in UTC seconds."""
    transitions, hours = schedule["transitions"], times(schedule)
    first = (now + offset(transitions, now)) // DAY_S - 2
    free = {day for day in map(day_of, schedule.get("holidays", ())) if day >= first}
    spans = []
    # Holidays in a row make a window longer; where five fill a week, its weekend joins them.
    for day in range(first, first + LOOK_AHEAD_DAYS + 2 + 2 * len(free)):
        spans.extend((day * DAY_S + opens, day * DAY_S + closes) for opens, closes in hours)
        weekend = schedule["weekends"] and (day + 3) % 7 in (SATURDAY, SUNDAY)  # 1970-01-01 was a Thursday
        if weekend or day in free:
            spans.append((day * DAY_S, (day + 1) * DAY_S))
    merged = []
    for start, end in sorted((instant(transitions, a), instant(transitions, b)) for a, b in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:  # else the clocks skip it that night
            merged.append((start, end))
    return merged


def window(schedule, now, since=None):
    """Return the (start, close) of the time in which work may go on, now or later; close is None where it has no end.

    `since` is when the sweep was first launched: from `max_wait_s` after that, hours do not bind it any more.
    """
    if schedule["policy"] == "now":
        return now, None
    start, close = next((max(a, now), b) for a, b in windows(schedule, now) if b > now)
    wait = schedule["max_wait_s"]
    if not wait:
        return start, close
    free = (now if since is None else since) + wait
    if start > free:
        return max(now, free), None
    return start, close if close < free else None


def longest(schedule):
    """Return how many seconds the longest window of an ordinary week has: without holidays, or a change of clocks."""
    plain = dict(schedule, holidays=(), transitions=[])
    return max([close - start for start, close in windows(plain, A_WEDNESDAY)] or [0])
