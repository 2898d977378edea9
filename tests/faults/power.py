"""What a power failure may leave: from a strace(1) log of a run to folders as a disk may hold them afterwards.

The model is ALICE's (Pillai et al., OSDI 2014), with nothing promised but what POSIX says: bytes of a file are on the disk
after an fsync of it, a name (made, moved, removed) after an fsync of the folder it stands in, all of it after a syncfs.
What is not may be there or not, each apart from the others; a file may have its length without its bytes.
"""

import os
import random
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

CALLS = (
    "open,openat,creat,write,pwrite64,writev,ftruncate,truncate,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,"
    "rmdir,symlink,symlinkat,link,linkat,fsync,fdatasync,syncfs,sendfile,copy_file_range,splice"
)
STRACE = ("-f", "-y", "-xx", "-s", "10000000", "-e", f"trace={CALLS}", "-e", "signal=none")
LEFT = ("nothing", "names", "bytes", "zeros", "torn", "some", "others", "all")
HEX = re.compile(r"(?:\\x[0-9a-f]{2})+")
LINE = re.compile(r"^(\d+) +(?:<\.\.\. \w+ resumed>)?(.*)$")
CALL = re.compile(r"^(\w+)\((.*)\) += (-?\d+)(?:<(.*)>)?(?: .*)?$")
UNSEEN = ("writev", "truncate", "link", "linkat", "sendfile", "copy_file_range", "splice")  # not modelled


@dataclass(eq=False, slots=True)
class Node:
    """A folder or a file, whatever it is called: what it holds, and how long it is, when the log is at its end."""

    folder: bool
    entries: dict = field(default_factory=dict)
    size: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class Change:
    """At a moment, a name is given or taken (`names`: [(folder, name, node or None)]), or bytes are written at a place."""

    when: int
    names: tuple = ()
    node: Node | None = None
    at: int = 0
    data: bytes | None = None  # None: cut off at that place


def text(quoted):
    """Return the text of what strace writes with -xx."""
    return os.fsdecode(bytes.fromhex(quoted.replace("\\x", "")))


