"""From the end of an attempt to its record: what it has left is looked at, hashed and moved aside."""

import os
import time

from . import checkpoints, grants, names, ranks, records, step

NEWEST = 8  # a mean wall time gives the newest one step in so many
ROOM = 65536  # bytes: file systems give room by the block, and some have large ones


def make_sure_of_room(work):
    """Write a file where steps write. Raises OSError where there is no room.

    Nothing else shows a quota that is used up; some file systems tell of it only when the file is forced to the disk.
    """
    path = os.path.join(work, ".room")
    with names.about(path):
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            records.put(file, bytes(ROOM))
            os.fsync(file)
        finally:
            os.close(file)
            os.unlink(path)


class Ends(object):
    """Takes the ends of one worker's attempts, for a batch to put on record.

    `walls` are {task: mean wall time of its successes here, in seconds}, `busy_s` the core-seconds of all that ended.
    """

    def __init__(self, worker, work, batch, archive, keys, standing):
        self._worker, self._work, self._batch, self._archive, self._keys = worker, work, batch, archive, keys
        self._standing, self._tried = standing, {}
        self.walls, self.busy_s = {}, 0.0

    def _nth(self, key, state):
        """Return which attempt at its step this one is, of those it can know of."""
        found = max(self._standing.nth(*key), self._tried.get(key, 0) + 1)
        if state not in (names.DONE, names.SKIPPED):
            self._tried[key] = found  # the next may end before this is on record
        return found

    def _record(self, key, attempt, state, start, end, values=""):
        nth = self._nth(key, state)
        record = {
            "task": key[0],
            "step": key[1],
            "key": self._keys.of(key[0], key[1], values),
            "attempt": attempt,
            "worker": self._worker,
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
            "read_bytes": None,
            "written_bytes": None,
            "metrics": {},
            "outputs": {},
            "stdout": "",
            "stderr": "",
        }
        return dict(record, nth=nth) if nth > 1 else record

    def skip(self, name, number, cause):
        """Take down that a step is not run, for what it needs did not succeed."""
        now = time.time()
        record = self._record((name, number), names.token(), names.SKIPPED, now, now)
        self._batch.add(dict(record, reason="what it needs, %s/%d, did not succeed" % cause))

    def note(self, attempt, state, end, staged="", **more):
        """Take down how an attempt has ended; without an `end`, that nobody knows. `staged`: where its outputs are."""
        now, start, wall = time.time(), attempt.start, time.monotonic() - attempt.clock
        if end is not None and end.wall_s is not None:
            start, wall = end.start, end.wall_s
        key, ended = (attempt.task["name"], attempt.step), max(now, start)
        record = self._record(key, attempt.name, state, start, ended, attempt.values)
        record["wall_s"] = round(wall, 6)
        if attempt.needs != attempt.task["resources"]:
            record["granted"] = attempt.needs
        if attempt.grant["gpus"]:
            record["gpus"] = attempt.grant["gpus"]
        where = {}
        for stream, path in attempt.place.logs.items():
            record[stream], found = self._archive.keep(path)
            if found:
                where[stream] = found
        if where:
            record["logs"] = where
        if end is not None:
            record.update(code=end.code, signal=end.signal or None, user_s=end.user_s, system_s=end.system_s)
            record.update(peak_mib=round(end.peak_mib, 3), read_bytes=end.read_bytes, written_bytes=end.written_bytes)
        if grants.spread(attempt.needs):  # they ran elsewhere, and srun's own are not theirs
            record.update(dict.fromkeys(("user_s", "system_s", "peak_mib", "read_bytes", "written_bytes")))
        record.update(more)
        self.busy_s += wall * attempt.needs["cpus"]
        self._batch.add(record, staged, attempt.kept if state == names.INTERRUPTED and attempt.checkpoint else "")

    def take(self, attempt, end, *, stopping):
        """Take the end of an attempt; while the worker is `stopping` it goes on from a checkpoint another time.

        What has failed where there is no room is not on record: that was not its own doing. Raises OSError then.
        """
        state, reason = attempt.judged(end, stopping=stopping)
        if state == names.DONE:
            self._success(attempt, end, reason)
            return
        if state == names.INTERRUPTED and not stopping and checkpoints.marks(attempt.kept) == attempt.marks:
            state, reason = names.FAILED, "it stopped at a checkpoint, and had come no further"
        elif state == names.FAILED and grants.spread(attempt.needs):
            told, why = ranks.reason(attempt.place.logs["stderr"])
            state, reason = told or state, why or reason
        if state == names.FAILED:
            make_sure_of_room(self._work)
        self.note(attempt, state, end, reason=reason)

    def _success(self, attempt, end, reason):
        """Look at what a step has left that ended well: it is a success, or fails for what is lacking."""
        task, metrics, staged = attempt.task, {}, os.path.join(self._work, attempt.name)
        try:
            if task["metrics"]:
                metrics = step.metrics(attempt.place.folder, task["metrics"])
            outputs = step.stage(task, attempt.place.folder, staged, attempt.name)
        except step.StepError as error:
            make_sure_of_room(self._work)
            step.clear(staged)
            self.note(attempt, names.FAILED, end, reason=str(error))
            return
        wall = end.wall_s if end.wall_s is not None else time.monotonic() - attempt.clock
        mean = self.walls.get(task["name"], wall)
        self.walls[task["name"]] = mean + (wall - mean) / NEWEST
        staged = staged if outputs else ""
        self.note(attempt, names.DONE, end, staged, metrics=metrics, outputs=outputs, reason=reason)
