"""The order of work: which steps may start now, and which of them first.

A step is ready when everything it needs is done. Among the ready, those of the task with the longest path still to go
come first (critical path first); of tasks with equal paths the wider, then the one further down, so that points that
were begun are finished; in a task what is tried again, then the lowest number. A step starts when its cpus, memory and
gpus are free; one that does not fit is passed by those that do. A step costs a byte or a few, however many there are.
"""

from bisect import bisect_left, insort

from . import names, records
from .front import DONE, ELSEWHERE, HERE, LOST, RESOURCES, WAITING, Front, Lost, fits
from .standing import ENDED, GIVEN_UP, SKIPPED

MOVED = 1.25  # an estimate that is off by less changes no ranks
# What each code of a standing (PENDING, ENDED, GIVEN_UP, SKIPPED) makes of a step that is to be run here; of another.
WANTED = bytes([WAITING, DONE, LOST, WAITING]) + bytes(252)
UNWANTED = bytes([ELSEWHERE, DONE, LOST, LOST]) + bytes(252)


def rank(tasks, learned=None):
    """Return {task: seconds of the longest path from its start to the end}, by declared or learned times."""
    ranks, after, learned = {}, {}, learned or {}
    for task in reversed(tasks):  # a plan lists tasks in topological order
        name = task["name"]
        ranks[name] = learned.get(name, task["resources"]["time_s"]) + after.get(name, 0)
        for need in task["needs"]:
            after[need] = max(after.get(need, 0), ranks[name])
    return ranks


class Settled(object):
    """A standing made of {(task, step): the record that counts}, of which none is tried again."""

    def __init__(self, settled):
        self._settled = settled

    def state(self, name, step):
        """Return the state on record, or None."""
        return self._settled[name, step]["state"] if (name, step) in self._settled else None

    def final(self, name, step):
        """Say whether nothing more is to be tried."""
        return self.state(name, step) in records.FINAL


def codes(standing, name, count):
    """Return a byte a step of a task: whether it is open, ended well, given up or skipped.

    A standing that can tell all of a task at once does so by `codes(task)`; another is asked step by step.
    """
    if hasattr(standing, "codes"):
        return bytes(standing.codes(name))
    found = bytearray(count)
    for step in range(count):
        state = standing.state(name, step)
        if state == names.SKIPPED:
            found[step] = SKIPPED
        elif state is not None and standing.final(name, step):
            found[step] = ENDED if state == names.DONE else GIVEN_UP
    return bytes(found)


