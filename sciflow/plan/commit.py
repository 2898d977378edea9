"""A workflow's folder and its code -> the git commit it stood at, and whether the code was as in that commit."""

from __future__ import annotations

import os
import re
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
# Where there is an `@` that is none behind a user, it is not told at all: a part of a password might be.
REMOTE = re.compile(r"(?P<scheme>(?:https?|ssh|git)://)(?:[^/?#]*@)?(?P<place>[^@?#\s]+)(?:[?#][^@]*)?")
SHORT = re.compile(r"(?:[^@/:\s]+@)?(?P<place>[^@/:?#\s]+:(?!//)[^@:?#\s]+)")
"""`user@host:path`, as scp(1) writes places: its user is ssh's, and left out as in addresses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Commit:
    """A commit by its digest in hex; `clean`: every file of the code is in it with these very bytes.

    `remote` is where its repository is had from, without user and password; nothing of a place of this machine.
    """

    id: str
    clean: bool
    remote: str = ""

    @property
    def told(self) -> dict[str, str | bool]:
        """What is written of it, in lock and seal."""
        return {"commit": self.id, "clean": self.clean, **({"remote": self.remote} if self.remote else {})}


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
    # Not `git remote get-url`: that would put in what the user's own settings replace, secrets among it.
    remote = _said(folder, "config", "--get", "remote.origin.url") or ""
    return Commit(id=head.strip(), clean=clean, remote=bare(remote.strip()))


def bare(url: str) -> str:
    """Return the address of a repository without user, password and query; nothing of one that is a path."""
    match = REMOTE.fullmatch(url)
    if match:
        return match["scheme"] + match["place"]
    match = SHORT.fullmatch(url)
    return match["place"] if match else ""


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
