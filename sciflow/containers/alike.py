"""Two trees, each as a tar -> which files differ, and in what."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciflow.containers import rootfs, unpack
from sciflow.errors import SurroundingsError
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sciflow.containers.rootfs import Node

PIECE = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Likeness:
    """The digests of two trees (`sha256:<hex>`), the pinned one's first, and their differences, one a line."""

    locked: str
    built: str
    differences: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether both are the very same tree."""
        return self.locked == self.built


def differences(one: Path, other: Path) -> Iterator[str]:
    """Say what differs between two trees, by path in the order of bytes. Raises SurroundingsError."""
    was, is_ = _facts(one), _facts(other)
    for path in sorted(was.keys() | is_.keys(), key=lambda path: path.encode("utf-8", "surrogateescape")):
        before, after = was.get(path), is_.get(path)
        if before == after:
            continue
        if before is None or after is None:
            yield f"{shown(path)}: {'only in the second' if before is None else 'only in the first'}"
            continue
        told = [f"{name} {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]
        yield f"{shown(path)}: {', '.join(told)}"


def layer(archive: Path, target: Path) -> None:
    """Take the one layer out of what `archive.docker_archive` wrote. Raises SurroundingsError if there is none."""
    root = unpack.tree([archive])
    for folder in root.children.values():
        node = folder.children.get("layer.tar") if folder.kind == "folder" else None
        if node is not None:
            with archive.open("rb") as source, target.open("wb") as out:
                source.seek(node.offset)
                left = node.size
                while left and (data := source.read(min(left, PIECE))):
                    left -= len(data)
                    out.write(data)
            return
    raise SurroundingsError(f"`{archive}` holds no layer", hint="remove it from the cache, and compile again")


def _facts(tar: Path) -> dict[str, dict[str, str]]:
    with tar.open("rb") as stream:

        def content(node: Node) -> str:
            stream.seek(node.offset)
            sha, left = hashlib.sha256(), node.size
            while left and (data := stream.read(min(left, PIECE))):
                left -= len(data)
                sha.update(data)
            return sha.hexdigest()[:12]

        return {
            path: {
                "kind": node.kind,
                "mode": f"{node.mode:04o}",
                "owner": f"{node.uid}:{node.gid}",
                "time": str(node.mtime),
                "target": shown(node.target),
                "size": str(node.size),
                "content": content(node) if node.kind == "file" else "",
            }
            for path, node in rootfs.walk(unpack.tree([tar]))
        }
