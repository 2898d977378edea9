"""A lock of Python packages (PEP 751) and the Python of an image -> the wheels it takes; and wheels -> such a lock."""

from __future__ import annotations

import posixpath
import re
import urllib.parse
from typing import TYPE_CHECKING, Any, cast

from packaging import pylock, tags
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from sciflow.containers import download
from sciflow.containers.image import Wheel
from sciflow.errors import Fault, ImageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.markers import Environment

    from sciflow.containers.target import Target

ONLY_WHEELS = (
    "sciflow lays wheels only: choose a version that has one for this Python, or build one and list it by path"
)
LISTED = 12  # wheels that a fault names

_FILE = re.compile(r"[A-Za-z0-9_.+!-]{1,250}\.whl")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def select(
    document: Mapping[str, Any],
    target: Target,
    *,
    place: str,
    folder: Path,
    hashes: Mapping[str, frozenset[str]] | None = None,
) -> tuple[Wheel, ...]:
    """Choose the wheels that a lock, as read from TOML, gives to this Python, with the lock's default groups; sorted.

    `place` is the lock's path from `folder`, the workflow's. `hashes` are the digests that a package's wheel is to
    have, as long as the lock has such a wheel. Raises ImageError with a fault a package: no wheel for this Python,
    no digest, not a wheel.
    """
    document = _allowed(document, hashes or {})
    faults: list[Fault] = []
    found: list[Wheel] = []
    try:
        lock = pylock.Pylock.from_dict(document)
        lacking = _lacking(lock, target)
        if not lacking:
            for package, source in lock.select(environment=markers(target), tags=_tags(target)):
                taken = _wheel(package, source, target, place, folder)
                if isinstance(taken, Wheel):
                    found.append(taken)
                else:
                    faults.append(taken)
    except (pylock.PylockValidationError, pylock.PylockUnsupportedVersionError) as error:
        text = f"it is no lock of Python packages as PEP 751 writes them: {error}"
        raise ImageError(
            [Fault(file=place, text=text, hint="write it anew: `uv export --format pylock.toml`")]
        ) from error
    except pylock.PylockSelectError as error:
        text = f"it does not serve the image's {target}: {error}"
        raise ImageError([Fault(file=place, text=text, hint="lock for this Python, or use another image")]) from error
    faults += [_no_wheel(package, target, place) for package in lacking]
    if faults:
        raise ImageError(faults)
    return tuple(sorted(found))


def inside(path: str) -> bool:
    """Say whether a path from the workflow's folder stays there; pure."""
    whole = posixpath.normpath(path)
    return bool(path) and not path.startswith("/") and "\\" not in path and whole.split("/")[0] not in {"..", "."}


def fits(file: str, target: Target) -> bool:
    """Say whether a wheel, by its name, is for this Python."""
    return bool(parse_wheel_filename(file)[-1] & set(_tags(target)))


def unreadable(text: str) -> str:
    """Say why a requirement (PEP 508) cannot be read, or nothing if it can."""
    try:
        Requirement(text)
    except InvalidRequirement as error:
        return str(error).partition("\n")[0]
    return ""


def markers(target: Target) -> Environment:
    """Return what a package's marker may ask about the image (PEP 508), with nothing of this machine."""
    return {
        "implementation_name": "cpython",
        "implementation_version": target.version,
        "os_name": "posix",
        "platform_machine": target.architecture,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": target.version,
        "python_version": f"3.{target.minor}",
        "sys_platform": "linux",
    }


def _tags(target: Target) -> list[tags.Tag]:
    """Return the tags of wheels that fit, the best first."""
    version, interpreter = (3, target.minor), f"cp3{target.minor}"
    own = tags.cpython_tags(version, abis=[interpreter], platforms=target.platforms)
    return [*own, *tags.compatible_tags(version, interpreter=interpreter, platforms=target.platforms)]


def _allowed(document: Mapping[str, Any], hashes: Mapping[str, frozenset[str]]) -> Mapping[str, Any]:
    """Take out wheels of other digests than are named, before any is chosen, as pip does; never all of a package's."""
    if not hashes:
        return document
    packages = [
        {**package, "wheels": kept}
        if (digests := hashes.get(package.get("name", ""))) is not None
        and (kept := [one for one in package.get("wheels", ()) if one.get("hashes", {}).get("sha256") in digests])
        else package
        for package in document.get("packages", ())
    ]
    return {**document, "packages": packages}


