"""Pin everything a sweep depends on: a workflow and its folder in, a Lock out, and the lock as a file.

The lock (`workflow.lock`, TOML) is reused while it fits; what no longer fits is named piece by piece.
"""

from __future__ import annotations

import datetime as dt
import os
import tomllib
import zoneinfo
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow import containers
from sciflow.containers import locked
from sciflow.containers.image import Package, PinnedImage
from sciflow.containers.locked import LockedFile
from sciflow.errors import Fault, SurroundingsError, WorkflowError
from sciflow.runner import names
from sciflow.workflow import code, draft

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sciflow.workflow.spec import Code, Schedule, Workflow

FORMAT = 1
FIRST_YEAR, LAST_YEAR = 2020, 2060
"""The zone's offsets are frozen over these years, the same whenever a workflow is locked."""
HOUR_S = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedInput:
    """An input and its files: one, named as it is, or those of a folder, below its name."""

    name: str
    path: str
    """Relative to the workflow's folder."""
    files: tuple[LockedFile, ...]

    @property
    def sha256(self) -> str:
        """The digest of the file, or of a folder's list of files."""
        if len(self.files) == 1 and self.files[0].path == Path(self.path).name:
            return self.files[0].sha256
        return str(names.digest([[file.path, file.sha256] for file in self.files]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Lock:
    """Every pin of a sweep. `transitions` are the time zone's, as (UTC second, offset in seconds)."""

    image: PinnedImage | None = None
    code: tuple[LockedFile, ...] = ()
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


def _input(name: str, path: str, folder: Path) -> LockedInput:
    where = folder / path
    if where.is_dir():
        files = []
        for file in _below(where):
            if file.is_symlink():
                raise _linked(file, f", inside the input `{name}`", "put the file itself there")
            if not file.is_file():
                text = f"is no regular file, inside the input `{name}`"
                raise WorkflowError([Fault(file=str(file), text=text, hint="take it out of that folder")])
            files.append(locked.pin(file, f"{where.name}/{file.relative_to(where).as_posix()}"))
        return LockedInput(name=name, path=path, files=tuple(sorted(files, key=lambda file: file.path)))
    return LockedInput(name=name, path=path, files=(replace(locked.pin(where, where.name), executable=False),))


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


def _repacked(old: PinnedImage | None, new: PinnedImage | None) -> list[str]:
    """Say what else changed of an image of the same digest: what it is asked for by, what was made of it, by whom."""
    before, after = (
        {"reference": one.reference, "size": one.size, **dict(one.digests), **dict(one.tools)} if one else {}
        for one in (old, new)
    )
    return [
        f"image: {name} {before.get(name, 'none')} -> {after.get(name, 'none')}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def differences(old: Lock, new: Lock) -> list[str]:
    """Say what changed from one lock to another, one fact a line, sorted by piece."""
    lines = []
    if old.image != new.image:
        before, after = (lock.image.identity if lock.image else "no image" for lock in (old, new))
        told = f"image: {before} -> {after}"
        lines += [told] if before != after else _repacked(old.image, new.image) or [told]
        packages = [
            {package.name: package.version for package in (lock.image.packages if lock.image else ())}
            for lock in (old, new)
        ]
        lines += [
            f"package {name}: {packages[0].get(name, 'none')} -> {packages[1].get(name, 'none')}"
            for name in sorted(packages[0].keys() | packages[1].keys())
            if packages[0].get(name) != packages[1].get(name)
        ]
    for what, pieces in (
        ("code", [{file.path: (file.sha256[:12], file.executable) for file in lock.code} for lock in (old, new)]),
        ("input", [{entry.name: (entry.sha256[:12], entry.path) for entry in lock.inputs} for lock in (old, new)]),
    ):
        lines += [
            f"{what} `{name}`: {'new' if name not in pieces[0] else 'gone' if name not in pieces[1] else 'changed'}"
            for name in sorted(pieces[0].keys() | pieces[1].keys())
            if pieces[0].get(name) != pieces[1].get(name)
        ]
    if (old.timezone, old.transitions) != (new.timezone, new.transitions):
        lines.append(f"time zone: {old.timezone} -> {new.timezone}")
    return lines


def resolve(
    workflow: Workflow,
    folder: Path,
    old: Lock | None,
    *,
    update: bool = False,
    offline: bool = False,
    progress: Callable[[str], None],
) -> Lock:
    """Pin a workflow. What `old` pins of the image is kept while it fits and `update` is not asked for.

    Raises SurroundingsError where something has to be resolved and cannot be (`offline`, a registry that is down).
    """
    pinned = None
    if workflow.image is not None:
        pinned = old.image if old else None
        if update or pinned is None or not containers.fits(workflow.image, pinned, folder=folder):
            pinned = containers.resolve(workflow.image, folder=folder, progress=progress, offline=offline)
    return replace(files(workflow, folder, None if update else old), image=pinned)


def files(workflow: Workflow, folder: Path, old: Lock | None = None) -> Lock:
    """Pin what stands in the workflow's folder, and the time zone; the image is left out."""
    zone, shifts = _zone(workflow.schedule, old)
    return Lock(
        code=_code(workflow.code, folder),
        inputs=tuple(_input(entry.name, entry.path, folder) for entry in workflow.inputs),
        timezone=zone,
        transitions=shifts,
    )


def text(lock: Lock) -> str:
    """Write a lock: sorted, one fact a line, so that a diff of two locks can be read."""
    document: dict[str, Any] = {"format": FORMAT}
    if lock.image:
        document["image"] = {
            "source": lock.image.source,
            "reference": lock.image.reference,
            "platform": lock.image.platform,
            "asked": list(lock.image.asked),
            "digests": dict(lock.image.digests),
            "tools": dict(lock.image.tools),
            "size": lock.image.size,
            "packages": [
                f"{package.name} {package.version} {package.architecture} sha256:{package.sha256}"
                for package in lock.image.packages
            ],
        }
    document["code"] = [_line(file) for file in lock.code]
    document["inputs"] = {
        entry.name: {
            "path": entry.path,
            "sha256": entry.sha256,
            "files": [_line(file) for file in entry.files],
        }
        for entry in sorted(lock.inputs, key=lambda entry: entry.name)
    }
    if lock.transitions:
        document["timezone"] = {"name": lock.timezone, "transitions": [list(pair) for pair in lock.transitions]}
    return (
        "# Written by sciflow: every pin of this workflow. Keep it beside the workflow, under version control.\n"
        + draft.toml(document)
    )


def _line(file: LockedFile) -> str:
    return f"{file.path} sha256:{file.sha256} {file.size}{' executable' if file.executable else ''}"


def _files(lines: list[str]) -> tuple[LockedFile, ...]:
    found = []
    for line in lines:
        executable = line.endswith(" executable")
        path, sha256, size = line.removesuffix(" executable").rsplit(" ", 2)
        found.append(
            LockedFile(path=path, sha256=sha256.removeprefix("sha256:"), size=int(size), executable=executable)
        )
    return tuple(found)


def _image(entry: Mapping[str, Any]) -> PinnedImage:
    packages = []
    for line in entry["packages"]:
        name, version, architecture, sha256 = line.split(" ")
        packages.append(
            Package(name=name, version=version, architecture=architecture, sha256=sha256.removeprefix("sha256:"))
        )
    return PinnedImage(
        source=entry["source"],
        reference=entry["reference"],
        platform=entry["platform"],
        asked=tuple(entry["asked"]),
        digests=tuple(sorted(entry["digests"].items())),
        packages=tuple(packages),
        tools=tuple(sorted(entry["tools"].items())),
        size=entry["size"],
    )


def read(file: Path) -> Lock | None:
    """Read a lock file; None where there is none. Raises SurroundingsError for one that is not in this format."""
    if not file.exists():
        return None
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise SurroundingsError(
                f"`{file}`: it is in format {document['format']}, and this sciflow reads {FORMAT}",
                hint="use the sciflow that wrote it, or let `sciflow compile --update` write it anew",
            )
        zone = document.get("timezone", {"name": "UTC", "transitions": []})
        return Lock(
            image=_image(document["image"]) if "image" in document else None,
            code=_files(document["code"]),
            inputs=tuple(
                LockedInput(name=name, path=entry["path"], files=_files(entry["files"]))
                for name, entry in document["inputs"].items()
            ),
            timezone=zone["name"],
            transitions=tuple((start, shift) for start, shift in zone["transitions"]),
        )
    except (
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        raise SurroundingsError(
            f"`{file}` is not a lock that sciflow wrote: {error}",
            hint="remove it, or let `sciflow compile --update` write it anew",
        ) from error
