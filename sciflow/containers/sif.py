"""An OCI image as a SIF, made by Apptainer, kept under the digest of the manifest it was made of."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from sciflow.containers import apptainer, cache
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sciflow.containers.image import PinnedImage


def fetch(image: PinnedImage, *, program: str, progress: Callable[[str], None]) -> Path:
    """Make the SIF of an OCI image present and return it. Raises SurroundingsError.

    Apptainer checks manifest and layers against their digests. The SIF's own bytes differ each time it is made (time
    stamps, a UUID), so its name says what is in it, not what it is.
    """
    target = cache.sif_place(image.identity)
    if target.is_file():
        return target
    words = apptainer.pull_words(program, image)
    if words is None or shutil.which(program) is None:
        raise SurroundingsError(
            f"`{program}` is not on PATH, and it makes the image file", hint="install Apptainer, or use another engine"
        )
    progress(f"pulling {image.reference}")
    with cache.workshop() as workshop:
        made = workshop / "image.sif"
        found = subprocess.run(
            [word.replace("{target}", str(made)) for word in words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if found.returncode != 0 or not made.exists():
            last = [line for line in found.stderr.splitlines() if line.strip()][-1:] or ["it said nothing"]
            raise SurroundingsError(
                f"{program} could not pull `{image.reference}` ({image.identity}): {last[0]}",
                hint="is the registry up, and is the image still there? `apptainer registry login` if it wants a login",
            )
        cache.settle(made, target)
    return target
