"""A squashfs whose data was left as it is, in a SIF or by itself -> its tree, each file's bytes a place in that file.

Nothing is unpacked: modes that a plain user's disk would not hold (setgid, closed to their owner), hard links and
times come as whoever wrote the squashfs saw them. The numbers are those of the squashfs 4.0 format
(Linux, Documentation/filesystems/squashfs.rst).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from sciflow.containers import sif
from sciflow.containers.rootfs import Node
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from pathlib import Path

WORDS = ("-noI", "-noD", "-noF", "-noX", "-no-sparse", "-no-xattrs")
"""What mksquashfs is told, so that this room can read what it writes."""

MAGIC = b"hsqs"

SUPERBLOCK = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
COMMON = struct.Struct("<HHHHII")  # kind, mode, owner, group, mtime, number
FOLDER, LONG_FOLDER = struct.Struct("<IIHHI"), struct.Struct("<IIIIHHI")
FILE, LONG_FILE = struct.Struct("<IIII"), struct.Struct("<QQQIIII")
LINK = struct.Struct("<II")
HEADER, ENTRY = struct.Struct("<III"), struct.Struct("<HhHH")
FRAGMENT = struct.Struct("<QII")
FRAGMENTS_EACH = 512
NO_FRAGMENT = 0xFFFFFFFF
PLAIN_PIECE, PIECE_SIZE = 1 << 24, (1 << 24) - 1  # of the word for a block of data
PLAIN_BLOCK, BLOCK_SIZE = 1 << 15, (1 << 15) - 1  # of the word before a block of metadata
DOTS = 3  # a folder's size counts these for `.` and `..`
GZIP = 1
MAX_DEPTH = 200
IS_FOLDER, IS_FILE, IS_LINK = (1, 8), (2, 9), (3, 10)


def tree(path: Path, *, layer: int = 0) -> Node:
    """Return the root of the squashfs in a file, which is that layer to those who write the tree; owners are 0.

    Devices, pipes and sockets are left out, as from layers. Raises SurroundingsError if it is none, or is packed.
    """
    try:
        with path.open("rb") as stream:
            reader = _opened(stream, start(path), layer)
            return _folder(reader, reader.root, depth=0)
    except (struct.error, zlib.error) as error:
        raise _fault(f"it is damaged ({type(error).__name__})") from error


def _fault(why: str) -> SurroundingsError:
    return SurroundingsError(f"the built image cannot be read: {why}", hint="is there space? are the tools current?")


def start(path: Path) -> int:
    """Return where the squashfs begins in a file. Raises SurroundingsError for what holds none."""
    if sif.is_one(path):
        return sif.root(path)[0]
    with path.open("rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            raise _fault("it is neither a SIF nor a squashfs")
    return 0


@dataclass(kw_only=True, slots=True, eq=False)
class _Reader:
    """The file, where its tables begin, and what of them was read. `seen` are the files by their inode's number."""

    stream: IO[bytes]
    start: int
    layer: int
    piece: int
    root: int
    inodes: int
    folders: int
    fragments: int
    blocks: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    seen: dict[int, Node] = field(default_factory=dict)

    def at(self, offset: int, size: int) -> bytes:
        """Read bytes of the squashfs."""
        self.stream.seek(self.start + offset)
        return self.stream.read(size)

    def block(self, offset: int) -> tuple[bytes, int]:
        """Return a block of metadata, and where the next one begins."""
        if offset not in self.blocks:
            (word,) = struct.unpack("<H", self.at(offset, 2))
            size = word & BLOCK_SIZE
            data = self.at(offset + 2, size)
            self.blocks[offset] = (data if word & PLAIN_BLOCK else zlib.decompress(data), offset + 2 + size)
        return self.blocks[offset]

    def meta(self, offset: int, inside: int, size: int) -> bytes:
        """Read metadata from a place in a block or in one behind it, through as many as it takes."""
        found = b""
        while len(found) < size:
            data, offset = self.block(offset)
            found += data[inside : inside + size - len(found)]
            inside = max(inside - len(data), 0)
        return found


