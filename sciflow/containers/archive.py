"""A root file system as a tar, written anew for each engine: a squashfs for Apptainer, an archive for `docker load`.

Both depend on the tar's bytes and nothing else: no clock, user or folder.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import tarfile
from typing import TYPE_CHECKING

from sciflow.containers import cache, tool
from sciflow.errors import SurroundingsError
from sciflow.runner import names
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What Apptainer and Docker give a root file system that says nothing itself.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EPOCH = "1970-01-01T00:00:00Z"
REPOSITORY = "sciflow"

# zstd packs 960 MB in 5 s on two cores, and Python starts from it twice as fast as from gzip.
SQUASHFS_FLAGS = (
    *("-all-root", "-mkfs-time", "0", "-noappend", "-no-progress", "-quiet"),
    *("-comp", "zstd", "-Xcompression-level", "3"),
)
INSTALL = "install tar and squashfs-tools"
# Both speak to mksquashfs and tar behind the back of those who call them.
UNSAID = {"SOURCE_DATE_EPOCH", "TAR_OPTIONS"}
MODES = 0o7777
OPEN_FOLDER, OPEN_FILE = 0o700, 0o400


def squashfs(tar: Path, target: Path) -> None:
    """Write the tar's tree as a squashfs, by way of a folder beside it that goes away.

    Raises SurroundingsError if tar or mksquashfs is missing, too old or fails.
    """
    # mksquashfs can read a tar itself, but then orders what its threads pack by chance: 5 of 12 runs gave other bytes.
    tree, modes = target.with_name(f"{target.name}.tree"), target.with_name(f"{target.name}.modes")
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
        opened = _opened(tree)
        modes.write_bytes(b"".join(opened))
        words = [*SQUASHFS_FLAGS, *(("-pf", str(modes)) if opened else ())]
        _run(["mksquashfs", str(tree), str(target), *words])
    finally:
        _opened(tree)
        shutil.rmtree(tree, ignore_errors=True)


def transcode(source: Path, start: int, target: Path, words: Sequence[str]) -> None:
    """Write a squashfs that begins at a byte of a file anew, packed as `words` say: modes, owners and times stay.

    Between the two stands one file (a pseudo file), so no disk of a plain user's has to hold what he could not make.
    Raises SurroundingsError if unsquashfs or mksquashfs is missing, too old (before 4.5) or fails.
    """
    between = target.with_name(f"{target.name}.pseudo")
    _run(["unsquashfs", "-quiet", "-o", str(start), "-pf", str(between), str(source)])
    _run(["mksquashfs", "-", str(target), "-pf", str(between), "-noappend", "-no-progress", "-quiet", *words])
    between.unlink()


def _opened(tree: Path) -> list[bytes]:
    """Open to their owner what its mode shuts even to him; return the lines that tell mksquashfs the true modes.

    Else a plain user's squashfs would have such files empty, where root's has them whole, and his folder would stay.
    """
    found = []
    for folder, names_in_it, files in os.walk(os.fsencode(tree)):
        for name in (*names_in_it, *files):
            path = os.path.join(folder, name)  # noqa: PTH118 - bytes, which no Path holds
            state = os.lstat(path)
            wanted = OPEN_FOLDER if stat.S_ISDIR(state.st_mode) else OPEN_FILE
            if stat.S_ISLNK(state.st_mode) or state.st_mode & wanted == wanted:
                continue
            os.chmod(path, stat.S_IMODE(state.st_mode) | wanted)  # noqa: PTH101 - as above
            inside = os.path.relpath(path, os.fsencode(tree))
            if b"\n" in inside:
                raise SurroundingsError(
                    f"`{shown(os.fsdecode(inside))}` of the image cannot be packed with its mode",
                    hint="its name has a new line, and its owner may not read it",
                )
            quoted = inside.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
            found.append(b'"%s" m %o 0 0\n' % (quoted, stat.S_IMODE(state.st_mode)))
    return sorted(found)


def version() -> str:
    """Return the version of mksquashfs, on which a squashfs's bytes depend. Raises SurroundingsError without one."""
    try:
        return tool.version("mksquashfs", "-version")
    except FileNotFoundError as error:
        raise SurroundingsError("`mksquashfs` is not on PATH", hint=INSTALL) from error


