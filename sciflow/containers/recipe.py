"""How a pinned image came to be, as files for people and other tools: what a bundle carries in `container/`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from sciflow.containers import debian, reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sciflow.containers.image import PinnedImage


def write(image: PinnedImage | None) -> Mapping[str, str]:
    """Return texts by their path in the bundle; none without an image, or for one that was given as a file. Pure."""
    if image is None or image.source == "file":
        return {}
    packed = reference.archived(image.reference) if image.source == "from" else None
    if packed:
        text = f"# {image.identity}\nBootstrap: {packed.kind}\nFrom: {packed.path}\n"
        return {"container/apptainer.def": text}
    if image.source == "from":
        name = reference.parse(image.reference)
        pinned = name.pinned(image.identity)
        return {
            "container/apptainer.def": f"Bootstrap: docker\nFrom: {pinned}\n\n%labels\n    sciflow.reference {name}\n",
            "container/Dockerfile": f"# {name}\nFROM {pinned}\n",
        }
    lines = [f"{one.name}={one.version} {one.architecture} sha256:{one.sha256}\n" for one in image.packages]
    words = debian.build_words(image.reference, image.asked, mode="unshare", tar="tree.tar")
    tools = ", ".join(f"{name} {version}" for name, version in image.tools)
    script = (
        "#!/bin/sh\n"
        f"# Builds the root file system of this bundle as tree.tar, {image.identity}.\n"
        f"# It was built with {tools}; the archive's address may be given as an argument.\n"
        "umask 022\n"
        f"export SOURCE_DATE_EPOCH={debian.SOURCE_DATE_EPOCH} LC_ALL=C.UTF-8 TZ=UTC\n"
        f'exec {shlex.join(words)} "$@"\n'
    )
    return {"container/packages.txt": "".join(lines), "container/build.sh": script}
