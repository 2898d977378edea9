"""Progress: how far a run is, from its counts, in lines for a person; kept in their place on a terminal.

How it stands is a plain mapping, the same for a worker at work and for a reader of records:
`{"steps": how many, "tasks": {task: {"steps": n, state: n, "running": n}}, "rate": steps a second or None,
"left_s": seconds or None, "use": share of the cores or None, "cpus": how many}`.
"""

import os
import re
import sys
import time
from collections import deque

from . import names, records, tree

EVERY_S = 30  # between two lines where nobody watches
DRAW_S = 0.2  # between two drawings on a terminal
SAMPLE_S = 1.0
WHILE_S = 60.0  # the last while, over which a rate is taken
LEAST = 10  # so many ends make a rate; with fewer the while is longer
COLUMNS, ROWS = 80, 24  # of a terminal that does not say
RUNNING = "running"
BAD = (names.FAILED, names.MEMORY, names.TIME, names.NODE)
STATES = (names.DONE,) + BAD + (names.SKIPPED, names.INTERRUPTED)
RED = "\x1b[31m%s\x1b[0m"
TOLD = re.compile(r"\b[1-9][0-9]* (?:%s)\b" % "|".join(BAD))


def begun(stands, wanted=None):
    """Return how a run stands as it begins (`Standing.counts`); of the wanted (task, step) alone, where not all are."""
    if wanted is None:
        return stands.counts()
    tasks = {}
    for name, step in wanted:
        told, state = tasks.setdefault(name, {"steps": 0}), stands.state(name, step)
        told["steps"] += 1
        if state:
            told[state] = told.get(state, 0) + 1
    return {"steps": len(wanted), "tasks": tasks}


