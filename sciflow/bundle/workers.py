"""The workers of a run, as each says itself what it is at: runs/<run>/work/*/owner.json and now.json -> Worker."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  part of what readers are given
from typing import Any

from sciflow.runner import facts, names
from sciflow.runner.owner import OWNER

STALE_S = 30.0  # a worker writes every few seconds: after so long without a word nothing is known of it
STREAMS = {"stdout": "out", "stderr": "err"}
MOST_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A step at work: since when (Unix seconds), and in what place of its worker its streams go (empty: not said)."""

    task: str
    step: int
    start: float
    attempt: str
    place: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker that has a folder: who it is, and what it said last, at `time` (Unix seconds; None: nothing yet).

    `gone`: its process is known to have ended. `busy_s`: core-seconds its steps had so far; `of`: steps it is to run.
    """

    name: str
    folder: Path
    host: str
    boot: str
    pid: int
    started: str
    here: bool
    gone: bool
    time: float | None = None
    since: float | None = None
    running: tuple[Attempt, ...] = ()
    cpus: int = 0
    busy_s: float = 0.0
    done: int = 0
    failed: int = 0
    of: int = 0

    def state(self, now: float) -> str:
        """Return `at work`, `gone`, or `silent`: it is not known to have ended, and has said nothing for long."""
        if self.gone:
            return "gone"
        if self.time is None:
            return "at work" if self.here else "silent"  # one of this machine is seen to live
        return "at work" if now - self.time <= STALE_S else "silent"


def read(run: Path) -> tuple[Worker, ...]:
    """Return the workers that have a folder in a run, by name. What is just being made or removed is left out."""
    try:
        folders = sorted(path for path in (run / names.WORK).iterdir() if path.is_dir())
    except OSError:
        return ()
    return tuple(found for found in map(_worker, folders) if found is not None)


def _worker(folder: Path) -> Worker | None:
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
        host, boot, pid, started = str(owner[0]), str(owner[1]), int(owner[2]), str(owner[3])
    except (OSError, ValueError, TypeError, IndexError, KeyError):
        return None
    here, gone = host == facts.owner()[0], bool(facts.gone([host, boot, pid, started]))
    known: dict[str, Any] = {
        "name": folder.name,
        "folder": folder,
        "host": host,
        "boot": boot,
        "pid": pid,
        "started": started,
    }
    try:
        told = _told(json.loads((folder / names.NOW).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, IndexError, KeyError, AttributeError):
        told = {}  # it has said nothing yet, or nothing that is understood here
    return Worker(**known, here=here, gone=gone, **told)


def _told(now: Any) -> dict[str, Any]:
    places = now.get("place") or {}
    running = tuple(
        Attempt(
            task=str(task), step=int(step), start=float(start), attempt=str(name), place=_plain(places.get(name, ""))
        )
        for task, step, start, name in now["running"]
    )
    numbers = {key: int(now.get(key) or 0) for key in ("cpus", "done", "failed", "of")}
    return {
        "time": float(now["time"]),
        "since": float(now["since"]),
        "running": running,
        "busy_s": float(now.get("busy_s") or 0),
        **numbers,
    }


def _plain(place: Any) -> str:
    """Return a place as one plain word, or nothing: it becomes part of a path."""
    text = str(place)
    return text if text and "/" not in text and "\0" not in text and not text.startswith(".") else ""


def printed(worker: Worker, attempt: Attempt, stream: str, offset: int = 0) -> bytes | None:
    """Return what an attempt at work has printed so far, from an offset on, at most a mebibyte; None: out of reach."""
    if not attempt.place:
        return None
    path = worker.folder / f"{attempt.place}.{STREAMS[stream]}"
    try:
        # A step may have laid a link or a pipe where its log was: neither is followed, nor waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            file.seek(offset)
            return file.read(MOST_BYTES)
    except OSError:
        return None
