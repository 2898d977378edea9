"""One worker: enter the box, run steps until nothing more can start, put every end on record.

Ends are put on record together, many at a time where steps are short. Each success is published in this order: outputs
moved aside and forced to the disk, its record written and forced to the disk, then one rename gives it its name. So a
name without a record cannot be, and a record without its name does not count; whatever is killed in between is done
again.
"""

import json
import os
import signal
import time

from . import box, checkpoints, closing, commit, crew, ends, facts, given, logs, names, owner, points, records, standing
from .attempt import Attempt
from .grants import Grants
from .order import Order

GRACE_S = 10  # between asking a step to end and ending it
TICK_S = 0.5  # how often time limits and progress are looked at while nothing ends
NOW_S = 2  # how often it is told what is going on
LOST_MOST = 3  # lanes or boxes lost in a row, with no step done between, before a worker gives up
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)  # what a worker is told to stop with
TOLD_S = 0.3  # by when a worker is told to stop that a step of its was told of: one process after another is
SHOWN_S = 0.1  # how often progress is told to whoever shows it


class Worker(object):
    """A worker's means: bundle, plan, run, steps, box. `run` it once."""

    def __init__(self, bundle, plan, run, steps, standing_, capacity, say, noted=None):
        self.bundle, self.plan, self.run_folder, self.steps = bundle, plan, run, steps
        self.standing, self.capacity, self.say = standing_, capacity, say
        self.most_failures = plan.get("run", {}).get("max_failures", 0)  # 0: however many
        self.noted = noted or {}  # what a reader should know of this worker beside its machine
        self.closing, self.learned = closing.Closing(), {}
        self.name, self.stopping, self.running = "w" + names.token(), None, {}
        self.work = os.path.join(run, names.WORK, self.name)
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self.table = points.Table(bundle, plan)
        self.keys = points.Keys(plan, steps, self.table, standing_)
        self.counts, self.lost_in_a_row = {}, 0
        self.began = self.told_now = time.time()
        self.shown = self.watched = 0.0
        self.failures = 0

    def run(self, chosen, wanted, progress):
        """Run the wanted steps in the chosen box; return the exit code. Raises BoxError, OSError."""
        self.learned = self.standing.learned()
        order = Order(self.plan, self.steps, self.standing, wanted, self.learned)
        owner.clear_left(self.run_folder)
        checkpoints.clear_done(self.run_folder, self.plan, self.standing)
        if not order.total:
            self.table.close()
            return names.EXIT_OK
        owner.claim(self.work)
        try:
            return self._serve(order, wanted, chosen, progress)
        finally:
            self.table.close()
            self.standing.close()
            owner.give_up(self.work)

    def _serve(self, order, wanted, chosen, progress):
        self.crew = crew.Crew(self.bundle, self.plan, self.run_folder, self.work, chosen, self.capacity, self.say)
        segment = archive = None
        try:
            isolation = self.crew.enter(self._wanted(wanted))
            archive = logs.Archive(self.run_folder, self.name)
            segment = records.Segment(self.run_folder, self.name)
            self.batch = commit.Batch(self.run_folder, self.plan, segment, self.standing, archive)
            self.ends = ends.Ends(self.name, self.work, self.batch, archive, self.keys, self.standing)
            self.given = self.crew.given = given.Given(
                self.plan, self.steps, self.table, self.standing, self.crew.paths, isolation
            )
            segment.append(
                dict(
                    self.noted,
                    worker=self.name,
                    facts=facts.host(),
                    box=dict(isolation, image=self.plan["image"], version=box.version(chosen)),
                    capacity=self.capacity,
                    envelope={task["name"]: given.envelope(task) for task in self.plan["tasks"]},
                    start=self.began,
                )
            )
            segment.commit()
            self._loop(order, progress)
            self.crew.finish()
        finally:
            self.crew.close()
            for written in (segment, archive):
                if written is not None:
                    written.close()
        self._show(order, progress, final=True)
        if self._failed_out():
            self.say("%d steps have failed, and no more were started" % self.failures)
        if self.stopping:
            return names.EXIT_INTERRUPTED if self.stopping == signal.SIGINT else names.EXIT_LATER
        if not self._failed_out() and (self._over() or self._held()) and order.unended():
            when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.closing.close))
            self.say("%s over at %s: %d steps remain for the next" % (self.closing.what, when, order.unended()))
            return names.EXIT_LATER
        return names.EXIT_OK

    def _wanted(self, wanted):
        """Return the tasks of the wanted steps."""
        tasks = {name for name, _ in wanted} if wanted is not None else set(self.tasks)
        return [self.tasks[name] for name in sorted(tasks)]

    # ---- What starts

    def _loop(self, order, progress):
        self.grants, halted = Grants(self.capacity), False
        while True:
            self._skip(order)
            if self.most_failures:
                self._commit(order)  # each end counts before anything more is started
            if not self.stopping and not self._failed_out() and not self._over():
                starved = self._fill(order)
            elif not halted:
                self.crew.halt()
                halted = starved = True
            self.crew.flush()
            if len(self.batch) and (starved or not self.running or self.batch.due()):
                self._commit(order)
                continue
            self._show(order, progress)
            if not self.running:
                return
            self._tell_now()
            if not starved:
                time.sleep(self.crew.pause())
            for what in self.crew.hear(commit.SOON_S if len(self.batch) else TICK_S):
                self._heard(order, what)
            self._limits()
            self._watch(order)

    def _failed_out(self):
        """Say whether so many steps have failed that no more are to be started."""
        return 0 < self.most_failures <= self.failures

    def _over(self):
        """Say whether the hours have closed."""
        return self.closing.over(time.time())

    def _held(self):
        """Return the tasks of which no step can end, or come to a checkpoint, before the hours close."""
        return self.closing.held(self.plan["tasks"], self.learned, self.standing.cut, time.time())

    def _show(self, order, progress, *, final=False):
        now = time.monotonic()
        if final or now - self.shown > SHOWN_S:
            self.shown = now
            at_work = {name: one for name, one in self.running.items() if one.clock is not None}
            busy = sum((now - one.clock) * one.needs["cpus"] for one in at_work.values())
            progress(self.counts, order, at_work, final=final, busy_s=self.ends.busy_s + busy)

    def _skip(self, order):
        while order.lost:
            name, number, cause = order.lost.popleft()
            self.ends.skip(name, number, cause)

    def _fill(self, order):
        """Start what can be; say whether something is free for which nothing is ready."""
        held = self._held()
        while True:
            found = order.next(self.grants.free, held)
            if found is None:
                break
            if self._elsewhere(order, *found):
                continue
            needs = order.needs(*found)
            if self.standing.tried(*found):  # by an earlier worker: then it is to have more from the first
                more = self._grown(*found)
                needs = more if self.grants.fits(more) else needs
            lane = self.crew.lane(self.tasks[found[0]], self.grants.take(needs))
            self._start(lane, found[1], needs)
        for lane in self.crew.lanes():
            self._ahead(order, lane, held)
        return self.grants.free["cpus"] > 0

    def _ahead(self, order, lane, held):
        """Tell a lane of more steps of its task where they are short, so that it need not wait to be told of each."""
        name = lane.task["name"]
        wall = self.ends.walls.get(name)
        if wall is None or not lane.loop.ahead or self.crew.alone(lane.task) or self.most_failures or name in held:
            return
        for _ in range(lane.room(wall, order.ready(name) / len(self.crew.lanes()))):
            number = order.same(name, held) if self.crew.room() else None
            if number is None:
                return
            if not self._elsewhere(order, name, number):
                self._start(lane, number, order.needs(name, number))

    def _elsewhere(self, order, name, number):
        """Say whether another worker has done a step meanwhile."""
        if self.standing.state(name, number) != names.DONE:
            return False
        self._count(name, names.DONE)
        order.ended(name, number, done=True)
        return True

    def _start(self, lane, number, needs):
        task = lane.task
        attempt = Attempt(names.token(), task, number, needs)
        attempt.grant, attempt.lane, attempt.place = lane.grant, lane, self.crew.place()
        attempt.place.ready(task["outputs"].values())
        if task.get("checkpoint"):
            self._lay_checkpoint(attempt)
        settings, more, words = self.given.to(attempt)
        if not lane.queue:
            attempt.clock, attempt.start = time.monotonic(), time.time()
        lane.queue.append(attempt)
        self.running[attempt.name] = attempt
        self.crew.start(lane, attempt, settings, more, words)

    def _lay_checkpoint(self, attempt):
        name, number = attempt.task["name"], attempt.step
        ended = {self.standing.record(name, number)["attempt"]} if self.standing.state(name, number) else set()
        path = checkpoints.begin(self.run_folder, name, number, attempt.name, ended)
        attempt.marks = checkpoints.marks(path)
        attempt.kept = path
        attempt.checkpoint = "%s/%s/%06d/%s" % (self.crew.paths["checkpoints"], name, number, attempt.name)
        link = os.path.join(attempt.place.folder, attempt.task["checkpoint"]["path"].rstrip("/"))
        os.makedirs(os.path.dirname(link), exist_ok=True)
        os.symlink(attempt.checkpoint, link)

    # ---- What is going on

    def _limits(self):
        now, wall = time.monotonic(), time.time()
        for attempt in list(self.running.values()):
            if attempt.clock is None:
                continue
            limit = attempt.needs["time_s"]
            over = now - attempt.clock - limit
            checkpoint = attempt.task.get("checkpoint")
            if attempt.told:
                if now - attempt.told[1] > GRACE_S:
                    self.crew.signal(attempt, signal.SIGKILL)
            elif self.stopping:
                reason = "stopped by signal %d" % self.stopping
                self._end(attempt, names.INTERRUPTED, reason, checkpoint["signal"] if checkpoint else signal.SIGTERM)
            elif over > 0:
                self._end(attempt, names.TIME, "time limit of %d s" % limit, signal.SIGTERM)
            elif self.closing.ends(wall):
                self._end(attempt, names.INTERRUPTED, self.closing.what + " over", signal.SIGTERM)
            elif checkpoint and not attempt.asked and self._must_keep(attempt, over, wall):
                attempt.asked = now
                self.crew.signal(attempt, checkpoint["signal"])

    def _watch(self, order):
        now = time.monotonic()
        if now - self.watched >= TICK_S:
            self.watched = now
            for what in self.crew.watch():
                self._heard(order, what)

    def _must_keep(self, attempt, over, wall):
        """Say whether it is time for a step to come to a checkpoint: its own time is nearly up, or the hours'."""
        return over + attempt.task["checkpoint"]["before_s"] > 0 or self.closing.asks(attempt.task, wall)

    def _end(self, attempt, state, reason, number):
        attempt.told = state, time.monotonic(), reason
        self.crew.signal(attempt, number)

    def _tell_now(self):
        now = time.time()
        if abs(now - self.told_now) < NOW_S:
            return
        self.told_now = now
        done = sum(count for (_, state), count in self.counts.items() if state == names.DONE)
        told = {
            "time": now,
            "running": [
                [attempt.task["name"], attempt.step, attempt.start, attempt.name]
                for attempt in self.running.values()
                if attempt.clock is not None
            ],
            "place": {attempt.name: str(attempt.place.number) for attempt in self.running.values()},
            "cpus": self.capacity["cpus"],
            "busy_s": self.ends.busy_s,
            "since": self.began,
            "done": done,
            "failed": sum(self.counts.values()) - done,
        }
        part = os.path.join(self.work, "." + names.NOW)
        with open(part, "w", encoding="utf-8") as stream:
            json.dump(told, stream)
        os.replace(part, os.path.join(self.work, names.NOW))
        if not self.stopping and os.path.exists(os.path.join(self.run_folder, names.CANCEL)):
            self.stopping = signal.SIGTERM

    # ---- What ends

    def _heard(self, order, what):
        if what[0] == "end":
            attempt = self.running.pop(what[1].token, None)
            if attempt is not None:
                self._leave(attempt)
                self._ended(attempt, what[1])
        elif what[0] == "over":
            attempt = self.running.get(what[1])
            if attempt is not None:
                held = ": it held %s" % what[2] if what[2] != "" else ""
                reason = "memory limit of %d MiB%s" % (attempt.needs["memory_mib"], held)
                attempt.told = names.MEMORY, time.monotonic(), reason
        elif what[0] == "dropped":
            attempt = self.running.pop(what[1], None)
            if attempt is not None:
                self._leave(attempt)
                self.crew.give_back(attempt.place)
        else:
            self._lost(order, what)

    def _leave(self, attempt):
        """Let the next in the lane be the one that runs, or give back what the lane held."""
        lane = attempt.lane
        lane.queue.remove(attempt)
        if lane.queue:
            lane.queue[0].clock, lane.queue[0].start = time.monotonic(), time.time()
        else:
            self.grants.give_back(lane.grant)
            self.crew.close_lane(lane)

    def _lost(self, order, what):
        """Record what went with a lane, a server or the whole box, and start it again: it was not its own doing.

        Likewise what could not be started for want of its folder or its logs.
        """
        self.lost_in_a_row += 1
        reason = "its lane in the box was lost"
        if what[0] == "closed":
            reason = "the box was lost: %s" % what[1].said()
        elif what[0] == "unable":
            reason = "the box could not start it: %s" % what[2]
        for attempt in [one for one in list(self.running.values()) if self.crew.gone(one, what)]:
            del self.running[attempt.name]
            self._leave(attempt)
            if attempt.clock is not None:
                self.ends.note(attempt, names.NODE, None, reason=reason)
            self.crew.give_back(attempt.place)
            order.again(attempt.task["name"], attempt.step)
        if self.lost_in_a_row >= LOST_MOST:
            self._commit(order)
            raise box.BoxError("%s; %d in a row" % (reason, self.lost_in_a_row))
        self.crew.mend(what)

    def _ended(self, attempt, end):
        if end.signal in STOPS or end.code - 128 in STOPS:
            until = time.monotonic() + TOLD_S
            while not (self.stopping or attempt.told) and time.monotonic() < until:
                time.sleep(TOLD_S / 30)  # Slurm may have told all processes of the job, and this one comes next
        wall = time.time()
        closing_ = self.closing.ends(wall) or self.closing.asks(attempt.task, wall)
        self.ends.take(attempt, end, stopping=bool(self.stopping) or closing_)
        self.lost_in_a_row = 0
        self.crew.give_back(attempt.place, read=True)

    def _commit(self, order):
        for record in self.batch.commit():
            name, number, state = record["task"], record["step"], record["state"]
            if state == names.DONE:
                if self.tasks[name].get("checkpoint"):
                    checkpoints.done(self.run_folder, name, number)
                self._count(name, state)
                order.ended(name, number, done=True)
            elif state == names.INTERRUPTED and self.stopping:
                self._count(name, state)
            elif state == names.INTERRUPTED:
                order.again(name, number)
            elif state in records.FINAL:
                if self.standing.again(name, number):
                    order.again(name, number, self._grown(name, number))
                else:
                    self.failures += 1
                    self._count(name, state)
                    order.ended(name, number, done=False)
            elif state == names.SKIPPED:
                self._count(name, state)
        self.learned.update(self.ends.walls)
        for name, wall in self.ends.walls.items():
            order.learn(name, wall)

    def _count(self, name, state):
        self.counts[name, state] = self.counts.get((name, state), 0) + 1

    def _grown(self, name, number):
        """Return what a step needs that is tried again: more, where that was what it lacked."""
        task = self.tasks[name]
        needs = standing.grown(task, self.standing.tried(name, number))
        most = max(task["resources"]["memory_mib"], self.capacity["memory_mib"])
        needs["memory_mib"] = min(needs["memory_mib"], most)
        return needs
