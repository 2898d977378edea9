"""One attempt at a step: its working folder, its command, its outputs moved into place."""

import errno
import json
import math
import os
import shutil
import stat
import sys

from . import names, records

HOOK = "onexc" if sys.version_info >= (3, 12) else "onerror"  # shutil.rmtree renamed it
# The signal to checkpoint goes to all that a step started. The shell must not die of it before its command has written
# down where it is, and must not go on with the next command after one that stopped there.
WAITING = "trap 'sciflow_code=$?; [ $sciflow_code = 0 ] || exit $sciflow_code' %d\n%s"


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
        text = "".join(part if isinstance(part, str) else quoted(fill(part)) for part in parts)
        if task.get("checkpoint"):
            text = WAITING % (task["checkpoint"]["signal"], text)
        return ["/bin/sh", "-c", text]
    return ["".join([part if isinstance(part, str) else fill(part) for part in word]) for word in task["words"]]


def _pairs(pairs):
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _finite(text):
    return float(text) if math.isfinite(float(text)) else None  # 1e999 is infinite, too


_metrics = json.JSONDecoder(object_pairs_hook=_pairs, parse_float=_finite, parse_constant=lambda _: None).decode


def metrics(folder, name):
    """Read a step's metrics: a JSON object of scalars. NaN and infinities become null. Raises StepError."""
    try:
        found = _metrics(names.read_file(_regular(folder, name)).decode("utf-8"))
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


def _left(folder, name, kind):
    """Return the path of what a step left; "" where it is of another kind or lies elsewhere, None where nothing is.

    A folder on the way, or the working folder itself, may be a link that the step has laid to somewhere else.
    """
    path = folder
    try:
        for part in name.split("/"):
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                return ""
            path += "/" + part
        return path if kind(os.lstat(path).st_mode) else ""
    except OSError:
        return None


def _regular(folder, name):
    """Return the path of a file that a step left, in its folder. Raises StepError."""
    path = _left(folder, name, stat.S_ISREG)
    if not path:
        what = "was not written" if path is None else "is not a regular file in the step's folder"
        raise StepError("`%s` %s" % (name, what))
    return path


def _folder(folder, name):
    """Return the path of a folder that a step left, in its own. Raises StepError."""
    path = _left(folder, name.rstrip("/"), stat.S_ISDIR)
    if not path:
        what = "was not written" if path is None else "is not a folder in the step's folder"
        raise StepError("`%s` %s" % (name, what))
    return path


def stage(task, folder, staged, attempt):
    """Move a step's outputs aside, to `staged`/attempt, and hash them; return them for its record.

    Raises StepError for one that is missing, or is not what it was declared to be.
    """
    found = {}
    inner = staged + "/" + attempt
    for name, path in sorted(task["outputs"].items()):
        target = inner + "/" + path.rstrip("/")
        source = _folder(folder, path) if path.endswith("/") else _regular(folder, path)
        if not found:
            os.mkdir(staged)
            os.mkdir(inner)
        if "/" in path.rstrip("/"):
            os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(source, target)
        found[name] = hashed(target, path)
    return found


def hashed(target, path):
    """Return what a record says of an output at `target`; of a folder, the digest is that of {path in it: digest}."""
    if not path.endswith("/"):
        os.chmod(target, 0o644)
        digest, size = names.digest_file(target)
        return {"path": path, "sha256": digest, "size": size}
    files, total = {}, 0
    for name in _files(target):
        os.chmod(os.path.join(target, name), 0o644)
        files[name], size = names.digest_file(os.path.join(target, name))
        total += size
    if not files:
        raise StepError("the folder `%s` was left empty" % path)
    return {"path": path, "sha256": names.digest(files), "size": total, "files": len(files)}


def _files(folder, inside=""):
    """Yield the files of a folder of outputs, by their paths in it. Raises StepError for a link, a pipe, a device."""
    os.chmod(os.path.join(folder, inside), 0o755)  # noqa: S103  for others to read
    for name in sorted(os.listdir(os.path.join(folder, inside))):
        path = inside + "/" + name if inside else name
        mode = os.lstat(os.path.join(folder, path)).st_mode
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise StepError("a file among the outputs has a name that is no UTF-8: %r" % path)
        if stat.S_ISDIR(mode):
            for found in _files(folder, path):
                yield found
        elif stat.S_ISREG(mode):
            yield path
        else:
            raise StepError("`%s` among the outputs is neither a file nor a folder" % path)


def publish(run, task, step, staged, attempt):
    """Give a success its name, once: the first rename wins, and says True; every later one finds the name taken.

    rename(2) of a folder fails where a folder that is not empty stands; a published one never is. The folder in which
    the names stand is to be synced by the caller.
    """
    target = records.step_folder(run, task, step)
    for last in (False, True):
        try:
            os.rename(staged, target)
            break
        except OSError as error:
            if os.path.isdir(os.path.join(target, attempt)):
                break  # it was done: NFS asks again where an answer was lost, and tells of the second time
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            if error.errno != errno.ENOENT or last:
                raise
            # The task's first. Another worker may have made its folder by now: only a second try tells.
            os.makedirs(os.path.dirname(target), exist_ok=True)
    return True


def clear(path):
    """Remove a file, or a folder even where a step took away its permissions; another worker may be at it, too."""

    def again(remove, name, _):
        try:
            os.chmod(os.path.dirname(name), 0o700)
            if os.path.isdir(name) and not os.path.islink(name):
                os.chmod(name, 0o700)
                shutil.rmtree(name, ignore_errors=True)
            else:
                remove(name)
        except FileNotFoundError:
            pass

    try:
        facts = os.lstat(path)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(facts.st_mode):
            os.unlink(path)
        else:
            _remove(path, again)
    except FileNotFoundError:
        pass


def _remove(folder, failed):
    try:
        os.rmdir(folder)  # most are empty, and rmtree takes its time to see that
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        shutil.rmtree(folder, **{HOOK: failed})
