"""What the cache holds, by last use, and room made in it: what nobody has used for long is taken away.

Last use is a file's time stamp: whoever is handed content sets it (`cache.held`, the runner's `box.claim`), and where
that is not allowed (another user's cache) the kernel's own note of the last reading serves. So the times decide no
result, only what is worth keeping, and what was taken away is fetched or built again by its digest.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciflow.containers import cache
from sciflow.runner import facts, step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CONTENT = re.compile(r"[0-9a-f]{64}")
UNFINISHED = "unfinished"
PYTHON = "python"  # an image's, lent to a host that has none; and where launch.sh puts it, under its image's digest
LENT = "image"  # the file in it that says so; its time stamp is the folder's last use
BEING_LENT = ".making-"
# Of a maker on another machine, or one whose name is not written yet, nothing is known: silence decides.
SILENT_S = 24 * 3600.0
# Who was killed before he wrote his name had not begun to work.
NAMELESS_S = 60.0

# Of what the first bytes tell (file(1)'s magic): where they stand, what they are, what that is.
MAGIC = (
    (0, b"hsqs", "squashfs"),
    (32, b"SIF_MAGIC", "sif"),
    (257, b"ustar", "tar"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"PK\x03\x04", "zip"),
    (0, b"{", "json"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing in the cache.

    `digest` is `sha256:<hex>`, of its bytes, or of the image that a Python was taken from; nothing for what is not
    finished. `kind` is what its first bytes tell, or nothing. `size` is in bytes, `used` in seconds since 1970.
    `bundles` are the names under which the caller knows it.
    """

    digest: str
    kind: str
    size: int
    used: float
    path: Path
    bundles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleared:
    """What was taken away, how many items stay, and what could not be taken away, each with the reason."""

    removed: tuple[Item, ...]
    kept: int
    refused: tuple[tuple[Item, str], ...] = ()

    @property
    def freed(self) -> int:
        """How many bytes that gives back."""
        return sum(item.size for item in self.removed)


def items(naming: Mapping[str, tuple[str, ...]] | None = None) -> list[Item]:
    """List what the cache holds, the last used first. `naming` gives the bundles that name a digest (in hex).

    Only what sciflow makes is listed, by place and name; all else that stands there is not seen, and never removed.
    Raises SurroundingsError if the cache cannot be read.
    """
    known = naming or {}
    try:
        found = [*_contents(known), *_lent(known), *_unfinished()]
    except OSError as error:
        raise cache.refused(error) from error
    return sorted(found, key=lambda item: (-item.used, item.digest, item.path))


def clear(older_s: float, *, dry_run: bool = False) -> Cleared:
    """Take away what nobody has used for `older_s` seconds, and the leftovers of makers that are gone.

    Safe while others pull, build and start boxes. Content is handed out by setting its time stamp; here a file is
    renamed away, its time is looked at once more, and one that was handed out meanwhile goes back under its name. A box
    that runs keeps its image open, and an open file stays readable until it is closed (over NFS only on the machine
    that removed it: there, leave `older_s` longer than your longest run). Whoever comes later finds content either
    whole or absent, and then fetches it again. A killed `clear` leaves what it had in hand as a leftover of its own.

    `dry_run` says what would go and removes nothing. Raises SurroundingsError if the cache cannot be read or written.
    """
    found = items()
    now = time.time()
    old = [item for item in found if _is_over(item, older_s, now)]
    if dry_run or not old:
        return Cleared(removed=tuple(old), kept=len(found) - len(old))
    removed, refused = [], []
    with cache.workshop() as bin_:
        for number, item in enumerate(old):
            try:
                if _taken(item, bin_ / str(number), older_s):
                    removed.append(item)
            except OSError as error:
                refused.append((item, error.strerror or str(error)))
    return Cleared(removed=tuple(removed), kept=len(found) - len(removed), refused=tuple(refused))


