"""The source `nix`: a flake beside the workflow -> its closure, pinned and carried -> a root file system.

Nix is needed once. The closure, one plain tar by digest, is enough for every later time, on machines without it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sciflow.containers import cache, closure, flake, locked, rootfs
from sciflow.containers.image import own_platform
from sciflow.containers.locked import LockedFile
from sciflow.containers.source import Base
from sciflow.errors import Fault, ImageError, SurroundingsError
from sciflow.runner import names
from sciflow.runner.tree import shown
from sciflow.workflow import code, spec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sciflow.containers.closure import StorePath
    from sciflow.containers.image import PinnedImage
    from sciflow.containers.source import Request

NAME = "nix"
CLOSURE = "closure"
FLAKE, LOCKED = "flake.nix", "flake.lock"
EVERY = ("**/*.nix",)

# A flake can read the newest time of its files (`self.lastModified`), and whether one may be run.
MTIME = 1
FOLDER_MODE, PLAIN, EXECUTABLE = 0o755, 0o644, 0o755


def files(image: spec.Image, folder: Path) -> tuple[LockedFile, ...]:
    """Pin the flake's files: flake.nix, flake.lock if there is one, every `*.nix`, and what `image.files` says.

    A flake without inputs has no flake.lock: nix writes none. Raises ImageError for a folder elsewhere, a link or
    a pattern that is none, SurroundingsError for a flake that is not there.
    """
    place = _place(image)
    base = folder / place
    for pattern in image.files:
        if code.no_pattern(pattern) or pattern.startswith("/") or ".." in pattern.split("/"):
            raise _fault(
                f"`{shown(pattern)}` in `image.files` chooses nothing of the flake's folder",
                "patterns are relative to it, and `**` stands alone between slashes, as in `**/*.sh`",
            )
    chosen = {base / FLAKE, *code.files(spec.Code(include=(*EVERY, *image.files)), base)}
    if (base / LOCKED).is_symlink() or (base / LOCKED).exists():
        chosen.add(base / LOCKED)
    found = []
    for path in sorted(chosen):
        inside = path.relative_to(folder)
        for part in (path, *(folder / above for above in inside.parents)):
            if part != folder and part.is_symlink():
                fault = Fault(
                    file=shown(part.relative_to(folder).as_posix()),
                    text="is a link; a flake is carried as plain files",
                    hint="put the file itself there, or leave it out of `image.files`",
                )
                raise ImageError([fault])
        if path.is_file():
            found.append(locked.pin(path, inside.as_posix()))
        elif path == base / FLAKE:
            raise SurroundingsError(
                f"there is no `{shown(inside.as_posix())}`, and `image.nix` names a flake there",
                hint="FOLDER of `FOLDER#NAME` is one beside the workflow; other people's flakes are inputs of that one",
            )
    return tuple(sorted(found))


def fits(image: spec.Image, pinned: PinnedImage, _folder: Path | None) -> bool:
    """Say whether it is the same package of the same folder, with the same patterns."""
    return image.reference == pinned.reference and tuple(sorted(set(image.files))) == pinned.asked


def _place(image: spec.Image) -> PurePosixPath:
    """Return the flake's folder, relative to the workflow's."""
    text = image.reference.rpartition("#")[0]
    place = PurePosixPath(text)
    if not text or place.is_absolute() or ".." in place.parts:
        raise _fault(
            f"`image.nix` is `{shown(image.reference)}`, which is not in the workflow's folder",
            "write `FOLDER#NAME`, as in `.#env`: a bundle carries the flake along",
        )
    return place


def _fault(text: str, hint: str) -> ImageError:
    return ImageError([Fault(file=names.WORKFLOW, text=text, hint=hint)])


def lay(request: Request) -> Base:
    """Have the closure, built or held, as a root file system in the workshop.

    A pinned closure that the cache holds needs no nix and no network; without it the flake is built again, and held to
    what was pinned. Raises SurroundingsError.
    """
    pinned = request.pinned
    digest = pinned.digest(CLOSURE) if pinned else ""
    held = cache.held(digest) if digest else None
    if pinned and held:
        return _base(held, digest, request, pinned.files, tools=pinned.tools)
    if request.platform != own_platform():
        raise SurroundingsError(
            f"a flake for {request.platform} cannot be built on {own_platform()}", hint="compile on such a machine"
        )
    version = flake.version()
    found = files(request.image, request.folder)
    if pinned:
        _hold_files(found, pinned.files, request)
    copy = copied(found, request)
    request.progress(f"building the flake {request.image.reference} (the first time may take long)")
    meant = flake.Flake(
        folder=copy, attribute=request.image.reference.rpartition("#")[2], reference=request.image.reference
    )
    tar = request.workshop / "closure.tar"
    binary = flake.build(meant, request.workshop, request.progress)
    paths = closure.pack(binary, tar)
    shutil.rmtree(binary)
    if digest and f"sha256:{names.digest_file(tar)[0]}" != digest:
        raise difference(pinned.paths if pinned else (), listed(paths))
    kept = cache.keep(tar)
    return _base(cache.place(kept), kept, request, found, tools=(("nix", version),))


def _base(
    tar: Path, digest: str, request: Request, found: tuple[LockedFile, ...], *, tools: tuple[tuple[str, str], ...]
) -> Base:
    request.progress("laying the flake's closure")
    paths, store = closure.read(tar)
    root, environment = closure.furnish(paths, store)
    target = request.workshop / "tree.tar"
    rootfs.write(root, [tar], target)
    return Base(
        layers=(target,),
        environment=environment,
        digests={CLOSURE: digest},
        files=found,
        paths=listed(paths),
        tools=tools,
    )


def listed(paths: Sequence[StorePath]) -> tuple[LockedFile, ...]:
    """Write store paths as pins: the digest and size are the NAR's."""
    return tuple(
        LockedFile(path=f"{closure.STORE}/{one.name}", sha256=one.sha256, size=one.size) for one in sorted(paths)
    )


