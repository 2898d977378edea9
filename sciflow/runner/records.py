"""Records: what happened to each step, one line an attempt, in append-only segments with one writer each.

A line is `{"check":"<16 hex>",` and the rest of the record's canonical JSON; the check is the start of that rest's
SHA-256, so a torn or bent line is seen without parsing it. The first line of a segment says who wrote it, and where.
"""

import errno
import hashlib
import json
import os
import struct

from . import names

HEAD = '{"check":"'
CHECK_DIGITS = 16
START = len(HEAD) + CHECK_DIGITS + 2  # where a line's rest begins: after the closing quote and the comma
SUFFIX, INDEX_SUFFIX = ".jsonl", ".idx"
ROW = struct.Struct("<QIHBB")  # of an index: a record's offset, its step, its task's place in the plan, its state, 0
STATES = (
    "",
    names.DONE,
    names.FAILED,
    names.MEMORY,
    names.TIME,
    names.NODE,
    names.SKIPPED,
    names.INTERRUPTED,
    names.SUPERSEDED,
)
LARGEST = 1 << 63  # what a column of integers can hold: a larger one was a float
FINAL = (names.DONE, names.FAILED, names.MEMORY, names.TIME)  # what a step's own attempt can end in, for good


class TornError(Exception):
    """A segment holds a line, not its last, that is not what was written; the text names segment and line."""


def line(record):
    """Write a record as one line of text."""
    rest = names.canonical(record)[1:]
    return HEAD + hashlib.sha256(rest.encode("utf-8")).hexdigest()[:CHECK_DIGITS] + '",' + rest + "\n"


def parsed(text):
    """Read a line (bytes, without its newline) back, or return None where it is not whole."""
    rest = text[START:]
    if not text.startswith(HEAD.encode("ascii")) or text[START - 2 : START] != b'",':
        return None
    if hashlib.sha256(rest).hexdigest()[:CHECK_DIGITS].encode("ascii") != text[len(HEAD) : len(HEAD) + CHECK_DIGITS]:
        return None
    record = json.loads("{" + rest.decode("utf-8"))
    for name, value in record.get("metrics", {}).items():
        if isinstance(value, int) and not -LARGEST <= value < LARGEST:
            record["metrics"][name] = float(value)  # RFC 8785 writes 1e20 without point or exponent
    return record


class Segment(object):
    """The segment of one worker, made new, and its index: `append` lines, `commit` them together, then `enter` them.

    The index has a row a record, of what is settled about it: a success is entered once it is published. It can be
    lost, wholly or its end; it only spares whoever starts again the reading of a million lines.
    """

    def __init__(self, run, worker):
        folder = os.path.join(run, names.SEGMENTS)
        os.makedirs(folder, exist_ok=True)
        self.path = os.path.join(folder, worker + SUFFIX)
        # O_EXCL: a worker's name is random, and a segment must never have two writers.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL
        self._file = os.open(self.path, flags, 0o644)
        self._index = os.open(os.path.join(folder, worker + INDEX_SUFFIX), flags, 0o644)
        self._waiting, self.size = [], 0
        for _ in range(4):  # the run's, the bundle's `runs` and the bundle: each may be new, and hold the next's name
            sync_folder(folder)
            folder = os.path.dirname(folder)

    def append(self, record):
        """Queue a record; nothing may rely on it before `commit`. Return the byte at which its line begins."""
        data, at = line(record).encode("utf-8"), self.size
        self._waiting.append(data)
        self.size += len(data)
        return at

    def commit(self):
        """Write what waits and force it to the disk: one fsync for the lot.

        Once: after an error nobody knows how much of it stands, and nothing more may be written behind it.
        """
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            with names.about(self.path):
                put(self._file, b"".join(waiting))
                os.fsync(self._file)

    def enter(self, rows):
        """Write rows of the index: (offset, step, task's number, state) of records that are on the disk."""
        packed = [ROW.pack(at, step, task, STATES.index(state), 0) for at, step, task, state in rows]
        with names.about(self.path):
            put(self._index, b"".join(packed))

    def close(self):
        """Commit and let go."""
        self.commit()
        os.close(self._file)
        os.close(self._index)


def put(descriptor, data):
    """Put bytes into a file, all of them: one call of write(2) may take less than it was given."""
    while data:
        data = data[os.write(descriptor, data) :]


def sync_folder(path):
    """Force a folder's entries to the disk. Some file systems refuse to (EINVAL), and need it not."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with names.about(path):
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
            raise
    finally:
        os.close(descriptor)


def read(run):
    """Yield every record of a run, segment by segment in the order of their names. A torn last line is dropped.

    Raises TornError for a line that is not whole anywhere but at the end of its segment.
    """
    folder = os.path.join(run, names.SEGMENTS)
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        if not name.endswith(SUFFIX):
            continue
        with open(os.path.join(folder, name), "rb") as stream:
            lines = stream.read().split(b"\n")
        lines.pop()  # what stands behind the last newline was never finished
        for number, text in enumerate(lines, 1):
            record = parsed(text)
            if record is not None:
                yield record
            elif number < len(lines):
                raise TornError("%s: line %d is not what was written" % (os.path.join(names.SEGMENTS, name), number))


def published(run, record):
    """Say whether a success counts: a step with outputs is published when its folder stands, named for the attempt."""
    return not record["outputs"] or os.path.isdir(
        attempt_folder(run, record["task"], record["step"], record["attempt"])
    )


def step_folder(run, task, step):
    """Return the folder to which a step's outputs are published, once."""
    return "%s/%s/%s/%06d" % (run, names.OUTPUTS, task, step)


def attempt_folder(run, task, step, attempt):
    """Return where an attempt's outputs lie, once published: its name inside the step's folder says who won."""
    return step_folder(run, task, step) + "/" + attempt


def settle(run, found):
    """Return {(task, step): the record that counts} and {"workers": {name: …}, "attempts": {(task, step): how many}}.

    A published success beats everything; of several the earliest wins (by `rank`, so all readers agree); else the
    latest attempt counts.
    """
    settled, workers, attempts = {}, {}, {}
    for record in found:
        if "facts" in record:
            workers[record["worker"]] = record
            continue
        key = record["task"], record["step"]
        if record["state"] != names.SKIPPED:
            attempts[key] = attempts.get(key, 0) + 1
        if record["state"] == names.SUPERSEDED or (record["state"] == names.DONE and not published(run, record)):
            continue
        if key not in settled or _beats(record, settled[key]):
            settled[key] = record
    return settled, {"workers": workers, "attempts": attempts}


def rank(record):
    """Return what orders the attempts at a step: first which knew of which, as clocks may be wrong or set back."""
    return record.get("nth", 1), record["end"], record["attempt"]


def _beats(new, old):
    won, had = new["state"] == names.DONE, old["state"] == names.DONE
    if won != had:
        return won
    return rank(new) < rank(old) if won else rank(new) > rank(old)
