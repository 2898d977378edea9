"""Wheels -> a layer: a plain tar of a virtual environment on the image's Python, made without running anything of it.

The same wheels for the same Python are the same bytes, whoever makes them. What the image has itself stays visible, and
nothing compiled is laid: its bytes would hang on the Python that compiles.
"""

from __future__ import annotations

import configparser
import hashlib
import io
import posixpath
import stat
import tarfile
import warnings
import zipfile
import zlib
from base64 import urlsafe_b64encode
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

import installer
from installer.destinations import WheelDestination
from installer.exceptions import InstallerError
from installer.records import Hash, RecordEntry
from installer.scripts import Script
from installer.sources import WheelFile
from installer.utils import construct_record_file, fix_shebang

from sciflow.containers import archive, inflate, members, rootfs
from sciflow.containers.rootfs import Node
from sciflow.containers.target import VENV
from sciflow.errors import SurroundingsError
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from installer.scripts import ScriptSection
    from installer.utils import Scheme

    from sciflow.containers.image import Pairs, Wheel
    from sciflow.containers.target import Target

COMPILED = "/tmp/sciflow-pycache"  # noqa: S108  the box's own /tmp; the image itself is read-only
INSTALLER = b"sciflow\n"
PLACEHOLDER = b"#!python"  # the first line of scripts in wheels, which installers fill in (binary-distribution-format)
FILE_MODE, PROGRAM_MODE = 0o644, 0o755
HINT = "no tool builds such a wheel: do not trust it, and ask who made it"

MAX_FILES = 200_000  # of all wheels
MAX_SMALL = 64 << 20  # bytes of what is read whole: records, metadata, scripts

_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, ValueError, KeyError, IndexError, AssertionError),
    *(RuntimeError, NotImplementedError, InstallerError, configparser.Error),
)
"""What zipfile and installer raise for wheels that are none."""


def environment(given: Pairs) -> Pairs:
    """Return what whoever enters gets: the image's own environment, the programs of the wheels first on PATH.

    What Python compiles is kept as long as the box stands, or each step would compile anew what it imports.
    """
    found = {"PYTHONPYCACHEPREFIX": COMPILED, **dict(given)}
    found["PATH"] = f"{VENV}/bin:{found.get('PATH') or archive.SEARCH_PATH}"
    return tuple(sorted(found.items()))


def write(wheels: Sequence[tuple[Wheel, Path]], target: Target, layer: Path) -> None:
    """Write the layer; each wheel comes with its file, whose digest is checked already.

    What the wheels hold lies in a file beside the layer for a while, uncompressed. Raises SurroundingsError, naming the
    wheel: damaged, leaving the environment, of other content than its RECORD says, a bomb, at odds with another.
    """
    spool = layer.with_name(f"{layer.name}.spool")
    try:
        with spool.open("w+b") as stream:
            tree = _Tree(target, stream)
            for wheel, path in sorted(wheels, key=lambda pair: pair[0]):
                _lay(wheel, path, tree)
        _tar(tree.root, spool, layer)
    finally:
        spool.unlink(missing_ok=True)