def _opened(stream: IO[bytes], start: int, layer: int) -> _Reader:
    stream.seek(start)
    (magic, _, _, piece, _, method, *_, root, _, _, _, inodes, folders, fragments, _) = SUPERBLOCK.unpack(
        stream.read(SUPERBLOCK.size)
    )
    if magic.to_bytes(4, "little") != MAGIC or method != GZIP:
        raise _fault("its squashfs is of another form")
    return _Reader(
        stream=stream,
        start=start,
        layer=layer,
        piece=piece,
        root=root,
        inodes=inodes,
        folders=folders,
        fragments=fragments,
    )


def _folder(reader: _Reader, reference: int, depth: int) -> Node:
    """Read a folder's inode and all that is below it."""
    if depth > MAX_DEPTH:
        raise _fault("it has folders deeper than any")
    block, inside = reader.inodes + (reference >> 16), reference & 0xFFFF
    kind, mode, _, _, mtime, _ = COMMON.unpack(reader.meta(block, inside, COMMON.size))
    form = FOLDER if kind == IS_FOLDER[0] else LONG_FOLDER
    told = form.unpack(reader.meta(block, inside + COMMON.size, form.size))
    first, size, offset = (told[0], told[2], told[3]) if kind == IS_FOLDER[0] else (told[2], told[1], told[5])
    node = Node(mode=stat.S_IMODE(mode), mtime=mtime)
    listing = reader.meta(reader.folders + first, offset, size - DOTS) if size > DOTS else b""
    at = 0
    while at < len(listing):
        count, base, _ = HEADER.unpack_from(listing, at)
        at += HEADER.size
        for _ in range(count + 1):
            place, _, kind, length = ENTRY.unpack_from(listing, at)
            name = os.fsdecode(listing[at + ENTRY.size : at + ENTRY.size + length + 1])
            at += ENTRY.size + length + 1
            child = base << 16 | place
            if kind in IS_FOLDER:
                node.children[name] = _folder(reader, child, depth + 1)
            elif kind in (*IS_FILE, *IS_LINK):
                node.children[name] = _leaf(reader, child)
    return node


def _leaf(reader: _Reader, reference: int) -> Node:
    """Read the inode of a file or of a symlink; the second name of a file gives the same node again."""
    block, inside = reader.inodes + (reference >> 16), reference & 0xFFFF
    kind, mode, _, _, mtime, number = COMMON.unpack(reader.meta(block, inside, COMMON.size))
    if number not in reader.seen:
        node = Node(kind="symlink" if kind in IS_LINK else "file", mode=stat.S_IMODE(mode), mtime=mtime)
        after = inside + COMMON.size
        if kind in IS_LINK:
            _, size = LINK.unpack(reader.meta(block, after, LINK.size))
            node.target = os.fsdecode(reader.meta(block, after, LINK.size + size)[LINK.size :])
        else:
            _place(reader, node, block, after, FILE if kind == IS_FILE[0] else LONG_FILE)
        reader.seen[number] = node
    return reader.seen[number]


def _place(reader: _Reader, node: Node, block: int, after: int, form: struct.Struct) -> None:
    """Say where a file's bytes lie: in pieces one behind the other, or, of a small one, in a fragment."""
    told = form.unpack(reader.meta(block, after, form.size))
    first, fragment, offset, size = told if form is FILE else (told[0], told[4], told[5], told[1])
    whole = -(-size // reader.piece) if fragment == NO_FRAGMENT else size // reader.piece
    words = struct.unpack(f"<{whole}I", reader.meta(block, after, form.size + 4 * whole)[form.size :])
    sizes = [word & PIECE_SIZE for word in words if word & PLAIN_PIECE]
    if fragment != NO_FRAGMENT and not whole:
        table = reader.fragments + 8 * (fragment // FRAGMENTS_EACH)
        (where,) = struct.unpack("<Q", reader.at(table, 8))
        inside = fragment % FRAGMENTS_EACH * FRAGMENT.size
        first, word, _ = FRAGMENT.unpack(reader.meta(where, inside, FRAGMENT.size))
        first, sizes = first + offset, [size] if word & PLAIN_PIECE else []
    if sum(sizes) != size:
        raise _fault("its files are packed, and were to be left as they are")
    node.layer, node.offset, node.size = reader.layer, reader.start + first, size