class Disk:
    """The changes below a folder, in their order, and the moments at which some were forced to the disk."""

    def __init__(self, log, root):
        self.root, self.top = os.fspath(root), Node(folder=True)
        self.changes, self.forced, self._now, begun = [], [], 0, {}
        for line in Path(log).read_text(encoding="ascii").splitlines():
            pid, words = LINE.match(line).groups()
            if words.endswith("<unfinished ...>"):
                begun[pid] = words.removesuffix("<unfinished ...>").rstrip()
                continue
            words = begun.pop(pid, "") + words if "resumed>" in line else words
            match = CALL.match(words)
            if match and int(match.group(3)) >= 0:
                self._take(match.group(1), match.group(2), int(match.group(3)), match.group(4))

    # ---- What was called

    def _inside(self, path):
        return path == self.root or path.startswith(self.root + "/")

    def _take(self, name, words, result, opened):
        # Each path: what the descriptor before it stands for, and the text; and what a descriptor alone stands for.
        found = [text(one) for one in HEX.findall(re.sub(r'"[^"]*"', "", words))]
        quoted = [text(one[1:-1]) if one != '""' else "" for one in re.findall(r'"[^"]*"', words)]
        if name in ("open", "openat", "creat"):
            path = text(opened) if opened else ""
            if self._inside(path) and re.search("O_CREAT|O_TRUNC|creat", name + words):
                self._open(path, cut="O_TRUNC" in words)
        elif name in ("write", "pwrite64"):
            if found and self._inside(found[0]):
                at = int(words.rsplit(", ", 1)[1]) if name == "pwrite64" else None
                self._write(found[0], at, os.fsencode(quoted[0])[:result])
        elif name == "ftruncate":
            if self._inside(found[0]):
                self._cut(found[0], int(words.rsplit(", ", 1)[1]))
        elif name in ("fsync", "fdatasync", "syncfs"):
            self._force(None if name == "syncfs" else found[0])
        elif name in UNSEEN:
            assert not any(self._inside(path) for path in found + quoted), f"not modelled: {name}({words})"
        else:
            self._name(name, [os.path.join(folder, path) for folder, path in self._paths(words)])

    @staticmethod
    def _paths(words):
        """Yield (the folder a path counts from, path) of each path that a call is told."""
        for folder, path in re.findall(r'(?:(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})+)>, )?"((?:\\x[0-9a-f]{2})*)"', words):
            yield text(folder) if folder else "", text(path)

    def _node(self, path, *, make=True):
        """Return what stands at a path now; a folder that nobody was seen to make (by a path of its own) is made."""
        node = self.top
        for part in path[len(self.root) :].strip("/").split("/") if path != self.root else ():
            if part not in node.entries:
                if not make:
                    return None
                self._change(names=((node, part, Node(folder=True)),))
            node = node.entries[part]
        return node

    def _change(self, **more):
        change = Change(when=self._now, **more)
        self._now += 1
        self.changes.append(change)
        for folder, name, node in change.names:
            if node is None:
                folder.entries.pop(name, None)
            else:
                folder.entries[name] = node

    def _place(self, path):
        return self._node(os.path.dirname(path)), os.path.basename(path)

    def _open(self, path, *, cut):
        node = self._node(path, make=False)
        if node is None:
            self._change(names=((*self._place(path), Node(folder=False)),))
        elif cut and node.size:
            self._cut(path, 0)

    def _write(self, path, at, data):
        node = self._node(path, make=False)
        if node is None or not data:
            return  # it has lost its name: nobody will ever see it
        # All that outlasts a step is written once, from its beginning to its end: where a descriptor is need not be known.
        at = node.size if at is None else at
        node.size = max(node.size, at + len(data))
        self._change(node=node, at=at, data=data)

    def _cut(self, path, size):
        node = self._node(path, make=False)
        if node is not None:
            node.size = size
            self._change(node=node, at=size)

    def _force(self, path):
        node = self._node(path, make=False) if path and self._inside(path) else None
        if path is None or node is not None:
            self.forced.append((self._now, node))
            self._now += 1

    def _name(self, name, paths):
        if name.startswith("symlink") or not any(self._inside(path) and path != self.root for path in paths):
            return  # links stand in folders of work alone
        node = self._node(paths[0], make=False)
        if name.startswith("mkdir"):
            self._change(names=((*self._place(paths[0]), Node(folder=True)),))
        elif node is not None and name.startswith("rename"):
            self._change(names=((*self._place(paths[0]), None), (*self._place(paths[1]), node)))
        elif node is not None:
            self._change(names=((*self._place(paths[0]), None),))

    # ---- What is left

    def moments(self):
        """Return the moments before and after something was forced to the disk."""
        return sorted({when + more for when, _ in self.forced for more in (0, 1)})

    def _safe(self, change, now):
        """Say whether a change was forced to the disk before a moment."""
        node = change.node or change.names[-1][0]
        return any(change.when < when < now and forced in (None, node) for when, forced in self.forced)

    def lay(self, now, left, target):
        """Write what may stand after a failure at a moment; `left` says what is there of what was not forced."""
        chance, entries, data, cut = random.Random(f"{now} {left}"), {}, {}, set()
        before = [change for change in self.changes if change.when < now]
        unsafe = {change.when for change in before if not self._safe(change, now)}
        last = {change.node: change for change in before if change.node}
        for change in before:
            lost = change.when in unsafe
            share = share_of(change, left, chance, last=last.get(change.node) is change) if lost else 1.0
            for folder, name, node in change.names if share else ():
                entries.setdefault(folder, {})[name] = node
            if change.node is not None and change.node not in cut:
                put(data.setdefault(change.node, bytearray()), change, share, zeros=lost and left == "zeros")
                if share < 1:
                    cut.add(change.node)  # what was written behind it is not there either
        shutil.rmtree(target, ignore_errors=True)
        written(self.top, Path(target), entries, data)


def share_of(change, left, chance, *, last):
    """Return how much of a change that was not forced is there."""
    if left in ("some", "others"):
        return float(chance.random() < 0.5)
    if left == "torn":
        return 0.5 if last and change.data else 1.0
    return 0.0 if left in ("nothing", "names" if change.node else "bytes") else 1.0


def put(held, change, share, *, zeros):
    """Put the bytes of a change, or a share of them, into what a file holds."""
    if change.data is None:
        if share:
            del held[change.at :]
        return
    data = change.data[: int(len(change.data) * share)]
    held[len(held) :] = bytes(max(0, change.at - len(held)))
    held[change.at : change.at + len(data)] = bytes(len(data)) if zeros else data


def written(node, path, entries, data):
    """Write a folder to a path."""
    path.mkdir()
    for name, inner in entries.get(node, {}).items():
        if inner is None:
            continue
        if inner.folder:
            written(inner, path / name, entries, data)
        else:
            (path / name).write_bytes(data.get(inner, b""))
