"""Singularity: Apptainer by its other name, for sites that have only that one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers import apptainer

if TYPE_CHECKING:
    from sciflow.containers.box import Box, Probe
    from sciflow.containers.image import PinnedImage

NAME = "singularity"


def box(image: PinnedImage | None) -> Box | None:
    """Write the words for Singularity: Apptainer's."""
    return apptainer.written(NAME, image)


def probe() -> Probe:
    """Try Singularity as this user."""
    return apptainer.tried(NAME)
