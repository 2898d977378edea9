"""One call by cron: do what remains if it is time and nobody is at it; when nothing is left, take the line away.

It is called every few minutes, and says nothing where nothing is to be done: most calls end before the bundle is even
verified. What it says, once for all, stands in the run's log of cron.
"""

import json
import os
import time

from . import crontab, facts, hours, launched, names
from .owner import OWNER, below

AGAIN_S = 900  # after a worker for whose steps too little of the window was left, or that was told to stop
RETRY_S, LONGEST_S = 300, 6 * 3600  # after a fault of the surroundings, twice as long each time
FINISHED = {
    names.EXIT_OK: "all steps are done",
    names.EXIT_WORDS: "the line says what cannot be run",
    names.EXIT_CHANGED: "the bundle is not what was sealed",
    names.EXIT_INCOMPLETE: "what can be done is done; `sciflow run --failed` tries again what failed",
    names.EXIT_UNTRUSTED: "no key that is trusted has sealed the bundle",
}


def call(bundle, run_name, program, say, go):
    """Return an exit code. `go()` verifies the bundle, runs what remains, and returns one; `program` holds the line."""
    run = os.path.join(bundle, names.RUNS, run_name)
    held = crontab.lock(crontab.mark(bundle, run_name))
    if held is None or at_work(run):
        return names.EXIT_OK
    try:
        if os.path.exists(os.path.join(run, names.CANCEL)):
            return _leave(bundle, run_name, program, say, "the run was cancelled", names.EXIT_LATER)
        if not due(bundle, run, int(time.time())):
            return names.EXIT_LATER
        say("%s: begun by %s" % (_now(), program))
        code = names.EXIT_SURROUNDINGS
        try:
            code = go()
        finally:
            if code not in FINISHED:
                _wait(bundle, run, code)
        if code in FINISHED:
            return _leave(bundle, run_name, program, say, FINISHED[code], code)
        return code
    finally:
        held.close()


def at_work(run):
    """Say whether a worker of this machine is at work in a run, whoever started it."""
    above = os.path.join(run, names.WORK)
    for name in below(above):
        try:
            with open(os.path.join(above, name, OWNER), encoding="utf-8") as stream:
                owner = json.load(stream)
        except (OSError, ValueError):
            continue  # it is just being made or given up
        if owner[0] == facts.owner()[0] and not facts.gone(owner):
            return True
    return False


def window(bundle, run, now):
    """Return the window of a bundle's hours, now or later, as `hours.window` does; None where the plan is not readable.

    The plan is not verified yet: it can only keep work from being begun.
    """
    try:
        with open(os.path.join(bundle, names.PLAN), encoding="utf-8") as stream:
            schedule = json.load(stream)["schedule"]
        since = launched.note(run, now) if schedule["policy"] != "now" and schedule["max_wait_s"] else None
        return hours.window(schedule, now, since)
    except (OSError, ValueError, KeyError, TypeError, StopIteration):
        return None


def due(bundle, run, now):
    """Say whether it is open, and no call has said that it is to be left alone for a while."""
    found = window(bundle, run, now)
    return now >= _told(run)["until"] and (found is None or found[0] <= now)


def _told(run):
    try:
        with open(os.path.join(run, names.CRON), encoding="utf-8") as stream:
            found = json.load(stream)
        return {"failed": int(found["failed"]), "until": int(found["until"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"failed": 0, "until": 0}


def _wait(bundle, run, code):
    """Write down until when calls are to do nothing: a fault that does not pass is tried again ever more rarely."""
    now, failed = int(time.time()), 0
    if code in (names.EXIT_LATER, names.EXIT_INTERRUPTED):
        found = window(bundle, run, now)
        until = now + AGAIN_S
        if found:  # never beyond this window: the next one begins with all that is left
            until = min(until, found[1] or until) if found[0] <= now else now
    else:
        failed = _told(run)["failed"] + 1
        until = now + min(RETRY_S * 2 ** min(failed - 1, 10), LONGEST_S)
    part = os.path.join(run, ".%s.%s" % (names.CRON, names.token()))
    os.makedirs(run, exist_ok=True)
    with open(part, "w", encoding="utf-8") as stream:
        json.dump({"failed": failed, "until": until}, stream)
    os.replace(part, os.path.join(run, names.CRON))


def _now():
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def forget(run):
    """Let the next call begin at once."""
    try:
        os.unlink(os.path.join(run, names.CRON))
    except FileNotFoundError:
        pass


def _leave(bundle, run_name, program, say, why, code):
    """Take the line away and say why. Where that cannot be, it is said too, and tried again with a later call."""
    run, mark = os.path.join(bundle, names.RUNS, run_name), crontab.mark(bundle, run_name)
    try:
        crontab.change(program, lambda table: crontab.without(table, mark))
    except crontab.TableError as error:
        _wait(bundle, run, names.EXIT_SURROUNDINGS)
        say("%s: %s; but its line cannot be taken away: %s" % (_now(), why, error))
        return names.EXIT_SURROUNDINGS
    forget(run)
    say("%s: %s: its line is taken out of the %s" % (_now(), why, program))
    return code
