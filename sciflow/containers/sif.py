"""A squashfs -> a SIF around it, the same bytes for everyone; and where the root file system lies in a SIF.

The form is that of SIF 01 (the package sif of Apptainer): a header, a table of 48 descriptors, and the data. Time
stamps are 0 and the id is that of the content, so that whoever wraps the same squashfs has the same file.
"""

from __future__ import annotations

import shutil
import struct
from typing import TYPE_CHECKING

from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from pathlib import Path

LAUNCH = b"#!/usr/bin/env run-singularity\n\0"
MAGIC, VERSION = b"SIF_MAGIC\0", b"01\0"
ARCHITECTURES = {"amd64": b"02\0", "arm64": b"04\0", "ppc64le": b"06\0", "s390x": b"11\0", "riscv64": b"12\0"}

# launch line, magic, version, architecture, id; created, modified; descriptors free, of, from, their size; data from,
# its size
HEADER = struct.Struct("<32s10s3s3s16s8q")
# kind, used, id, group, link; offset, size, size with padding, created, modified, user, group; name; what the kind says
DESCRIPTOR = struct.Struct("<i?III7q128s384s")
PARTITION = struct.Struct("<ii3s")  # file system, role, architecture
DESCRIPTORS, DESCRIPTORS_AT, ALIGNMENT = 48, 4096, 4096
PARTITION_KIND, GROUP = 0x4004, 0xF0000001
SQUASHFS, ROOT = 1, 2


def wrap(squashfs: Path, target: Path, *, architecture: str) -> None:
    """Write a SIF that holds a squashfs as its root file system, for an architecture as OCI names it.

    Raises SurroundingsError for an architecture that SIF has no word for, OSError.
    """
    code = ARCHITECTURES.get(architecture)
    if code is None:
        raise SurroundingsError(
            f"a SIF has no word for the architecture {architecture}", hint="run the squashfs itself"
        )
    digest, size = names.digest_file(squashfs)
    data_at = DESCRIPTORS_AT + DESCRIPTORS * DESCRIPTOR.size
    start = -(-data_at // ALIGNMENT) * ALIGNMENT
    header = HEADER.pack(
        *(LAUNCH, MAGIC, VERSION, code, bytes.fromhex(digest)[:16], 0, 0, DESCRIPTORS - 1, DESCRIPTORS),
        *(DESCRIPTORS_AT, DESCRIPTORS * DESCRIPTOR.size, data_at, start - data_at + size),
    )
    role = PARTITION.pack(SQUASHFS, ROOT, code)
    entry = DESCRIPTOR.pack(
        PARTITION_KIND,
        True,  # noqa: FBT003  struct's own way
        1,
        GROUP,
        0,
        start,
        size,
        start - data_at + size,
        0,
        0,
        0,
        0,
        b"rootfs",
        role,
    )
    with target.open("wb") as out, squashfs.open("rb") as source:
        out.write(header)
        out.seek(DESCRIPTORS_AT)
        out.write(entry)
        out.seek(start)
        shutil.copyfileobj(source, out)


def is_one(path: Path) -> bool:
    """Say whether a file is a SIF, by its first bytes."""
    with path.open("rb") as stream:
        return stream.read(len(LAUNCH) + len(MAGIC))[len(LAUNCH) :] == MAGIC


def root(path: Path) -> tuple[int, int]:
    """Return where the root file system of a SIF begins, and its size in bytes.

    Raises SurroundingsError for a SIF without one that is a squashfs: encrypted ones, overlays alone.
    """
    with path.open("rb") as stream:
        head = stream.read(HEADER.size)
        try:
            *_, total, at, _, _, _ = HEADER.unpack(head)
            stream.seek(at)
            for _ in range(min(total, 1 << 10)):
                kind, used, _, _, _, start, size, *_, extra = DESCRIPTOR.unpack(stream.read(DESCRIPTOR.size))
                system, role, _ = PARTITION.unpack(extra[: PARTITION.size])
                if used and (kind, system, role) == (PARTITION_KIND, SQUASHFS, ROOT) and start > 0 and size > 0:
                    return start, size
        except (struct.error, OSError, ValueError) as error:
            raise SurroundingsError(f"`{path.name}` is a SIF that ends too early", hint="copy it again") from error
    raise SurroundingsError(
        f"`{path.name}` is a SIF without a squashfs to run in", hint="build it again, not encrypted: `apptainer build`"
    )