def _taken(item: Item, away: Path, older_s: float) -> bool:
    """Rename an item away and remove it, unless it was used since it was listed; say whether it is gone."""
    try:
        item.path.rename(away)
    except FileNotFoundError:
        return False  # another one was faster: it is theirs to count
    if item.kind == UNFINISHED:
        step.clear(str(away))
        return True
    if _used((away / LENT if item.kind == PYTHON else away).lstat()) > time.time() - older_s:
        away.replace(item.path)
        return False
    step.clear(str(away))
    return True


def _is_over(item: Item, older_s: float, now: float) -> bool:
    if item.kind != UNFINISHED:
        return item.used <= now - older_s
    maker = _maker(item.path)
    if maker is None and not (item.path / cache.WORK).exists():
        return item.used <= now - NAMELESS_S
    return facts.gone(maker) if maker and maker[0] == facts.owner()[0] else item.used <= now - max(older_s, SILENT_S)


def _maker(folder: Path) -> list[object] | None:
    """Return who makes something in a workshop, as `facts.owner` says it; nothing where that is not written."""
    try:
        found = json.loads((folder / cache.MAKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, list) and len(found) == len(facts.owner()) else None


def _used(facts_: os.stat_result) -> float:
    return max(facts_.st_mtime, facts_.st_atime)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _contents(known: Mapping[str, tuple[str, ...]]) -> Iterator[Item]:
    for path in _listed(cache.root() / "sha256"):
        try:
            about = path.lstat()
        except FileNotFoundError:
            continue  # it was cleared away this very moment
        if CONTENT.fullmatch(path.name) and stat.S_ISREG(about.st_mode):
            yield _named(path, known, kind=_kind(path), size=about.st_size, used=_used(about))


def _lent(known: Mapping[str, tuple[str, ...]]) -> Iterator[Item]:
    """List the Pythons that images have lent; a folder that does not say so is none."""
    for folder in _listed(cache.root() / PYTHON):
        try:
            used = _used((folder / LENT).lstat())
        except OSError:
            continue
        if CONTENT.fullmatch(folder.name) and not folder.is_symlink():
            yield _named(folder, known, kind=PYTHON, size=_weight(folder)[0], used=used)


def _named(path: Path, known: Mapping[str, tuple[str, ...]], *, kind: str, size: int, used: float) -> Item:
    """Return the item that stands under a digest."""
    bundles = known.get(path.name, ())
    return Item(digest=f"sha256:{path.name}", kind=kind, size=size, used=used, path=path, bundles=bundles)


def _kind(path: Path) -> str:
    """Tell a file's kind by its first bytes; nothing where they cannot be read without being noted as a use."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOATIME)
    except OSError:
        return ""
    with os.fdopen(opened, "rb") as stream:
        start = stream.read(512)
    return next((kind for at, what, kind in MAGIC if start[at : at + len(what)] == what), "")


def _unfinished() -> Iterator[Item]:
    """List workshops, and where a Python is being copied out of an image."""
    makings = [path for path in _listed(cache.root() / cache.MAKING) if path.name.startswith(cache.PREFIX)]
    lending = [path for path in _listed(cache.root() / PYTHON) if path.name.startswith(BEING_LENT)]
    for folder in [*makings, *lending]:
        if folder.is_dir() and not folder.is_symlink():
            size, newest = _weight(folder)
            yield Item(digest="", kind=UNFINISHED, size=size, used=newest, path=folder)


def _weight(folder: Path) -> tuple[int, float]:
    """Return the bytes of all files below a folder, and when anything in it last changed."""
    size, newest = 0, 0.0
    for here, _, files in os.walk(folder):
        for path in [here, *(os.path.join(here, name) for name in files)]:  # noqa: PTH118  os.walk gives texts
            try:
                about = os.lstat(path)
            except FileNotFoundError:
                continue  # its maker goes on meanwhile
            newest = max(newest, about.st_mtime)
            size += about.st_size if stat.S_ISREG(about.st_mode) else 0
    return size, newest
