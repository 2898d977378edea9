"""Write a bundle: everything into a folder aside, then one rename, so that a compile cut off leaves nothing behind."""

from __future__ import annotations

import contextlib
import errno
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sciflow.runner
from sciflow.bundle.seal import Key, seal
from sciflow.containers import cache
from sciflow.errors import SurroundingsError
from sciflow.runner import names, owner, points
from sciflow.workflow.code import COMPILING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sciflow.containers.locked import LockedFile
    from sciflow.plan.lock import Lock

FILE_MODE, PROGRAM_MODE, FOLDER_MODE = 0o644, 0o755, 0o755
PROGRAMS = (names.LAUNCHER, names.VERIFIER)
VERIFIER_ROOMS = ("ed25519", "tree", "verdict")
RUNNER = Path(sciflow.runner.__file__).parent


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a bundle will hold: plan, lines of points, texts by path, and what the lock names, copied from `folder`."""

    plan: Mapping[str, Any]
    lines: Iterable[str]
    texts: Mapping[str, str]
    lock: Lock
    folder: Path


def verifier() -> str:
    """Return `verify.py`: the rooms that judge a bundle, joined; imports of one from another are left out."""
    rooms = [(RUNNER / f"{room}.py").read_text(encoding="utf-8") for room in VERIFIER_ROOMS]
    lines = [line for room in rooms for line in room.splitlines() if not line.startswith("from .")]
    return "\n".join(["#!/usr/bin/env python3", *lines]) + "\n"


def _copy(source: Path, target: Path, wanted: LockedFile) -> None:
    """Copy a file and hold the copy to its lock: what was pinned is what is carried, whatever happens to the source."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    if names.digest_file(target)[0] != wanted.sha256:
        raise SurroundingsError(
            f"`{source}` changed while it was compiled", hint="compile again once nothing writes to it"
        )
    target.chmod(PROGRAM_MODE if wanted.executable else FILE_MODE)


def _points(content: Content, root: Path) -> None:
    with (root / names.POINTS).open("wb") as table, (root / names.POINTS_INDEX).open("wb") as index:
        at = 0
        for line in content.lines:
            index.write(points.OFFSET.pack(at))
            at += table.write(line.encode("utf-8") + b"\n")


def _fill(content: Content, root: Path) -> None:
    texts = {**content.texts, names.PLAN: names.canonical(content.plan) + "\n", names.VERIFIER: verifier()}
    for path, text in texts.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8", newline="\n")
    _points(content, root)
    for file in sorted(RUNNER.iterdir()):
        if file.suffix in (".py", ".sh"):
            (root / names.RUNNER).mkdir(exist_ok=True)
            shutil.copyfile(file, root / names.RUNNER / file.name)
    for file in [path for path in root.rglob("*") if path.is_file()]:
        file.chmod(PROGRAM_MODE if file.relative_to(root).as_posix() in PROGRAMS else FILE_MODE)
    for locked in content.lock.code:
        _copy(content.folder / locked.path, root / names.CODE / locked.path, locked)
    image = content.lock.image
    for locked in (*image.requirements, *image.files) if image else ():
        _copy(content.folder / locked.path, root / names.IMAGE_FILES / locked.path, locked)
    for entry in content.lock.inputs:
        above = (content.folder / entry.path).parent
        for locked in entry.files:
            source = cache.place(f"sha256:{locked.sha256}") if entry.url else above / locked.path
            _copy(source, root / names.INPUTS / entry.name / locked.path, locked)
    for folder in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        folder.chmod(FOLDER_MODE)


def manifest(root: Path, name: str) -> bytes:
    """Return the manifest of everything below a folder, in canonical form."""
    files = []
    for path in sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()):
        sha256, size = names.digest_file(root / path)
        files.append(
            {"path": path, "size": size, "mode": f"{(root / path).stat().st_mode & 0o7777:04o}", "sha256": sha256}
        )
    document = {"format": names.FORMAT, "kind": "bundle", "name": name, "files": files}
    return str(names.canonical(document)).encode("utf-8")


def _place(part: Path, target: Path, sealed: str) -> None:
    """Give a bundle its name; where that very bundle stands already, only the seal is added to it."""
    try:
        if not (target / names.MANIFEST).exists():
            part.rename(target)
            return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        if not (target / names.MANIFEST).exists():  # else another compiler was first, with the same bundle
            text = f"`{target}` stands where the bundle should go, and is none"
            raise SurroundingsError(text, hint="move it away, and compile again") from error
    (target / names.SEALS).mkdir(exist_ok=True)
    (part / sealed).replace(target / sealed)


def write(content: Content, into: Path, key: Key) -> Path:
    """Write the bundle `<name>-<id12>` into a folder and return its path.

    Where that very bundle stands already, it is sealed with this key too if it was not, and its runs are left alone.
    Raises SurroundingsError where the folder cannot be written or a source file changed meanwhile.
    """
    name = content.plan["name"]
    try:
        into.mkdir(parents=True, exist_ok=True)
        owner.clear_below(into, COMPILING)  # what compilers of this machine that were killed have left
        aside = into / f"{COMPILING}{names.token()}"
        owner.claim(aside)
    except OSError as error:
        raise SurroundingsError(f"`{into}` cannot be written: {error.strerror}") from error
    part = aside / "bundle"
    try:
        part.mkdir()
        _fill(content, part)
        listed = manifest(part, name)
        (part / names.MANIFEST).write_bytes(listed)
        path, envelope = seal(listed, name, key, content.lock.commit)
        (part / names.SEALS).mkdir()
        (part / path).write_bytes(envelope)
        for file in (part / names.MANIFEST, part / path):
            file.chmod(FILE_MODE)
        (part / names.SEALS).chmod(FOLDER_MODE)
        target = into / f"{name}-{names.digest(listed)[:12]}"
        _place(part, target, path)
    except OSError as error:
        raise SurroundingsError(f"`{error.filename or into}`: {error.strerror}") from error
    finally:
        with contextlib.suppress(OSError):  # the next compile tries again
            owner.remove(aside)
    return target
