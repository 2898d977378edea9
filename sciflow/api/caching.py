"""The cache of images and other content that bundles on this machine share: what it holds, and room made in it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sciflow.containers.stock import Cleared, Item

UNUSED_DAYS = 30.0
DAY_S = 86400
DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def cache_ls(below: Path | None = None) -> list[Item]:
    """List what the cache holds, the last used first; with `below`, which bundles in that folder name it.

    A bundle names what its plan or its lock says by digest. Raises SurroundingsError.
    """
    from sciflow.containers import stock

    return stock.items(_naming(below) if below else None)


def cache_gc(*, older_days: float = UNUSED_DAYS, dry_run: bool = False) -> Cleared:
    """Take away what nobody used for so many days, and what makers that were killed left; safe beside running ones.

    With `dry_run` nothing is removed. Raises SurroundingsError.
    """
    from sciflow.containers import stock

    return stock.clear(older_days * DAY_S, dry_run=dry_run)


def _naming(below: Path) -> dict[str, tuple[str, ...]]:
    """Return the bundles that name a digest, by its hex, sorted."""
    found: dict[str, set[str]] = {}
    for bundle in _bundles(below):
        for name in (names.PLAN, names.LOCK):
            for digest in DIGEST.findall((bundle / name).read_text(encoding="utf-8", errors="replace")):
                found.setdefault(digest, set()).add(str(bundle))
    return {digest: tuple(sorted(bundles)) for digest, bundles in found.items()}


def _bundles(below: Path) -> Iterator[Path]:
    """Find bundles below a folder, or the folder itself; none is looked for inside a bundle."""
    if not below.is_dir():
        raise SurroundingsError(f"`{below}` is not a folder", hint="name the folder that your bundles lie in")
    for here, folders, files in os.walk(below):
        if {names.MANIFEST, names.PLAN, names.LOCK} <= set(files):
            folders.clear()
            yield Path(here)