def _lacking(lock: pylock.Pylock, target: Target) -> list[pylock.Package]:
    """Return the packages that this Python needs, and that have no wheel for it."""
    fitting = set(_tags(target))
    environment = {
        **markers(target),
        "extras": frozenset[str](),
        "dependency_groups": frozenset(lock.default_groups or []),
    }
    return [
        package
        for package in lock.packages
        if not (package.vcs or package.directory or package.archive)
        and (package.marker is None or package.marker.evaluate(cast("Any", environment), context="lock_file"))
        and not any(parse_wheel_filename(one.filename)[-1] & fitting for one in package.wheels or ())
    ]


def _no_wheel(package: pylock.Package, target: Target, place: str) -> Fault:
    there = sorted(one.filename for one in package.wheels or ())
    listed = ", ".join(f"`{name}`" for name in there[:LISTED]) + (", …" if len(there) > LISTED else "")
    return Fault(
        file=place,
        text=f"`{package.name}` {package.version or ''} has no wheel for {target}; it has "
        f"{listed or 'its source only'}",
        hint=ONLY_WHEELS,
    )


def _wheel(package: pylock.Package, source: Any, target: Target, place: str, folder: Path) -> Wheel | Fault:
    """Pin what was chosen for a package, or say why it cannot be."""
    if isinstance(source, (pylock.PackageVcs, pylock.PackageDirectory)):
        text = f"`{package.name}` is a folder or a repository, and not a wheel"
        return Fault(file=place, text=text, hint=ONLY_WHEELS)
    file = posixpath.basename(urllib.parse.unquote(urllib.parse.urlsplit(source.url or source.path).path))
    digest, url = source.hashes.get("sha256", "").lower(), _place(source.url, source.path, place, folder)
    try:
        name, told, _, said = parse_wheel_filename(file)
    except InvalidWheelFilename:
        name, told, said = package.name, None, frozenset()
    if told is None or name != package.name or not _FILE.fullmatch(file):
        text, hint = f"is given as `{file}`, and that is no wheel of it", ONLY_WHEELS
    elif not said & set(_tags(target)):
        text, hint = f"is given as `{file}`, which is not for {target}", ONLY_WHEELS
    elif not _SHA256.fullmatch(digest):
        text, hint = f"has no SHA-256 of `{file}`", "lock it again, with hashes of SHA-256"
    elif not url:
        text, hint = f"is given by a path that leaves the workflow's folder: `{source.path}`", "copy the wheel there"
    else:
        version = str(package.version or told)
        return Wheel(name=package.name, version=version, file=file, sha256=digest, size=source.size or 0, url=url)
    return Fault(file=place, text=f"`{package.name}` {text}", hint=hint)


def _place(url: str | None, path: str | None, place: str, folder: Path) -> str:
    """Return where a wheel is had: a URL without login, or a path from the workflow's folder, wherever that is."""
    if url:
        near = f"{folder.absolute().as_uri()}/"
        below = urllib.parse.unquote(url.removeprefix(near)) if url.startswith(near) else ""
        return below if below and inside(below) else urllib.parse.urldefrag(download.bare(url))[0]
    there = posixpath.normpath(posixpath.join(posixpath.dirname(place), path or ""))
    return there if inside(there) else ""


def write(wheels: Sequence[Wheel]) -> str:
    """Write wheels as a lock of PEP 751 that any installer reads; paths are from the workflow's folder. Pure."""
    found = ['lock-version = "1.0"\ncreated-by = "sciflow"\n', *([] if wheels else ["packages = []\n"])]
    for wheel in sorted(wheels):
        where = "url" if "://" in wheel.url else "path"
        size = f"size = {wheel.size}, " if wheel.size else ""
        found.append(
            f"\n[[packages]]\nname = {_text(canonicalize_name(wheel.name))}\nversion = {_text(wheel.version)}\n"
            f"wheels = [{{ name = {_text(wheel.file)}, {where} = {_text(wheel.url)}, {size}"
            f"hashes = {{ sha256 = {_text(wheel.sha256)} }} }}]\n"
        )
    return "".join(found)


def _text(value: str) -> str:
    """Write a text of TOML, which holds any of JSON's."""
    return str(names.canonical(value))
