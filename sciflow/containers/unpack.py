"""Layers -> one tree: each layer's members laid over those below it, as OCI's image-spec (layer.md) says.

Symlinks on the way to a member are followed as a kernel would inside this root (engines do so, and some builders write
`lib/x` over a base whose `/lib` is a link): in memory, where `..` ends at the root and there is nothing beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciflow.containers import members
from sciflow.containers.members import Member, refusal
from sciflow.containers.rootfs import MAX_LINKS, Node
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
AUFS = ".wh..wh."  # what aufs kept for itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What an image may have at most. `entries` counts the members of all layers; sizes are limited where they grow."""

    entries: int = 1_000_000


def tree(layers: Sequence[Path], *, limits: Limits = Limits()) -> Node:
    """Lay plain tars over each other, the lowest first; return the root.

    Devices, pipes and sockets are left out: every engine brings a /dev of its own, and no plain user can make them.
    Raises SurroundingsError, naming the member, for what leaves the root or that no honest image has.
    """
    root, entries = Node(), 0
    for number, layer in enumerate(layers):
        place = f"layer {number + 1}"
        found = []
        with layer.open("rb") as stream:
            for member in members.read(stream, place):
                entries += 1
                if entries > limits.entries:
                    raise refusal(place, f"brings the image to more than {limits.entries} files")
                found.append(member)
        # A whiteout hides what lower layers have, never its own layer's: so it goes first, wherever it stands.
        for member in found:
            if _is_whiteout(member):
                _hide(root, member)
        for member in found:
            if not any(name.startswith(WHITEOUT) for name in member.path):
                _put(root, member, number)
    return root


def _is_whiteout(member: Member) -> bool:
    *above, name = member.path or ("",)
    if any(part.startswith(AUFS) for part in above) or (name.startswith(AUFS) and name != OPAQUE):
        return False
    if any(part.startswith(WHITEOUT) for part in above):
        raise refusal("/".join(member.path), "lies in a folder whose name is kept for whiteouts")
    if name in {WHITEOUT, f"{WHITEOUT}.", f"{WHITEOUT}.."}:
        raise refusal("/".join(member.path), "hides what is no file's name")
    return name.startswith(WHITEOUT)


def _hide(root: Node, member: Member) -> None:
    *above, name = member.path
    folder = _folder(root, above, member, make=False)
    if folder is None:
        return
    if name == OPAQUE:
        folder.children.clear()
    else:
        folder.children.pop(name.removeprefix(WHITEOUT), None)


def _put(root: Node, member: Member, layer: int) -> None:
    if not member.path:
        if member.kind != "folder":
            raise refusal("/", "is no folder")
        root.mode, root.uid, root.gid, root.mtime = member.mode, member.uid, member.gid, member.mtime
        return
    *above, name = member.path
    folder = _folder(root, above, member, make=True)
    if folder is None:
        raise refusal("/".join(member.path), "lies below a file")
    there = folder.children.get(name)
    if member.kind == "device":
        folder.children.pop(name, None)
    elif member.kind == "link":
        folder.children[name] = _linked(root, member)
    elif member.kind == "folder" and there is not None and there.kind == "folder":
        there.mode, there.uid, there.gid, there.mtime = member.mode, member.uid, member.gid, member.mtime
    else:
        folder.children[name] = Node(
            kind=member.kind,
            mode=member.mode,
            uid=member.uid,
            gid=member.gid,
            mtime=member.mtime,
            target=member.target,
            layer=layer,
            offset=member.offset,
            size=member.size,
        )


def _linked(root: Node, member: Member) -> Node:
    """Return the file that a hard link means."""
    *above, name = member.target.split("/")
    folder = _folder(root, above, member, make=False)
    found = folder.children.get(name) if folder else None
    if found is None or found.kind == "folder":
        raise refusal("/".join(member.path), f"is a hard link to `{shown(member.target)}`, and there is no such file")
    return found


def _folder(root: Node, path: Sequence[str], member: Member, *, make: bool) -> Node | None:
    """Return the folder at a path, made if `make`; nothing if it is not there, or is a file. Links are followed."""
    trail, waiting, followed = [root], list(reversed(path)), 0
    while waiting:
        name = waiting.pop()
        if name in {"", ".", ".."}:
            if name == ".." and len(trail) > 1:
                trail.pop()
            continue
        here = trail[-1].children.get(name)
        if here is None and make:
            here = trail[-1].children[name] = Node()
        if here is None or here.kind == "file":
            return None
        if here.kind == "folder":
            trail.append(here)
        else:
            followed += 1
            if here.target.startswith("/"):
                del trail[1:]
            waiting += reversed(here.target.split("/"))
        if followed > MAX_LINKS or len(trail) > members.MAX_DEPTH or len(waiting) > members.MAX_PATH:
            raise refusal("/".join(member.path), "lies behind links in a circle, or deeper than any file")
    return trail[-1]
