"""A workflow's folder and its code -> the git commit it stood at, and whether the code was as in that commit."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What a repository's own settings might have git run or write is left out.
WORDS = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false")
CHANGED = ("diff", "--no-ext-diff", "--no-textconv", "--name-only", "--relative", "-z", "HEAD", "--", ".")
TIMEOUT_S = 30


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit by its digest in hex; `clean`: every file of the code is in it with these very bytes."""

    id: str
    clean: bool


def of(folder: Path, code: Sequence[str]) -> Commit | None:
    """Ask git; nothing where there is none, no repository, or no commit yet. `code` are paths from the folder."""
    head = _said(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    tracked = _said(folder, "ls-files", "-z", "--", ".")
    changed = _said(
        folder, "diff", "--no-ext-diff", "--no-textconv", "--name-only", "--relative", "-z", "HEAD", "--", "."
    )
    if head is None or tracked is None or changed is None:
        return None
    clean = set(code) <= set(tracked.split("\0")) - set(changed.split("\0"))
    return Commit(id=head.strip(), clean=clean)


def _said(folder: Path, *words: str) -> str | None:
    try:
        found = subprocess.run(
            [*WORDS, "-C", str(folder), *words],
            env={**_environment(), "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.decode("utf-8", "surrogateescape") if found.returncode == 0 else None


def _environment() -> dict[str, str]:
    """Return the environment without what would have git look at another repository (`GIT_DIR`, inside a hook)."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
