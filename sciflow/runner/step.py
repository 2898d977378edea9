"""One attempt at a step: its working folder, its command, its outputs moved into place."""

import errno
import json
import math
import os
import shutil
import stat
import sys

from . import names, records

LOG_BYTES = 16384  # of each stream, head and tail, that a record keeps
CUT = "\n… %d bytes left out …\n"
HOOK = "onexc" if sys.version_info >= (3, 12) else "onerror"  # shutil.rmtree renamed it


class StepError(Exception):
    """The step ended well, but what it left is not what its task declares; the text says what."""


def rendered(part, values):
    """Write a value as a command shows it: numbers as Python's repr, so that they read back; truth in lower case.

    A value that is not there at this point is the empty text.
    """
    value = values[part]
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def quoted(text):
    """Quote one word for a POSIX shell."""
    return "'" + text.replace("'", "'\"'\"'") + "'"


def command(task, fill):
    """Return a step's argv. `fill` turns a placeholder (a dict of the plan) into text, in a shell text one word."""
    if task["shell"]:
        (parts,) = task["words"]
        return ["/bin/sh", "-c", "".join(part if isinstance(part, str) else quoted(fill(part)) for part in parts)]
    return ["".join(part if isinstance(part, str) else fill(part) for part in word) for word in task["words"]]


def kept(path):
    """Return what a record keeps of a log: all of it when short, else its head and tail and how much is left out."""
    try:
        # A step may have laid a link or a pipe where its log was: neither is followed, nor waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size <= LOG_BYTES:
                return stream.read().decode("utf-8", "replace")
            head = stream.read(LOG_BYTES // 2)
            stream.seek(size - LOG_BYTES // 2)
            tail = stream.read()
    except OSError:
        return ""
    return head.decode("utf-8", "replace") + CUT % (size - LOG_BYTES) + tail.decode("utf-8", "replace")


def _pairs(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def metrics(folder, name):
    """Read a step's metrics: a JSON object of scalars. NaN and infinities become null. Raises StepError."""

    def finite(text):
        return float(text) if math.isfinite(float(text)) else None  # 1e999 is infinite, too

    try:
        with open(_regular(folder, name), encoding="utf-8") as stream:
            found = json.load(stream, object_pairs_hook=_pairs, parse_float=finite, parse_constant=lambda _: None)
            names.canonical(found).encode("utf-8")  # an escape may stand for half a character, which no record can hold
    except (ValueError, RecursionError) as error:
        raise StepError("the metrics file `%s` is not JSON: %s" % (name, error))
    if not isinstance(found, dict):
        raise StepError("the metrics file `%s` holds no JSON object" % name)
    for key, value in found.items():
        if isinstance(value, (dict, list)):
            raise StepError("the metric `%s` in `%s` is no single value" % (key, name))
        if isinstance(value, int) and not -records.LARGEST <= value < records.LARGEST:
            raise StepError("the metric `%s` in `%s` is an integer of more than 64 bits" % (key, name))
    return found


def _regular(folder, name):
    """Return the path of a file that a step left, having seen that it is one, and in that folder. Raises StepError."""
    path = os.path.join(folder, name)
    try:
        facts = os.lstat(path)
    except OSError:
        raise StepError("`%s` was not written" % name)
    # A folder on the way, or the working folder itself, may be a link that the step has laid to somewhere else.
    where = os.path.join(os.path.realpath(os.path.dirname(folder)), os.path.basename(folder), name)
    if not stat.S_ISREG(facts.st_mode) or os.path.realpath(path) != where:
        raise StepError("`%s` is not a regular file in the step's folder" % name)
    return path


def stage(task, folder, staged, attempt):
    """Move a step's outputs aside, to `staged`/attempt, hashed and forced to the disk; return them for its record.

    Raises StepError for one that is missing, or that is a link or a folder.
    """
    found = {}
    inner = os.path.join(staged, attempt)
    for name, path in sorted(task["outputs"].items()):
        source, target = _regular(folder, path), os.path.join(inner, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(source, target)
        os.chmod(target, 0o644)
        digest, size = names.digest_file(target)
        descriptor = os.open(target, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        found[name] = {"path": path, "sha256": digest, "size": size}
    if found:
        records.sync_folder(inner)
    return found


def publish(run, task, step, staged):
    """Give a success its name, once: the first rename wins, and says True; every later one finds the name taken.

    rename(2) of a folder fails where a folder that is not empty stands; a published one never is.
    """
    target = records.step_folder(run, task, step)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    try:
        os.rename(staged, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    records.sync_folder(os.path.dirname(target))
    return True


def lay_out(folder, code, entries):
    """Make a step's working folder, with a link for each top-level entry of the code (`code`: its path in the box)."""
    os.mkdir(folder)
    for entry in entries:
        os.symlink(code + "/" + entry, os.path.join(folder, entry))


def clear(path):
    """Remove a folder of an attempt, even where the step took away its own permissions."""

    def again(remove, name, _):
        os.chmod(os.path.dirname(name), 0o700)
        if os.path.isdir(name) and not os.path.islink(name):
            os.chmod(name, 0o700)
            shutil.rmtree(name, ignore_errors=True)
        else:
            remove(name)

    if os.path.lexists(path):
        shutil.rmtree(path, **{HOOK: again})
