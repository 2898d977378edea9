"""Images, pinned and entered: `resolve` asks the world which image is meant, `fetch` makes it present, boxes enter it.

Sources (an OCI reference, a Debian suite, a file) and engines (Apptainer, Docker, the host) are equals: each source
becomes the same noun, and each engine writes its words for that noun or says that it cannot run it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers import apptainer, cache, debian, docker, host, imagefile, oci, reference, singularity, sif
from sciflow.containers.image import Package, PinnedImage, own_platform
from sciflow.errors import SurroundingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sciflow.containers.engine import Box, Engine
    from sciflow.workflow import spec

__all__ = ["ENGINES", "Package", "PinnedImage", "boxes", "engine", "fetch", "own_platform", "resolve"]

# In the order in which they are tried where the user names none.
ENGINES: tuple[Engine, ...] = (apptainer, singularity, docker, host)
