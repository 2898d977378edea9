"""Put ends on record, many at a time: outputs to the disk, then the records, then the names."""

import os
import time

from . import kernel, names, records, step

LATE_S = 60  # how long another machine's work may go unseen: nfs(5), acdirmax; SCIFLOW_LATE_S says it otherwise
LOOK_S = 0.5  # how often it is looked for
SOON_S = 0.1  # how long an end waits for others, where there is more to do
PART = 30  # and so many times as long as it took to put the last ones on record: disks may be slow
LATEST_S = 5  # but no longer
MOST = 1000  # nor more of them: each holds some memory
FEW = 8  # files that are forced to the disk one by one; of more, their whole file system is


def file_system(path, calls):
    """Force all of a file system to the disk. Say whether that could be done."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return calls.sync(descriptor)
    finally:
        os.close(descriptor)


def files(folder):
    """Yield the files and folders below a folder, and itself, the deepest first."""
    for where, _, found in os.walk(folder, topdown=False):
        for name in found:
            yield os.path.join(where, name)
        yield where


def force(paths):
    """Force files and folders to the disk."""
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            with names.about(path):
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


class Batch(object):
    """Ends that wait to be put on record together, for so long that doing it takes a small part of the time."""

    def __init__(self, run, plan, segment, standing, archive):
        self._run, self._segment, self._standing, self._archive = run, segment, standing, archive
        self._number = {task["name"]: number for number, task in enumerate(plan["tasks"])}
        self._name = [task["name"] for task in plan["tasks"]]
        self._mine = standing.segment(segment.path)
        self._waiting, self._since, self._took, self._kernel = [], 0.0, 0.0, None
        self._known = set()  # folders of tasks whose own names are on the disk

    def __len__(self):
        return len(self._waiting)

    def add(self, record, staged="", kept=""):
        """Take a record, and the folder in which the outputs of a success lie, or its checkpoint's that goes on."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append((record, staged, kept))

    def due(self):
        """Say whether those that wait have waited for long enough, or are many, whatever else there is to do."""
        waits = min(max(SOON_S, PART * self._took), LATEST_S)
        return len(self._waiting) >= MOST or bool(self._waiting) and time.monotonic() - self._since > waits

    def commit(self):
        """Put all on record, and publish what is a success; return the records, in their order."""
        if not self._waiting:
            return []
        waiting, self._waiting, began = self._waiting, [], time.monotonic()
        self._force([staged or kept for _, staged, kept in waiting if staged or kept])
        for kept in [kept for _, _, kept in waiting if kept]:
            for above in ("..", "../..", "../../.."):  # its step's, its task's, and that of all
                records.sync_folder(os.path.join(kept, above))
        self._archive.sync()
        places = [self._segment.append(record) for record, _, _ in waiting]
        self._segment.commit()
        folders, rows, lost = set(), [], []
        for (record, staged, _), at in zip(waiting, places):
            key = record["task"], record["step"]
            if staged:
                if not step.publish(self._run, key[0], key[1], staged, record["attempt"]):
                    lost.append(record)
                    continue
                folders.add(os.path.join(self._run, names.OUTPUTS, key[0]))
            rows.append((at, key[1], self._number[key[0]], record["state"]))
        for folder in sorted(folders):
            records.sync_folder(folder)
            if folder not in self._known:
                records.sync_folder(os.path.dirname(folder))
                self._known.add(folder)
        self._segment.enter(rows)
        for at, number, task, state in rows:
            self._standing.note(self._name[task], number, state, self._mine, at)
        self._took = time.monotonic() - began
        if lost:
            self._lose(lost)
        return [record for record, _, _ in waiting]

    def _force(self, staged):
        self._kernel = self._kernel or (kernel.Kernel() if len(staged) > FEW else None)
        if len(staged) <= FEW or not file_system(staged[0], self._kernel):
            for folder in staged:
                force(files(folder))

    def _lose(self, lost):
        """Other workers were first: their results count; these are compared with them when results are collected."""
        rows = []
        for record in lost:
            reason = "another attempt was published first"
            at = self._segment.append(dict(record, state=names.SUPERSEDED, reason=reason))
            rows.append((at, record["step"], self._number[record["task"]], names.SUPERSEDED))
        self._segment.commit()
        self._segment.enter(rows)
        until = time.monotonic() + float(os.environ.get("SCIFLOW_LATE_S") or LATE_S)
        self._standing.refresh()
        for record in lost:
            while self._standing.state(record["task"], record["step"]) != names.DONE:
                if time.monotonic() > until:
                    # A name is given after its record is on the disk, so somebody has taken that away.
                    where = "outputs/%s/%06d" % (record["task"], record["step"])
                    raise records.TornError("%s stands, and its record is lost: remove that folder" % where)
                time.sleep(LOOK_S)
                self._standing.refresh()
