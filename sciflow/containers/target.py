"""A root file system in memory -> the Python in it that wheels are laid for, found without running a word of it."""

from __future__ import annotations

import posixpath
import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from sciflow.containers import archive, rootfs
from sciflow.containers.image import ARCHITECTURES
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sciflow.containers.rootfs import Node

Libc: TypeAlias = Literal["glibc", "musl"]

VENV = "/opt/sciflow/venv"
"""Where wheels are laid in an image."""

HINT = "sciflow lays wheels for CPython: add it to the image (Debian's package `python3`), or leave `image.python` out"
MUSL_UNSAID = (1, 2)  # every musl since 2020
MOST = 256 << 20  # bytes of one program or library
OLDEST = 8  # the minor version of Python that uv resolves for, and the first whose ABI tag is its version alone

_ELF = b"\x7fELF"
_PT_INTERP = 3  # elf(5)
_PROGRAM = re.compile(r"python3\.([0-9]+)(t?)")
_ABI = re.compile(rb"cpython-3([0-9]{1,3})([a-z]*)-")  # part of the suffix of extension modules (PEP 3149)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A CPython 3: `python` is its path with links followed, `version` whole as far as its bytes tell it.

    `architecture` is the kernel's word for it (`x86_64`), `libc` the C library it runs on, `level` that one's version.
    """

    python: str
    version: str
    architecture: str
    libc: Libc
    level: tuple[int, int]

    @property
    def minor(self) -> int:
        """The N of Python 3.N."""
        return int(self.version.split(".")[1])

    @property
    def platforms(self) -> tuple[str, ...]:
        """What wheels may say they are for (PEP 600, PEP 656), the best first."""
        major, level = self.level
        found: list[str] = []
        if self.libc == "musl":
            found += [f"musllinux_{major}_{minor}_{self.architecture}" for minor in range(level, -1, -1)]
        else:
            oldest = 5 if self.architecture == "x86_64" else 17
            for minor in range(level, oldest - 1, -1):
                found.append(f"manylinux_{major}_{minor}_{self.architecture}")
                if minor in _ALIASES:
                    found.append(f"{_ALIASES[minor]}_{self.architecture}")
        return (*found, f"linux_{self.architecture}")

    def __str__(self) -> str:
        """Give the words that people know it by."""
        return f"Python {self.version} on {self.architecture} with {self.libc} {self.level[0]}.{self.level[1]}"


_ALIASES = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # PEP 600, legacy aliases


def find(root: Node, layers: Sequence[Path], environment: Mapping[str, str], *, platform: str) -> Target:
    """Find the `python3` that the image's environment means.

    `platform` is `os/architecture`. Raises SurroundingsError: none there, or one that no wheels are laid for.
    """
    if rootfs.reach(root, VENV):
        raise SurroundingsError(
            f"the image has a `{VENV}` already", hint="lay wheels over the image that it was made of"
        )
    place, node = _first(root, environment)
    data = _read(node, layers)
    minor = _minor(place, data)
    loader, libc = _loader(place, data, root)
    near = [posixpath.join(posixpath.dirname(place), above) for above in ("../lib", "../lib64")]
    near.append(posixpath.dirname(loader))
    shared = [_library(root, layers, f"{folder}/libpython3.{minor}.so.1.0") for folder in near]
    known = [data, *shared]
    for abi in (abi for text in known for abi in _ABI.findall(text)):
        if abi != (str(minor).encode(), b""):
            raise SurroundingsError(
                f"the image's `{place}` is a Python of another kind: its modules are for `cp3{abi[0].decode()}"
                f"{abi[1].decode()}`",
                hint="use a plain build of CPython: neither free-threaded nor for debugging",
            )
    kernel = {other: name for name, other in ARCHITECTURES.items()}
    architecture = platform.split("/")[1] if "/" in platform else platform
    return Target(
        python=place,
        version=_version(minor, known),
        architecture=kernel.get(architecture, architecture),
        libc=libc,
        level=_level(root, layers, loader, libc),
    )


def _version(minor: int, known: Sequence[bytes]) -> str:
    """Return Python's whole version, as its bytes say it: a text of its own, or the end of one, as ld(1) joins them."""
    number = rb"(3\.%d\.[0-9]+(?:(?:a|b|rc)[0-9]+)?)\+?\0" % minor
    for before in (rb"\0", rb"[^0-9.]"):
        for text in known:
            found = re.search(before + number, text)
            if found:
                return found[1].decode()
    return f"3.{minor}.0"


