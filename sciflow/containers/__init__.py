"""Images, pinned and entered: `pinning` asks the world which image is meant and makes it present, boxes enter it.

Sources (a registry, a Debian suite, a flake, a recipe, a file) and engines (Apptainer, Docker, Podman, the host) are
equals: each source becomes the same noun, and each engine writes its words for that noun or says that it cannot run it.
"""

from sciflow.containers.engines import ENGINES, boxes, engine, probes
from sciflow.containers.image import Package, PinnedImage, own_platform
from sciflow.containers.sources import fits, misfits, parts, recipes

__all__ = [
    "ENGINES",
    "Package",
    "PinnedImage",
    "boxes",
    "engine",
    "fits",
    "misfits",
    "own_platform",
    "parts",
    "probes",
    "recipes",
]
