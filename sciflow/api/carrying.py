"""Make a bundle's image present: on this machine, for one engine; or inside the bundle, which is fat from then on."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import box, names

if TYPE_CHECKING:
    from sciflow.bundle.folder import Bundle
    from sciflow.containers.image import PinnedImage

Say = Callable[[str], None]
PIECE_BYTES = 1 << 20
MEGA = 1e6


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Carried:
    """One thing that a bundle carries: its digest (`sha256:<hex>`), size in bytes, who needs it, whether it is new.

    No engine needs the pieces that an image can be built again from.
    """

    digest: str
    size: int
    engines: tuple[str, ...]
    new: bool


def choose(bundle: Bundle, wanted: str | None) -> str:
    """Return the engine to use: the wanted one, else SCIFLOW_ENGINE, else the first that works.

    Raises SurroundingsError, saying what was tried.
    """
    try:
        return str(box.choose(bundle.plan["boxes"], wanted or os.environ.get("SCIFLOW_ENGINE"))["engine"])
    except box.BoxError as error:
        raise SurroundingsError(str(error), hint="`sciflow doctor` says which engines work here") from error


def present(bundle: Bundle, wanted: str, say: Say) -> None:
    """Make the bundle's image present for an engine: carried, in the cache, or held by the engine itself.

    Raises SurroundingsError, saying what is missing, where it was looked for and why it cannot be had.
    """
    chosen = next((entry for entry in bundle.plan["boxes"] if entry["engine"] == wanted), None)
    needed = _digests(chosen) if chosen else []
    absent = [digest for digest in needed if box.content(str(bundle.path), digest) is None]
    if chosen is None or chosen["image"] is None or (needed and not absent):
        return
    try:
        _made(bundle, wanted, say)
    except SurroundingsError as error:
        if not absent:
            raise
        raise _lacking(bundle, {digest: [wanted] for digest in absent}, error) from error


def fetch(path: Path, *, engine: str | None = None, say: Say = silent) -> str:
    """Make a bundle's image present on this machine, for one engine or the first that works; return its name."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    chosen = choose(bundle, engine)
    present(bundle, chosen, say)
    return chosen


def carry(path: Path, *, engine: str | None = None, say: Say = silent) -> tuple[Carried, ...]:
    """Make a thin bundle fat: what its boxes (or that of one engine) name by digest is put into `carried/`.

    The bundle's id stays the same. Each thing is checked while it is copied, and has its name only when it is whole;
    what is carried already is checked, and replaced if it is spoilt. Where something cannot be had, all else is carried
    before SurroundingsError names it, the places where it was looked for, and why it cannot be made.
    """
    from sciflow.bundle import folder

    bundle = folder.read(path)
    image = _pinned(bundle)
    boxes = [entry for entry in bundle.plan["boxes"] if engine in (None, entry["engine"])]
    if not boxes:
        known = ", ".join(entry["engine"] for entry in bundle.plan["boxes"])
        raise SurroundingsError(f"`{path}` cannot run in `{engine}`", hint=f"it knows: {known}")
    users: dict[str, list[str]] = {}
    for entry in boxes:
        for digest in _digests(entry):
            users.setdefault(digest, []).append(entry["engine"])
    found, missing, reason = [], {}, None
    for digest, engines in users.items():
        try:
            found.append(_carried(bundle, digest, engines, say, make=reason is None))
        except SurroundingsError as error:
            missing[digest], reason = engines, reason or error  # one image: what cannot be made once is not tried again
    if reason:
        raise _lacking(bundle, missing, reason) from reason
    if image and engine is None:
        found += _parts(bundle, image, say)
    return tuple(found)


def wrap(path: Path, target: Path, *, say: Say = silent) -> Path:
    """Write a bundle's image as a SIF, the same bytes for everyone, for a site that wants one; return its path.

    An image file that is a SIF already is copied as it is. Raises SurroundingsError if the image cannot be had or the
    file cannot be written; it is whole or absent.
    """
    from sciflow.bundle import folder
    from sciflow.containers import sif

    bundle = folder.read(path)
    entry = next((one for one in bundle.plan["boxes"] if "file" in (one["image"] or {})), None)
    if entry is None:
        raise UsageError(f"`{path}` has no image", hint="its workflow has no [image]")
    present(bundle, entry["engine"], say)
    source = box.content(str(bundle.path), entry["image"]["file"])
    if source is None:
        raise SurroundingsError("it was cleared away while it was fetched", hint="fetch it again")
    try:
        with tempfile.TemporaryDirectory(prefix=".sif-", dir=target.parent) as aside:
            part = Path(aside) / "part"
            if sif.is_one(Path(source)):
                shutil.copyfile(source, part)
            else:
                image = _pinned(bundle)
                sif.wrap(Path(source), part, architecture=image.platform.split("/")[1] if image else "")
            part.chmod(0o755)
            part.replace(target)
    except OSError as error:
        raise SurroundingsError(f"`{target}` cannot be written: {error.strerror}") from error
    return target


