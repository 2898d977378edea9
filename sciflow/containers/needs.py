"""What engines and image builds need of a machine, each tried for real as this user, and what to ask for.

Nothing here decides whether an engine is used: its own probe does that. This tells why it does not work, and what would
make it better.
"""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.containers import archive, cache, trial
from sciflow.containers.box import Probe, answer
from sciflow.errors import SurroundingsError
from sciflow.runner import facts

if TYPE_CHECKING:
    from collections.abc import Callable

MOUNTS = Path("/proc/self/mountinfo")
SUBUID = Path("/etc/subuid")
FUSE = Path("/dev/fuse")
ROOMY_BYTES = 10e9
GIGA = 1e9


def needs() -> list[tuple[str, Probe]]:
    """Try them all, in the order in which they build on each other."""
    tries: list[tuple[str, Callable[[], Probe]]] = [
        ("user namespaces", user_namespaces),
        ("network namespaces", network_namespaces),
        ("subordinate ids", subordinate_ids),
        ("fuse", fuse),
        ("squashfuse", squashfuse),
        ("mksquashfs", mksquashfs),
        ("mmdebstrap", mmdebstrap),
        ("nix", nix),
        ("gpus", gpus),
        ("cache", room),
    ]
    return [(name, tried()) for name, tried in tries]


def user_namespaces() -> Probe:
    """Make a user namespace."""
    works, said = answer(["unshare", "--user", "--map-root-user", "true"])
    return Probe(
        works=works,
        advice="" if works else f"{said}; only an Apptainer installed setuid works without",
        ask=""
        if works
        else "please allow user namespaces to users: `sysctl user.max_user_namespaces=15000` (on Debian "
        "also `kernel.unprivileged_userns_clone=1`, on Ubuntu `kernel.apparmor_restrict_unprivileged_userns=0`)",
    )


def network_namespaces() -> Probe:
    """Make a network namespace inside a user namespace."""
    works, said = answer(["unshare", "--user", "--map-root-user", "--net", "true"])
    return Probe(
        works=works,
        advice="" if works else f"{said}; steps see the host's network",
        ask="" if works else "please allow network namespaces to users: `sysctl user.max_net_namespaces=15000`",
    )


def subordinate_ids() -> Probe:
    """Map this user's range of ids into a namespace, as mmdebstrap and Podman do; root needs none."""
    if os.geteuid() == 0:
        return Probe(works=True, version="root needs none")
    user = getpass.getuser()
    found = _ranges(user)
    works, said = answer(["unshare", "--user", "--map-root-user", "--map-auto", "true"])
    if not works and "unrecognized option" in said:  # util-linux before 2.38 cannot try it: the parts are looked at
        works, said = bool(found and shutil.which("newuidmap")), "no range in /etc/subuid, or no `newuidmap`"
    return Probe(
        works=works,
        version=found,
        advice="" if works else f"{said}; Debian images cannot be built here, and Podman does not run",
        ask=""
        if works
        else f"please install `uidmap` and give a range of ids: `usermod --add-subuids 100000-165535 "
        f"--add-subgids 100000-165535 {user}`",
    )


def _ranges(user: str) -> str:
    """Return the ranges that /etc/subuid gives a user, as `first:count`."""
    try:
        lines = SUBUID.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    owners = {user, str(os.getuid())}
    return " ".join(line.partition(":")[2] for line in lines if line.partition(":")[0] in owners)


def fuse() -> Probe:
    """Open /dev/fuse, as whatever mounts an image for a plain user has to."""
    try:
        os.close(os.open(FUSE, os.O_RDWR))
    except OSError as error:
        return Probe(
            works=False,
            advice=f"`{FUSE}`: {error.strerror}; Apptainer unpacks an image each time it starts a box",
            ask=f"please load the module `fuse` and let users open it: `chmod 666 {FUSE}`",
        )
    return Probe(works=True)


