"""Two locks -> what changed from one to the other, one fact a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers import locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.plan.lock import Lock


def between(old: Lock, new: Lock) -> list[str]:
    """Say what changed, sorted within image, packages, wheels, code, inputs, time zone. Nothing where nothing did."""
    lines = [*_image(old.image, new.image), *_versions("package", old, new), *_versions("wheel", old, new)]
    lines += locked.moved("image file", _files(old.image), _files(new.image))
    lines += locked.moved("code", locked.by_path(old.code), locked.by_path(new.code))
    lines += locked.moved("input", *({one.name: one for one in lock.inputs} for lock in (old, new)))
    if (old.timezone, old.transitions) != (new.timezone, new.transitions):
        lines.append(f"time zone: {old.timezone} -> {new.timezone}")
    return lines


def _differing(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    return (name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))


def _image(old: PinnedImage | None, new: PinnedImage | None) -> list[str]:
    """Say which image it was and is; of the same one, what else is told of it: by what, and by whom, it was made."""
    if old == new:
        return []
    was, is_ = (image.identity if image else "no image" for image in (old, new))
    if was != is_:
        return [f"image: {was} -> {is_}"]
    before, after = _told(old), _told(new)
    return [
        f"image: {name} {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in _differing(before, after)
    ]


def _told(image: PinnedImage | None) -> dict[str, str]:
    if image is None:
        return {}
    facts = {"reference": image.reference, "platform": image.platform, "size": str(image.size)}
    facts |= {**dict(image.digests), **dict(image.tools)}
    facts |= {f"environment {name}": value for name, value in image.environment}
    return facts | {f"label {name}": value for name, value in image.labels}


def _versions(what: str, old: Lock, new: Lock) -> list[str]:
    before, after = (
        {
            f"{what} {one.name}": one.version
            for one in ((lock.image.packages if what == "package" else lock.image.wheels) if lock.image else ())
        }
        for lock in (old, new)
    )
    return [f"{name}: {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in _differing(before, after)]


def _files(image: PinnedImage | None) -> dict[str, LockedFile]:
    return locked.by_path((*image.requirements, *image.files)) if image else {}
