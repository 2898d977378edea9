"""The steps of one task while a sweep runs: where each stands, a byte a step, and which of them may start.

Nothing here holds an object a step: of a million there are a few megabytes, of a thousand nothing to speak of.
"""

from array import array

# Where a step stands, as seen from here.
ELSEWHERE = 0  # not to be run here, and not done
WAITING = 1  # for what it needs
READY = 2
AGAIN = 3  # ready, and tried before
RUNNING = 4
DONE = 5
LOST = 6  # it failed for good, or something it needs did
HERE = (WAITING, READY, AGAIN, RUNNING)

BLOCK = 4096  # steps a mark stands for: what is searched when the next ready one is looked for
RESOURCES = ("cpus", "memory_mib", "gpus")
MANY = 1 << 16  # what two bytes count to


def fits(needs, free):
    """Say whether what is free is enough."""
    # Written out: this is asked more often than anything else.
    return needs["cpus"] <= free["cpus"] and needs["memory_mib"] <= free["memory_mib"] and needs["gpus"] <= free["gpus"]


class Lane(object):
    """Those steps of a task that are tried again with the same needs, the first put back first."""

    def __init__(self, needs):
        self.needs, self._steps, self._at = needs, array("L"), 0

    def push(self, step):
        """Put a step at the end."""
        if self._at > BLOCK and self._at * 2 > len(self._steps):
            del self._steps[: self._at]
            self._at = 0
        self._steps.append(step)

    def take(self, state):
        """Return the first step that still waits to be tried again, or None."""
        while self._at < len(self._steps):
            self._at += 1
            if state[self._steps[self._at - 1]] == AGAIN:
                return self._steps[self._at - 1]
        return None


class Front(object):
    """One task's steps. `state` holds where each stands, `ready` how many may start, `left` how many are yet to end."""

    def __init__(self, task, depth, state):
        self.task, self.depth, self.state = task, depth, bytearray(state)
        self.place, self.ready, self.left = 0, 0, self.state.count(WAITING)
        self._again = 0  # how many of the ready are in lanes
        self._marks = bytearray(len(self.state) // BLOCK + 1)  # whether a block may hold ready steps
        self._lanes, self._lane = [], None  # the lane of each step, counted from 1; none while nothing is tried again
        self._missing = None  # what each step still waits for; of one thing it is known without
        if len(task["needs"]) > 1 or task["gather"]:
            self._missing = array("L" if task["gather"] or len(task["needs"]) >= MANY else "H")

    def pending(self):
        """Return how many steps are to be run here."""
        return sum(self.state.count(one) for one in HERE)

    def kind(self):
        """Return where all steps stand: WAITING (if all are to be run here), DONE, LOST or ELSEWHERE; else None."""
        if not self.state or self.pending() == len(self.state):
            return WAITING
        return self.state[0] if self.state.count(self.state[0]) == len(self.state) else None

    def waiting(self):
        """Yield the steps that wait, ascending; each may change as it is yielded."""
        step = self.state.find(WAITING)
        while step >= 0:
            yield step
            step = self.state.find(WAITING, step + 1)

    def expect(self, missing, step=None):
        """Let a step, or all that wait, wait for so many others; with none missing it is ready."""
        if not missing:
            self.release(*((0, len(self.state)) if step is None else (step, step + 1)))
        elif self._missing is not None:
            if not self._missing:
                self._missing = array(self._missing.typecode, [0]) * len(self.state)
            if step is None:
                self._missing = array(self._missing.typecode, [missing]) * len(self.state)
            else:
                self._missing[step] = missing

    def release(self, start, stop):
        """Make ready what waits in a range of steps."""
        if stop - start == 1:
            found = self.state[start] == WAITING
            if found:
                self.state[start] = READY
        else:
            found = self.state.count(WAITING, start, stop)
            self.state[start:stop] = self.state[start:stop].replace(bytes([WAITING]), bytes([READY]))
        if found:
            self.ready += found
            first, last = start // BLOCK, (stop - 1) // BLOCK
            self._marks[first : last + 1] = b"\1" * (last - first + 1)

    def met(self, steps):
        """Take note that one of the things that some steps wait for is done. `steps` is a range, or yields them."""
        if self._missing is None and isinstance(steps, range) and steps.step == 1:
            self.release(steps.start, steps.stop)
            return
        for step in steps:
            if self.state[step] == WAITING:
                if self._missing is not None:
                    self._missing[step] -= 1
                if self._missing is None or not self._missing[step]:
                    self.release(step, step + 1)

    def take(self, free):
        """Start the first ready step that fits what is free and return it, or None."""
        step = None
        if self._again:
            for lane in self._lanes:
                if step is None and fits(lane.needs, free):
                    step = lane.take(self.state)
            self._again -= step is not None
        if step is None and self.ready > self._again and fits(self.task["resources"], free):
            step = self._first()
        if step is not None:
            self.state[step] = RUNNING
            self.ready -= 1
        return step

    def _first(self):
        block = self._marks.find(1)
        while block >= 0:
            step = self.state.find(READY, block * BLOCK, (block + 1) * BLOCK)
            if step >= 0:
                return step
            self._marks[block] = 0
            block = self._marks.find(1, block)
        return None

    def again(self, step, needs=None):
        """Put a step that was started back, before all that were not; with other needs, if given, from now on."""
        if self.state[step] != RUNNING:
            raise ValueError("%s/%d is put back, and was not running" % (self.task["name"], step))
        needs = dict(self.needs(step), **(needs or {}))
        if self._lane is None:
            self._lane = array("I", [0]) * len(self.state)
        known = [lane.needs for lane in self._lanes]
        if needs not in known:
            self._lanes.append(Lane(needs))
            known.append(needs)
        self._lane[step] = known.index(needs) + 1
        self._lanes[self._lane[step] - 1].push(step)
        self.state[step] = AGAIN
        self._again += 1
        self.ready += 1

    def needs(self, step):
        """Return what a step needs: what its task declares, or what it was put back with."""
        lane = self._lane[step] if self._lane is not None else 0
        return self._lanes[lane - 1].needs if lane else self.task["resources"]

    def ended(self, step, state):
        """Give a step that was to be run here its last state; say whether it was one."""
        had = self.state[step]
        if had not in HERE:
            return False
        self.state[step] = state
        self.left -= 1
        self.ready -= had in (READY, AGAIN)
        self._again -= had == AGAIN
        return True


class Lost(object):
    """What is given up, first in, first out: (task, step, what it needs that is not coming). Four numbers each."""

    WIDTH = 4

    def __init__(self, tasks):
        self._tasks, self._found, self._at = tasks, array("L"), 0
        self._place = {name: place for place, name in enumerate(tasks)}

    def append(self, name, step, cause):
        """Add one."""
        self._found.extend((self._place[name], step, self._place[cause[0]], cause[1]))

    def popleft(self):
        """Take the first away and return it. Raises IndexError where there is none."""
        if not self:
            raise IndexError("nothing is lost")
        found = self._read(self._at)
        self._at += self.WIDTH
        if self._at > BLOCK and self._at * 2 > len(self._found):
            del self._found[: self._at]
            self._at = 0
        return found

    def _read(self, at):
        task, step, cause, other = self._found[at : at + self.WIDTH]
        return self._tasks[task], step, (self._tasks[cause], other)

    def __len__(self):
        return (len(self._found) - self._at) // self.WIDTH

    def __iter__(self):
        return (self._read(at) for at in range(self._at, len(self._found), self.WIDTH))
