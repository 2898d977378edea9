"""The sources, by name: whether a pin is one of what a workflow asks for, and what a pin tells of its making."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from sciflow.containers import locked
from sciflow.workflow import spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Source

ROOMS = {name: name for name in ("debian", "nix", "definition", "dockerfile")} | {"from": "oci", "file": "imagefile"}
"""The module of each source, by the key of `[image]`."""


def source_of(name: str) -> Source:
    """Return the module of a source. It is imported now: each brings along what no other image has a use for."""
    return cast("Source", importlib.import_module(f"sciflow.containers.{ROOMS[name]}"))


def fits(image: spec.Image, pinned: PinnedImage, *, folder: Path | None = None) -> bool:
    """Say whether a pin is one of what the workflow asks for.

    With the workflow's `folder`, what of it the image is made of is also compared by its bytes; without, by name alone.
    """
    return not misfits(image, pinned, folder)


def misfits(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> list[str]:
    """Say in what a pin is none of what the workflow asks for, one fact a line; nothing where it is one."""
    lines = []
    if not based(image, pinned, None):
        asked, has = (f"`{one.source} = {one.reference}`" for one in (image, pinned))
        lines.append(f"image: {has} is pinned, and {asked if asked != has else 'other packages or files'} asked for")
    elif not based(image, pinned, folder):
        now = source_of(image.source).files(image, folder) if folder else ()
        lines += _moved(pinned.files, now) or [f"image: `{image.reference}` has other bytes"]
    if image.python != pinned.python:
        has, asked = (f"`{one.python or 'nothing'}`" for one in (pinned, image))
        lines.append(f"wheels: those of {has} are pinned, not of {asked}")
    elif folder and not wheels_fit(image, pinned, folder):
        from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

        lines += _moved(pinned.requirements, wheels.files(image.python, folder))
    for key, pairs in (
        ("environment", {*image.environment} ^ {*pinned.environment}),
        ("label", {*image.labels} ^ {*pinned.labels}),
    ):
        lines += [f"image: {key} `{name}`" for name in sorted({name for name, _ in pairs})]
    return lines


def _moved(was: Iterable[LockedFile], now: Iterable[LockedFile]) -> list[str]:
    return locked.moved("image file", locked.by_path(was), locked.by_path(now))


def wheels_fit(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether a pin has the wheels that the workflow asks for."""
    if image.python != pinned.python:
        return False
    if folder is None or not image.python:
        return True
    from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

    return wheels.files(image.python, folder) == pinned.requirements


def based(image: spec.Image, pinned: PinnedImage, folder: Path | None) -> bool:
    """Say whether a pin is over the base that the workflow asks for."""
    if image.source != pinned.source or (image.source == "file" and as_it_is(pinned) == image.extended):
        return False
    source = source_of(image.source)
    return source.fits(image, pinned, folder) and (folder is None or source.files(image, folder) == pinned.files)


def as_it_is(image: PinnedImage) -> bool:
    """Say whether an image file is run as it is, with nothing laid over it."""
    return image.source == "file" and not image.digest("tree")


def asked(image: PinnedImage) -> spec.Image:
    """Return what a workflow asked for to get this image."""
    return spec.Image(
        source=image.source,
        reference=image.reference,
        packages=image.asked if image.source == "debian" else (),
        files=image.asked if image.source == "nix" else (),
        python=image.python,
        environment=image.environment,
        labels=image.labels,
    )


def recipes(image: PinnedImage | None) -> Mapping[str, str]:
    """Return the texts that tell how the image came to be, by their path in the bundle. Pure."""
    if image is None or as_it_is(image):
        return {}
    found = dict(source_of(image.source).recipe(image))
    if image.wheels:
        from sciflow.containers import wheels  # noqa: PLC0415 - as in `build`

        found["container/requirements.txt"] = wheels.text(image.wheels)
    return found


def parts(image: PinnedImage) -> Mapping[str, str]:
    """Return what an image can be built again from where there is no network: what each is, by its digest."""
    found = {f"sha256:{wheel.sha256}": f"the wheel {wheel.file}" for wheel in image.wheels}
    closure = image.digest("closure")
    return {**found, **({closure: f"the closure of {image.reference}"} if closure else {})}