def copied(found: Sequence[LockedFile], request: Request) -> Path:
    """Copy the flake's files, and nothing else, into the workshop, with modes and times that nobody's habits decide."""
    copy = request.workshop / "flake"
    place = _place(request.image)
    copy.mkdir()
    for one in found:
        target = copy / PurePosixPath(one.path).relative_to(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(request.folder / one.path, target)
        if names.digest_file(target) != (one.sha256, one.size):
            raise SurroundingsError(f"`{one.path}` changed while it was read", hint="try again")
        target.chmod(EXECUTABLE if one.executable else PLAIN)
    for path in (*sorted(copy.rglob("*"), reverse=True), copy):
        if path.is_dir():
            path.chmod(FOLDER_MODE)
        os.utime(path, (MTIME, MTIME))
    return copy


def _hold_files(found: Sequence[LockedFile], pinned: Sequence[LockedFile], request: Request) -> None:
    """Raise if the flake's files are not those that were pinned; a pin may list others', which do not count."""
    was = {one.path: one for one in pinned}
    place = _place(request.image)
    gone = {path for path in was if place in PurePosixPath(path).parents and not (request.folder / path).exists()}
    moved = sorted(gone | {one.path for one in found if was.get(one.path) != one})
    if moved:
        raise SurroundingsError(
            f"the flake `{request.image.reference}` is not the one that was locked: {', '.join(map(shown, moved))}",
            hint="`sciflow compile --update` takes it as it is now",
        )


def difference(was: Sequence[LockedFile], now: Sequence[LockedFile]) -> SurroundingsError:
    """Say why a closure that was built again is not the locked one."""
    old, new = ({one.path: one for one in paths} for paths in (was, now))
    moved = sorted(
        [f"{path} (other bytes)" for path in old if path in new and old[path] != new[path]]
        + [f"{path} (gone)" for path in old if path not in new]
        + [f"{path} (new)" for path in new if path not in old]
    )
    if moved:
        return SurroundingsError(
            f"the flake's closure is not the one that was locked: {', '.join(moved)}",
            hint="a package that builds differently each time must be carried: `sciflow compile --fat`; "
            "`sciflow compile --update` takes what is built now",
        )
    return SurroundingsError(
        "the flake's closure has the store paths that were locked, but is written differently",
        hint="use the sciflow that locked it; `sciflow compile --update` takes what is built now",
    )


def recipe(image: PinnedImage) -> Mapping[str, str]:
    """Write how to build the closure by hand, and what it must be. Pure."""
    place, _, attribute = image.reference.rpartition("#")
    tools = ", ".join(f"{name} {version}" for name, version in image.tools)
    reference = f"path:{place}#{attribute}".replace("'", "'\\''")
    lines = [
        "# Builds the store paths below from the flake's files, which stand in `files`, in the folder of this text:",
        "#",
        "#   cd files",
        f"#   nix --extra-experimental-features 'nix-command flakes' build --no-update-lock-file '{reference}'",
        "#",
        f"# It was built with {tools}. The closure, as a binary cache in a tar, is {image.digest(CLOSURE)}.",
        "# Each line has the SHA-256 and the size in bytes of a path's NAR (`nix path-info --json` gives them too).",
        *(f"{one.sha256} {one.size} {one.path}" for one in image.paths),
    ]
    return {"container/flake.txt": "\n".join(lines) + "\n"}
