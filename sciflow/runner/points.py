"""From points to steps: read the table of points, and number the steps that the points share.

A plan's points are all combinations of its axes, in order, the last one turning fastest. The table holds a line a turn
of each axis, axis after axis; so a plain grid of a million points is a few short axes, and only what holds parameters
together (a condition, a sample) makes a long one. What a point is, and which steps it calls for, is computed.

A step is a task at the values of the parameters it depends on (`uses`, which include those of everything it needs).
Steps are numbered in the order in which the points first call for them.
"""

import itertools
import json
import os
import struct
from array import array

from . import names

OFFSET = struct.Struct("<Q")  # points.idx: the byte at which each line begins, 8 bytes each, little-endian
SEED_BITS = 32  # what numpy's, R's and most other generators take
KEPT = 4096  # turns of an axis up to which its lines are kept in memory
NAME_DIGITS = 12


def restored(text, kinds):
    """Read a line. RFC 8785 writes the float 1.0 as `1`; the plan's kinds bring it back."""
    values = json.loads(text)
    for name, value in values.items():
        if kinds[name] == "float" and value is not None:
            values[name] = float(value)
    return values


def kinds(plan):
    """Return {column: kind} of a plan."""
    return {parameter["name"]: parameter["kind"] for parameter in plan["parameters"]}


def given(values, kinds):
    """Return values as a step is given them: a table, which the points hold as its canonical JSON, as a table."""
    return {
        name: json.loads(value) if kinds[name] == "table" and value is not None else value
        for name, value in values.items()
    }


def lines(bundle, plan):
    """Yield the lines of each axis, as values: one iterator an axis, to be read to its end before the next."""
    types = kinds(plan)
    with open(os.path.join(bundle, names.POINTS), encoding="utf-8") as stream:
        for axis in plan["axes"]:
            yield (restored(line, types) for line in itertools.islice(stream, axis["turns"]))


def read(bundle, plan):
    """Yield every point's values, in order; the outermost axis is never held in memory."""
    if not plan["axes"]:
        yield {}
    inner = []
    for number, axis in enumerate(lines(bundle, plan) if len(plan["axes"]) > 1 else ()):
        rows = list(axis) if number else [None for _ in axis]  # each is read to its end, so that the next begins there
        inner += [rows] if number else []
    axes = lines(bundle, plan)
    for first in next(axes, ()):
        for rest in itertools.product(*inner):
            point = dict(first)
            for values in rest:
                point.update(values)
            yield point


def seed(values):
    """Return the seed that belongs to these values: the same in whatever sweep they occur."""
    return int(names.digest(["seed", values]), 16) % (1 << SEED_BITS)


def name(values, derived=()):
    """Return a point's name: of its content, so that no other order of the file changes it."""
    return names.digest(["point", {key: values[key] for key in values if key not in derived}])[:NAME_DIGITS]