def human(seconds):
    """Write a length of time for people."""
    if seconds < 10:
        return "%.1f s" % seconds
    if seconds < 120:
        return "%d s" % seconds
    return "%d min" % (seconds // 60) if seconds < 7200 else "%.1f h" % (seconds / 3600)


def rate(samples, now):
    """Return the steps that ended a second, over the last while; None where none did.

    `samples` are (time, ended until then), ascending in both, the first of them the beginning.
    """
    last = samples[-1][1] if samples else 0
    then, before = next(
        ((at, ended) for at, ended in reversed(samples) if at <= now - WHILE_S and last - ended >= LEAST),
        samples[0] if samples else (now, 0),
    )
    return (last - before) / (now - then) if last > before and now > then else None


def totals(stands):
    """Return {state, or `running`: how many} over all tasks, without those of which there are none."""
    found = {}
    for told in stands["tasks"].values():
        for what in STATES + (RUNNING,):
            if told.get(what):
                found[what] = found.get(what, 0) + told[what]
    return found


def _others(counts):
    return ["%d %s" % (counts[what], what) for what in STATES[1:] + (RUNNING,) if counts.get(what)]


def parts(stands):
    """Return how it stands in a few words each, the weightiest first."""
    counts = totals(stands)
    told = ["%d of %d steps done" % (counts.get(names.DONE, 0), stands["steps"])] + _others(counts)
    if stands.get("left_s") is not None:
        told.append("about %s left" % human(stands["left_s"]))
    if stands.get("rate"):
        told.append(("%.0f steps/s" if stands["rate"] >= 10 else "%.2g steps/s") % stands["rate"])
    if stands.get("use") is not None and stands.get("cpus"):
        told.append("%d %% of %d core%s" % (100 * stands["use"] + 0.5, stands["cpus"], "s" * (stands["cpus"] != 1)))
    return told


def headline(stands, width=None):
    """Return one line: all of it, or as many of its parts as a width has room for."""
    told = parts(stands)
    while width is not None and len(told) > 1 and len(", ".join(told)) > width:
        told.pop()
    return ", ".join(told)


def rows(stands, room):
    """Return a line a task, in at most `room` lines: those at work first, the others as far as there is room."""
    tasks = stands["tasks"]
    if len(tasks) < 2 or room < 1:
        return []
    shown, more = list(tasks), 0
    if len(shown) > room:
        weight = {name: (not tasks[name].get(RUNNING), _over(tasks[name]), at) for at, name in enumerate(shown)}
        kept = set(sorted(shown, key=lambda name: weight[name])[: room - 1])
        more = len(shown) - len(kept)
        shown = [name for name in shown if name in kept]
    wide = max([len(tree.shown(name)) for name in shown] or [0])
    size = max([len(str(tasks[name]["steps"])) for name in shown] or [0])
    lines = []
    for name in shown:
        counts = tasks[name]
        done = "%*d/%-*d done" % (size, counts.get(names.DONE, 0), size, counts["steps"])
        lines.append("  " + ", ".join(["%-*s  %s" % (wide, tree.shown(name), done)] + _others(counts)))
    return lines + (["  and %d more tasks" % more] if more else [])


def _over(counts):
    return sum(counts.get(state, 0) for state in STATES) >= counts["steps"]


def watched(stream):
    """Say whether a person watches a stream, on a terminal that can move its cursor."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # it is closed
        return False


class Screen(object):
    """A few lines at the end of a terminal, drawn again in their place. Never wider nor higher than the terminal."""

    def __init__(self, stream):
        self._stream, self._drawn, self.open = stream, [], True
        self._colour = not os.environ.get("NO_COLOR")  # https://no-color.org

    def size(self):
        """Return (columns, rows)."""
        try:
            columns, lines = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns, lines = 0, 0
        return columns or COLUMNS, lines or ROWS

    def draw(self, lines):
        """Show lines in the place of those that were drawn before."""
        columns, height = self.size()
        # The last column stays free: a terminal may already have moved on to the next line there.
        lines = [line[: max(1, columns - 1)] for line in lines[: max(1, height - 1)]]
        self._write(self._back(columns) + "\n".join(self._painted(line) for line in lines))
        self._drawn = lines

    def say(self, text):
        """Say something that stays, above what is drawn next."""
        self._write(self._back(self.size()[0]) + text + "\n")
        self._drawn = []

    def clear(self):
        """Take away what is drawn."""
        self._write(self._back(self.size()[0]))
        self._drawn = []

    def _back(self, columns):
        # A terminal made narrower since has broken the lines that it shows.
        high = sum(max(1, -(-len(line) // columns)) for line in self._drawn)
        return "" if not high else "\r" + ("\x1b[%dA" % (high - 1) if high > 1 else "") + "\x1b[J"

    def _painted(self, line):
        return TOLD.sub(lambda match: RED % match.group(), line) if self._colour else line

    def _write(self, text):
        if not self.open:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.open = False  # the terminal is gone: nobody watches any more, and the work goes on


class Progress(object):
    """Says how far one worker's run is: kept up to date on a terminal, a line every half minute elsewhere.

    `before` is what `Standing.counts` says as it starts, `cpus` the cores it may use; `quiet` says nothing at all.
    """

    def __init__(self, before, cpus=0, *, quiet=False, stream=None):
        self._stream = stream or sys.stderr
        self._steps, self._cpus, self._quiet = before["steps"], cpus, quiet
        self._before = {
            name: dict({state: n for state, n in told.items() if state in records.FINAL}, steps=told["steps"])
            for name, told in before["tasks"].items()
        }
        self._screen = Screen(self._stream) if watched(self._stream) else None
        self._start = self._told = self._seen = time.monotonic()
        self._samples = deque([(self._start, 0)])
        self._busy_s = self._cores = 0.0

    def say(self, text):
        """Say something that stays."""
        if self._screen:
            self._screen.say("sciflow: " + text)
        else:
            print("sciflow: " + text, file=self._stream, flush=True)

    def end(self):
        """Leave the terminal to others, however the work ended."""
        if self._screen:
            self._screen.clear()

    def __call__(self, counts, order, running, *, final=False, busy_s=None, left=None):
        """Take note of how it stands; show it when it is time to.

        `counts` are {(task, state): ended since the start}, `running` the attempts at work, by whatever name. `busy_s`
        is how many core-seconds steps had so far, and `left` how many steps are still to end; where they are not said,
        they are taken from the cores of those that run, and from what `order` began with.
        """
        now = time.monotonic()
        if busy_s is None:
            self._busy_s += self._cores * (now - self._seen)
            self._cores = sum(found.task["resources"]["cpus"] for found in running.values())
        else:
            self._busy_s = busy_s
        self._seen = now
        if final or now - self._samples[-1][0] >= SAMPLE_S:
            self._samples.append((now, sum(counts.values())))
            while len(self._samples) > 2 and self._spent(self._samples[1], now):
                self._samples.popleft()
        if not self._quiet and (final or now - self._told >= (DRAW_S if self._screen else EVERY_S)):
            self._told = now
            self._show(self.stands(counts, order, running, now, left=left, final=final), final, now)

    def _spent(self, sample, now):
        return sample[0] <= now - WHILE_S and self._samples[-1][1] - sample[1] >= LEAST

    def stands(self, counts, order, running, now, *, left=None, final=False):
        """Return how it stands, as the head of this room says."""
        tasks = {name: dict(told) for name, told in self._before.items()}
        for (name, state), count in counts.items():
            tasks[name][state] = tasks[name].get(state, 0) + count
        for found in running.values():
            told = tasks[found.task["name"]]
            told[RUNNING] = told.get(RUNNING, 0) + 1
        ended = sum(counts.values())
        left = max(0, order.total - ended) if left is None else left
        pace = rate([(self._start, 0), (now, ended)] if final else list(self._samples) + [(now, ended)], now)
        elapsed = now - self._start
        return {
            "steps": self._steps,
            "tasks": tasks,
            "rate": pace,
            "left_s": left / pace if pace and left and not final else None,
            "use": self._busy_s / (elapsed * self._cpus) if elapsed > SAMPLE_S and self._cpus else None,
            "cpus": self._cpus,
        }

    def _show(self, stands, final, now):
        if final:
            told = parts(stands)
            self.say(", ".join([told[0] + " in " + human(now - self._start)] + told[1:]))
        elif self._screen:
            columns, height = self._screen.size()
            self._screen.draw(rows(stands, height - 2) + [headline(stands, columns - 1)])
        else:
            self.say(headline(stands))
