"""The host itself: no container, nothing isolated, and every record says so."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

from sciflow.containers.box import Box, Probe

if TYPE_CHECKING:
    from sciflow.containers.image import PinnedImage

NAME = "host"


def box(_image: PinnedImage | None) -> Box:
    """Write the words for the host: a clean environment, and nothing else of a box. The image, if any, is not used."""
    return {
        "engine": NAME,
        "isolation": "none",
        "image": None,
        "needs": [],
        "probe": None,
        "present": None,
        "load": None,
        "enter": ["env", "-i", "PATH={path}"],
        "enter_shared_network": None,
        "enter_rank": [],
        "stop": None,
        "gpus": None,
        "paths": None,
    }


def probe() -> Probe:
    """Say what the host is; it always works."""
    return Probe(
        works=True,
        version=f"{platform.system()} {platform.release()}, Python {sys.version_info.major}.{sys.version_info.minor}",
        advice="nothing is isolated: results depend on what this machine has installed",
    )
