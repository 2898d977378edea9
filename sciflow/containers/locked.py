"""One file of the workflow's folder -> its pin: path, digest, size, x bit."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciflow.errors import Fault, SurroundingsError, WorkflowError
from sciflow.runner import names, tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MAX_PATH = 512
"""Bytes of a file's path below the workflow's folder; a manifest lists paths of up to twice as many."""


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class LockedFile:
    """One file, by its path relative to what it belongs to; `executable` is the owner's x bit."""

    path: str
    sha256: str
    size: int
    executable: bool = False


def pin(path: Path, shown: str) -> LockedFile:
    """Pin one file. Its name must be one that a manifest may list, or the bundle could never be verified.

    Raises WorkflowError for another name, SurroundingsError for a file that cannot be read.
    """
    if not shown.isprintable() or "\\" in shown or len(shown.encode("utf-8", "surrogateescape")) > MAX_PATH:
        raise WorkflowError(
            [
                Fault(
                    file=tree.shown(str(path)),
                    text="its name cannot be carried in a bundle",
                    hint="rename it: printable characters, no backslash, not too long",
                )
            ]
        )
    try:
        sha256, size = names.digest_file(path)
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
    except OSError as error:
        raise SurroundingsError(f"`{path}`: {error.strerror}") from error
    return LockedFile(path=shown, sha256=sha256, size=size, executable=executable)


def by_path(files: Iterable[LockedFile]) -> dict[str, LockedFile]:
    """Return files by their paths."""
    return {file.path: file for file in files}


def moved(what: str, was: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """Say which of some named things are new, gone or changed, one a line, by name."""
    return [
        f"{what} `{name}`: {'new' if name not in was else 'gone' if name not in now else 'changed'}"
        for name in sorted(was.keys() | now.keys())
        if was.get(name) != now.get(name)
    ]
