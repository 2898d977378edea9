"""A root file system in memory, and as one tar: the same tree is the same bytes, whoever writes it and wherever.

No name of an image ever becomes a path of this machine: folders are dictionaries, files are places in layers, links
are texts. What could lead out of a folder on a disk leads nowhere here, so nothing has to be raced or resolved safely
(`openat`, `O_NOFOLLOW`), and a plain user keeps owners and modes that the disk would not let him.
"""

from __future__ import annotations

import io
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, cast

from sciflow.containers import members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

FOLDER_MODE = 0o755
MAX_LINKS = 40  # path_resolution(7): the kernel follows as many


@dataclass(kw_only=True, slots=True, eq=False)
class Node:
    """One file, folder or symlink; a file with several names is one node in several folders.

    A file's bytes are `data`, or the `size` bytes from `offset` of the plain tar number `layer`.
    """

    kind: Literal["file", "folder", "symlink"] = "folder"
    mode: int = FOLDER_MODE
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    target: str = ""
    layer: int = -1
    offset: int = 0
    size: int = 0
    data: bytes | None = None
    children: dict[str, Node] = field(default_factory=dict)


def write(root: Node, layers: Sequence[Path], target: Path) -> None:
    """Write the tree as a tar, sorted by the bytes of names, with the layers' own owners, modes and times.

    Times are the layers', in whole seconds: they are content (a compiled Python file names its source's time, and with
    another one Python would compile it anew at each start), and their digest is in the manifest. GNU's form of tar
    holds any name in its own bytes, large numbers too, and so needs no extended headers, which only some readers know.
    Extended attributes are left out: file capabilities have no power in a box, which takes no new privileges.
    Raises SurroundingsError for a path that no file system can hold.
    """
    seen: dict[int, str] = {}
    with (
        ExitStack() as stack,
        tarfile.open(target, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as archive,
    ):
        streams = [stack.enter_context(layer.open("rb")) for layer in layers]
        for path, node in walk(root):
            if len(path.encode("utf-8", "surrogateescape")) > members.MAX_PATH:
                raise members.refusal(f"{path[:80]}…", "has a path longer than any file's")
            info = _info(path, node, seen)
            cast("Any", archive).members = []  # or it would keep them all
            if not info.isreg():
                archive.addfile(info)
            elif node.data is not None:
                archive.addfile(info, io.BytesIO(node.data))
            else:
                streams[node.layer].seek(node.offset)
                archive.addfile(info, streams[node.layer])


def walk(root: Node) -> Iterator[tuple[str, Node]]:
    """Yield every path (`.`, `./etc`, …) and its node: folders before what is in them, names in the order of bytes."""
    waiting = [(".", root)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        below = sorted(node.children.items(), key=lambda item: item[0].encode("utf-8", "surrogateescape"), reverse=True)
        waiting += [(f"{path}/{name}", child) for name, child in below]


def reach(root: Node, path: str) -> tuple[str, Node] | None:
    """Follow a path, and every link on it, inside the tree; return where it ends, with what is there."""
    names: list[str] = []
    nodes = [root]
    waiting = list(reversed(path.split("/")))
    followed = 0
    while waiting:
        name = waiting.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            del names[-1:]
            del nodes[max(len(nodes) - 1, 1) :]
            continue
        here = nodes[-1].children.get(name)
        if here is None:
            return None
        if here.kind != "symlink":
            names.append(name)
            nodes.append(here)
            continue
        followed += 1
        if followed > MAX_LINKS:
            return None
        if here.target.startswith("/"):
            names, nodes = [], [root]
        waiting += reversed(here.target.split("/"))
    return "/" + "/".join(names), nodes[-1]


def _info(path: str, node: Node, seen: dict[int, str]) -> tarfile.TarInfo:
    """Write a header; the second name of a file is a hard link to the first."""
    info = tarfile.TarInfo(path)
    info.mode, info.uid, info.gid, info.mtime = node.mode, node.uid, node.gid, node.mtime
    if node.kind == "folder":
        info.type = tarfile.DIRTYPE
    elif node.kind == "symlink":
        info.type, info.linkname = tarfile.SYMTYPE, node.target
    elif id(node) in seen:
        info.type, info.linkname = tarfile.LNKTYPE, seen[id(node)]
    else:
        seen[id(node)] = path
        info.size = node.size
    return info
