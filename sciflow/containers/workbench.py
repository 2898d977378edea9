"""A recipe on its base -> one plain tar: laid in a squashfs, built by Apptainer as this user, and read back.

Nothing that a user wrote is ever a line of a definition that Apptainer reads: the files to copy and the commands lie in
the base, in a folder of their own that goes away, and what Apptainer is told is the same few words for every recipe.
Whatever tells one build from another is taken out: times of the build, Apptainer's own notes, what lay in `/tmp`.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, TypeAlias, cast

from sciflow.containers import archive, building, instructions, oci, rootfs, scripts, squash, unpack
from sciflow.containers.image import own_platform
from sciflow.containers.instructions import Copy, Item, Recipe, Run
from sciflow.containers.source import Base, Request
from sciflow.errors import Fault, ImageError, SurroundingsError
from sciflow.runner.tree import shown
from sciflow.workflow import spec

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.rootfs import Node

Read: TypeAlias = Callable[[str, str, Base], Recipe]
"""Reads the text of a recipe, whose path is given for faults, on its base, or on none as far as that goes."""

# Mount points of every engine: what lies in them in an image is never seen.
COVERED = ("dev", "proc", "sys", "tmp", "var/tmp")
# Apptainer's own notes and scripts, with times and paths, and the links to them that it puts at the root.
NOTES = ".singularity.d"
LEFT = (".post.script", ".build.labels", scripts.FOLDER)
# What becomes again what it was on the base: for a build this machine's own is mounted over the first two, and the rest
# are diaries with hours and inodes in them, of Debian's tools and of ldconfig, which nobody reads in a box.
RESTORED = (
    "etc/hosts",
    "etc/resolv.conf",
    "var/cache/ldconfig/aux-cache",
    "var/log/alternatives.log",
    "var/log/apt/eipp.log.xz",
    "var/log/apt/history.log",
    "var/log/apt/term.log",
    "var/log/dpkg.log",
)
FILE_MODE, PROGRAM_MODE = 0o644, 0o755


@dataclass(frozen=True, kw_only=True, slots=True)
class _Order:
    """What is to be built: the recipe, what each of its copies means, and the pins of all that, by path."""

    recipe: Recipe
    items: Mapping[int, tuple[Item, ...]]
    pins: Mapping[str, LockedFile]


def lay(request: Request, read: Read) -> Base:
    """Build a recipe on its base. Raises ImageError for the recipe and for commands that fail, SurroundingsError."""
    file = request.image.reference
    if request.platform != own_platform():
        raise SurroundingsError(
            f"`{shown(file)}` for {request.platform} cannot be built on {own_platform()}",
            hint="compile on such a machine",
        )
    version = building.version()
    text = instructions.text(request.folder, file)
    first = read(text, file, Base(layers=()))
    items = instructions.items(first, request.folder, file)
    pins = _pins(request, items)
    base = _under(request, first)
    recipe = read(text, file, base)
    _same_sources(first, recipe, file)
    order = _Order(recipe=recipe, items=items, pins=pins)
    if recipe.ignored:
        request.progress(f"{shown(file)}: left out, for they say nothing to a task: {', '.join(recipe.ignored)}")
    return Base(
        layers=(_built(order, [*base.layers, _staged(order, request)], request),),
        environment=recipe.environment,
        folder=recipe.folder or base.folder,
        labels=recipe.labels,
        over=recipe.base,
        digests=base.digests,
        files=tuple(pins[path] for path in sorted(pins)),
        tools=(("apptainer", version),),
    )


def _under(request: Request, recipe: Recipe) -> Base:
    """Have the layers of the recipe's own base: by its digest where that is pinned."""
    below = request.workshop / "under"
    below.mkdir()
    image = spec.Image(source="from", reference=recipe.base)
    pinned = replace(request.pinned, source="from", reference=recipe.base) if request.pinned else None
    try:
        return oci.lay(replace(request, image=image, pinned=pinned, workshop=below))
    except SurroundingsError as error:
        place = f"{shown(request.image.reference)}:{recipe.line}:1"
        raise SurroundingsError(f"{place}: {error.args[0]}", hint=error.hint) from error


def recipe(image: PinnedImage) -> Mapping[str, str]:
    """Say in words what was built of what. Pure."""
    tools = ", ".join(f"{name} {version}" for name, version in image.tools)
    base = [f"{digest}  {name} of the base" for name, digest in image.digests if name in {"file", "index", "manifest"}]
    files = [f"sha256:{one.sha256}  {one.path}" for one in image.files]
    lines = [f"Built from the {image.source} `{shown(image.reference)}` over `{shown(image.over)}` with {tools}, of"]
    lines += [*base, *files]
    return {"container/built.txt": "\n".join(lines) + "\n"}


def _same_sources(first: Recipe, recipe: Recipe, file: str) -> None:
    """Refuse what would copy other files on another base: they are pinned before anybody knows the base."""
    faults = instructions.Faults(file=file)
    for one, other in zip(first.steps, recipe.steps, strict=True):
        if isinstance(one, Copy) and isinstance(other, Copy) and one.sources != other.sources:
            faults.add(other.line, "what it copies depends on the environment of its base", "write the name itself")
    faults.end()


