"""A lock as a file (`workflow.lock`, TOML), and back: sorted, one fact a line, so that a diff of two can be read."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from sciflow.containers.image import Package, PinnedImage, Wheel
from sciflow.containers.locked import LockedFile
from sciflow.errors import SurroundingsError
from sciflow.plan.commit import Commit
from sciflow.plan.lock import Lock, LockedInput
from sciflow.workflow import draft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT = 1
HEAD = "# Written by sciflow: every pin of this workflow. Keep it beside the workflow, under version control.\n"


def text(lock: Lock) -> str:
    """Write a lock."""
    document: dict[str, Any] = {"format": FORMAT}
    if lock.image:
        document["image"] = _image(lock.image)
    document["code"] = [_line(file) for file in lock.code]
    if lock.commit:
        document["git"] = lock.commit.told
    document["inputs"] = {
        entry.name: {
            "path": entry.path,
            **({"url": entry.url} if entry.url else {}),
            "sha256": entry.sha256,
            "files": [_line(file) for file in entry.files],
        }
        for entry in sorted(lock.inputs, key=lambda entry: entry.name)
    }
    if lock.transitions:
        document["timezone"] = {"name": lock.timezone, "transitions": [list(pair) for pair in lock.transitions]}
    return HEAD + draft.toml(document)


def _image(image: PinnedImage) -> dict[str, Any]:
    """Write an image; what most images have nothing of stands there only where there is something."""
    rare = {
        "python": image.python,
        "over": image.over,
        "folder": image.folder,
        "given": dict(image.given),
        "given_labels": dict(image.given_labels),
        "environment": dict(image.environment),
        "labels": dict(image.labels),
        "requirements": [_line(file) for file in image.requirements],
        "files": [_line(file) for file in image.files],
        "paths": [_line(file) for file in image.paths],
        "wheels": [
            f"{wheel.name} {wheel.version} {wheel.file} sha256:{wheel.sha256} {wheel.size} {wheel.url}"
            for wheel in image.wheels
        ],
    }
    return {
        "source": image.source,
        "reference": image.reference,
        "platform": image.platform,
        "asked": list(image.asked),
        "digests": dict(image.digests),
        "tools": dict(image.tools),
        "size": image.size,
        "packages": [
            f"{package.name} {package.version} {package.architecture} sha256:{package.sha256}"
            for package in image.packages
        ],
        **{key: value for key, value in rare.items() if value},
    }


def _line(file: LockedFile) -> str:
    return f"{file.path} sha256:{file.sha256} {file.size}{' executable' if file.executable else ''}"


def _files(lines: Sequence[str]) -> tuple[LockedFile, ...]:
    found = []
    for line in lines:
        executable = line.endswith(" executable")
        path, sha256, size = line.removesuffix(" executable").rsplit(" ", 2)
        found.append(
            LockedFile(path=path, sha256=sha256.removeprefix("sha256:"), size=int(size), executable=executable)
        )
    return tuple(found)


def _pairs(table: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(table.items()))


def _pinned(entry: Mapping[str, Any]) -> PinnedImage:
    packages, wheels = [], []
    for line in entry["packages"]:
        name, version, architecture, sha256 = line.split(" ")
        packages.append(
            Package(name=name, version=version, architecture=architecture, sha256=sha256.removeprefix("sha256:"))
        )
    for line in entry.get("wheels", ()):
        name, version, file, sha256, size, url = line.split(" ", 5)
        wheels.append(
            Wheel(
                name=name,
                version=version,
                file=file,
                sha256=sha256.removeprefix("sha256:"),
                size=int(size),
                url=url,
            )
        )
    return PinnedImage(
        source=entry["source"],
        reference=entry["reference"],
        platform=entry["platform"],
        asked=tuple(entry["asked"]),
        digests=_pairs(entry["digests"]),
        packages=tuple(packages),
        python=entry.get("python", ""),
        wheels=tuple(wheels),
        requirements=_files(entry.get("requirements", ())),
        files=_files(entry.get("files", ())),
        paths=_files(entry.get("paths", ())),
        over=entry.get("over", ""),
        given=_pairs(entry.get("given", {})),
        given_labels=_pairs(entry.get("given_labels", {})),
        folder=entry.get("folder", ""),
        environment=_pairs(entry.get("environment", {})),
        labels=_pairs(entry.get("labels", {})),
        tools=_pairs(entry["tools"]),
        size=entry["size"],
    )


def read(file: Path) -> Lock | None:
    """Read a lock file; None where there is none. Raises SurroundingsError for one that is not in this format."""
    if not file.exists():
        return None
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise SurroundingsError(
                f"`{file}`: it is in format {document['format']}, and this sciflow reads {FORMAT}",
                hint="use the sciflow that wrote it, or let `sciflow compile --update` write it anew",
            )
        zone = document.get("timezone", {"name": "UTC", "transitions": []})
        git = document.get("git")
        return Lock(
            image=_pinned(document["image"]) if "image" in document else None,
            code=_files(document["code"]),
            commit=Commit(id=git["commit"], clean=git["clean"], remote=git.get("remote", "")) if git else None,
            inputs=tuple(
                LockedInput(name=name, path=entry["path"], url=entry.get("url", ""), files=_files(entry["files"]))
                for name, entry in document["inputs"].items()
            ),
            timezone=zone["name"],
            transitions=tuple((start, shift) for start, shift in zone["transitions"]),
        )
    except (
        tomllib.TOMLDecodeError,
        UnicodeDecodeError,
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        OSError,
    ) as error:
        raise SurroundingsError(
            f"`{file}` is not a lock that sciflow wrote: {error}",
            hint="remove it, or let `sciflow compile --update` write it anew",
        ) from error
