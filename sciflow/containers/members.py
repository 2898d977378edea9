"""The members of a tar that nobody vouches for, one by one: read with `tarfile`, never extracted by it.

`tarfile` trusts what headers say: one that claims gigabytes is read whole into memory, a negative size makes it turn
in circles (CVE-2025-8194), a long row of digits takes its patterns hours (CVE-2024-6232). So it reads through a guard
that hands out small headers only, and each member's name and numbers are judged before anyone uses them.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Literal, TypeAlias, cast

from sciflow.errors import SurroundingsError
from sciflow.runner import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind: TypeAlias = Literal["file", "folder", "symlink", "link", "device"]

HINT = "no builder of images writes such a thing: do not trust the image, and ask who made it"

MAX_HEADER = 1 << 20  # bytes of one extended header; the kernel lets attributes have 64 KiB each
MAX_DIGITS = 255  # in a row, in an extended header: as many as a file name may have
MAX_GLOBAL = 64  # records that one header gives to all members after it
BUDGET, BUDGET_EACH = 64 << 20, 4 << 10  # bytes of headers: for the tar, and more for each member
MAX_NAME, MAX_PATH, MAX_DEPTH = 255, 4000, 200  # NAME_MAX, a little less than PATH_MAX, and folders in folders
MAX_OWNER = (1 << 32) - 2
MAX_TIME = (1 << 32) - 1  # seconds since 1970: what a squashfs can hold
MODES = 0o7777

_DIGITS = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One entry: its path as names from the root (none: the root itself), and where its `size` bytes lie in the tar.

    `target` is a symlink's text as it stands, and a hard link's path. `mtime` is in whole seconds since 1970.
    Bytes that are no UTF-8 are surrogates in names, as Python's `surrogateescape` has them.
    """

    path: tuple[str, ...]
    kind: Kind
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    offset: int = 0
    target: str = ""


def refusal(name: str, fault: str) -> SurroundingsError:
    """Say why an image is not unpacked, with the member's name escaped."""
    return SurroundingsError(f"the image is refused: `{tree.shown(name)}` {fault}", hint=HINT)


def names_of(path: str, name: str, what: str = "") -> tuple[str, ...]:
    """Split a member's path into names; a leading slash means the image's root, as for every engine.

    Raises SurroundingsError for one that leaves the root, or that no file system can hold.
    """
    if "\0" in path:
        raise refusal(name, f"has a NUL in its {what or 'name'}")
    found = tuple(part for part in path.split("/") if part not in {"", "."})
    if ".." in found:
        raise refusal(
            name, f"is a hard link that leaves the image's root: `{tree.shown(path)}`" if what else "leaves it"
        )
    lengths = [_bytes(part) for part in found]
    if max(lengths, default=0) > MAX_NAME or sum(lengths) + len(found) > MAX_PATH or len(found) > MAX_DEPTH:
        raise refusal(f"{name[:80]}…", f"has a {what or 'name'} longer or deeper than any file's")
    return found


class _Guard:
    """What `tarfile` reads through: the file, in pieces that are no larger than a header ever is."""

    def __init__(self, stream: IO[bytes], place: str) -> None:
        self._stream, self._place, self.budget = stream, place, BUDGET
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MAX_HEADER:
            raise refusal(self._place, f"has a header of {size} bytes")
        self.budget -= size
        data = self._stream.read(size)
        if self.budget < 0 or (size > tarfile.BLOCKSIZE and _DIGITS.search(data)):
            raise refusal(self._place, "has headers that are made to keep a reader busy")
        return data


def read(stream: IO[bytes], place: str) -> Iterator[Member]:
    """Yield a plain tar's members in its order. `place` names the tar in faults.

    Raises SurroundingsError for a tar that is damaged, or that no image has.
    """
    guard = _Guard(stream, place)
    try:
        archive = tarfile.TarFile(
            fileobj=cast("IO[bytes]", guard), mode="r", encoding="utf-8", errors="surrogateescape"
        )
        while (info := archive.next()) is not None:
            if len(archive.pax_headers) > MAX_GLOBAL:
                raise refusal(place, "has headers that are made to keep a reader busy")
            yield _member(info, place)
            guard.budget += BUDGET_EACH
            cast("Any", archive).members = []  # or it would keep them all
        stream.seek(archive.offset)
        if stream.read(tarfile.BLOCKSIZE).strip(b"\0"):
            # tarfile takes what it cannot read for the end
            raise refusal(place, f"is damaged: there is no header at its byte {archive.offset}")
    except (tarfile.TarError, ValueError, OverflowError, RecursionError, IndexError, KeyError, TypeError) as error:
        raise refusal(place, f"is no tar that can be read: {type(error).__name__} {tree.shown(str(error))}") from error


def _member(info: tarfile.TarInfo, place: str) -> Member:
    name = info.name or place
    if info.size < 0 or not (0 <= info.uid <= MAX_OWNER and 0 <= info.gid <= MAX_OWNER):
        raise refusal(name, f"has a size or an owner that cannot be: {info.size}, {info.uid}, {info.gid}")
    kind = _kind(info, name)
    target = info.linkname
    if kind == "link":
        target = "/".join(names_of(target, name, "target"))
    elif kind == "symlink" and ("\0" in target or not target or _bytes(target) > MAX_PATH):
        raise refusal(name, "is a symlink to a path that cannot be")
    return Member(
        path=names_of(info.name, name),
        kind=kind,
        mode=info.mode & MODES,
        uid=info.uid,
        gid=info.gid,
        mtime=_time(info.mtime),
        size=info.size if kind == "file" else 0,
        offset=info.offset_data,
        target=target if kind in {"link", "symlink"} else "",
    )


def _kind(info: tarfile.TarInfo, name: str) -> Kind:
    if info.issparse():
        raise refusal(name, "is a sparse file")
    if info.type in {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}:
        return "file"
    kinds: dict[bytes, Kind] = {
        tarfile.DIRTYPE: "folder",
        tarfile.SYMTYPE: "symlink",
        tarfile.LNKTYPE: "link",
        tarfile.CHRTYPE: "device",
        tarfile.BLKTYPE: "device",
        tarfile.FIFOTYPE: "device",
    }
    if info.type not in kinds:
        raise refusal(name, f"is of a kind that no image has: {info.type!r}")
    return kinds[info.type]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def _time(told: float) -> int:
    """Bring a time into what every engine's file system can hold."""
    try:
        return min(max(int(told), 0), MAX_TIME)
    except (ValueError, OverflowError):  # extended headers may say `nan` and `inf`
        return 0
