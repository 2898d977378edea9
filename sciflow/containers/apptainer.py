"""Apptainer: words that enter a squashfs or a SIF, shut off from network, home and the host's processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.containers.box import PATHS, Box, Probe, Words, answer, mounts

if TYPE_CHECKING:
    from sciflow.containers.image import PinnedImage

NAME = "apptainer"

# A network namespace with nothing but `lo`; some sites let no plain user make one.
ISOLATED = ["--net", "--network", "none"]


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
        "stop": None,
        "paths": dict(PATHS),
    }


def _image(image: PinnedImage) -> dict[str, str]:
    if image.source == "file":
        return {"file": image.identity, "suffix": ""}
    return {"file": image.digest("squashfs"), "suffix": ".sqfs"}


def _enter(program: str, network: list[str]) -> Words:
    """Write the words of RELIABILITY §4.3, as they were found to work as a plain user and as root."""
    return [
        # Nothing of the caller's environment gets in, not even through APPTAINERENV_ or APPTAINER_BIND.
        *["env", "-i", "PATH={path}", "HOME=/nonexistent"],
        *[program, "--quiet", "exec", "--containall", "--cleanenv", "--no-home", "--no-mount", "bind-paths"],
        # Root's capabilities are no help inside, and asking for all of them fails where the machine holds some back.
        "--no-privs",
        *network,
        # Without it /tmp is 64 MB of memory; so it is `tmp` in the work folder.
        *["--workdir", "{work}"],
        *mounts("ro"),
        *["--pwd", PATHS["work"]],
        "{image}",
    ]


def probe() -> Probe:
    """Try Apptainer as this user: it answers, and a plain user may make the namespaces it needs."""
    return tried(NAME)


def tried(program: str) -> Probe:
    """Try Apptainer, or its namesake."""
    works, said = answer([program, "--version"])
    if not works:
        return Probe(
            works=False,
            advice=f"{said}; install Apptainer (no root is needed to run it), or load its module on a cluster",
        )
    version = said.removeprefix(f"{program} version ").removeprefix(f"{program}-ce version ")
    allowed, why = answer(["unshare", "--user", "--map-root-user", "true"])
    if not allowed:
        return Probe(
            works=False,
            version=version,
            advice=f"this user may make no user namespace ({why}); ask for `user.max_user_namespaces` > 0",
        )
    return Probe(works=True, version=version)
