"""The order of work: which steps may start now, and which of them first.

A step is ready when everything it needs is done. Among the ready, those of the task with the longest path still to go
come first (critical path first), in a task those ready first; a step starts when its cpus, memory and gpus are free.
"""

from collections import deque

from . import names, records


def rank(tasks):
    """Return {task: seconds of the longest path from its start to the end of the graph}, by declared times."""
    ranks, after = {}, {}
    for task in reversed(tasks):  # a plan lists tasks in topological order
        ranks[task["name"]] = task["resources"]["time_s"] + after.get(task["name"], 0)
        for need in task["needs"]:
            after[need] = max(after.get(need, 0), ranks[task["name"]])
    return ranks


class Order(object):
    """The state of a sweep while it runs: what waits, what is ready, what is lost.

    `wanted` limits it to some (task, step); the others are taken as they stand in `settled`.
    """

    def __init__(self, plan, steps, settled, wanted=None):
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self._steps = steps
        ranks = rank(plan["tasks"])
        self._queues = {name: deque() for name in sorted(self.tasks, key=lambda name: (-ranks[name], name))}
        self._missing = {}
        self.lost = deque()  # (task, step, the upstream (task, step) that is not coming)
        self.idle = []  # wanted, but what they need is neither done, nor lost, nor coming from here
        wanted = set(wanted if wanted is not None else steps.all())
        self._wanted = {key for key in wanted if key not in settled or settled[key]["state"] not in records.FINAL}
        self._skipped = {key for key, record in settled.items() if record["state"] == names.SKIPPED}
        for name, step in steps.all():
            if (name, step) in self._wanted:
                self._enter(name, step, settled)
        self.total = len(self._wanted) + len(self.lost)

    def _enter(self, name, step, settled):
        missing, coming = 0, True
        for need in self._steps.needs(self.tasks[name], step):
            state = settled[need]["state"] if need in settled else None
            if need in self._wanted:
                missing += 1
            elif state in (names.FAILED, names.TIME, names.MEMORY, names.SKIPPED):
                self._lose(name, step, need)
                return
            elif state != names.DONE:
                coming = False
        if not coming:
            self._wanted.discard((name, step))
            self.idle.append((name, step))
        elif missing:
            self._missing[name, step] = missing
        else:
            self._queues[name].append(step)

    def _lose(self, name, step, cause):
        """Give a step up, and all that needs it."""
        stack = [(name, step, cause)]
        while stack:
            name, step, cause = stack.pop()
            if (name, step) in self._wanted:
                self._wanted.discard((name, step))
                self._missing.pop((name, step), None)
                if (name, step) not in self._skipped:  # else it is on record already
                    self.lost.append((name, step, cause))
                stack.extend(found + ((name, step),) for found in self._steps.dependents(name, step))

    def wanted(self):
        """Return the (task, step) that are still to be run, in no order."""
        return set(self._wanted)

    def next(self, free):
        """Take the first ready step that fits what is free (`cpus`, `memory_mib`, `gpus`), or return None."""
        for name, queue in self._queues.items():
            wants = self.tasks[name]["resources"]
            if queue and all(wants[what] <= free[what] for what in free):
                return name, queue.popleft()
        return None

    def ended(self, name, step, done):
        """Take note that a step has ended; its dependents become ready, or are lost."""
        self._wanted.discard((name, step))
        for found in list(self._steps.dependents(name, step)):
            if not done:
                self._lose(found[0], found[1], (name, step))
            elif found in self._missing:
                self._missing[found] -= 1
                if not self._missing[found]:
                    del self._missing[found]
                    self._queues[found[0]].append(found[1])
