"""Where each step of a run stands: from the records to a state a step, and to the record that counts.

A state is a byte, and a record is read again where it is wanted; so a million steps take eighteen megabytes, and what
the indexes of the segments tell of takes no parsing. `records.settle` says the same of records that are all at hand.
"""

import os
from array import array

from . import names, records

DONE, SUPERSEDED = records.STATES.index(names.DONE), records.STATES.index(names.SUPERSEDED)
NODE = records.STATES.index(names.NODE)
FAILURES = tuple(records.STATES.index(state) for state in records.FINAL[1:])
SAMPLE = 64  # of how many successes of a task the time is looked at
OPEN = 16  # segments kept open
PENDING, ENDED, GIVEN_UP, SKIPPED = range(4)  # what `codes` says of a step
CODES = bytearray(256)  # and what it makes of each state
for state, code in ((names.DONE, ENDED), (names.SKIPPED, SKIPPED), *((one, GIVEN_UP) for one in records.FINAL[1:])):
    CODES[records.STATES.index(state)] = code


class Standing(object):
    """The states of a run's steps. It grows while a worker works: `note` what has been put on record."""

    def __init__(self, run, plan):
        """Read what is on record. Raises TornError."""
        self.run, self._tasks = run, plan["tasks"]
        self._number = {task["name"]: number for number, task in enumerate(self._tasks)}
        sizes = [task["steps"] for task in self._tasks]
        self._states = [bytearray(size) for size in sizes]
        self._segments = [array("I", bytes(4 * size)) for size in sizes]
        self._offsets = [array("Q", bytes(8 * size)) for size in sizes]
        self._tried, self._paths, self._open = {}, [], {}
        self.moved = 0  # attempts on record that ended by their own doing, or were stopped in good order
        self.refresh()

    def segment(self, path):
        """Return the number of a segment."""
        if path not in self._paths:
            self._paths.append(path)
        return self._paths.index(path)

    def _read(self, path):
        segment, last = self.segment(path), 0
        try:
            with open(path[: -len(records.SUFFIX)] + records.INDEX_SUFFIX, "rb") as stream:
                data = stream.read()
        except OSError:
            data = b""  # it only spares the reading of lines
        size, states, named = os.path.getsize(path), self._states, self._named
        for at, step, task, state, _ in records.ROW.iter_unpack(
            data[: len(data) // records.ROW.size * records.ROW.size]
        ):
            if not last < at < size or task >= len(states) or step >= len(states[task]):
                break  # what stands behind a power failure
            last = at
            self.moved += state != NODE
            if state == DONE and named[task] is not None and not named[task][step]:
                continue  # its outputs were taken away: it is to be done again
            if state == DONE and not states[task][step]:
                states[task][step] = DONE
                self._segments[task][step] = segment
                self._offsets[task][step] = at
            else:
                self._fold(task, step, state, segment, at)
        self._read_lines(path, segment, last)

    def _read_lines(self, path, segment, last):
        """Read the lines behind the last one that the index tells of."""
        with open(path, "rb") as stream:
            stream.seek(last)
            lines = stream.read().split(b"\n")
        lines.pop()  # what stands behind the last newline was never finished
        at = last
        for number, text in enumerate(lines):
            record = records.parsed(text)
            if record is None and number + 1 < len(lines):
                raise self._torn(path, at)
            if record is not None and "facts" not in record and (number or not last):
                self._enter(record, segment, at)
            at += len(text) + 1

    def _enter(self, record, segment, at):
        task, step = self._number.get(record["task"]), record["step"]
        if task is None or not 0 <= step < len(self._states[task]):
            raise records.TornError("a record tells of %s/%s, and there is no such step" % (record["task"], step))
        self.moved += record["state"] != names.NODE
        if record["state"] != names.DONE or records.published(self.run, record):
            self._fold(task, step, records.STATES.index(record["state"]), segment, at)

    def refresh(self):
        """Read again what is on record: others have written meanwhile."""
        self._tried, self.moved = {}, 0
        for states in self._states:
            states[:] = bytes(len(states))
        self._named = [self._names(task) for task in self._tasks]
        folder = os.path.join(self.run, names.SEGMENTS)
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.endswith(records.SUFFIX):
                self._read(os.path.join(folder, name))

    def _names(self, task):
        """Return a byte a step that says whether its outputs have their name; nothing of a task that has no outputs."""
        if not task["outputs"]:
            return None
        found, folder = bytearray(task["steps"]), os.path.join(self.run, names.OUTPUTS, task["name"])
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if name.isdigit() and int(name) < len(found):
                found[int(name)] = 1
        return found

    def note(self, task, step, state, segment, at):
        """Take note of a record that is on the disk; of a success, once it is published."""
        self._fold(self._number[task], step, records.STATES.index(state), segment, at)

    def _fold(self, task, step, state, segment, at):
        if state in FAILURES:
            tried = self._tried.setdefault((task, step), {})
            tried[records.STATES[state]] = tried.get(records.STATES[state], 0) + 1
        if state == SUPERSEDED:
            return
        old = self._states[task][step]
        if old and not self._beats(task, step, state, segment, at):
            return
        self._states[task][step] = state
        self._segments[task][step] = segment
        self._offsets[task][step] = at

    def _beats(self, task, step, state, segment, at):
        """Say whether a record counts more than the one that counted: as `records.settle` has it."""
        old = self._states[task][step]
        if (state == DONE) != (old == DONE):
            return state == DONE
        if state != DONE and self._segments[task][step] == segment:
            return True  # a segment is written in order
        new, had = self._line(segment, at), self._line(self._segments[task][step], self._offsets[task][step])
        return records.rank(new) < records.rank(had) if state == DONE else records.rank(new) > records.rank(had)

    def _line(self, segment, at):
        if segment not in self._open:
            while len(self._open) >= OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[segment] = open(self._paths[segment], "rb")
        stream = self._open[segment]
        stream.seek(at)
        record = records.parsed(stream.readline().rstrip(b"\n"))
        if record is None:
            raise self._torn(self._paths[segment], at)
        return record

    def _torn(self, path, at):
        return records.TornError(
            "%s: the line at byte %d is not what was written" % (os.path.relpath(path, self.run), at)
        )

    def state(self, task, step):
        """Return a step's state, or None where nothing is on record."""
        return records.STATES[self._states[self._number[task]][step]] or None

    def record(self, task, step):
        """Return the record that counts, of a step that has one. Raises TornError."""
        number = self._number[task]
        return self._line(self._segments[number][step], self._offsets[number][step])

    def tried(self, task, step):
        """Return {state: how many attempts have ended so}, of those that use up a retry."""
        return self._tried.get((self._number[task], step), {})

    def nth(self, task, step):
        """Return which attempt at a step the next one is, of those that are on record: also of those forgotten."""
        number = self._number[task]
        at = self._offsets[number][step]  # a segment begins with its worker's own line: no step's is at 0
        return self._line(self._segments[number][step], at).get("nth", 1) + 1 if at else 1

    def final(self, task, step):
        """Say whether nothing more is to be tried: it is done, or has failed and has no retry left."""
        state = self.state(task, step)
        return state == names.DONE or (state in records.FINAL and not self.again(task, step))

    def again(self, task, step):
        """Say whether a step that has failed is to be tried once more."""
        retry, tried = retries(self._tasks[self._number[task]]), self.tried(task, step)
        return (
            self.state(task, step) in retry["on"]
            and sum(tried.get(state, 0) for state in retry["on"]) <= retry["times"]
        )

    def codes(self, task):
        """Return a byte a step: PENDING, ENDED, GIVEN_UP or SKIPPED."""
        number = self._number[task]
        found = bytearray(self._states[number].translate(CODES))
        for of, step in self._tried:
            if of == number and found[step] == GIVEN_UP and self.again(task, step):
                found[step] = PENDING
        return bytes(found)

    def forget_failures(self):
        """Take the steps that have failed, and those that were given up for them, for steps that were never tried."""
        failed = FAILURES + (records.STATES.index(names.SKIPPED),)
        for states in self._states:
            for state in failed:
                start = states.find(state)
                while start >= 0:
                    states[start] = 0
                    start = states.find(state, start + 1)
        self._tried = {}

    def cut(self, task):
        """Say whether a step of a task stands interrupted."""
        return records.STATES.index(names.INTERRUPTED) in self._states[self._number[task]]

    def count(self, state):
        """Return how many steps stand so."""
        return sum(states.count(records.STATES.index(state)) for states in self._states)

    def learned(self):
        """Return {task: mean wall time of its successes in seconds}, by a sample of them."""
        found = {}
        for number, task in enumerate(self._tasks):
            done = self._states[number].count(DONE)
            if done:
                stride, seen, at = max(1, done // SAMPLE), [], -1
                while True:
                    at = self._states[number].find(DONE, at + stride)
                    if at < 0:
                        break
                    seen.append(self._line(self._segments[number][at], self._offsets[number][at])["wall_s"])
                seen = seen or [self.record(task["name"], self._states[number].find(DONE))["wall_s"]]
                found[task["name"]] = sum(seen) / len(seen)
        return found

    def counts(self):
        """Return {"steps": how many there are, "tasks": {task: {"steps": n, state: how many}}}."""
        tasks = {}
        for task, states in zip(self._tasks, self._states):
            tasks[task["name"]] = {"steps": len(states)}
            for number, state in enumerate(records.STATES):
                if number and states.count(number):
                    tasks[task["name"]][state] = states.count(number)
        return {"steps": sum(len(states) for states in self._states), "tasks": tasks}

    def close(self):
        """Let go of the files."""
        while self._open:
            self._open.popitem()[1].close()


NEVER = {"times": 0, "on": [], "grow_memory": 1.0, "grow_time": 1.0}


def retries(task):
    """Return how a task is tried again; bundles of earlier releases say nothing of it."""
    return task.get("retry") or NEVER


def grown(task, tried):
    """Return what a step needs that is tried again: more, where that was what it lacked. `tried`: as `Standing` says.

    It may be more than any machine has.
    """
    retry, needs = retries(task), dict(task["resources"])
    for what, state, factor in (
        ("memory_mib", names.MEMORY, retry["grow_memory"]),
        ("time_s", names.TIME, retry["grow_time"]),
    ):
        if tried.get(state):
            needs[what] = int(min(needs[what] * factor ** tried[state], records.LARGEST))
    return needs
