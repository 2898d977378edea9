"""A NAR (Nix's archive of one store path) inside a larger file -> a tree of nodes whose bytes stay where they are.

The format is a row of words, each with its length before it and zeros after it, up to a multiple of eight (E. Dolstra,
The Purely Functional Software Deployment Model, 2006, chapter 5). It knows files, folders, symlinks and the x bit, and
has one way to write each tree. What is written in another way is refused: no Nix has written it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO

from sciflow.containers import members
from sciflow.containers.members import refusal
from sciflow.containers.rootfs import Node

MAGIC = b"nix-archive-1"
WORD = 8  # bytes of a length, and what words are filled up to
MAX_TAG = 16  # bytes: longer than any word that the format itself uses
PIECE = 1 << 20

# What Nix gives whatever is in its store.
FOLDER, EXECUTABLE, PLAIN, LINK = 0o555, 0o555, 0o444, 0o777
MTIME = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Nar:
    """What was read: the root of the tree, the digest of the whole NAR in hex, and how many nodes the tree has."""

    root: Node
    sha256: str
    entries: int


def read(stream: IO[bytes], *, offset: int, size: int, name: str, limit: int, layer: int = 0) -> Nar:
    """Read the NAR in the `size` bytes from `offset`, of at most `limit` nodes.

    The nodes of files point into the stream, as layer number `layer`. `name` is the store path's, for faults.
    Raises SurroundingsError for what is damaged, too deep, too large or not as Nix writes it.
    """
    stream.seek(offset)
    words = _Words(stream, size, name)
    words.expect(MAGIC)
    root = _node(words, layer=layer, limit=limit, depth=0)
    if words.left:
        raise refusal(name, "goes on after its end")
    return Nar(root=root, sha256=words.sha.hexdigest(), entries=words.entries)


class _Words:
    """The words of a NAR, hashed while they are handed out; `left` bytes are still to come."""

    def __init__(self, stream: IO[bytes], size: int, name: str) -> None:
        self.stream, self.left, self.name = stream, size, name
        self.sha, self.entries = hashlib.sha256(), 0

    def take(self, size: int) -> bytes:
        data = self.stream.read(size) if size <= self.left else b""
        if len(data) != size:
            raise refusal(self.name, "is cut off, or says that something in it is longer than it is")
        self.left -= size
        self.sha.update(data)
        return data

    def length(self) -> int:
        return int.from_bytes(self.take(WORD), "little")

    def fill(self, size: int) -> None:
        if self.take(-size % WORD).strip(b"\0"):
            raise refusal(self.name, "has bytes where only zeros may be")

    def word(self, most: int = MAX_TAG) -> bytes:
        size = self.length()
        if size > most:
            raise refusal(self.name, f"has a word of {size} bytes where none is longer than {most}")
        data = self.take(size)
        self.fill(size)
        return data

    def expect(self, *wanted: bytes) -> None:
        for one in wanted:
            self.hold(one, self.word())

    def hold(self, wanted: bytes, found: bytes) -> None:
        if found != wanted:
            raise refusal(self.name, f"is not as Nix writes: {found!r} stands where {wanted!r} is wanted")


def _node(words: _Words, *, layer: int, limit: int, depth: int) -> Node:
    words.entries += 1
    if words.entries > limit or depth > members.MAX_DEPTH:
        raise refusal(words.name, "brings more files, or deeper folders, than an image may have")
    words.expect(b"(", b"type")
    kind = words.word()
    if kind == b"regular":
        return _file(words, layer)
    if kind == b"symlink":
        return _symlink(words)
    words.hold(b"directory", kind)
    node, last = Node(mode=FOLDER, mtime=MTIME), b""
    while (tag := words.word()) == b"entry":
        words.expect(b"(", b"name")
        name = words.word(members.MAX_NAME)
        if name in {b"", b".", b".."} or b"/" in name or b"\0" in name:
            raise refusal(words.name, f"has a file of a name that none can have: {name!r}")
        if name <= last:
            raise refusal(words.name, f"has a file twice, or not in order: {name!r} after {last!r}")
        words.expect(b"node")
        child = _node(words, layer=layer, limit=limit, depth=depth + 1)
        node.children[name.decode("utf-8", "surrogateescape")] = child
        words.expect(b")")
        last = name
    words.hold(b")", tag)
    return node


def _file(words: _Words, layer: int) -> Node:
    tag = words.word()
    executable = tag == b"executable"
    if executable:
        words.expect(b"")
        tag = words.word()
    words.hold(b"contents", tag)
    size = words.length()
    offset, left = words.stream.tell(), size
    while left:
        left -= len(words.take(min(left, PIECE)))
    words.fill(size)
    words.expect(b")")
    mode = EXECUTABLE if executable else PLAIN
    return Node(kind="file", mode=mode, mtime=MTIME, layer=layer, offset=offset, size=size)


def _symlink(words: _Words) -> Node:
    words.expect(b"target")
    target = words.word(members.MAX_PATH)
    if not target or b"\0" in target:
        raise refusal(words.name, "has a symlink to a path that cannot be")
    words.expect(b")")
    return Node(kind="symlink", mode=LINK, mtime=MTIME, target=target.decode("utf-8", "surrogateescape"))
