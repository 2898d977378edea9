"""From points to steps: read the table of points, and number the steps that the points share.

A step is a task at the values of the parameters it depends on (`uses`, which include those of everything it needs).
Steps are numbered in the order in which the points first call for them.
"""

import hashlib
import json
import os
import struct
from array import array

from . import names

OFFSET = struct.Struct("<Q")  # points.idx: the byte at which each point's line begins, 8 bytes each, little-endian
SEED_BITS = 32  # what numpy's, R's and most other generators take


def restored(text, kinds):
    """Read a point's line. RFC 8785 writes the float 1.0 as `1`; the plan's kinds bring it back."""
    values = json.loads(text)
    for name, kind in kinds.items():
        if kind == "float" and name in values:
            values[name] = float(values[name])
    return values


def kinds(plan):
    """Return {parameter: kind} of a plan."""
    return {parameter["name"]: parameter["kind"] for parameter in plan["parameters"]}


def read(bundle, plan):
    """Yield every point's values, in order."""
    types = kinds(plan)
    with open(os.path.join(bundle, names.POINTS), encoding="utf-8") as stream:
        for line in stream:
            yield restored(line, types)


def seed(values):
    """Return the seed that belongs to these values: the same in whatever sweep they occur."""
    return int(hashlib.sha256(names.canonical(["seed", values]).encode("utf-8")).hexdigest(), 16) % (1 << SEED_BITS)


class Steps(object):
    """Which step of each task a point calls for (`of`), and the first point that calls for each step (`first`).

    Both are {task: array}. `needs(task, step)` and `dependents(task, step)` are the edges between steps.
    """

    def __init__(self, plan, points):
        self.tasks = plan["tasks"]
        self.of = {task["name"]: array("L") for task in self.tasks}
        self.first = {task["name"]: array("L") for task in self.tasks}
        seen = {task["name"]: {} for task in self.tasks}
        self.points = 0
        for number, values in enumerate(points):
            self.points += 1
            for task in self.tasks:
                known, name = seen[task["name"]], task["name"]
                step = known.setdefault(tuple(values[use] for use in task["uses"]), len(known))
                self.of[name].append(step)
                if step == len(self.first[name]):
                    self.first[name].append(number)
        self._down = None

    def all(self):
        """Yield every (task, step), tasks in the plan's order."""
        for task in self.tasks:
            for step in range(len(self.first[task["name"]])):
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
                for other in range(len(self.first[need])):
                    yield need, other
            else:
                yield need, self.of[need][self.first[task["name"]][step]]

    def dependents(self, name, step):
        """Yield the (task, step) that wait for a step."""
        if self._down is None:
            self._down = {}
            for task in self.tasks:
                for need in task["needs"]:
                    if need != task["gather"]:
                        for other in range(len(self.first[task["name"]])):
                            key = need, self.of[need][self.first[task["name"]][other]]
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

    def values(self, point):
        """Return one point's values."""
        self._index.seek(point * OFFSET.size)
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
        values = self._table.values(self._steps.first[name][step])
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