class _Tree:
    """The environment as it grows: who wrote which path, and the bytes of all files in one stream."""

    def __init__(self, target: Target, spool: IO[bytes]) -> None:
        self.root, self.spool, self.owners = Node(), spool, dict[str, str]()
        self.site = f"lib/python3.{target.minor}/site-packages"
        self.headers = f"include/site/python3.{target.minor}"
        self.files = 0
        home = posixpath.dirname(target.python)
        settings = f"home = {home}\ninclude-system-site-packages = true\nversion = {target.version}\n"
        self.file("pyvenv.cfg", io.BytesIO(settings.encode()), executable=False, owner="")
        # some Pythons look for their modules in lib64
        for path, text in (
            ("bin/python", target.python),
            ("bin/python3", "python"),
            (f"bin/python3.{target.minor}", "python"),
            ("lib64", "lib"),
        ):
            self._put(path, Node(kind="symlink", mode=0o777, target=text), owner="")
        self._folder(self.site, "")

    def file(self, path: str, stream: IO[bytes], *, executable: bool, owner: str) -> tuple[str, int]:
        """Take a file in; return its digest as RECORD writes it (SHA-256, URL-safe base64), and its size in bytes."""
        offset, sha = self.spool.seek(0, io.SEEK_END), hashlib.sha256()
        while piece := stream.read(inflate.PIECE):
            sha.update(piece)
            self.spool.write(piece)
        size = self.spool.tell() - offset
        mode = PROGRAM_MODE if executable else FILE_MODE
        self._put(path, Node(kind="file", mode=mode, layer=0, offset=offset, size=size), owner=owner)
        return urlsafe_b64encode(sha.digest()).decode("ascii").rstrip("="), size

    def _put(self, path: str, node: Node, *, owner: str) -> None:
        *above, name = path.split("/")
        folder = self._folder("/".join(above), owner)
        there = folder.children.get(name)
        self.files += 1
        if self.files > MAX_FILES:
            raise _refusal(owner, f"brings the environment to more than {MAX_FILES} files")
        if there is not None and not (there.kind == node.kind == "file" and self._same(there, node)):
            raise SurroundingsError(
                f"`{owner}` and {self._owner(path)} both want `{VENV}/{shown(path)}`, each in its own way",
                hint="leave one of them out: what is imported would hang on their order",
            )
        folder.children[name] = node
        self.owners.setdefault(path, owner)

    def _folder(self, path: str, owner: str) -> Node:
        here, trail = self.root, ""
        for name in path.split("/") if path else ():
            trail = f"{trail}/{name}".lstrip("/")
            here = here.children.setdefault(name, Node())
            if here.kind != "folder":
                raise SurroundingsError(
                    f"`{owner}` wants a folder where {self._owner(trail)} has `{VENV}/{shown(trail)}`",
                    hint="leave one of them out",
                )
        return here

    def _owner(self, path: str) -> str:
        owner = next((self.owners[one] for one in sorted(self.owners) if f"{one}/".startswith(f"{path}/")), "")
        return f"`{owner}`" if owner else "the environment itself"

    def _same(self, one: Node, other: Node) -> bool:
        return one.mode == other.mode and one.size == other.size and self._bytes(one) == self._bytes(other)

    def _bytes(self, node: Node) -> bytes:
        self.spool.seek(node.offset)
        found = hashlib.sha256()
        left = node.size
        while left and (piece := self.spool.read(min(left, inflate.PIECE))):
            found.update(piece)
            left -= len(piece)
        return found.digest()


class _Destination(WheelDestination):
    """Where `installer` puts one wheel: into the tree, each scheme (sysconfig's words) in its folder."""

    def __init__(self, wheel: Wheel, tree: _Tree) -> None:
        self._wheel, self._tree = wheel, tree
        self._folders = {
            "purelib": tree.site,
            "platlib": tree.site,
            "scripts": "bin",
            "headers": f"{tree.headers}/{wheel.name}",
            "data": "",
        }

    def write_script(self, name: str, module: str, attr: str, section: ScriptSection) -> RecordEntry:
        """Write the program of an entry point."""
        script, data = Script(name, module, attr, section).generate(f"{VENV}/bin/python3", "posix")
        return self._written(cast("Scheme", "scripts"), script, io.BytesIO(data), executable=True)

    def write_file(
        self,
        scheme: Scheme,
        path: str | os.PathLike[str],
        stream: BinaryIO,
        is_executable: bool,  # noqa: FBT001 - installer's signature
    ) -> RecordEntry:
        """Write one of the wheel's files."""
        starts = stream.read(len(PLACEHOLDER))
        stream.seek(0)
        if scheme != "scripts" or starts != PLACEHOLDER:
            return self._written(scheme, str(path), stream, executable=is_executable or scheme == "scripts")
        whole = stream.read(MAX_SMALL + 1)
        if len(whole) > MAX_SMALL:
            raise _refusal(self._wheel.file, f"has a script of more than {MAX_SMALL} bytes: `{shown(str(path))}`")
        with fix_shebang(io.BytesIO(whole), f"{VENV}/bin/python3") as fixed:
            return self._written(scheme, str(path), fixed, executable=True)

    def finalize_installation(
        self, scheme: Scheme, record_file_path: str, records: Iterable[tuple[Scheme, RecordEntry]]
    ) -> None:
        """Write RECORD anew, with all that was written."""

        def prefix(other: Scheme) -> str | None:
            here, there = self._folders[scheme], self._folders[other]
            return None if here == there else posixpath.relpath(f"/{there}", f"/{here}") + "/"

        with construct_record_file(list(records), prefix) as stream:
            self._written(scheme, record_file_path, stream, executable=False)

    def _written(self, scheme: Scheme, path: str, stream: BinaryIO, *, executable: bool) -> RecordEntry:
        place = posixpath.join(self._folders[scheme], _inside(path, self._wheel.file))
        digest, size = self._tree.file(place, stream, executable=executable, owner=self._wheel.file)
        return RecordEntry(path, Hash("sha256", digest), size)


