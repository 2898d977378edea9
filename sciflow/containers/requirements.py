"""A requirements file, with those it includes -> what it asks for, line by line, and the pins of the files."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sciflow.containers import locked, pylock
from sciflow.containers.pylock import inside
from sciflow.errors import Fault, ImageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sciflow.containers.locked import LockedFile

_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTION = re.compile(r"(--?[a-z][a-z-]*)(?:\s*=\s*|\s+|$)(.*)")
_SHORT = re.compile(r"(-[rcif])(\S.*)")
_HASH = re.compile(r"\s--hash(?:=|\s+)(\S+)")
_NAMED = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(?:@\s*(\S+)|[=<>!~(;,].*|$)")
_REMOTE_WHEEL = re.compile(r"https?://[^\s]+\.whl(#\S*)?")
_VARIABLE = re.compile(r"\$\{[A-Za-z0-9_]+\}")
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@")

LONG = {"-r": "--requirement", "-c": "--constraint", "-i": "--index-url", "-f": "--find-links", "-e": "--editable"}
INDEXES = {"--index-url": "--default-index", "--extra-index-url": "--index", "--find-links": "--find-links"}
PLAIN = {"--no-index": ("--no-index",), "--pre": ("--prerelease", "allow"), "--require-hashes": ()}
UNNEEDED = {"--only-binary", "--prefer-binary"}  # that is what sciflow does anyway


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """`lines` and `constraints` are PEP 508's words; `options` those of uv that say where packages are had.

    `hashes` are the digests, SHA-256 in hex, that a package's files may have, by its normal name. `files` are pinned by
    their path from the workflow's folder, sorted.
    """

    lines: tuple[str, ...]
    constraints: tuple[str, ...]
    options: tuple[str, ...]
    hashes: Mapping[str, frozenset[str]]
    files: tuple[LockedFile, ...]


@dataclass(kw_only=True, slots=True)
class _Reader:
    """What was read so far, of all files; `all_hashed` says in which file and line it was asked for."""

    folder: Path
    lines: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    hashes: dict[str, set[str]] = field(default_factory=dict)
    files: dict[str, LockedFile] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    unhashed: list[Fault] = field(default_factory=list)
    all_hashed: bool = False


def read(path: str, folder: Path) -> Requirements:
    """Read a requirements file of the workflow's folder. Raises ImageError (all its faults), SurroundingsError."""
    reader = _Reader(folder=folder)
    _file(reader, path, constraint=False)
    # One line with a hash is a promise about all of them, as for pip.
    if reader.all_hashed or reader.hashes:
        reader.faults += reader.unhashed
    if reader.faults:
        raise ImageError(reader.faults)
    return Requirements(
        lines=tuple(reader.lines),
        constraints=tuple(reader.constraints),
        options=tuple(reader.options),
        hashes={name: frozenset(digests) for name, digests in sorted(reader.hashes.items())},
        files=tuple(sorted(reader.files.values())),
    )


def normal(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _file(reader: _Reader, path: str, *, constraint: bool) -> None:
    if path in reader.files:
        return
    reader.files[path] = locked.pin(reader.folder / path, path)
    try:
        text = (reader.folder / path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        reader.faults.append(Fault(file=path, text="it is not UTF-8", hint="write it anew, as UTF-8"))
        return
    for number, line in _logical(text):
        said = _line(reader, path, line, number, constraint=constraint)
        if said:
            reader.faults.append(Fault(file=path, line=number, column=1, text=said[0], hint=said[1]))


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """Yield lines without comments, those that end in a backslash joined with the next, by the number of the first."""
    start, parts = 0, list[str]()
    for number, line in enumerate([*text.splitlines(), ""], 1):
        start = start if parts else number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            parts.append(line[:-1])
            continue
        whole = _COMMENT.sub("", "".join([*parts, line])).strip()
        parts = []
        if whole:
            yield start, whole


def _line(reader: _Reader, path: str, line: str, number: int, *, constraint: bool) -> tuple[str, str] | None:
    """Take in one line; return its fault and the fix, if it has one."""
    if _VARIABLE.search(line):
        return "it hangs on a variable of this machine", "write the value itself; logins belong into ~/.netrc"
    if line.startswith("-"):
        return _option(reader, path, line)
    words = re.split(r"\s--(?=[a-z])", line, maxsplit=1)[0].strip()
    named, given = _NAMED.fullmatch(words), _HASH.findall(line)
    unreadable = pylock.unreadable(words) if named else "it is no package's name"
    if named is None or unreadable:
        return (
            f"`{words}` cannot be asked for: {unreadable}",
            "name packages of an index: `name>=1.2,<2`; own wheels: in a folder for `--find-links` or in a pylock.toml",
        )
    if named[2] is not None and (not _REMOTE_WHEEL.fullmatch(named[2]) or _LOGIN.match(named[2])):
        return (
            f"`{named[1]}` is asked for by an address that is no wheel's",
            "sciflow lays wheels only: give the https address of one, without a login, or name a version",
        )
    if _HASH.sub("", line).strip() != words:
        return f"`{line}` has an option that sciflow does not know", "only `--hash=sha256:…` may follow a package"
    (reader.constraints if constraint else reader.lines).append(words)
    return _digests(reader, named[1], given, Fault(file=path, line=number, column=1, text=""), constraint=constraint)


def _digests(reader: _Reader, name: str, given: list[str], place: Fault, *, constraint: bool) -> tuple[str, str] | None:
    digests = {found[1] for one in given if (found := _SHA256.fullmatch(one))}
    if given and not digests:
        return f"`{name}` has no digest that sciflow checks", "give one of SHA-256: `--hash=sha256:…`"
    if digests:
        reader.hashes.setdefault(normal(name), set()).update(digests)
    elif not constraint:
        text, hint = f"`{name}` has no `--hash`, and hashes are asked for", "give all of them, or none"
        reader.unhashed.append(replace(place, text=text, hint=hint))
    return None


def _option(reader: _Reader, path: str, line: str) -> tuple[str, str] | None:
    found = _SHORT.fullmatch(line) if not line.startswith("--") else None
    found = found or _OPTION.fullmatch(line)
    name, value = (LONG.get(found[1], found[1]), found[2].strip()) if found else (line, "")
    if name in {"--requirement", "--constraint"}:
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
        if "://" in value or not inside(there):
            return f"`{value}` is not in the workflow's folder", "copy the file there: the lock pins it"
        _file(reader, there, constraint=name == "--constraint")
    elif name in INDEXES:
        return _index(reader, path, name, value)
    elif name in PLAIN:
        reader.options += PLAIN[name]
        reader.all_hashed |= name == "--require-hashes"
    elif name == "--editable":
        return "it asks for an editable package", "build a wheel of it, or put its code into `[code]`"
    elif name not in UNNEEDED:
        return f"`{name}` is an option that sciflow does not know", "take it out"
    return None


def _index(reader: _Reader, path: str, name: str, value: str) -> tuple[str, str] | None:
    if _LOGIN.match(value):
        return f"the address after `{name}` holds a login", "write it without, and put the login into ~/.netrc"
    if not re.match("https?://", value):
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), value))
        if name != "--find-links" or not inside(there):
            return (
                f"`{value}` is neither an https address nor a folder of the workflow's",
                "what only this machine has no other can have: copy it into the workflow's folder",
            )
        value = str((reader.folder / there).absolute())
    reader.options += [INDEXES[name], value]
    return None
