"""One worker: enter the box, run steps until nothing more can start, put every end on record.

Each success is published in this order: outputs moved aside and forced to the disk, its record written and forced to
the disk, then one rename gives it its name. So a name without a record cannot be, and a record without its name does
not count; whatever is killed in between is done again.
"""

import binascii
import json
import os
import shutil
import signal
import time

from . import box, facts, given, names, points, records, step
from .order import Order

GRACE_S = 10  # between asking a step to end and ending it
TICK_S = 0.5  # how often time limits and progress are looked at while nothing ends
OWNER = "owner.json"


def token():
    """Return a random name: of a worker, of an attempt."""
    return binascii.hexlify(os.urandom(8)).decode("ascii")


def clear_left(run):
    """Remove the working folders of workers of this machine that were killed; what they published is elsewhere."""
    folder = os.path.join(run, names.WORK)
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        try:
            with open(os.path.join(folder, name, OWNER), encoding="utf-8") as stream:
                owner = json.load(stream)
        except (OSError, ValueError):
            continue  # just being made, or being removed
        if facts.gone(owner):
            step.clear(os.path.join(folder, name))
    _remove_empty(folder)


def _remove_empty(folder):
    try:
        os.rmdir(folder)
    except OSError:
        pass  # it is not there, or other workers are still at work


class Running(object):
    """A step that runs: where, since when, and what it was told meanwhile."""

    def __init__(self, task, number, attempt, slot, folder):
        self.task, self.step, self.attempt, self.slot, self.folder = task, number, attempt, slot, folder
        self.start, self.clock, self.told = time.time(), time.monotonic(), None