def squashfuse() -> Probe:
    """Mount a squashfs of one block and look into it."""
    unmount = shutil.which("fusermount3") or shutil.which("fusermount")
    if shutil.which("squashfuse") is None or unmount is None:
        return Probe(
            works=False,
            advice="`squashfuse` or `fusermount3` is not on PATH; Apptainer may bring its own",
            ask="please install `squashfuse` and `fuse3`",
        )
    with tempfile.TemporaryDirectory(prefix="sciflow-trial-", ignore_cleanup_errors=True) as made:
        place = Path(made) / "mounted"
        place.mkdir()
        works, said = answer(["squashfuse", str(trial.image(Path(made))), str(place)])
        if works:
            works, said = (place / "proc").is_dir(), "what it mounted is empty"
            answer([unmount, "-u", str(place)])
    return Probe(
        works=works,
        advice="" if works else f"it mounts nothing: {said}",
        ask="" if works else "please let users mount by FUSE: `fusermount3` setuid root, and `/dev/fuse` open to them",
    )


def mksquashfs() -> Probe:
    """Pack a file as images are packed."""
    works, said = answer(["mksquashfs", "-version"])
    if said.startswith("`mksquashfs`"):
        return Probe(
            works=False, advice=f"{said}; it packs Debian images", ask="please install squashfs-tools (4.4 or newer)"
        )
    version = said.partition(" version ")[2].partition(" ")[0]
    with tempfile.TemporaryDirectory(prefix="sciflow-trial-") as made:
        (Path(made) / "tree").mkdir()
        (Path(made) / "tree" / "file").write_bytes(b"sciflow\n" * 1000)
        works, said = answer(["mksquashfs", f"{made}/tree", f"{made}/packed", *archive.SQUASHFS_FLAGS])
    return Probe(
        works=works,
        version=version,
        advice="" if works else f"it does not pack: {(said.splitlines() or ['it said nothing'])[-1]}",
        ask="" if works else "please install squashfs-tools 4.4 or newer, built with zstd",
    )


def mmdebstrap() -> Probe:
    """Ask mmdebstrap for its version; what it needs to build as a plain user are the subordinate ids."""
    works, said = answer(["mmdebstrap", "--version"])
    return Probe(
        works=works,
        version=said.removeprefix("mmdebstrap ") if works else "",
        advice="" if works else f"{said}; it builds Debian images",
        ask="" if works else "please install `mmdebstrap` and `uidmap`",
    )


def nix() -> Probe:
    """Have nix evaluate an expression, which needs no store; a flake that is pinned and carried needs no nix at all."""
    works, said = answer(["nix", "--version"])
    if not works:
        return Probe(
            works=False,
            advice=f"{said}; it builds flakes",
            ask="please install `nix` (2.8 or newer; as a plain user's it needs no /nix)",
        )
    version = said.rpartition(" ")[2]
    works, said = answer(["nix", "--extra-experimental-features", "nix-command", "eval", "--expr", "1"])
    why = (said.splitlines() or ["it said nothing"])[-1]
    return Probe(works=works, version=version, advice="" if works else f"it evaluates nothing: {why}")


def gpus() -> Probe:
    """Count the GPUs this process may use, and have nvidia-smi name them."""
    devices = facts.gpus()
    works, said = answer(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])
    if works and devices:
        return Probe(works=True, version=", ".join(said.splitlines()))
    if devices:
        return Probe(
            works=False,
            advice=f"{devices} GPUs are there, but {said}",
            ask="please install the NVIDIA driver's `nvidia-smi`, of the version of the loaded module",
        )
    return Probe(works=False, advice="none is seen; only tasks with `gpus` need one")


def room() -> Probe:
    """Write into the cache; say where it is, on which file system, and how much space is left."""
    try:
        with cache.workshop() as workshop:
            (workshop / "trial").write_bytes(b"sciflow\n")
        free = shutil.disk_usage(cache.root()).free
    except SurroundingsError as error:
        return Probe(works=False, version=str(cache.root()), advice=f"{error.args[0]}; {error.hint}")
    except OSError as error:
        return Probe(works=False, version=str(cache.root()), advice=f"{error.strerror}; set SCIFLOW_CACHE")
    return Probe(
        works=True,
        version=f"{cache.root()} ({file_system(cache.root())}, {free / GIGA:.1f} GB left)",
        advice="" if free > ROOMY_BYTES else "little room for images: `sciflow cache gc`, or set SCIFLOW_CACHE",
    )


def file_system(path: Path) -> str:
    """Return the type of the file system that a path is on (proc(5), mountinfo), or nothing where that is not told."""
    device = path.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    # `36 35 98:0 /root /mount options … - ext4 /dev/sda1 …`: the third field is the device, the one after `-` the type.
    found = [line.partition(" - ")[2].split()[0] for line in lines if line.split()[2] == number]
    return found[0] if found else ""