def _pins(request: Request, items: Mapping[int, tuple[Item, ...]]) -> dict[str, LockedFile]:
    """Return the pins of what is built from, by path. Raises SurroundingsError if it is not what was pinned."""
    file = request.image.reference
    now = {one.path: one for one in instructions.files(items, request.folder, file)}
    if request.pinned is None:
        return now
    pins = {one.path: one for one in request.pinned.files}
    for path in sorted(set(now) | set(pins)):
        if path not in now or path not in pins or now[path].sha256 != pins[path].sha256:
            raise _moved(path)
    return pins


def _moved(path: str) -> SurroundingsError:
    return SurroundingsError(
        f"`{shown(path)}` is not what was locked for the image",
        hint="`sciflow compile --update` locks what is there now",
    )


def _staged(order: _Order, request: Request) -> Path:
    """Write the files to copy and the scripts as a layer; each file is the one that was pinned, or nothing is built."""
    target, proxies = request.workshop / "staged.tar", building.proxies()
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape") as layer:
        for number, step in enumerate(order.recipe.steps):
            items = order.items.get(number, ())
            text = scripts.script(step, number, items, proxies)
            _add(layer, f"{number}.sh", text.encode("utf-8", "surrogateescape"))
            if isinstance(step, Run) and step.text:
                _add(layer, f"{number}.text", step.text.encode())
            for index, item in enumerate(items):
                for path, below in item.files:
                    _copied(layer, f"{number}/{index}/{below}", request.folder, path, order.pins[path])
        _add(layer, "run", scripts.runner(len(order.recipe.steps)).encode())
    return target


class _Hashed:
    """A stream that is hashed while it is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.sha256.update(data)
        return data


def _copied(layer: tarfile.TarFile, name: str, folder: Path, path: str, pin: LockedFile) -> None:
    """Add a file of the workflow's folder, if it is the one that was pinned."""
    try:
        with (folder / path).open("rb") as stream:
            hashed = _Hashed(stream)
            layer.addfile(
                _info(name, pin.size, PROGRAM_MODE if pin.executable else FILE_MODE), cast("IO[bytes]", hashed)
            )
    except OSError as error:
        raise _moved(path) from error  # it is gone, or shorter
    if hashed.sha256.hexdigest() != pin.sha256:
        raise _moved(path)


def _add(layer: tarfile.TarFile, name: str, data: bytes) -> None:
    layer.addfile(_info(name, len(data), FILE_MODE), io.BytesIO(data))


def _info(name: str, size: int, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{scripts.FOLDER}/{name}")
    info.size, info.mode, info.mtime = size, mode, 0
    return info


def _built(order: _Order, layers: list[Path], request: Request) -> Path:
    """Build the tree, and write it as a tar."""
    file, steps = request.image.reference, order.recipe.steps
    before = unpack.tree(layers)
    tar, base = request.workshop / "built.tar", request.workshop / building.BASE
    rootfs.write(before, layers, tar)
    archive.squashfs(tar, base)
    tar.unlink()
    started = int(base.stat().st_mtime)  # by the clock of the disk that the build's files are on

    def told(number: int) -> None:
        request.progress(f"{shown(file)}:{steps[number].line}: step {number + 1} of {len(steps)}")

    try:
        sif = building.build(request.workshop, told)
    except building.FailedError as failed:
        said = "".join(f"\n    {line}" for line in failed.said)
        alone = "Invalid argument" in said  # as the kernel says of an owner that a namespace does not have
        raise ImageError(
            [
                Fault(
                    file=shown(file),
                    line=steps[failed.step].line,
                    column=1,
                    text=f"this ended with {failed.code} when the image was built{':' if said else ''}{said}",
                    hint=building.NO_NAMESPACE
                    if alone
                    else "it has the network, and no files but those that are copied",
                )
            ]
        ) from failed
    root = squash.tree(sif, layer=len(layers))
    clean(root, before, started)
    rootfs.write(root, [*layers, sif], tar)
    sif.unlink()
    return tar


def clean(root: Node, before: Node, started: int) -> None:
    """Take out of a built tree what tells one build from another; `before` is the tree that it was built on.

    What got its time during the build gets 0, as it would have another one the next time.
    """
    for name in [*LEFT, NOTES]:
        root.children.pop(name, None)
    for name, node in list(root.children.items()):
        if node.kind == "symlink" and node.target.startswith(f"{NOTES}/"):
            del root.children[name]
    for path in COVERED:
        folder = _folder(root, path)
        if folder:
            folder.children.clear()
            folder.mtime = 0
    for path in RESTORED:
        above, _, name = path.rpartition("/")
        folder, was = _folder(root, above), _folder(before, above)
        if folder:
            folder.children.pop(name, None)
        if folder and was and name in was.children:
            folder.children[name] = was.children[name]
    for _, node in rootfs.walk(root):
        node.mtime = node.mtime if node.mtime < started else 0
        node.uid = node.gid = 0


def _folder(root: Node, path: str) -> Node | None:
    here: Node | None = root
    for name in path.split("/"):
        here = here.children.get(name) if here else None
    return here