class Order(object):
    """The state of a sweep while it runs: what waits, what is ready, what is lost.

    `standing` says where each step stands (`state`, `final`). `wanted` limits the order to some (task, step); the
    others are taken as they stand. `learned` is {task: seconds}, used where declared times would be.
    """

    def __init__(self, plan, steps, standing, wanted=None, learned=None):
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self._standing = Settled(standing) if isinstance(standing, dict) else standing
        self.lost = Lost(list(self.tasks))  # (task, step, the upstream (task, step) that is not coming)
        self.idle = []  # wanted, but what they need is neither done, nor lost, nor coming from here
        told = {name: codes(self._standing, name, steps.count(name)) for name in self.tasks}
        states = {name: bytearray(told[name].translate(WANTED if wanted is None else UNWANTED)) for name in self.tasks}
        for name, step in wanted or ():
            states[name][step] = WANTED[told[name][step]]
        self._fronts, self._above, self._below = {}, {}, {name: [] for name in self.tasks}
        for task in plan["tasks"]:  # in topological order, so where its needs stand is known
            name = task["name"]
            depth = 1 + max([self._fronts[need].depth for need in task["needs"]] or [0])
            front = self._fronts[name] = Front(task, depth, states.pop(name))
            self._above[name] = []  # (task, its front, the link; None where it is gathered)
            for need in task["needs"]:
                link = None if need == task["gather"] else steps.link(need, name)
                self._above[name].append((need, self._fronts[need], link))
                self._below[need].append((name, front, link))
            self._enter(name, front)
        self._least = {what: min([task["resources"][what] for task in plan["tasks"]] or [0]) for what in RESOURCES}
        self._learned = dict(learned or {})
        self._rerank()
        self.total = sum(front.left for front in self._ranked) + len(self.lost)

    def _enter(self, name, front):
        """See what the steps of a task wait for."""
        kinds = [upper.kind() if link else None for _, upper, link in self._above[name]]
        if all(kind in (WAITING, DONE) for kind in kinds):
            front.expect(kinds.count(WAITING))
            return
        for step in front.waiting():
            missing, coming, cause = 0, True, None
            for need, upper, link in self._above[name]:
                if link:
                    other = link.over(step)
                    stands = upper.state[other]
                    missing += stands in HERE
                    lost, away = other if stands == LOST else -1, stands == ELSEWHERE
                else:
                    missing += upper.pending()
                    lost, away = upper.state.find(LOST), ELSEWHERE in upper.state
                if lost >= 0:
                    cause = need, lost
                    break
                coming = coming and not away
            if cause:
                self._give_up(name, front, step, cause)
            elif not coming:
                front.ended(step, ELSEWHERE)
                self.idle.append((name, step))
            else:
                front.expect(missing, step)

    def _give_up(self, name, front, step, cause):
        if self._standing.state(name, step) != names.SKIPPED:  # else it is on record already
            self.lost.append(name, step, cause)
        front.ended(step, LOST)

    def _under(self, name, step):
        """Yield the (task, front, step) that wait for a step."""
        for below, front, link in self._below[name]:
            for found in link.under(step) if link else (0,):
                if front.state[found] == WAITING:
                    yield below, front, found

    def _lose_under(self, name, step):
        """Give up all that needs a step, directly or not."""
        stack = [((name, step), self._under(name, step))]  # no deeper than the graph, however many are lost
        while stack:
            cause, rest = stack[-1]
            found = next(rest, None)
            if found is None:
                stack.pop()
                continue
            below, front, number = found
            self._give_up(below, front, number, cause)
            stack.append(((below, number), self._under(below, number)))

    def _rerank(self):
        self._by, self._stale = dict(self._learned), False
        ranks = rank(list(self.tasks.values()), self._by)
        # Of equal paths the widest first, which is the hardest to place; then what is further down.
        self._ranked = sorted(
            self._fronts.values(),
            key=lambda front: (
                -ranks[front.task["name"]],
                -front.task["resources"]["cpus"],
                -front.depth,
                front.task["name"],
            ),
        )
        for place, front in enumerate(self._ranked):
            front.place = place
        self._open = [place for place, front in enumerate(self._ranked) if front.ready]  # ascending

    def _seconds(self, name, learned):
        return learned.get(name, self.tasks[name]["resources"]["time_s"])

    def learn(self, name, seconds):
        """Take note of how long the steps of a task take (the mean of its successes): ranks follow if that is news.

        Once none of its steps is left, nothing before it is either, and no rank that still counts would change.
        """
        self._learned[name] = seconds
        had = self._seconds(name, self._by)
        if self._fronts[name].left and (had > seconds * MOVED or seconds > had * MOVED):
            self._stale = True

    def next(self, free, held=()):
        """Start the first ready step that fits what is free (`cpus`, `memory_mib`, `gpus`); return it, or None.

        Of the tasks that are `held` none is started.
        """
        if not fits(self._least, free):
            return None
        if self._stale:
            self._rerank()
        for place in self._open:
            front = self._ranked[place]
            step = front.take(free) if front.task["name"] not in held else None
            if step is not None:
                if not front.ready:
                    self._shut(front)
                return front.task["name"], step
        return None

    def ready(self, name):
        """Return how many steps of a task are ready."""
        return self._fronts[name].ready

    def same(self, name, held=()):
        """Start the next ready step of a task, if nothing that is ready comes before it; return its number, or None."""
        front = self._fronts[name]
        for place in self._open:
            if place < front.place and self._ranked[place].task["name"] not in held:
                return None
        step = front.take(front.task["resources"])
        if not front.ready:
            self._shut(front)
        return step

    def _shut(self, front):
        at = bisect_left(self._open, front.place)
        if at < len(self._open) and self._open[at] == front.place:
            del self._open[at]

    def _opened(self, front, before):
        if front.ready and not before:
            insort(self._open, front.place)

    def needs(self, name, step):
        """Return what a step needs: `cpus`, `memory_mib`, `gpus`, `time_s`."""
        return self._fronts[name].needs(step)

    def again(self, name, step, needs=None):
        """Put back a step that was started, in front of its task's, to be tried again; with other needs, if given.

        Needs beyond what there is would let it wait for ever: the caller keeps them within.
        """
        front = self._fronts[name]
        before = front.ready
        front.again(step, needs)
        self._least = {what: min(self._least[what], front.needs(step)[what]) for what in RESOURCES}
        self._opened(front, before)

    def ended(self, name, step, done):
        """Take note that a step has ended; what needs it becomes ready, or is lost."""
        front = self._fronts[name]
        if not front.ended(step, DONE if done else LOST):
            return
        if not front.ready:
            self._shut(front)
        if not done:
            self._lose_under(name, step)
            return
        for _, below, link in self._below[name]:
            before = below.ready
            below.met(link.under(step) if link else range(1))
            self._opened(below, before)

    def remaining(self):
        """Return {task: its steps that are still to be run, ascending}, of the tasks that have any."""
        found = {
            name: [step for step, one in enumerate(front.state) if one in HERE] for name, front in self._fronts.items()
        }
        return {name: steps for name, steps in found.items() if steps}

    def unended(self):
        """Return how many steps that are to be run here have not ended."""
        return sum(front.left for front in self._fronts.values())

    def left(self):
        """Return what is still to run, by what is declared or learned: (core-seconds, seconds of the longest path).

        Steps that run now count whole.
        """
        ranks = rank(list(self.tasks.values()), self._learned)
        work = sum(
            front.left * front.task["resources"]["cpus"] * self._seconds(name, self._learned)
            for name, front in self._fronts.items()
        )
        return work, max([ranks[name] for name, front in self._fronts.items() if front.left] or [0])
