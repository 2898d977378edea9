"""The section `schedule` -> when the sweep may run; its windows, and the tasks that no hard one would see end."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from typing import TYPE_CHECKING, Any

from sciflow.runner import hours
from sciflow.workflow import quantity
from sciflow.workflow.faults import likely, shown
from sciflow.workflow.spec import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sciflow.workflow.faults import Faults
    from sciflow.workflow.spec import Keys, Task

HOURS: tuple[str, ...] = ("schedule", "hours")
DAY_MINUTES, HOUR_S, MINUTE_S = 1440, 3600, 60


def read(table: dict[str, Any], tasks: Iterable[Task], faults: Faults) -> Schedule:
    """Return the schedule that a table says; add what is wrong with it, also for these tasks."""
    said = table.get("hours", ())
    written = [said] if isinstance(said, str) and said else list(said)
    policy, weekends = table.get("policy", "now"), table.get("weekends", False)
    _refuse_empty(written, isinstance(said, str), faults)
    if policy == "off-peak" and not (written or weekends) and not faults.has(("schedule",)):
        faults.key(
            ("schedule", "policy"),
            "`policy` is `off-peak`, and no hours are",
            'say `hours = "22:00-08:00"`, or `weekends = true`',
        )
    zone = table.get("timezone", "UTC")
    if not _is_zone(zone):
        hint = (
            likely(zone, sorted(zoneinfo.available_timezones()), what="time zones")
            .partition("; ")[0]
            .partition("? ")[0]
        )
        hint = hint + "?" if hint.startswith("did") else "a name of the IANA database, such as `Europe/Zurich`"
        faults.value(("schedule", "timezone"), f"there is no time zone `{shown(zone)}`", hint)
    found = Schedule(
        policy=policy,
        hours=tuple(written),
        weekends=weekends,
        holidays=_holidays(table.get("holidays", []), faults),
        timezone=zone,
        max_wait_s=quantity.seconds(table.get("max_wait", "0s")),
        hard=table.get("hard", False),
        when_idle=table.get("when_idle", False),
    )
    if found.policy == "off-peak" and not faults.has(("schedule",)):
        _refuse_open(found, faults)
        _refuse_long(found, tasks, faults)
    return found


def windows(schedule: Schedule) -> dict[str, Any]:
    """Return the windows of a schedule as a plan holds them; what it does not say is left out."""
    pairs = [_minutes(text) for text in schedule.hours] or [(0, 0)]
    made: dict[str, Any] = {"opens": pairs[0][0], "closes": pairs[0][1], "weekends": schedule.weekends}
    if pairs[1:]:
        made["also"] = [list(pair) for pair in pairs[1:]]
    if schedule.holidays:
        made["holidays"] = list(schedule.holidays)
    return made


def _minutes(text: str) -> tuple[int, int]:
    return int(text[:2]) * 60 + int(text[3:5]), int(text[6:8]) * 60 + int(text[9:])


def _is_zone(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _refuse_empty(written: list[str], alone: bool, faults: Faults) -> None:  # noqa: FBT001  how it was written
    for index, text in enumerate(written):
        if text[:5] == text[6:]:
            key: Keys = HOURS if alone else (*HOURS, index)
            hint = 'for the whole day, leave `hours` out and say `policy = "now"`'
            faults.value(key, f"`hours` begin and end at {text[:5]}", hint)


def _holidays(written: list[str], faults: Faults) -> tuple[str, ...]:
    for index, text in enumerate(written):
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            faults.value(("schedule", "holidays", index), f"there is no day `{text}`", "wanted: year-month-day")
    return tuple(sorted(written))


def _refuse_open(schedule: Schedule, faults: Faults) -> None:
    """Refuse hours that together are open all day: they would not close."""
    minutes: set[int] = set()
    for opens, closes in map(_minutes, schedule.hours):
        minutes.update(minute % DAY_MINUTES for minute in range(opens, closes + DAY_MINUTES * (closes < opens)))
    if len(minutes) == DAY_MINUTES:
        faults.value(HOURS, "`hours` together leave no minute of the day", 'leave them out and say `policy = "now"`')


def _refuse_long(schedule: Schedule, tasks: Iterable[Task], faults: Faults) -> None:
    """Refuse tasks of which no step could come further in a hard window: it would be begun again for ever."""
    if not schedule.hard or faults.has(HOURS):
        return
    length_s = hours.longest(windows(schedule))
    for task in tasks:
        checkpoint = task.checkpoint
        if checkpoint and 2 * checkpoint.before_s > length_s:
            faults.value(
                ("tasks", task.name, "checkpoint"),
                f"task `{task.name}` is to checkpoint {spoken(checkpoint.before_s)} before the end, and the longest "
                f"hard window has {spoken(length_s)}: it would do little else",
                "lower `before`, widen `hours`, or leave out `hard`",
            )
        if checkpoint:
            continue
        retry = task.retry
        grown_s = task.resources.time_s * (retry.grow_time**retry.times if "time" in retry.on else 1)
        more = ", and more when it is tried again" if grown_s > task.resources.time_s else ""
        if grown_s > length_s:
            faults.value(
                ("tasks", task.name, "resources", "time"),
                f"task `{task.name}` may take {spoken(task.resources.time_s)}{more}, and the longest hard window has "
                f"{spoken(length_s)}",
                "lower `time`, give it a `checkpoint`, widen `hours`, or leave out `hard`",
            )


def spoken(seconds: int) -> str:
    """Return a length as a file would say it: `10h`, `1h30m`, `45s`."""
    parts = ((seconds // HOUR_S, "h"), (seconds % HOUR_S // MINUTE_S, "m"), (seconds % MINUTE_S, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
