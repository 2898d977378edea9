"""A closure: a binary cache as nix writes it -> one plain tar, the same for everybody -> a root file system.

The tar is a binary cache itself (`nix copy --from file://FOLDER --no-check-sigs` reads it, unpacked), with nothing in
it that hangs on who built it: no signature, no deriver, no time. No nix is needed to read it.
"""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from sciflow.containers import members, nar, rootfs
from sciflow.containers.members import refusal
from sciflow.containers.rootfs import Node
from sciflow.containers.unpack import Limits
from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from sciflow.containers.image import Pairs
    from sciflow.containers.members import Member

STORE = "/nix/store"
ABOUT, ABOUT_TEXT = "nix-cache-info", f"StoreDir: {STORE}\n"
MAX_INFO = 1 << 20  # bytes of a narinfo: references to ten thousand store paths

# Nix writes digests in base 32 of its own, the last digit first, without e, o, t and u.
DIGITS = "0123456789abcdfghijklmnpqrsvwxyz"
DIGITS_OF_SHA256 = 52
_NAME = re.compile(rf"[{DIGITS}]{{32}}-[A-Za-z0-9+\-._?=]{{1,211}}")
HASH = 32  # digits at the start of a store path's name

FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr/bin")
OPEN_FOLDERS, OPEN = ("tmp", "var/tmp"), 0o1777
ETC = {
    "group": b"root:x:0:\nnogroup:x:65534:\n",
    "passwd": b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
}
ETC_MODE = 0o644


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class StorePath:
    """One path of a store by its name there; digest (hex) and size in bytes are its NAR's; references are names too."""

    name: str
    sha256: str
    size: int
    references: tuple[str, ...]

    @property
    def nar(self) -> str:
        """Where the NAR stands in the tar."""
        return f"nar/{base32(bytes.fromhex(self.sha256))}.nar"

    @property
    def info(self) -> str:
        """Where the narinfo stands in the tar."""
        return f"{self.name[:HASH]}.narinfo"

    def text(self) -> str:
        """Write the narinfo."""
        digest = base32(bytes.fromhex(self.sha256))
        return (
            f"StorePath: {STORE}/{self.name}\n"
            f"URL: {self.nar}\n"
            "Compression: none\n"
            f"FileHash: sha256:{digest}\n"
            f"FileSize: {self.size}\n"
            f"NarHash: sha256:{digest}\n"
            f"NarSize: {self.size}\n"
            f"References: {' '.join(self.references)}\n"
        )


