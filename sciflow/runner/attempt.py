"""The nouns of work that goes on: one attempt at a step, and the lane in which attempts run one after another."""

from collections import deque

from . import names

SHORT_S = 0.05  # how much work a lane is told of while a step runs in it
QUICK_S = 1e-4  # no step is taken to be quicker
DEEPEST = 128  # and how many steps at most


class Attempt(object):
    """One attempt at a step: what it was given, and what became of it so far."""

    def __init__(self, name, task, step, needs):
        self.name, self.task, self.step, self.needs = name, task, step, needs
        self.place = self.lane = None
        self.grant, self.checkpoint = {}, ""  # what it was handed out; its folder that survives it, as the box sees it
        self.clock = None  # when it began, by the monotonic clock; None while another runs in its lane
        self.told = self.asked = None  # (state, when, why) it was signalled to end; when it was told to checkpoint
        self.start = 0.0
        self.values = ""  # those that its step uses, in their canonical form
        self.well = False  # of several ranks: whether all are known to have ended

    def judged(self, end, *, stopping=False):
        """Return (state, reason) of an attempt that has ended; a success is still to be looked at.

        While its worker is `stopping`, what ends otherwise than well was stopped too: a scheduler tells all of a job.
        """
        if self.told:
            return self.told[0], self.told[2]
        if end.code == 0 and not end.signal:
            killed = "the kernel killed %d processes for want of memory while it ran" % end.killed if end.killed else ""
            return names.DONE, killed
        if self.task.get("checkpoint") and (end.code == names.EXIT_LATER or self.asked):
            return names.INTERRUPTED, "stopped at a checkpoint"
        if end.killed and (end.signal == 9 or end.code == 137):  # as it is, and as a shell tells of it
            return names.MEMORY, "killed by the kernel for want of memory"
        if stopping:
            return names.INTERRUPTED, "stopped as its worker was"
        return names.FAILED, "signal %d" % end.signal if end.signal else "exit code %d" % end.code


class Lane(object):
    """A lane of a box, while it holds a grant: attempts of one task, of which the first runs."""

    def __init__(self, loop, name, task, grant):
        self.loop, self.name, self.task, self.grant = loop, name, task, grant
        self.queue = deque()
        self._wall = 0.0  # how long one of them takes, in seconds

    def room(self, wall, share):
        """Return for how many more of its task's steps there is room, each of `wall` seconds: `share` at most are its.

        There is none before half of those that it was told of are done: then one message tells of several.
        """
        self._wall, waiting = wall, len(self.queue) - 1
        deep = int(min(DEEPEST, SHORT_S / max(wall, QUICK_S), share))
        return deep - waiting if waiting <= deep / 2 else 0

    def ahead(self):
        """Return how many seconds of work it was told of, beside what runs."""
        return (len(self.queue) - 1) * self._wall
