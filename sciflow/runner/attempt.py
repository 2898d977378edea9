"""The nouns of work that goes on: one attempt at a step, and the lane in which attempts run one after another."""

from collections import deque

from . import names


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
        self.deep = 0  # how many more than the one that runs it is told of, at most
        self.wall = 0.0  # how long they take, in seconds each

    def full(self):
        """Say whether it was told of so many that more can wait, and be told of together."""
        return len(self.queue) - 1 > self.deep / 2
