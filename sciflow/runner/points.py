"""From points to steps: read the table of points, and number the steps that the points share.

A plan's points are all combinations of its axes, in order, the last one turning fastest. The table holds a line a turn
of each axis, axis after axis; so a plain grid of a million points is a few short axes, and only what holds parameters
together (a condition, a sample) makes a long one. What a point is, and which steps it calls for, is computed.

A step is a task at the values of the parameters it depends on (`uses`, which include those of everything it needs).
Steps are numbered in the order in which the points first call for them.
"""

import hashlib
import itertools
import json
import os
import struct
from array import array

from . import names
from .link import Link

OFFSET = struct.Struct("<Q")  # points.idx: the byte at which each line begins, 8 bytes each, little-endian
SEED_BITS = 32  # what numpy's, R's and most other generators take
KEPT = 4096  # turns of an axis up to which its lines are kept in memory
NAME_DIGITS = 12
KEY_BYTES = 32  # a SHA-256


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
    """Return the seed that belongs to these values, in their canonical form: the same in whatever sweep they occur."""
    return int(names.digest(('["seed",%s]' % values).encode("utf-8")), 16) % (1 << SEED_BITS)


def name(values, derived=()):
    """Return a point's name: of its content, so that no other order of the file changes it."""
    return names.digest(["point", {key: values[key] for key in values if key not in derived}])[:NAME_DIGITS]


class Shared(object):
    """How the points share the steps of one task. Indexed by a point, it gives the step that the point calls for.

    `count` steps; `first(step)` is the first point that calls for it. An axis of which the task uses nothing does not
    count; of another, its turns fall into classes of equal values of what is used, numbered as they first come.
    `digits` holds, for each axis, the fastest first: (points a turn, turns, the class of each turn or None where it
    does not count, steps a class, the first turn of each class).
    """

    def __init__(self, turns, classes):
        """Take the turns of each axis, and for each axis (the class of each turn, the first turn of each class)."""
        self.digits, self.points, self.count = [], 1, 1
        for size, (of_turn, firsts) in zip(turns[::-1], classes[::-1]):
            # Combinations of first turns come in the order of their classes, since both grow together.
            self.digits.append((self.points, size, of_turn, self.count, firsts))
            self.points, self.count = self.points * size, self.count * (len(firsts) if of_turn is not None else 1)

    def __len__(self):
        return self.points

    def __getitem__(self, point):
        if not 0 <= point < self.points:
            raise IndexError(point)
        return sum(
            of_turn[point // below % size] * weight
            for below, size, of_turn, weight, _ in self.digits
            if of_turn is not None
        )

    def __iter__(self):
        """Yield the step of each point: the inner axes' pattern again and again, moved by the outermost's."""
        pattern = array("L", [0])
        for _, size, of_turn, weight, _ in self.digits[:-1]:
            pattern = self._repeated(pattern, size, of_turn, weight)
        for _, size, of_turn, weight, _ in self.digits[-1:]:
            for turn in range(size):
                moved = of_turn[turn] * weight if of_turn is not None else 0
                for step in pattern:
                    yield step + moved
        if not self.digits:
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
            for below, _, of_turn, weight, firsts in self.digits
            if of_turn is not None
        )