def _run(words: list[str]) -> str:
    try:
        found = subprocess.run(
            words,
            env={key: value for key, value in os.environ.items() if key not in UNSAID},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise SurroundingsError(f"`{words[0]}` is not on PATH", hint=INSTALL) from error
    if found.returncode != 0:
        last = (found.stderr or found.stdout).strip().splitlines()[-1:] or ["it said nothing"]
        raise SurroundingsError(f"{words[0]} failed: {last[0]}", hint="is there space? mksquashfs must know zstd")
    return found.stdout


def pack(
    tar: Path,
    workshop: Path,
    *,
    architecture: str,
    environment: Sequence[tuple[str, str]] = (),
    labels: Sequence[tuple[str, str]] = (),
    folder: str = "",
) -> tuple[dict[str, str], int]:
    """Write the tar for both engines, by way of a folder in the cache, and keep what is written there.

    Returns the digests of `tree` (the tar), `config`, `archive` and `squashfs`, and the squashfs's size in bytes; what
    is given is said of `docker_archive`. Raises SurroundingsError.
    """
    layer = names.digest_file(tar)  # once: a tree may be gigabytes
    loadable, mountable = workshop / "archive.tar", workshop / "image.sqfs"
    config = docker_archive(
        tar, loadable, architecture=architecture, environment=environment, labels=labels, folder=folder, layer=layer
    )
    squashfs(tar, mountable)
    size = mountable.stat().st_size
    return {
        "tree": f"sha256:{layer[0]}",
        "config": config,
        "archive": cache.keep(loadable),
        "squashfs": cache.keep(mountable),
    }, size


def docker_archive(
    tar: Path,
    target: Path,
    *,
    architecture: str,
    environment: Sequence[tuple[str, str]] = (),
    labels: Sequence[tuple[str, str]] = (),
    folder: str = "",
    layer: tuple[str, int] | None = None,
) -> str:
    """Write the tar as the one layer of an image that `docker load` takes; return the image's id, `sha256:<hex>`.

    The layout is that of `docker save` (Docker Image Specification v1.2): a configuration named by its own digest, the
    layer, and manifest.json. The id is the digest of the configuration, in canonical JSON. `environment` and `folder`
    (to work in) are what the image gives to those who enter it; who says nothing gets the usual search path. `layer` is
    the tar's SHA-256 (hex) and size where they are known already.
    """
    digest, size = layer or names.digest_file(tar)
    settings = {
        "architecture": architecture,
        "config": {
            "Env": [f"{name}={value}" for name, value in sorted({"PATH": SEARCH_PATH, **dict(environment)}.items())],
            **({"Labels": dict(labels)} if labels else {}),
            **({"WorkingDir": folder} if folder else {}),
        },
        "created": EPOCH,
        "history": [{"created": EPOCH, "created_by": "sciflow"}],
        "os": "linux",
        "rootfs": {"diff_ids": [f"sha256:{digest}"], "type": "layers"},
    }
    configuration = names.canonical(settings).encode()
    image = names.digest(configuration)
    # The tag keeps `docker image prune` away; images are entered by id.
    manifest = [{"Config": f"{image}.json", "Layers": [f"{digest}/layer.tar"], "RepoTags": [f"{REPOSITORY}:{image}"]}]
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT if size < 8 << 30 else tarfile.GNU_FORMAT) as archive:
        with tar.open("rb") as stream:
            archive.addfile(_member(f"{digest}/layer.tar", size), stream)
        for name, data in ((f"{image}.json", configuration), ("manifest.json", names.canonical(manifest).encode())):
            archive.addfile(_member(name, len(data)), io.BytesIO(data))
    return f"sha256:{image}"


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o444, 0
    return member