class Worker(object):
    """A worker's means: bundle, plan, run, steps, box. `run` it once."""

    def __init__(self, bundle, plan, run, steps, settled, capacity, say, noted=None):
        self.bundle, self.plan, self.run_folder, self.steps = bundle, plan, run, steps
        self.settled, self.capacity, self.say = dict(settled), capacity, say
        self.noted = noted or {}  # what a reader should know of this worker beside its machine
        self.name, self.stopping, self.running = "w" + token(), None, {}
        self.work = os.path.join(run, names.WORK, self.name)
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self.entries = sorted({path.split("/")[0] for path in plan["code_files"]})  # what stands at the code's top
        self.table = points.Table(bundle, plan)
        self.keys = points.Keys(plan, steps, self.table)
        self.counts, self.given = {}, None

    def run(self, chosen, wanted, progress):
        """Run the wanted steps in the chosen box; return the exit code. Raises BoxError, OSError."""
        order = Order(self.plan, self.steps, self.settled, wanted)
        clear_left(self.run_folder)
        if not order.total:
            self.table.close()
            return names.EXIT_OK
        os.makedirs(self.work)
        try:
            with open(os.path.join(self.work, OWNER), "w", encoding="utf-8") as stream:
                json.dump(facts.owner(), stream)
            code = self._stage_code()
            image = box.image(chosen, self.bundle, self.say)
            places = {
                "image": image,
                "code": code,
                "work": self.work,
                "runner": os.path.join(self.bundle, names.RUNNER),
            }
            places.update(
                inputs=os.path.join(self.bundle, names.INPUTS), outputs=os.path.join(self.run_folder, names.OUTPUTS)
            )
            places.update(uid=os.getuid(), gid=os.getgid(), name="sciflow-" + self.name, cache=names.cache())
            places.update(path=os.environ.get("PATH", os.defpath))
            # A box mounts all of them, also those that a bundle has no use for.
            if not os.path.isdir(places["inputs"]):
                places["inputs"] = os.path.join(self.work, names.INPUTS)
            kept = self.run_folder if any(task["checkpoint"] for task in self.plan["tasks"]) else self.work
            places["checkpoints"] = os.path.join(kept, names.CHECKPOINTS)
            for name in ("inputs", "outputs", "checkpoints"):
                os.makedirs(places[name], exist_ok=True)
            return self._serve(order, chosen, places, progress)
        finally:
            self.table.close()
            step.clear(self.work)
            _remove_empty(os.path.dirname(self.work))

    def _stage_code(self):
        """Copy the code aside while hashing it, so that what was verified is what runs. Returns the copy's folder."""
        target = os.path.join(self.work, "code")
        os.makedirs(target)
        for path, sha in sorted(self.plan["code_files"].items()):
            copy = os.path.join(target, path)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(os.path.join(self.bundle, names.CODE, path), copy)
            if names.digest_file(copy)[0] != sha:
                raise OSError(5, "changed while it was copied", os.path.join(names.CODE, path))
        return target

    def _serve(self, order, chosen, places, progress):
        # A box without GPUs in it opens everywhere: they are let in where a task wants them and there are any.
        if any(task["resources"]["gpus"] for task in self.plan["tasks"]) and facts.gpus():
            places = dict(places, gpus=chosen.get("gpus") or [])
        loop = box.Loop(chosen, places, os.path.join(self.work, "engine.log"))
        segment = records.Segment(self.run_folder, self.name)
        self.given = given.Given(self.plan, self.steps, self.table, self.settled, self.work, loop.paths)
        try:
            segment.append(
                dict(
                    self.noted,
                    worker=self.name,
                    facts=facts.host(),
                    box=dict(loop.isolation, image=self.plan["image"]),
                    capacity=self.capacity,
                    envelope=given.ENVELOPE,
                    start=time.time(),
                )
            )
            segment.commit()
            self._loop(order, loop, segment, progress)
        finally:
            loop.close()
            segment.close()
        progress(self.counts, order, self.running, final=True)
        if self.stopping:
            return names.EXIT_INTERRUPTED if self.stopping == signal.SIGINT else names.EXIT_LATER
        return names.EXIT_OK

    def _loop(self, order, loop, segment, progress):
        free = dict(self.capacity)
        slots = list(range(self.capacity["cpus"]))[::-1]
        while True:
            self._skip(order, segment)
            while not self.stopping and slots:
                found = order.next(free)
                if found is None:
                    break
                running = self._start(loop, found, slots.pop())
                for what in free:
                    free[what] -= running.task["resources"][what]
            segment.commit()
            progress(self.counts, order, self.running, final=False)
            if not self.running:
                return
            for end in loop.wait(TICK_S):
                running = self.running.pop(end.token)
                slots.append(running.slot)
                for what in free:
                    free[what] += running.task["resources"][what]
                self._ended(order, segment, running, end)
            self._limits(loop)
            if not loop.open:
                for running in self.running.values():
                    self._note(segment, running, names.NODE, None, reason="the box was lost: %s" % loop.said())
                segment.commit()
                raise box.BoxError("the box was lost in mid-work: %s" % loop.said())

    def _skip(self, order, segment):
        while order.lost:
            name, number, cause = order.lost.popleft()
            now = time.time()
            record = self._record(name, number, token(), names.SKIPPED, now, now)
            segment.append(dict(record, reason="what it needs, %s/%d, did not succeed" % cause))
            self._count(name, names.SKIPPED)

    def _limits(self, loop):
        now = time.monotonic()
        for attempt, running in self.running.items():
            over = now - running.clock - running.task["resources"]["time_s"]
            if self.stopping and running.told is None:
                running.told = (names.INTERRUPTED, now)
                loop.signal(attempt, signal.SIGTERM)
            elif over > 0 and running.told is None:
                running.told = (names.TIME, now)
                loop.signal(attempt, signal.SIGTERM)
            elif running.told and now - running.told[1] > GRACE_S:
                loop.signal(attempt, signal.SIGKILL)

    def _start(self, loop, found, slot):
        name, number = found
        task, attempt = self.tasks[name], token()
        running = Running(task, number, attempt, slot, os.path.join(self.work, attempt))
        step.lay_out(running.folder, loop.paths["code"], self.entries)
        for _, path in sorted(task["outputs"].items()):
            os.makedirs(os.path.join(running.folder, os.path.dirname(path)), exist_ok=True)
        settings, words = self.given.to(running)
        inside = loop.paths["work"]
        logs = ["%s/%d.%s" % (inside, slot, stream) for stream in ("out", "err")]
        loop.start(attempt, inside + "/" + attempt, logs[0], logs[1], settings, words)
        self.running[attempt] = running
        return running

    def _record(self, name, number, attempt, state, start, end):
        return {
            "task": name,
            "step": number,
            "key": self.keys.of(name, number),
            "attempt": attempt,
            "worker": self.name,
            "state": state,
            "start": start,
            "end": end,
            "code": None,
            "signal": None,
            "reason": "",
            "wall_s": 0.0,
            "user_s": 0.0,
            "system_s": 0.0,
            "peak_mib": 0.0,
            "metrics": {},
            "outputs": {},
            "stdout": "",
            "stderr": "",
        }

    def _note(self, segment, running, state, end, **more):
        """Append the record of an attempt that has ended; return it."""
        record = self._record(running.task["name"], running.step, running.attempt, state, running.start, time.time())
        record["wall_s"] = round(time.monotonic() - running.clock, 6)
        for stream, key in (("out", "stdout"), ("err", "stderr")):
            record[key] = step.kept(os.path.join(self.work, "%d.%s" % (running.slot, stream)))
        if end is not None:
            record.update(code=end.code, signal=end.signal or None, user_s=end.user_s, system_s=end.system_s)
            record["peak_mib"] = round(end.peak_mib, 3)
        record.update(more)
        segment.append(record)
        self._count(record["task"], state)
        return record

    def _count(self, name, state):
        self.counts[name, state] = self.counts.get((name, state), 0) + 1

    def _ended(self, order, segment, running, end):
        key = running.task["name"], running.step
        staged = running.folder + ".out"
        try:
            if running.told:
                state = running.told[0]
                why = (
                    "time limit of %d s" % running.task["resources"]["time_s"]
                    if state == names.TIME
                    else "stopped by signal %d" % (self.stopping or 0)
                )
                self._note(segment, running, state, end, reason=why)
            elif end.code or end.signal:
                state = names.FAILED
                self._note(
                    segment,
                    running,
                    state,
                    end,
                    reason="signal %d" % end.signal if end.signal else "exit code %d" % end.code,
                )
            else:
                state = self._success(segment, running, end, staged)
        finally:
            step.clear(running.folder)
            step.clear(staged)
        if state == names.INTERRUPTED:
            return  # neither done nor lost: it goes on at the next start
        order.ended(key[0], key[1], state == names.DONE)

    def _success(self, segment, running, end, staged):
        """Put a success on record and publish it, or record why it is none; return the state."""
        task, found = running.task, {}
        try:
            if task["metrics"]:
                found = step.metrics(running.folder, task["metrics"])
            outputs = step.stage(task, running.folder, staged, running.attempt)
        except step.StepError as error:
            self._note(segment, running, names.FAILED, end, reason=str(error))
            return names.FAILED
        record = self._note(segment, running, names.DONE, end, metrics=found, outputs=outputs)
        segment.commit()
        key = task["name"], running.step
        if outputs and not step.publish(self.run_folder, key[0], key[1], staged):
            # Another worker was first. Its result counts, and this one is compared with it when results are collected.
            segment.append(dict(record, state=names.SUPERSEDED, reason="another attempt was published first"))
            winner = records.settle(self.run_folder, records.read(self.run_folder))[0]
            if key not in winner:  # a name is given after its record is on the disk, so somebody has taken that away
                raise records.TornError("outputs/%s/%06d stands, and its record is lost: remove that folder" % key)
            self.settled[key] = winner[key]
        else:
            self.settled[key] = record
        return names.DONE
