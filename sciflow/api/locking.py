"""The lock beside a workflow: written, renewed piece by piece, and tried, by building its image once more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING

from sciflow.api.carrying import Say, silent
from sciflow.api.whole import replace
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sciflow.containers.alike import Likeness
    from sciflow.plan.lock import Lock
    from sciflow.workflow.spec import Workflow


@dataclass(frozen=True, kw_only=True, slots=True)
class Locked:
    """A lock file, and what changed in it, one fact a line; nothing for a new one."""

    path: Path
    changes: tuple[str, ...]


def lock(file: Path, *, update: Sequence[str] | bool = False, offline: bool = False, say: Say = silent) -> Locked:
    """Pin what a workflow file depends on, and write `workflow.lock` beside it; nothing is compiled.

    What is pinned and still fits stays. `update`: ask anew for all of it, or for the pieces named: `image`, `python`
    (all wheels), a wheel, an input that has a url. `offline`: reach for no network.
    Raises WorkflowError, UsageError for a piece that is none, SurroundingsError.
    """
    from sciflow.api import making

    workflow = making.read(file)
    changes = pin(workflow, file, update=update, locked=False, offline=offline, say=say)[1]
    return Locked(path=file.with_name(names.LOCK), changes=changes)


def pin(
    workflow: Workflow, file: Path, *, update: Sequence[str] | bool, locked: bool, offline: bool, say: Say
) -> tuple[Lock, tuple[str, ...]]:
    """Return the lock that fits, and what changed; the lock file is written where it did not say so already."""
    from sciflow.plan import changes, lock, lockfile

    place = file.with_name(names.LOCK)
    try:
        old = lockfile.read(place)
    except SurroundingsError:
        if update is not True:
            raise
        old = None
    if locked and old is None:
        raise SurroundingsError(
            f"`{place}` does not exist, and --locked resolves nothing", hint="compile once without --locked"
        )
    if locked and old is not None:
        wrong = lock.misfits(workflow, file.parent, old)
        if wrong:
            raise SurroundingsError(
                f"`{place}` no longer fits:\n  " + "\n  ".join(wrong), hint="compile without --locked to write it anew"
            )
        return old, ()
    wanted = lock.ALL if update is True else frozenset(update or ())
    for name in sorted(wanted - lock.ALL - lock.pieces(workflow, old)):
        known = ", ".join(f"`{piece}`" for piece in sorted(lock.pieces(workflow, old))) or "none"
        raise UsageError(f"the lock has no piece `{name}` to be asked for anew", hint=f"such pieces are: {known}")
    new = lock.resolve(workflow, file.parent, old, update=wanted, offline=offline, progress=say)
    changed = tuple(changes.between(old or lock.Lock(), new))
    if old != new:
        replace(place, lockfile.text(new))
    return new, changed if old else ()


def lock_check(file: Path, *, say: Say = silent) -> Likeness:
    """Build the image of a workflow's lock once more, of the very pieces it names, and compare the trees.

    Raises UsageError where there is nothing to be built, SurroundingsError where it cannot be.
    """
    from sciflow.containers import pinning
    from sciflow.plan import lockfile

    place = file.with_name(names.LOCK)
    pinned = lockfile.read(place)
    if pinned is None or pinned.image is None:
        raise UsageError(
            f"`{place}` pins no image", hint="`sciflow lock` writes it; a workflow without [image] has none"
        )
    return pinning.check(pinned.image, folder=file.parent, progress=say)
