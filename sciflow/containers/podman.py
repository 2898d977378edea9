"""Podman: Docker's words, for a plain user without a daemon. Where they differ is said here, and nowhere else.

It is an engine of its own name, not Docker by another: an image is held by one of them and not by the other.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sciflow.containers import docker
from sciflow.containers.box import Box, Probe, answer

if TYPE_CHECKING:
    from sciflow.containers.image import PinnedImage

NAME = "podman"

# Podman calls itself as a process of a user's namespace: as root it refuses, and so it does without subordinate ids.
TRIAL = [NAME, "unshare", "true"]

MORE = [
    # The user outside is the same user inside; else what a step writes would belong to an id that owns nothing.
    *["--userns", "keep-id"],
    # SELinux would let the box see no folder of the host's.
    *["--security-opt", "label=disable"],
    # By its own ways it would mount writable folders, and hand proxies of the environment on.
    *["--read-only-tmpfs=false", "--http-proxy=false"],
]
# It needs a program that Podman does not always bring; the loop in the box reaps what steps leave behind.
LEFT_OUT = ("--init",)


def box(image: PinnedImage | None) -> Box | None:
    """Write the words for Podman: Docker's, and for the images that Docker runs."""
    found = docker.box(image)
    if found is None or image is None:
        return None
    words = {key: [NAME, *found[key][1:]] for key in ("present", "load")}
    _, run, *rest = found["enter"]
    words["enter"] = [NAME, run, *MORE, *(_own(word) for word in rest if word not in LEFT_OUT)]
    # It would else wait ten seconds for the box to end by itself.
    words["stop"] = [NAME, "rm", "--force", "--time", "0", "{name}"]
    # As the toolkit of NVIDIA's containers describes them to it (CDI).
    words["gpus"] = ["--device", "nvidia.com/gpu=all"]
    return {**found, **words, "engine": NAME, "needs": [NAME], "probe": TRIAL}


def _own(word: str | list[str]) -> str | list[str]:
    """Make the box's /tmp the user's: Podman 4.3 gives it the mode that the image's own has, whatever is asked for."""
    return f"{word},U" if isinstance(word, str) and word.startswith("/tmp:") else word  # noqa: S108  the box's own


def probe() -> Probe:
    """Ask Podman for its version, and have it enter this user's namespace."""
    works, said = answer([NAME, "--version"])
    if not works:
        return Probe(works=False, advice=f"{said}; Apptainer does as well", ask="please install `podman` and `uidmap`")
    version = said.rpartition(" ")[2]
    works, said = answer(TRIAL)
    if works:
        return Probe(works=True, version=version)
    if os.geteuid() == 0:
        return Probe(works=False, version=version, advice="sciflow runs it as a plain user only; as root use Docker")
    return Probe(
        works=False,
        version=version,
        advice=f"it enters no namespace: {(said.splitlines() or ['it said nothing'])[-1]}",
        ask="please allow user namespaces, install `uidmap` and give this user subordinate ids (see above)",
    )
