"""The processes that descend from the tests' own: whoever loses its parent becomes a child of the tests (prctl(2))."""

import contextlib
import ctypes
import os
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


@contextlib.contextmanager
def adopting():
    """Take in every descendant whose parent ends, so that none is lost sight of."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
    try:
        yield
    finally:
        libc.prctl(PR_SET_CHILD_SUBREAPER, 0)


def descendants(known=frozenset()):
    """Return {pid: its words} of all that live and descend from this process, but for those `known`; ended ones are buried."""
    parents, lives = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (place / "stat").read_text().rpartition(")")[2].split()[:2]
            parents[int(place.name)] = int(parent)
            if state not in "ZX":
                words = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                lives[int(place.name)] = words or (place / "comm").read_text().strip()
            elif int(parent) == os.getpid() and int(place.name) not in known:
                os.waitpid(int(place.name), os.WNOHANG)
    return {pid: words for pid, words in lives.items() if pid not in known and _descends(pid, parents)}


def _descends(pid, parents):
    while pid in parents:
        pid = parents[pid]
        if pid == os.getpid():
            return True
    return False


def outlived(seconds, known=frozenset()):
    """Wait until all descendants have ended; return how long that took, in seconds, and those that still live."""
    begun = time.monotonic()
    while (left := descendants(known)) and time.monotonic() < begun + seconds:
        time.sleep(0.05)
    return time.monotonic() - begun, left
