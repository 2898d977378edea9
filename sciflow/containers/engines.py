"""The engines, by name and in order: the words by which each enters an image, and whether each works here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers import apptainer, docker, host, podman, singularity
from sciflow.errors import UsageError

if TYPE_CHECKING:
    from sciflow.containers.box import Box, Engine, Probe
    from sciflow.containers.image import PinnedImage

ENGINES: tuple[Engine, ...] = (apptainer, singularity, docker, podman, host)
"""In the order in which they are tried where the user names none."""


def engine(name: str) -> Engine:
    """Return the engine of that name. Raises UsageError, naming those there are."""
    for known in ENGINES:
        if name == known.NAME:
            return known
    raise UsageError(
        f"there is no engine `{name}`", hint=f"the engines are {', '.join(known.NAME for known in ENGINES)}"
    )


def boxes(image: PinnedImage | None) -> list[Box]:
    """Write the words of every engine that can run this image, in the order they are tried. Pure."""
    found = (known.box(image) for known in ENGINES)
    return [box for box in found if box is not None]


def probes() -> list[tuple[str, Probe]]:
    """Try every engine as this user."""
    return [(known.NAME, known.probe()) for known in ENGINES]
