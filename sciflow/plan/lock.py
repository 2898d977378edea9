"""Pin everything a sweep depends on: a workflow and its folder in, a Lock out; what no longer fits is named."""

from __future__ import annotations

import datetime as dt
import os
import zoneinfo
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow import containers
from sciflow.containers import cache, locked
from sciflow.containers.image import IMAGE, PYTHON
from sciflow.containers.locked import LockedFile
from sciflow.errors import Fault, SurroundingsError, WorkflowError
from sciflow.plan import changes, commit
from sciflow.runner import hours, names
from sciflow.workflow import code
from sciflow.workflow.spec import Input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sciflow.containers.image import PinnedImage
    from sciflow.plan.commit import Commit
    from sciflow.workflow.spec import Code, Schedule, Workflow

FIRST_YEAR, LAST_YEAR = 2020, hours.LAST_YEAR
"""The zone's offsets are frozen over these years, the same whenever a workflow is locked."""
HOUR_S = 3600
NOTHING: frozenset[str] = frozenset()
ALL = frozenset({"*"})


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedInput:
    """An input and its files: one, named as it is, or those of a folder, below its name."""

    name: str
    path: str
    """Relative to the workflow's folder; of what comes from a `url`, the file's name there."""
    files: tuple[LockedFile, ...]
    url: str = ""

    @property
    def sha256(self) -> str:
        """The digest of the file, or of a folder's list of files."""
        if len(self.files) == 1 and self.files[0].path == Path(self.path).name:
            return self.files[0].sha256
        return str(names.digest([[file.path, file.sha256] for file in self.files]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """Every pin of a sweep. `transitions` are the time zone's, as (UTC second, offset in seconds).

    `commit` is where the code stood when it was pinned; it decides nothing.
    """

    image: PinnedImage | None = None
    code: tuple[LockedFile, ...] = ()
    commit: Commit | None = None
    inputs: tuple[LockedInput, ...] = ()
    timezone: str = "UTC"
    transitions: tuple[tuple[int, int], ...] = ()

    @property
    def code_digest(self) -> str:
        """The digest of all code: paths, contents, x bits."""
        return str(names.digest([[file.path, file.sha256, file.executable] for file in self.code]))


def _linked(path: Path, why: str, hint: str) -> WorkflowError:
    return WorkflowError([Fault(file=str(path), text=f"is a link{why}", hint=hint)])


def _unreadable(error: OSError) -> None:
    raise SurroundingsError(f"`{error.filename}`: {error.strerror}") from error


def _below(folder: Path) -> Iterator[Path]:
    """Yield every file and every link below a folder. Raises SurroundingsError for a folder that cannot be listed."""
    for root, folders, files in os.walk(folder, onerror=_unreadable):
        for name in [*files, *(name for name in folders if (Path(root) / name).is_symlink())]:
            yield Path(root) / name


def _code(chosen: Code, folder: Path) -> tuple[LockedFile, ...]:
    found: dict[str, LockedFile] = {}
    for path in code.files(chosen, folder):
        shown = path.relative_to(folder)
        for part in (path, *(folder / above for above in shown.parents)):
            if part != folder and part.is_symlink():
                hint = "put the file itself there, or leave it out with `exclude`"
                raise _linked(part, "; code is carried as plain files", hint)
        if path.is_file():
            found[shown.as_posix()] = locked.pin(path, shown.as_posix())
    return tuple(found[path] for path in sorted(found))


def _input(entry: Input, folder: Path, old: Lock | None) -> LockedInput | None:
    if entry.url:
        known = next((one for one in (old.inputs if old else ()) if one.name == entry.name), None)
        fits = known and known.url == entry.url and entry.sha256 in {"", known.sha256}
        return known if fits else None
    name, where = entry.name, folder / entry.path
    if where.is_dir():
        files = []
        for file in _below(where):
            if file.is_symlink():
                raise _linked(file, f", inside the input `{name}`", "put the file itself there")
            if not file.is_file():
                text = f"is no regular file, inside the input `{name}`"
                raise WorkflowError([Fault(file=str(file), text=text, hint="take it out of that folder")])
            files.append(locked.pin(file, f"{where.name}/{file.relative_to(where).as_posix()}"))
        return LockedInput(name=name, path=entry.path, files=tuple(sorted(files, key=lambda file: file.path)))
    return LockedInput(name=name, path=entry.path, files=(replace(locked.pin(where, where.name), executable=False),))


def transitions(timezone: str) -> tuple[tuple[int, int], ...]:
    """Return a zone's offsets over the frozen years, as (UTC second from which, offset in seconds), ascending."""
    zone = zoneinfo.ZoneInfo(timezone)

    def offset(instant: int) -> int:
        shift = dt.datetime.fromtimestamp(instant, zone).utcoffset()
        return int(shift.total_seconds()) if shift is not None else 0

    start = int(dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
    end = int(dt.datetime(LAST_YEAR, 1, 1, tzinfo=dt.UTC).timestamp())
    found = [(start, offset(start))]
    week = 7 * 24 * HOUR_S  # no zone changes its offset twice within a week
    for monday in range(start, end, week):
        low, high = monday, monday + week
        if offset(high) != found[-1][1]:
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if offset(middle) != found[-1][1] else (middle, high)
            found.append((high, offset(high)))
    return tuple(found)


def _zone(schedule: Schedule, old: Lock | None) -> tuple[str, tuple[tuple[int, int], ...]]:
    if schedule.policy == "now":
        return "UTC", ()
    if old and old.timezone == schedule.timezone and old.transitions:
        return old.timezone, old.transitions
    return schedule.timezone, transitions(schedule.timezone)


def resolve(
    workflow: Workflow,
    folder: Path,
    old: Lock | None,
    *,
    update: frozenset[str] = NOTHING,
    offline: bool = False,
    progress: Callable[[str], None],
) -> Lock:
    """Pin a workflow. What `old` pins is kept while it fits and no `update` of it is asked for.

    `update` holds names out of `pieces`, or `*` for all.
    Raises SurroundingsError where something has to be resolved and cannot be (`offline`, a registry that is down).
    """
    pinned = None
    if workflow.image is not None:
        pinned = old.image if old else None
        asked = update & {*ALL, *_pieces_of_image(pinned)}
        if asked or pinned is None or not containers.fits(workflow.image, pinned, folder=folder):
            # It brings along what builds images, which a lock that fits has no use for.
            from sciflow.containers import pinning  # noqa: PLC0415

            pinned = pinning.resolve(
                workflow.image, folder=folder, progress=progress, offline=offline, old=pinned, update=asked
            )
    found = files(workflow, folder, None if update >= ALL else old)
    inputs = _inputs(workflow.inputs, found.inputs, update, offline=offline, progress=progress)
    return replace(found, image=pinned, inputs=inputs)


def misfits(workflow: Workflow, folder: Path, old: Lock) -> list[str]:
    """Say what of a lock is not what the workflow and its folder ask for now, one fact a line. Nothing is resolved."""
    lines = []
    if workflow.image and old.image:
        lines += containers.misfits(workflow.image, old.image, folder)
    elif workflow.image or old.image:
        lines.append("image: none is pinned" if workflow.image else "image: none is asked for")
    now = files(workflow, folder, old)
    known = {entry.name for entry in now.inputs}
    lines += [f"input `{entry.name}`: not pinned" for entry in workflow.inputs if entry.name not in known]
    was = replace(old, inputs=tuple(entry for entry in old.inputs if entry.name in known), image=None)
    return lines + changes.between(was, now)


def pieces(workflow: Workflow, old: Lock | None) -> set[str]:
    """Return the names of what can be asked for anew: the image, its wheels, all or each, and inputs from elsewhere."""
    image = _pieces_of_image(old.image if old else None) if workflow.image else set()
    return image | {entry.name for entry in workflow.inputs if entry.url}


def _pieces_of_image(pinned: PinnedImage | None) -> set[str]:
    wheels = {wheel.name for wheel in pinned.wheels} if pinned else set()
    return {IMAGE} | ({PYTHON, *wheels} if wheels else set())


def _inputs(
    asked: Sequence[Input],
    known: Sequence[LockedInput],
    update: frozenset[str],
    *,
    offline: bool,
    progress: Callable[[str], None],
) -> tuple[LockedInput, ...]:
    """Pin the inputs that come from elsewhere and are not pinned yet, or are to be asked for again."""
    by_name = {entry.name: entry for entry in known}
    for entry in asked:
        if entry.url and (entry.name not in by_name or entry.name in update):
            if offline:
                raise SurroundingsError(
                    f"the input `{entry.name}` is not pinned yet, and that needs the network",
                    hint="compile once without `--offline`; after that the lock is enough",
                )
            by_name[entry.name] = _fetched(entry, progress)
    return tuple(by_name[entry.name] for entry in asked)


def _fetched(entry: Input, progress: Callable[[str], None]) -> LockedInput:
    # It brings http and ssl along, which no other input has a use for.
    from sciflow.containers import download  # noqa: PLC0415

    digest, path = download.fetch(entry.url, sha256=entry.sha256, what=f"the input `{entry.name}`", progress=progress)
    file = LockedFile(path=entry.path, sha256=digest.removeprefix("sha256:"), size=path.stat().st_size)
    return LockedInput(name=entry.name, path=entry.path, url=download.bare(entry.url), files=(file,))


def gather(lock: Lock, *, offline: bool, progress: Callable[[str], None]) -> None:
    """Have every input that comes from elsewhere in the cache, with the very bytes that are pinned.

    Raises SurroundingsError where they cannot be had any more.
    """
    for entry in lock.inputs:
        if not entry.url or cache.held(f"sha256:{entry.sha256}"):
            continue
        if offline:
            raise SurroundingsError(
                f"the input `{entry.name}` (sha256:{entry.sha256}) is not in the cache, and that needs the network",
                hint="compile once without `--offline`",
            )
        _fetched(Input(name=entry.name, path=entry.path, url=entry.url, sha256=entry.sha256), progress)


def files(workflow: Workflow, folder: Path, old: Lock | None = None) -> Lock:
    """Pin what stands in the workflow's folder, and the time zone; the image is left out.

    Of what comes from elsewhere, only what `old` pins and still fits is in it.
    """
    zone, shifts = _zone(workflow.schedule, old)
    found = _code(workflow.code, folder)
    inputs = (_input(entry, folder, old) for entry in workflow.inputs)
    return Lock(
        code=found,
        commit=old.commit if old and old.code == found else commit.of(folder, [file.path for file in found]),
        inputs=tuple(entry for entry in inputs if entry),
        timezone=zone,
        transitions=shifts,
    )