def base32(data: bytes) -> str:
    """Write bytes as Nix does: the little-endian number that they are, in base 32."""
    number = int.from_bytes(data, "little")
    return "".join(DIGITS[number >> 5 * place & 31] for place in reversed(range(-(-len(data) * 8 // 5))))


def pack(folder: Path, target: Path) -> tuple[StorePath, ...]:
    """Write the binary cache in a folder, one that is not compressed, as the one tar; return its paths, sorted.

    Raises SurroundingsError if it is none, or lacks something that a path of it refers to.
    """
    found: list[StorePath] = []
    files: dict[str, Path | bytes] = {ABOUT: ABOUT_TEXT.encode()}
    for file in sorted(folder.glob("*.narinfo")):
        fields = _fields(file.read_bytes(), file.name)
        place = folder / "nar" / fields.get("URL", "").removeprefix("nar/")
        if fields.get("Compression") != "none" or place.parent != folder / "nar" or not place.is_file():
            raise refusal(file.name, "names no NAR that is written plainly")
        sha256, size = names.digest_file(place)
        path = StorePath(name=_name(fields, file.name), sha256=sha256, size=size, references=_references(fields))
        files |= {path.nar: place, path.info: path.text().encode()}
        found.append(path)
    _hold_together(found)
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in sorted(files.items(), key=lambda item: item[0]):
            _add(archive, name, content)
    return tuple(sorted(found))


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = nar.PLAIN, nar.MTIME
    if isinstance(content, bytes):
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    else:
        info.size = content.stat().st_size
        with content.open("rb") as stream:
            archive.addfile(info, stream)


def _fields(data: bytes, name: str) -> Mapping[str, str]:
    """Read a narinfo: a line a field."""
    try:
        lines = data.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise refusal(name, "is no narinfo: it is not ASCII") from error
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _name(fields: Mapping[str, str], file: str) -> str:
    name = fields.get("StorePath", "").removeprefix(f"{STORE}/")
    if not _NAME.fullmatch(name) or file != f"{name[:HASH]}.narinfo":
        raise refusal(file, "is not that of a path of the store")
    return name


def _references(fields: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(sorted(set(fields.get("References", "").split())))


def _hold_together(paths: Sequence[StorePath]) -> None:
    here = {one.name for one in paths}
    if not paths:
        raise refusal("the closure", "is empty")
    for one in paths:
        for other in one.references:
            if other not in here:
                raise refusal(one.name, f"needs `{other}`, and the closure lacks it")


def read(tar: Path) -> tuple[tuple[StorePath, ...], Node]:
    """Read a closure's tar: its paths, sorted, and the folder of the store, whose files lie in the tar as layer 0.

    Every name, number and digest in it is checked. Raises SurroundingsError, naming what is wrong.
    """
    with tar.open("rb") as stream:
        found: dict[str, Member] = {}
        for member in members.read(stream, "the closure"):
            name = "/".join(member.path)
            if member.kind != "file" or name in found:
                raise refusal(name, "is no file, or stands twice in the closure")
            found[name] = member
        paths = tuple(sorted(_path(stream, found[name]) for name in found if name.endswith(".narinfo")))
        _hold_together(paths)
        wanted = {ABOUT, *(one.info for one in paths), *(one.nar for one in paths)}
        for name in sorted(wanted ^ set(found)):
            raise refusal(name, "is missing in the closure" if name in wanted else "does not belong in a closure")
        store, left = Node(), Limits().entries
        for one in paths:
            member = found[one.nar]
            archive = nar.read(stream, offset=member.offset, size=member.size, name=one.name, limit=left)
            if (archive.sha256, member.size) != (one.sha256, one.size):
                raise refusal(one.name, "has other bytes than its narinfo says")
            store.children[one.name] = archive.root
            left -= archive.entries
    return paths, store


def _path(stream: IO[bytes], member: Member) -> StorePath:
    file = "/".join(member.path)
    if member.size > MAX_INFO:
        raise refusal(file, f"is a narinfo of {member.size} bytes")
    stream.seek(member.offset)
    data = stream.read(member.size)
    fields = _fields(data, file)
    digest, size = fields.get("NarHash", "").removeprefix("sha256:"), fields.get("NarSize", "")
    if not re.fullmatch(rf"[01][{DIGITS}]{{{DIGITS_OF_SHA256 - 1}}}", digest) or not re.fullmatch(r"[0-9]{1,18}", size):
        raise refusal(file, "gives no digest or size of a NAR")
    number = sum(DIGITS.index(digit) << 5 * place for place, digit in enumerate(reversed(digest)))
    path = StorePath(
        name=_name(fields, file),
        sha256=number.to_bytes(32, "little").hex(),
        size=int(size),
        references=_references(fields),
    )
    if path.text().encode() != data:
        raise refusal(file, "is a narinfo that was written in another way")
    return path


def furnish(paths: Iterable[StorePath], store: Node) -> tuple[Node, Pairs]:
    """Put a store into a root file system that has what a command expects; return its root and its environment.

    What no other path refers to is what was asked for: its `bin` is on PATH, and `/bin/sh` and `/usr/bin/env` are its
    own. Raises SurroundingsError if it has no shell: steps are started by one.
    """
    paths = tuple(paths)
    used = {other for one in paths for other in one.references if other != one.name}
    root = Node(mtime=nar.MTIME)
    for folder in FOLDERS:
        _folder(root, folder)
    for folder in OPEN_FOLDERS:
        _folder(root, folder).mode = OPEN
    for name, data in ETC.items():
        node = Node(kind="file", mode=ETC_MODE, mtime=nar.MTIME, data=data, size=len(data))
        _folder(root, "etc").children[name] = node
    store.mtime = nar.MTIME
    _folder(root, "nix").children["store"] = store
    asked = [f"{STORE}/{one.name}/bin" for one in paths if one.name not in used]
    search = [path for path in asked if rootfs.reach(root, path)]
    for name, where in (("sh", "bin"), ("env", "usr/bin")):
        programs = [f"{path}/{name}" for path in search if _runs(rootfs.reach(root, f"{path}/{name}"))]
        if programs:
            link = Node(kind="symlink", mode=nar.LINK, mtime=nar.MTIME, target=programs[0])
            _folder(root, where).children[name] = link
        elif name == "sh":
            raise SurroundingsError(
                "the flake's environment has no `bin/sh`, and steps are started by a shell",
                hint="add one to its packages, such as `pkgs.bashInteractive` or `pkgs.busybox`",
            )
    return root, (("PATH", ":".join([*search, "/bin"])),)


def _folder(root: Node, path: str) -> Node:
    for name in path.split("/"):
        root = root.children.setdefault(name, Node(mtime=nar.MTIME))
    return root


def _runs(found: tuple[str, Node] | None) -> bool:
    return found is not None and found[1].kind == "file" and found[1].mode == nar.EXECUTABLE