def _first(root: Node, environment: Mapping[str, str]) -> tuple[str, Node]:
    """Return the first `python3` on PATH that can be run, as execvp(3) would find it."""
    path = environment.get("PATH") or archive.SEARCH_PATH
    for folder in path.split(":"):
        found = rootfs.reach(root, f"{folder}/python3") if folder.startswith("/") else None
        if found and found[1].kind == "file" and found[1].mode & 0o111:
            return found
    raise SurroundingsError(f"the image has no `python3` on its PATH ({path})", hint=HINT)


def _minor(place: str, data: bytes) -> int:
    """Return the N of Python 3.N, by the program's name, or else by its bytes."""
    name = posixpath.basename(place)
    named, said = _PROGRAM.fullmatch(name), _ABI.search(data)
    if named and named[2]:
        raise SurroundingsError(f"the image's `{place}` is a free-threaded Python", hint="use a plain build of CPython")
    if named:
        minor = int(named[1])
    elif name == "python3" and said:
        minor = int(said[1])
    else:
        minor = -1
    if minor < 0 or not data.startswith(_ELF):
        raise SurroundingsError(f"the image's `{place}` is no CPython that sciflow knows", hint=HINT)
    if minor < OLDEST:
        raise SurroundingsError(f"the image's `{place}` is older than Python 3.{OLDEST}", hint="use a newer image")
    return minor


def _loader(place: str, data: bytes, root: Node) -> tuple[str, Libc]:
    """Return the dynamic loader that a program names (elf(5), PT_INTERP), links followed, and whose it is."""
    named = _interpreter(data)
    found = rootfs.reach(root, named) if named else None
    name = posixpath.basename(named)
    if found and name.startswith("ld-musl-"):
        return found[0], "musl"
    if found and re.match(r"ld(64)?[-.]", name):
        return found[0], "glibc"
    raise SurroundingsError(
        f"the image's `{place}` runs on no C library that wheels are built for (loader: `{named or 'none'}`)",
        hint="use an image with glibc or musl, and a Python that is not linked statically",
    )


def _interpreter(data: bytes) -> str:
    if len(data) < 64 or data[4] != 2:  # noqa: PLR2004 - ELFCLASS64
        return ""
    order = "<" if data[5] == 1 else ">"
    try:
        (start,) = struct.unpack_from(f"{order}Q", data, 32)
        size, count = struct.unpack_from(f"{order}HH", data, 54)
        for number in range(count):
            kind, _, offset, _, _, length = struct.unpack_from(f"{order}IIQQQQ", data, start + number * size)
            if kind == _PT_INTERP:
                return data[offset : offset + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
    except struct.error:
        pass
    return ""


def _level(root: Node, layers: Sequence[Path], loader: str, libc: Libc) -> tuple[int, int]:
    """Return the C library's version, as its bytes say it."""
    if libc == "musl":
        found = re.search(rb"\0(1)\.([0-9]+)\.[0-9]+\0", _library(root, layers, loader))
        return (int(found[1]), int(found[2])) if found else MUSL_UNSAID
    place = posixpath.join(posixpath.dirname(loader), "libc.so.6")
    found = re.search(rb"stable release version ([0-9]+)\.([0-9]+)", _library(root, layers, place))
    if found is None:
        raise SurroundingsError(f"the version of the image's glibc is not told by `{place}`", hint="use another image")
    return int(found[1]), int(found[2])


def _library(root: Node, layers: Sequence[Path], path: str) -> bytes:
    found = rootfs.reach(root, path)
    return _read(found[1], layers) if found and found[1].kind == "file" else b""


def _read(node: Node, layers: Sequence[Path]) -> bytes:
    if node.data is not None:
        return node.data
    with layers[node.layer].open("rb") as stream:
        stream.seek(node.offset)
        return stream.read(min(node.size, MOST))