def _digests(entry: dict[str, Any]) -> list[str]:
    return [entry["image"][what] for what in ("file", "archive") if what in (entry["image"] or {})]


def _made(bundle: Bundle, wanted: str, say: Say) -> None:
    """Have an image fetched or built again, as the lock pins it. Raises SurroundingsError."""
    from sciflow import containers
    from sciflow.containers import cache, pinning

    image = _pinned(bundle)
    if image is None:
        return
    for digest in containers.parts(image):
        carried = _place(bundle, digest)
        if carried.is_file() and cache.held(digest) is None:
            with cache.workshop() as workshop:
                cache.keep(Path(shutil.copyfile(carried, workshop / "part")))
    pinning.fetch(image, engine=wanted, folder=bundle.path / names.IMAGE_FILES, progress=say)


def _pinned(bundle: Bundle) -> PinnedImage | None:
    from sciflow.plan import lockfile

    found = lockfile.read(bundle.path / names.LOCK)
    return found.image if found else None


def _place(bundle: Bundle, digest: str) -> Path:
    return bundle.path / names.CARRIED / "sha256" / digest.removeprefix("sha256:")


def _parts(bundle: Bundle, image: PinnedImage, say: Say) -> list[Carried]:
    """Carry what the image can be built again from, too: then another engine's form of it needs no network either."""
    from sciflow import containers
    from sciflow.containers import pinning

    found = []
    for digest, what in containers.parts(image).items():
        place = _place(bundle, digest)
        new = not (place.is_file() and names.digest_file(place)[0] == place.name)
        if new:
            source = pinning.part(image, digest, folder=bundle.path / names.IMAGE_FILES, progress=say)
            if source is None:
                raise SurroundingsError(f"`{bundle.path}` lacks {what} ({digest})", hint="compile it anew with --fat")
            say(f"carrying {what}")
            _copy(source, place, bundle.path / names.RUNS)
        found.append(Carried(digest=digest, size=place.stat().st_size, engines=(), new=new))
    return found


def _carried(bundle: Bundle, digest: str, engines: list[str], say: Say, *, make: bool) -> Carried:
    """Put content into `carried/`, unless it is there and unspoilt. Raises SurroundingsError if it cannot be had."""
    from sciflow.containers import cache

    place = _place(bundle, digest)
    if place.is_file() and names.digest_file(place)[0] == place.name:
        return Carried(digest=digest, size=place.stat().st_size, engines=tuple(engines), new=False)
    source = cache.held(digest)
    if source is None and make:
        _made(bundle, engines[0], say)
        source = cache.held(digest)
    if source is None:
        raise SurroundingsError("it was cleared away while it was fetched", hint="fetch it again")
    size = source.stat().st_size
    say(f"carrying {digest} for {', '.join(engines)} ({size / MEGA:.1f} MB)")
    _copy(source, place, bundle.path / names.RUNS)
    return Carried(digest=digest, size=size, engines=tuple(engines), new=True)


def _copy(source: Path, place: Path, aside: Path) -> None:
    """Copy content to the place that is named for its digest: whole and checked, or not at all.

    It is written `aside`, where a bundle may hold anything: half of it in `carried/` would spoil the bundle.
    """
    existed = aside.is_dir()
    aside.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".carrying-", dir=aside))
    try:
        part, sha = folder / "part", hashlib.sha256()
        with source.open("rb") as stream, part.open("wb") as copy:
            for piece in iter(lambda: stream.read(PIECE_BYTES), b""):
                sha.update(piece)
                copy.write(piece)
            copy.flush()
            os.fsync(copy.fileno())
        if sha.hexdigest() != place.name:
            raise SurroundingsError(f"`{source}` changed while it was copied", hint="fetch it again")
        part.chmod(0o644)
        place.parent.mkdir(parents=True, exist_ok=True)
        part.replace(place)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not existed:
            with contextlib.suppress(OSError):  # a run has begun meanwhile
                aside.rmdir()


def _lacking(bundle: Bundle, missing: dict[str, list[str]], reason: SurroundingsError) -> SurroundingsError:
    """Say what a bundle lacks, where that was looked for, and why it cannot be had here."""
    lines = [f"`{bundle.path}` lacks its image, and it cannot be had here: {reason.args[0]}"]
    for digest, engines in missing.items():
        carried, kept = box.places(str(bundle.path), digest)
        lines.append(f"  {digest} for {', '.join(engines)}: there is no `{carried}` and no `{kept}`")
    aside = "run `sciflow fetch` on this bundle where it can be had, and take the fat bundle along"
    return SurroundingsError("\n".join(lines), hint=f"{reason.hint}; or {aside}" if reason.hint else aside)
