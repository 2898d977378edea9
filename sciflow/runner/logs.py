"""What the steps print: a short stream is in its record, of a long one head and tail; more of it is in an archive.

A worker has one archive, `logs/<worker>.log`, and writes it only where it must; a record says where in it its streams
lie.
"""

import os
import stat

from . import names, records, step

KEPT_BYTES = 16384  # of each stream, head and tail, that a record holds
ARCHIVED_BYTES = 4 << 20  # of each stream, head and tail, that the archive holds
CUT = "\n… %d bytes left out …\n"


def ends(stream, size, most):
    """Return (head, bytes left out, tail) of an open file: all of it, or as much as may be kept of both ends."""
    if size <= most:
        return stream.read(size), 0, b""
    head = stream.read(most // 2)
    stream.seek(size - most // 2)
    return head, size - most, stream.read(most // 2)


def text(head, left_out, tail):
    """Return the ends of a stream as text."""
    if not left_out:
        return head.decode("utf-8", "replace")
    return head.decode("utf-8", "replace") + CUT % left_out + tail.decode("utf-8", "replace")


def may_be_written(facts):
    """Say whether this (lstat) is a log's own file: no link, no pipe, no second name of another, laid by a step."""
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


class Archive(object):
    """The archive of one worker; the file is made when something is too long for a record."""

    def __init__(self, run, worker):
        self._run, self._path = run, os.path.join(run, names.LOGS, worker + ".log")
        self._file, self._size, self._new = None, 0, False  # new: its name is not on the disk yet

    def keep(self, path):
        """Return (text for the record, [offset, bytes, total bytes] in the archive or None) of a step's stream.

        A step may have laid a link, a pipe, or another file's second name where its log was: none is read, nor waited
        for, and it is cleared away for the next. Raises OSError where the archive cannot be written.
        """
        try:
            facts = os.lstat(path)
            if not may_be_written(facts):
                step.clear(path)
                return "", None
            if not facts.st_size:
                return "", None
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                kept = text(*ends(stream, size, KEPT_BYTES))
                if size <= KEPT_BYTES:
                    return kept, None
                stream.seek(0)
                found = ends(stream, size, ARCHIVED_BYTES)
                os.unlink(path)  # its room is wanted, and the next step makes it anew
        except OSError:
            return "", None
        return kept, self._archive(found, size)

    def _archive(self, found, size):
        head, left_out, tail = found
        data = head + ((CUT % left_out).encode("utf-8") if left_out else b"") + tail
        if self._file is None:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            self._file, self._new = open(self._path, "xb"), True
        with names.about(self._path):
            self._file.write(data)
        at, self._size = self._size, self._size + len(data)
        return [at, len(data), size]

    def sync(self):
        """Force what was kept to the disk, before records that tell of it."""
        if self._file is not None:
            with names.about(self._path):
                self._file.flush()
                os.fsync(self._file.fileno())
            for above in (os.path.dirname(self._path), self._run) if self._new else ():
                records.sync_folder(above)
            self._new = False

    def close(self):
        """Let go of the file."""
        if self._file is not None:
            self._file.close()


def read(run, record, stream):
    """Return what is kept of an attempt's `stdout` or `stderr`, in bytes: from the archive where that has more."""
    where = record.get("logs", {}).get(stream)
    if where:
        try:
            with open(os.path.join(run, names.LOGS, record["worker"] + ".log"), "rb") as archive:
                archive.seek(where[0])
                found = archive.read(where[1])
            if len(found) == where[1]:
                return found
        except OSError:
            pass  # it was taken away: the record holds both ends still
    return record[stream].encode("utf-8")