def _lay(wheel: Wheel, path: Path, tree: _Tree) -> None:
    """Check a wheel, and install it into the tree."""
    try:
        with zipfile.ZipFile(path) as packed:
            _judge(packed, wheel.file, path.stat().st_size)
            # The cache has it under its digest; installer reads name and version off the file's name.
            packed.filename = wheel.file
            source = WheelFile(packed)
            source.validate_record(validate_contents=True)
            with warnings.catch_warnings():
                # compiled files in a wheel are left out, which installer would tell each time
                warnings.simplefilter("ignore", RuntimeWarning)
                installer.install(source, _Destination(wheel, tree), {"INSTALLER": INSTALLER})
    except SurroundingsError:
        raise
    except _BROKEN as error:
        issues = getattr(error, "issues", None) or [str(error) or type(error).__name__]
        raise SurroundingsError(
            f"the wheel `{wheel.file}` is refused: {shown(str(issues[0]))}",
            hint="choose another version of it, and tell those who published it",
        ) from error


def _judge(packed: zipfile.ZipFile, file: str, size: int) -> None:
    """Refuse what no honest wheel has, before a byte of it is unpacked."""
    entries = packed.infolist()
    if len(entries) > MAX_FILES or sum(one.file_size for one in entries) > inflate.most(size):
        raise _refusal(file, f"is a bomb: {size} bytes grow to {sum(one.file_size for one in entries)}")
    seen = set()
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        name = _inside(entry.filename, file)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR} or entry.flag_bits & 1:
            raise _refusal(file, f"has something else than a plain file: `{shown(entry.filename)}`")
        if name in seen and not entry.is_dir():
            raise _refusal(file, f"has two files of one name: `{shown(entry.filename)}`")
        if ".dist-info/" in name and entry.file_size > MAX_SMALL:
            raise _refusal(file, f"has too large a `{shown(entry.filename)}`: {entry.file_size} bytes")
        seen.add(name)


def _inside(path: str, file: str) -> str:
    """Return a path below its folder, as plain names. Raises SurroundingsError for any other."""
    names = path.removesuffix("/").split("/")
    long = max(len(one.encode("utf-8", "surrogateescape")) for one in names) > members.MAX_NAME
    if long or len(names) > members.MAX_DEPTH or {"", ".", ".."} & set(names) or not path.isprintable():
        raise _refusal(file, f"has a file that leaves its place: `{shown(path)}`")
    if "\\" in path:
        raise _refusal(file, f"has a file that leaves its place elsewhere: `{shown(path)}`")
    return "/".join(names)


def _refusal(file: str, fault: str) -> SurroundingsError:
    return SurroundingsError(f"the wheel `{file}` {fault}", hint=HINT)


def _tar(root: Node, spool: Path, layer: Path) -> None:
    """Write the environment as a layer, sorted, from its own folder on: those above may be the image's."""
    *above, name = VENV.strip("/").split("/")
    top = Node(children={name: root})
    with (
        spool.open("rb") as stream,
        tarfile.open(layer, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as tar,
    ):
        for path, node in rootfs.walk(top):
            if node is top:
                continue
            info = tarfile.TarInfo("/".join([".", *above, path.removeprefix("./")]))
            info.mode, info.type = node.mode, tarfile.DIRTYPE
            if node.kind == "symlink":
                info.type, info.linkname = tarfile.SYMTYPE, node.target
            elif node.kind == "file":
                info.type, info.size = tarfile.REGTYPE, node.size
                stream.seek(node.offset)
            cast("Any", tar).members = []  # or it would keep them all
            tar.addfile(info, stream if node.kind == "file" else None)
