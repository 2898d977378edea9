"""Apptainer: words that enter a squashfs or a SIF, shut off from network, home and the host's processes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.containers import trial
from sciflow.containers.box import HOSTNAME, PATHS, Box, Probe, Words, answer, mounts
from sciflow.runner import box as box_

if TYPE_CHECKING:
    from sciflow.containers.image import PinnedImage

NAME = "apptainer"

# A network namespace with nothing but `lo`; some sites let no plain user make one.
ISOLATED = ["--net", "--network", "none"]
# NVIDIA's driver libraries and devices come from the host: they must fit its kernel.
GPUS = ["--nv"]


def box(image: PinnedImage | None) -> Box | None:
    """Write the words for Apptainer; nothing without an image, or with one for another platform's root file system."""
    return written(NAME, image)


def written(program: str, image: PinnedImage | None) -> Box | None:
    """Write the words for Apptainer, or for its namesake `singularity`, which understands the same ones."""
    if image is None:
        return None
    return {
        "engine": program,
        "isolation": "container",
        "image": _image(image),
        "needs": [program],
        "probe": [program, "--version"],
        "present": None,
        "load": None,
        "enter": _enter(program, ISOLATED),
        "enter_shared_network": _enter(program, []),
        "enter_rank": _enter_rank(program),
        "stop": None,
        "gpus": GPUS,
        "paths": dict(PATHS),
    }


def _image(image: PinnedImage) -> dict[str, str]:
    if image.digest("squashfs"):
        return {"file": image.digest("squashfs"), "suffix": ".sqfs"}
    return {"file": image.identity, "suffix": ""}


def _enter(program: str, network: list[str]) -> Words:
    """Write the words of RELIABILITY §4.3, as they were found to work as a plain user and as root."""
    return [
        # Nothing of the caller's environment gets in, not even through APPTAINERENV_ or APPTAINER_BIND.
        *["env", "-i", "PATH={path}", "HOME=/nonexistent"],
        *[program, "--quiet", "exec", "--containall", "--cleanenv", "--no-home", "--no-mount", "bind-paths"],
        # Root's capabilities are no help inside, and asking for all of them fails where the machine holds some back.
        "--no-privs",
        *["--hostname", HOSTNAME],
        "{gpus}",
        *network,
        # Without it /tmp is 64 MB of memory; so it is `tmp` in the work folder.
        *["--workdir", "{work}"],
        *mounts("ro"),
        *["--pwd", PATHS["work"]],
        "{image}",
    ]


def _enter_rank(program: str) -> Words:
    """Write the words for one of several ranks of a step, which speak to each other over network and shared memory.

    They keep the host's network, process numbers and name: by these an MPI library finds who runs where. /dev and /tmp
    are their node's: in /dev stand fast networks, in /dev/shm what the ranks of a node share (so no --contain).
    """
    return [
        *["env", "-i", "PATH={path}", "HOME=/nonexistent"],
        *[program, "--quiet", "exec", "--cleanenv", "--no-home", "--no-mount", "bind-paths,cwd,hostfs", "--no-privs"],
        "{gpus}",
        *mounts("ro"),
        *["--pwd", PATHS["work"]],
        "{image}",
    ]


def probe() -> Probe:
    """Try Apptainer as this user: enter a box as a run does."""
    return tried(NAME)


def tried(program: str) -> Probe:
    """Try Apptainer, or its namesake, by entering a root file system of one block; it takes a quarter of a second.

    Whether namespaces are there to be made is not asked beforehand: installed setuid, Apptainer makes them for a user
    who may not.
    """
    works, said = answer([program, "--version"])
    if not works:
        return Probe(
            works=False,
            advice=f"{said}; install Apptainer (no root is needed to run it), or load its module on a cluster",
            ask="please install Apptainer (package `apptainer`)",
        )
    version = said.rpartition(" ")[2]  # `apptainer version 1.4.5`, also by its other name
    opens, why = _entered(program, ISOLATED)
    if opens:
        return Probe(works=True, version=version)
    opens, why = _entered(program, [])
    if opens:
        return Probe(
            works=True,
            version=version,
            advice="no network namespaces here: steps see the host's network, and every record says so",
            ask="please allow network namespaces to users (`sysctl user.max_net_namespaces=15000`)",
        )
    return Probe(
        works=False,
        version=version,
        advice=f"it opens no box: {why}",
        ask="please allow user namespaces (`sysctl user.max_user_namespaces=15000`), or install Apptainer setuid "
        "(package `apptainer-suid`)",
    )


def _entered(program: str, network: list[str]) -> tuple[bool, str]:
    """Enter the trial's root file system with the words of a run; return whether that works, and the last complaint."""
    with tempfile.TemporaryDirectory(prefix="sciflow-trial-", ignore_cleanup_errors=True) as made:
        folder = Path(made)
        places = {name: str(folder / name) for name in PATHS}
        for place in places.values():
            Path(place).mkdir()
        places |= {"path": os.environ.get("PATH", os.defpath), "image": str(trial.image(folder))}
        *words, image = box_.filled(_enter(program, network), places)
        works, said = answer([*words, *trial.mounts(), image, trial.PROGRAM])
    return works, (said.splitlines() or ["it said nothing"])[-1]
