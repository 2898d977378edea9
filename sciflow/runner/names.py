"""The words that compiler, runner and reader must agree on: file names, exit codes, canonical JSON, digests."""

import binascii
import functools
import hashlib
import json
import math
import os

FORMAT = 1

# Exit codes, the same for the command line, the runner and verify.py (DESIGN §7).
EXIT_OK = 0
EXIT_NO = 1  # the answer is no: a replay or a diff differs
EXIT_WORDS = 2  # the words of the command, or the workflow
EXIT_SURROUNDINGS = 3  # engine, registry, lock, permission, space
EXIT_CHANGED = 4  # the bundle is not what was sealed
EXIT_INCOMPLETE = 5  # a step failed, was skipped, or has no record
EXIT_UNTRUSTED = 6  # no seal by a trusted key
EXIT_FAULT = 70  # a fault of sciflow's own
EXIT_LATER = 75  # outside hours, or stopped in good order: start again to go on
EXIT_INTERRUPTED = 130

# A bundle's files.
MANIFEST = "manifest.json"
PLAN = "plan.json"
POINTS = "points.jsonl"
POINTS_INDEX = "points.idx"
WORKFLOW = "workflow.toml"
LOCK = "workflow.lock"
RUNNER = "runner"
CODE = "code"
INPUTS = "inputs"
SEALS = "seals"
CARRIED = "carried"
IMAGE_FILES = "container/files"  # what of the workflow's folder its image is made of
RUNS = "runs"
LAUNCHER = "launch.sh"
VERIFIER = "verify.py"

# A run's files, below runs/<run>/.
SEGMENTS = "segments"
OUTPUTS = "outputs"
WORK = "work"
CHECKPOINTS = "checkpoints"
ROUNDS = "rounds"
LOGS = "logs"
PACKAGES = "packages"
LAUNCHED = "launched.json"  # when a run was first launched, where there is a `max_wait`
CRON = "cron.json"  # until when cron's calls are to do nothing
CANCEL = "cancel"  # where this file stands, every worker of the run stops in good order
NOW = "now.json"  # what a worker is at, in its folder below work/, written anew every few seconds
DEFAULT_RUN = "main"

# What a task that is a Python function leaves in its working folder.
RESULT = "result"  # the output, and its file, that holds the function's value
METRICS = "metrics.json"  # unless the task says otherwise

# States of a record.
DONE = "done"
FAILED = "failed"
MEMORY = "memory"
TIME = "time"
NODE = "node"
SKIPPED = "skipped"
INTERRUPTED = "interrupted"
SUPERSEDED = "superseded"

LONGEST_RUN = 128  # bytes of a run's name; a folder's may have 255


def run_refusal(name):
    """Say why a run cannot have a name, or nothing. It is a folder's, and stands in commands and scripts."""
    if not name or "/" in name or name[0] in ".-" or not name.isprintable():
        return "a run's name is one plain word, with no `/` in it and no `.` or `-` before it, not `%s`" % name
    if len(name.encode("utf-8")) > LONGEST_RUN:
        return "a run's name has at most %d bytes, and `%s` has %d" % (LONGEST_RUN, name, len(name.encode("utf-8")))
    return ""


_quoted = json.encoder.encode_basestring  # as json.dumps with ensure_ascii=False, without what that asks first

ES6_MIN_POSITIONAL = -6  # ECMA-262 §6.1.6.1.20, Number::toString: below 1e-6 the exponent form begins,
ES6_MAX_POSITIONAL = 21  # and from 1e21 on


def number(value):
    """Write a finite float as RFC 8785 §3.2.2.3 wants it: the way ECMAScript does.

    `repr` gives the same shortest digits (both are round-trip shortest); only their layout differs.
    """
    if not math.isfinite(value):
        raise ValueError("not a finite number: %r" % value)
    if value == 0:
        return "0"
    text = repr(value)
    if "e" not in text:  # most are laid out alike
        return text[:-2] if text.endswith(".0") else text
    sign, text = ("-", repr(-value)) if value < 0 else ("", repr(value))
    mantissa, _, exponent = text.partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= ES6_MAX_POSITIONAL:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= ES6_MAX_POSITIONAL:
        return sign + digits[:point] + "." + digits[point:]
    if ES6_MIN_POSITIONAL < point <= 0:
        return sign + "0." + "0" * -point + digits
    power = point - 1
    return "%s%s%se%s%d" % (
        sign,
        digits[0],
        "." + digits[1:] if len(digits) > 1 else "",
        "+" if power > 0 else "-",
        abs(power),
    )


@functools.lru_cache(256)
def _layout(keys):
    """Return an object's keys in order, and its text with `%s` for each value. Records are many, and all alike."""
    # §3.2.3: keys are sorted by their UTF-16 code units.
    keys = sorted(keys, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return keys, "{" + ",".join([_quoted(key).replace("%", "%%") + ":%s" for key in keys]) + "}"


def canonical(value):
    """Write a JSON value in the one canonical form (RFC 8785), as text. Integers are written whole, of any size."""
    write = _WRITERS.get(type(value))
    if write is not None:
        return write(value)
    if isinstance(value, (list, tuple)):
        return _array(value)
    if isinstance(value, str):
        return _quoted(str(value))
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return number(float(value))
    return canonical(dict(value))


def _object(value):
    keys, text = _layout(tuple(value))
    return text % tuple([_WRITERS.get(type(value[key]), canonical)(value[key]) for key in keys])


def _array(value):
    return "[" + ",".join([_WRITERS.get(type(item), canonical)(item) for item in value]) + "]"


_WRITERS = {  # by the very type: of each value it spares asking what it is
    str: _quoted,
    dict: _object,
    int: int.__repr__,
    float: number,
    bool: {True: "true", False: "false"}.get,
    type(None): {None: "null"}.get,
    list: _array,
    tuple: _array,
}


def digest(data):
    """Return the SHA-256 of bytes, or of a value's canonical form, in hex."""
    if not isinstance(data, bytes):
        data = canonical(data).encode("utf-8")
    return hashlib.sha256(data).hexdigest()


class about(object):  # noqa: N801  a word of a `with`
    """Have an error of the system tell of the path that it is about, where the call was on an open file."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        """Begin."""

    def __exit__(self, _, error, __):
        """Name the path; the error goes on."""
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self._path


def _pieces(path):
    """Yield a file's content in pieces of a mebibyte."""
    with about(path):
        descriptor = os.open(path, os.O_RDONLY)  # most are small, and open(path) asks more than it reads
        try:
            for piece in iter(lambda: os.read(descriptor, 1 << 20), b""):
                yield piece
        finally:
            os.close(descriptor)


def read_file(path):
    """Return a file's content."""
    return b"".join(_pieces(path))


def digest_file(path):
    """Return (SHA-256 in hex, size in bytes) of a file."""
    sha, size = hashlib.sha256(), 0
    for piece in _pieces(path):
        sha.update(piece)
        size += len(piece)
    return sha.hexdigest(), size


def token():
    """Return a random name: of a worker, of an attempt."""
    return binascii.hexlify(os.urandom(8)).decode("ascii")


def cache():
    """Return the folder in which images and other verified content are kept, by digest, between bundles."""
    chosen = os.environ.get("SCIFLOW_CACHE")
    if chosen:
        return os.path.abspath(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "sciflow")