class Shared(object):
    """How the points share the steps of one task. Indexed by a point, it gives the step that the point calls for.

    `count` steps; `first(step)` is the first point that calls for it. An axis of which the task uses nothing does not
    count; of another, its turns fall into classes of equal values of what is used, numbered as they first come.
    """

    def __init__(self, turns, classes):
        """Take the turns of each axis, and for each axis the class of each turn (None: the axis does not count)."""
        self._digits, self.points, self.count = [], 1, 1
        for size, of_turn in zip(turns[::-1], classes[::-1]):
            firsts = []
            for turn, one in enumerate(of_turn or ()):
                if one == len(firsts):
                    firsts.append(turn)
            # Combinations of first turns come in the order of their classes, since both grow together.
            self._digits.append((self.points, size, of_turn, self.count, array("L", firsts)))
            self.points, self.count = self.points * size, self.count * (len(firsts) if of_turn is not None else 1)

    def __len__(self):
        return self.points

    def __getitem__(self, point):
        if not 0 <= point < self.points:
            raise IndexError(point)
        return sum(
            of_turn[point // below % size] * weight
            for below, size, of_turn, weight, _ in self._digits
            if of_turn is not None
        )

    def __iter__(self):
        """Yield the step of each point: the inner axes' pattern again and again, moved by the outermost's."""
        pattern = array("L", [0])
        for _, size, of_turn, weight, _ in self._digits[:-1]:
            pattern = self._repeated(pattern, size, of_turn, weight)
        for _, size, of_turn, weight, _ in self._digits[-1:]:
            for turn in range(size):
                moved = of_turn[turn] * weight if of_turn is not None else 0
                for step in pattern:
                    yield step + moved
        if not self._digits:
            yield 0

    @staticmethod
    def _repeated(pattern, size, of_turn, weight):
        if of_turn is None:
            return pattern * size
        return array("L", [step + one * weight for one in of_turn for step in pattern])

    def first(self, step):
        """Return the first point that calls for a step."""
        return sum(
            firsts[step // weight % len(firsts)] * below
            for below, _, of_turn, weight, firsts in self._digits
            if of_turn is not None
        )


class Steps(object):
    """The steps of a plan: `of` says {task: how the points share its steps}.

    `needs(task, step)` and `dependents(task, step)` are the edges between steps.
    """

    def __init__(self, plan, axes):
        """Read each axis's lines once (`axes`: what `lines` yields)."""
        self.tasks = plan["tasks"]
        turns, classes = [], {task["name"]: [] for task in self.tasks}
        for axis, rows in zip(plan["axes"], axes):
            mine = set(axis["columns"])
            used = [(classes[task["name"]], [use for use in task["uses"] if use in mine]) for task in self.tasks]
            for found, uses in used:
                found.append(array("L") if uses else None)
            counting = [(found[-1], uses, {}) for found, uses in used if uses]
            count = 0
            for values in rows:
                count += 1
                for of_turn, uses, seen in counting:
                    of_turn.append(seen.setdefault(tuple([values[use] for use in uses]), len(seen)))
            turns.append(count)
        self.of = {task["name"]: Shared(turns, classes[task["name"]]) for task in self.tasks}
        self.points = 1
        for count in turns:
            self.points *= count
        self._down = None

    def count(self, name):
        """Return how many steps a task has."""
        return self.of[name].count

    def first(self, name, step):
        """Return the first point that calls for a step."""
        return self.of[name].first(step)

    def all(self):
        """Yield every (task, step), tasks in the plan's order."""
        for task in self.tasks:
            for step in range(self.count(task["name"])):
                yield task["name"], step

    def of_points(self, chosen):
        """Return the (task, step) that some points call for; what gathers, or needs what does, is left out."""
        found, of_all = set(), set()
        for task in self.tasks:  # in topological order, so what it needs has been looked at
            if task["gather"] or of_all.intersection(task["needs"]):
                of_all.add(task["name"])
            else:
                found.update((task["name"], self.of[task["name"]][point]) for point in chosen)
        return sorted(found)

    def needs(self, task, step):
        """Yield the (task, step) that a step waits for; a gather step waits for all steps of what it gathers."""
        for need in task["needs"]:
            if need == task["gather"]:
                for other in range(self.count(need)):
                    yield need, other
            else:
                yield need, self.of[need][self.first(task["name"], step)]

    def dependents(self, name, step):
        """Yield the (task, step) that wait for a step."""
        if self._down is None:
            self._down = {}
            for task in self.tasks:
                for need in task["needs"]:
                    if need != task["gather"]:
                        for other in range(self.count(task["name"])):
                            key = need, self.of[need][self.first(task["name"], other)]
                            self._down.setdefault(key, []).append((task["name"], other))
        for found in self._down.get((name, step), ()):
            yield found
        for task in self.tasks:
            if task["gather"] == name:
                yield task["name"], 0


class Table(object):
    """The values of single points, read where they stand: a worker of a large sweep needs only its own."""

    def __init__(self, bundle, plan):
        self._points = open(os.path.join(bundle, names.POINTS), "rb")
        self._index = open(os.path.join(bundle, names.POINTS_INDEX), "rb")
        self._kinds = kinds(plan)
        self._axes, line = [], 0  # (turns, the first one's line, lines kept), the fastest first
        for axis in plan["axes"]:
            self._axes.insert(0, (axis["turns"], line, {}))
            line += axis["turns"]

    def values(self, point):
        """Return one point's values."""
        found = {}
        for turns, line, kept in self._axes:
            point, turn = divmod(point, turns)
            values = kept.get(turn)
            if values is None:
                values = self._line(line + turn)
                if turns <= KEPT:
                    kept[turn] = values
            found.update(values)
        return found

    def _line(self, number):
        self._index.seek(number * OFFSET.size)
        self._points.seek(OFFSET.unpack(self._index.read(OFFSET.size))[0])
        return restored(self._points.readline().decode("utf-8"), self._kinds)

    def close(self):
        """Let go of the files."""
        self._points.close()
        self._index.close()


class Keys(object):
    """The key of each step: the digest of what decides its result (task, values, upstream, inputs, image, code)."""

    def __init__(self, plan, steps, table):
        self._plan, self._steps, self._table = plan, steps, table
        self._tasks = {task["name"]: task for task in plan["tasks"]}
        self._known = {}

    def of(self, name, step):
        """Return a step's key, in hex; those of all it needs, directly or not, are made first."""
        if (name, step) in self._known:
            return self._known[name, step]
        waiting = [(name, step)]
        while waiting:
            missing = [
                need
                for need in self._steps.needs(self._tasks[waiting[-1][0]], waiting[-1][1])
                if need not in self._known
            ]
            if missing:
                waiting.extend(missing)
            else:
                made = waiting.pop()
                if made not in self._known:
                    self._known[made] = self._made(*made)
        return self._known[name, step]

    def _made(self, name, step):
        task = self._tasks[name]
        values = self._table.values(self._steps.first(name, step))
        return names.digest(
            {
                "task": task["digest"],
                "values": {use: values[use] for use in task["uses"]},
                "upstream": [self._known[need] for need in self._steps.needs(task, step)],
                "code": self._plan["code"],
                "image": self._plan["image"],
                "inputs": {name: entry["sha256"] for name, entry in self._plan["inputs"].items()},
            }
        )
