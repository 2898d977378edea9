"""A root file system as a tar, written anew for each engine: a squashfs for Apptainer, an archive for `docker load`.

Both depend on the tar's bytes and nothing else: no clock, user or folder.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING

from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from pathlib import Path

# What Apptainer and Docker give a root file system that says nothing itself.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EPOCH = "1970-01-01T00:00:00Z"
REPOSITORY = "sciflow"

# zstd packs 960 MB in 5 s on two cores, and Python starts from it twice as fast as from gzip.
SQUASHFS_FLAGS = (
    *("-all-root", "-all-time", "0", "-mkfs-time", "0", "-noappend", "-no-progress", "-quiet"),
    *("-comp", "zstd", "-Xcompression-level", "3"),
)


def squashfs(tar: Path, target: Path) -> None:
    """Write the tar's tree as a squashfs, by way of a folder beside it that goes away.

    Raises SurroundingsError if tar or mksquashfs is missing, too old or fails.
    """
    # mksquashfs can read a tar itself, but then orders what its threads pack by chance: 5 of 12 runs gave other bytes.
    tree = target.with_name(f"{target.name}.tree")
    tree.mkdir()
    try:
        # A plain user can make neither devices nor other people's files; each engine brings a /dev of its own.
        _run(
            [
                "tar",
                "--extract",
                "--preserve-permissions",
                "--no-same-owner",
                "--exclude=./dev/*",
                "-f",
                str(tar),
                "-C",
                str(tree),
            ]
        )
        tree.chmod(0o755)
        _run(["mksquashfs", str(tree), str(target), *SQUASHFS_FLAGS])
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _run(words: list[str]) -> None:
    try:
        found = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise SurroundingsError(f"`{words[0]}` is not on PATH", hint="install tar and squashfs-tools") from error
    if found.returncode != 0:
        last = (found.stderr or found.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise SurroundingsError(f"{words[0]} failed: {last[0]}", hint="is there space? mksquashfs must know zstd")


def docker_archive(tar: Path, target: Path, *, architecture: str) -> str:
    """Write the tar as the one layer of an image that `docker load` takes; return the image's id, `sha256:<hex>`.

    The layout is that of `docker save` (Docker Image Specification v1.2): a configuration named by its own digest, the
    layer, and manifest.json. The id is the digest of the configuration, in canonical JSON.
    """
    layer, size = names.digest_file(tar)
    settings = {
        "architecture": architecture,
        "config": {"Env": [f"PATH={SEARCH_PATH}"]},
        "created": EPOCH,
        "history": [{"created": EPOCH, "created_by": "sciflow"}],
        "os": "linux",
        "rootfs": {"diff_ids": [f"sha256:{layer}"], "type": "layers"},
    }
    configuration = names.canonical(settings).encode()
    image = names.digest(configuration)
    # The tag keeps `docker image prune` away; images are entered by id.
    manifest = [{"Config": f"{image}.json", "Layers": [f"{layer}/layer.tar"], "RepoTags": [f"{REPOSITORY}:{image}"]}]
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT if size < 8 << 30 else tarfile.GNU_FORMAT) as archive:
        with tar.open("rb") as stream:
            archive.addfile(_member(f"{layer}/layer.tar", size), stream)
        for name, data in ((f"{image}.json", configuration), ("manifest.json", names.canonical(manifest).encode())):
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
    return f"sha256:{image}"


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o444, 0
    return member