class Steps(object):
    """The steps of a plan: `of` says {task: how the points share its steps}.

    `needs(task, step)` and `dependents(task, step)` are the edges between steps; `link` all those between two tasks.
    """

    def __init__(self, plan, axes):
        """Read each axis's lines (`axes`: what `lines` yields), where the plan does not tell all by its numbers."""
        self.tasks = plan["tasks"]
        turns = [axis["turns"] for axis in plan["axes"]]
        uses = {
            task["name"]: [tuple(use for use in task["uses"] if use in axis["columns"]) for axis in plan["axes"]]
            for task in self.tasks
        }
        shared = [{} for _ in turns]  # an axis: {what is used of it: (the class of each turn, the classes' firsts)}
        for task in self.tasks:
            used = [at for at, found in enumerate(uses[task["name"]]) if found]
            most = 1
            for at in used:
                most *= turns[at]
            alone = task.get("steps") == most  # then no two turns agree, and nothing need be read or held
            for at in used:
                if alone:
                    shared[at][uses[task["name"]][at]] = range(turns[at]), range(turns[at])
                else:
                    shared[at].setdefault(uses[task["name"]][at], (array("L"), array("L")))
        if any(isinstance(of_turn, array) for found in shared for of_turn, _ in found.values()):
            for found, rows in zip(shared, axes):
                self._read(found, rows)
        self.of = {}
        for task in self.tasks:
            found = [of_uses.get(used, (None, ())) for of_uses, used in zip(shared, uses[task["name"]])]
            self.of[task["name"]] = Shared(turns, found)
        self.points = 1
        for count in turns:
            self.points *= count
        self._links = {}

    @staticmethod
    def _read(shared, rows):
        counting = [
            (of_turn, firsts, used, {})
            for used, (of_turn, firsts) in sorted(shared.items())
            if isinstance(of_turn, array)
        ]
        for turn, values in enumerate(rows):  # to its end, also where nothing counts: the next axis begins there
            for of_turn, firsts, used, seen in counting:
                one = seen.setdefault(tuple([values[use] for use in used]), len(seen))
                if one == len(firsts):
                    firsts.append(turn)
                of_turn.append(one)

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

    def link(self, need, name):
        """Return the link from a task to one that needs it and does not gather it."""
        if (need, name) not in self._links:
            self._links[need, name] = Link(self.of[need], self.of[name])
        return self._links[need, name]

    def needs(self, task, step):
        """Yield the (task, step) that a step waits for; a gather step waits for all steps of what it gathers."""
        for need in task["needs"]:
            if need == task["gather"]:
                for other in range(self.count(need)):
                    yield need, other
            else:
                yield need, self.link(need, task["name"]).over(step)

    def dependents(self, name, step):
        """Yield the (task, step) that wait for a step."""
        for task in self.tasks:
            if name in task["needs"]:
                gathers = task["gather"] == name
                for found in (0,) if gathers else self.link(name, task["name"]).under(step):
                    yield task["name"], found


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
        found = os.pread(self._index.fileno(), 2 * OFFSET.size, number * OFFSET.size)
        begins = [start for (start,) in OFFSET.iter_unpack(found)] + [os.fstat(self._points.fileno()).st_size]
        return restored(os.pread(self._points.fileno(), begins[1] - begins[0], begins[0]).decode("utf-8"), self._kinds)

    def close(self):
        """Let go of the files."""
        self._points.close()
        self._index.close()


class Keys(object):
    """The key of each step: the digest of what decides its result (task, values, upstream, inputs, image, code).

    `standing` knows the records of what is done, and so the keys of what a step that runs needs; no key is kept here.
    """

    def __init__(self, plan, steps, table, standing):
        self._steps, self._table, self._standing = steps, table, standing
        self._tasks = {task["name"]: task for task in plan["tasks"]}
        # The parts in the order of RFC 8785, since a key is the digest of their canonical form.
        before = {
            "code": plan["code"],
            "image": plan["image"],
            "inputs": {name: entry["sha256"] for name, entry in plan["inputs"].items()},
        }
        self._before = {
            name: names.canonical(dict(before, task=task["digest"]))[:-1] + ',"upstream":['
            for name, task in self._tasks.items()
        }

    def of(self, name, step, values=""):
        """Return a step's key, in hex. `values` are those it uses, in their canonical form, where that is at hand."""
        waiting, known = [(name, step)], {}
        while waiting:  # what is not done has no record: its key, and those of what it needs, are made first
            one = waiting[-1]
            if one in known:
                waiting.pop()
                continue
            needs = list(self._steps.needs(self._tasks[one[0]], one[1]))
            missing = []
            for need in needs:
                if need not in known and self._standing.state(*need) == names.DONE:
                    known[need] = self._standing.record(*need)["key"]
                elif need not in known:
                    missing.append(need)
            if missing:
                waiting.extend(missing)
            else:
                upstream = [known[need] for need in needs]
                known[waiting.pop()] = self._made(one, upstream, values if one == (name, step) else "")
        return known[name, step]

    def _made(self, key, upstream, values):
        name, step = key
        if not values:
            found = self._table.values(self._steps.first(name, step))
            values = names.canonical({use: found[use] for use in self._tasks[name]["uses"]})
        upstream = ",".join(['"%s"' % one for one in upstream])
        text = '%s%s],"values":%s}' % (self._before[name], upstream, values)
        return hashlib.sha256(text.encode("utf-8")).hexdigest()
