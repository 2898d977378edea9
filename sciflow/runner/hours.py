"""Off-peak hours: is it open now, when does it open, when does it close. One arithmetic for every launcher.

A schedule is a plain dict, as the plan holds it: `policy` (`now` or `off-peak`), `opens` and `closes` (minutes after
midnight), `weekends`, `max_wait_s`, `hard`, and `transitions`: [[UTC second, offset in seconds], …], ascending, the
zone's offsets frozen when the workflow was locked, because Python 3.6 has no zoneinfo and a node may have no tzdata.
All instants are UTC seconds; lengths come from UTC instants, since a night may last 9, 10 or 11 hours.
"""

from bisect import bisect_right

DAY_S = 86400
SATURDAY, SUNDAY = 5, 6
LOOK_AHEAD_DAYS = 9  # a week and the days around it: every window that can matter for "when does it open"


def offset(transitions, instant):
    """Return the zone's offset from UTC, in seconds, at an instant."""
    at = bisect_right([start for start, _ in transitions], instant)
    return transitions[max(at - 1, 0)][1] if transitions else 0


def instant(transitions, wall):
    """Return the UTC instant of a wall clock reading (seconds since 1970 as the wall shows them).

    A reading that occurs twice is the first of the two; one that is skipped is moved on by the gap (PEP 495, fold=0).
    """
    guesses = [wall - shift for _, shift in transitions] or [wall]
    fits = [guess for guess in guesses if guess + offset(transitions, guess) == wall]
    if fits:
        return min(fits)
    before = offset(transitions, wall - DAY_S)
    return wall - before


def windows(schedule, now):
    """Return the open windows around an instant as merged, ascending [(open, close)], in UTC seconds."""
    transitions = schedule["transitions"]
    today = (now + offset(transitions, now)) // DAY_S
    spans = []
    for day in range(today - 2, today + LOOK_AHEAD_DAYS):
        opens, closes = schedule["opens"] * 60, schedule["closes"] * 60
        over_midnight = DAY_S if closes <= opens else 0
        if opens != closes:  # else there are no hours, and only weekends are open
            spans.append((day * DAY_S + opens, day * DAY_S + closes + over_midnight))
        if schedule["weekends"] and (day + 3) % 7 in (SATURDAY, SUNDAY):  # 1970-01-01 was a Thursday
            spans.append((day * DAY_S, (day + 1) * DAY_S))
    merged = []
    for start, end in sorted((instant(transitions, a), instant(transitions, b)) for a, b in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def window(schedule, now, since=None):
    """Return the (start, close) of the time in which work may go on, now or later; close is None where it has no end.

    `since` is when the sweep was first launched: after `max_wait_s` it waits no longer.
    """
    if schedule["policy"] == "now":
        return now, None
    start, close = next((max(a, now), b) for a, b in windows(schedule, now) if b > now)
    wait = schedule["max_wait_s"]
    if wait and start > (now if since is None else since) + wait:
        return max(now, (now if since is None else since) + wait), None
    return start, close
