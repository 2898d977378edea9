"""A requirements file or a pylock.toml of the workflow's folder -> wheels, pinned; and their files, checked."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sciflow.containers import download, locked, pylock, requirements, resolver
from sciflow.containers.requirements import normal
from sciflow.errors import Fault, ImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sciflow.containers.image import Pairs, Wheel
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.target import Target

ALL = "*"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """What a file asks for: `wheels`, sorted; `files` are what of the workflow's folder said so; `tools` who chose."""

    wheels: tuple[Wheel, ...]
    files: tuple[LockedFile, ...]
    tools: Pairs


def files(path: str, folder: Path) -> tuple[LockedFile, ...]:
    """Pin the file and those it includes, sorted; no network is asked. Raises ImageError, SurroundingsError."""
    if _is_lock(path):
        return (locked.pin(folder / path, path),)
    return requirements.read(path, folder).files


def resolve(
    path: str,
    folder: Path,
    target: Target,
    *,
    held: Sequence[Wheel] = (),
    update: frozenset[str] = frozenset(),
    progress: Callable[[str], None],
) -> Resolved:
    """Choose the wheels that a file of the workflow's folder asks for, for this Python, and have those of unknown size.

    `held` are the pins there are: their versions stay while they fit, but for the packages in `update` (`*`: all).
    Raises ImageError for what the file asks for and cannot be had, SurroundingsError for index, network, space.
    """
    pinned = files(path, folder)
    tools: Pairs = ()
    if _is_lock(path):
        found = pylock.select(_document(path, folder), target, place=path, folder=folder)
    else:
        wanted = requirements.read(path, folder)
        moved = {normal(name) for name in update}
        keeping = () if ALL in update else [one for one in held if normal(one.name) not in moved]
        progress(f"choosing the packages of {path} for {target}")
        lock, version = resolver.compile_lock(wanted, target, held=keeping, place=path)
        # An index may get another wheel of a version at any time: the pinned one stays where it still serves.
        stay = {normal(one.name): frozenset({one.sha256}) for one in keeping if pylock.fits(one.file, target)}
        found = pylock.select(lock, target, place=path, folder=folder, hashes={**stay, **wanted.hashes})
        _all_named(found, wanted, path)
        tools = (("uv", version),)
    sized = {one: gather([one], folder, progress)[0].stat().st_size for one in found if not one.size}
    return Resolved(
        wheels=tuple(sorted(replace(one, size=sized.get(one, one.size)) for one in found)), files=pinned, tools=tools
    )


def gather(wheels: Sequence[Wheel], folder: Path, progress: Callable[[str], None]) -> tuple[Path, ...]:
    """Make every wheel present in the cache, in their order; each has its digest. Raises SurroundingsError."""
    return tuple(
        download.fetch(
            _url(one, folder),
            what=one.file,
            sha256=one.sha256,
            size=one.size,
            login=resolver.login(one.url, os.environ),
            progress=progress,
        )[1]
        for one in wheels
    )


def text(wheels: Sequence[Wheel]) -> str:
    """Write wheels as a requirements file with hashes, for pip. Pure."""
    return "".join(f"{one.name}=={one.version} --hash=sha256:{one.sha256}\n" for one in sorted(wheels))


def _url(wheel: Wheel, folder: Path) -> str:
    return wheel.url if "://" in wheel.url else (folder / wheel.url).absolute().as_uri()


def _is_lock(path: str) -> bool:
    """Say whether the name is one that PEP 751 gives to locks."""
    name = PurePosixPath(path)
    lock = name.suffix == ".toml" and name.name.split(".")[0] == "pylock" and len(name.suffixes) <= 2  # noqa: PLR2004
    if name.suffix in {".toml", ".lock", ".cfg", ".py", ".yml", ".yaml", ".whl"} and not lock:
        raise ImageError(
            [
                Fault(
                    file=path,
                    text="it is neither a requirements file nor a lock that sciflow reads",
                    hint="`uv export --format pylock.toml` or `uv pip compile` write one; its name is then "
                    "`pylock.toml`, `pylock.NAME.toml` or ends in `.txt`",
                )
            ]
        )
    return lock


def _document(path: str, folder: Path) -> dict[str, object]:
    try:
        return tomllib.loads((folder / path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImageError([Fault(file=path, text=f"it is no TOML: {error}", hint="write it anew")]) from error


def _all_named(found: Sequence[Wheel], wanted: requirements.Requirements, path: str) -> None:
    """Hold the file to its hashes: if it gives some, all that is needed has one of them."""
    if not wanted.hashes:
        return
    faults = [
        Fault(
            file=path,
            text=f"`{one.name}` {one.version} is needed, and `{one.file}` has none of the digests given for it"
            if normal(one.name) in wanted.hashes
            else f"`{one.name}` {one.version} is needed too, and has no `--hash`",
            hint="write the file anew: `uv pip compile --generate-hashes`; or give no hashes: the lock pins them",
        )
        for one in found
        if one.sha256 not in wanted.hashes.get(normal(one.name), frozenset())
    ]
    if faults:
        raise ImageError(faults)
