"""Another program's words -> the program on a leash: when this process ends, however it does, all of that ends too.

A killed process tells nobody, and what it had begun to build would go on for an hour with nobody to take it. So a small
process stands between, with one end of a pipe whose other end closes with this process. Whatever the program starts
stays below it, even what leaves its session (PR_SET_CHILD_SUBREAPER, prctl(2)), and so it finds them all.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

GRACE_S = 15.0
"""How long a program that was asked to end may take to clear away what it has made."""
PAUSE_S = 0.02
GOES = 100  # of killing: who forks meanwhile is met the next time
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
NOT_FOUND, BY_SIGNAL = 127, 128  # as shells have it (sh(1))


@contextlib.contextmanager
def held(grace_s: float = GRACE_S) -> Iterator[tuple[list[str], tuple[int, ...]]]:
    """Give what to put before a program's words, and the descriptors to pass on (`pass_fds`); hold the leash meanwhile.

    With no grace a program is killed at once.
    """
    reading, writing = os.pipe()
    try:
        yield [sys.executable, "-I", "-S", __file__, str(reading), str(grace_s)], (reading,)
    finally:
        os.close(writing)
        os.close(reading)


def run(words: Sequence[str], **more: Any) -> subprocess.CompletedProcess[str]:
    """Run a program on a leash, as `subprocess.run` does, and return what it said as text.

    Raises FileNotFoundError, with its name, where it is not on PATH.
    """
    if shutil.which(words[0], path=more.get("env", os.environ).get("PATH")) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    with held() as (ahead, descriptors):
        return subprocess.run(
            [*ahead, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            pass_fds=descriptors,
            **more,
        )


def watch(leash: int, grace_s: float, words: list[str]) -> int:
    """Run the words, and return their exit code; end all of it once the leash is let go, or this process asked to end.

    The whole life of the process between.
    """
    # The program is to have the descriptors that it would have by itself: apt hands one on by its number to dash, which
    # knows none above nine.
    os.set_inheritable(leash, False)  # noqa: FBT003 - its only form
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, waking = os.pipe()
    os.set_blocking(waking, False)
    signal.set_wakeup_fd(waking)
    asked: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)  # of a terminal: the program gets it too, and this process's maker
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    child = os.fork()
    if not child:
        # Should somebody kill the process between, too.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM if grace_s else signal.SIGKILL)
        _become(words)
    ended = None
    while ended is None and not asked:
        ready = select.select([leash, woken], [], [])[0]
        if leash in ready:
            break
        os.read(woken, 1 << 10)
        ended = _buried(child)
    return _end(child, grace_s) if ended is None else ended


def _become(words: list[str]) -> None:
    """Become the program. Python ignores these two signals, and nobody else expects that."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(words[0], words)  # noqa: S606 - no shell is wanted
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(NOT_FOUND)


def _buried(child: int) -> int | None:
    """Take note of all that ended; return the exit code of `child` if it is among them."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return found
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                found = code if code >= 0 else BY_SIGNAL - code
    return found


def _end(child: int, grace_s: float) -> int:
    """End all that descends from this process: asked first, if there is grace, and killed then."""
    if grace_s:
        _signal(signal.SIGTERM)
    end = time.monotonic() + grace_s
    while _descendants() and time.monotonic() < end:
        time.sleep(PAUSE_S)
        _buried(child)
    for _ in range(GOES):
        _signal(signal.SIGKILL)
        _buried(child)
        if not _descendants():
            break
        time.sleep(PAUSE_S)
    return BY_SIGNAL + signal.SIGTERM


def _signal(number: int) -> None:
    for pid in _descendants():
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _descendants() -> set[int]:
    """Return who descends from this process (proc(5), stat: the fourth field is the parent)."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(place.parent.name)] = int(place.read_bytes().rpartition(b")")[2].split()[1])
    found, before = {os.getpid()}, 0
    while len(found) > before:
        before = len(found)
        found |= {pid for pid, parent in parents.items() if parent in found}
    return found - {os.getpid()}


if __name__ == "__main__":
    sys.exit(watch(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
