"""A layer as it travels (gzip, zstd or plain) -> the plain tar inside, no larger than a layer can honestly be."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

from sciflow.containers.members import HINT
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"  # RFC 1952 §2.3.1, RFC 8878 §3.1.1
OTHERS = {b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz"}
PIECE = 1 << 20

# Layers of real images grow 2 to 6 times; a megabyte of zeros grows a thousand times.
RATIO = 200
ALWAYS_ALLOWED = 1 << 30
MOST = 256 << 30


def most(packed: int) -> int:
    """Return how many bytes may come out of `packed` bytes of layers."""
    return min(max(ALWAYS_ALLOWED, RATIO * packed), MOST)


def inflate(source: Path, target: Path, *, name: str, limit: int) -> tuple[str, int]:
    """Write the plain tar of a layer, of at most `limit` bytes; return its digest, `sha256:<hex>`, and its size.

    `name` is the layer's, for faults. Raises SurroundingsError: damaged, of a compression that is not known here, or
    a bomb.
    """
    size, sha = 0, hashlib.sha256()
    # without a buffer: zstd is given the descriptor itself
    with source.open("rb", buffering=0) as raw, target.open("wb") as plain:
        packed = cast("IO[bytes]", raw)
        start = packed.read(6)
        packed.seek(0)
        for magic, other in OTHERS.items():
            if start.startswith(magic):
                raise SurroundingsError(
                    f"{name} is compressed with {other}, which images do not use", hint="pack it with gzip or zstd"
                )
        with _opened(packed, start, name) as stream:
            for piece in _pieces(stream, name):
                size += len(piece)
                if size > limit:
                    raise SurroundingsError(
                        f"the image is refused: {name}, of {source.stat().st_size} bytes, grows beyond {limit} bytes",
                        hint=HINT,
                    )
                sha.update(piece)
                plain.write(piece)
    return f"sha256:{sha.hexdigest()}", size


def _pieces(stream: IO[bytes], name: str) -> Iterator[bytes]:
    while True:
        try:
            piece = stream.read(PIECE)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise SurroundingsError(f"{name} is damaged: {error}", hint=HINT) from error
        if not piece:
            return
        yield piece


@contextmanager
def _opened(packed: IO[bytes], start: bytes, name: str) -> Iterator[IO[bytes]]:
    """Open a layer by what it starts with: the media types that registries give are not always true."""
    if start.startswith(GZIP):
        with gzip.GzipFile(fileobj=packed, mode="rb") as stream:
            yield cast("IO[bytes]", stream)
    elif start.startswith(ZSTD):
        with _zstd(packed, name) as stream:
            yield stream
    else:
        yield packed


@contextmanager
def _zstd(packed: IO[bytes], name: str) -> Iterator[IO[bytes]]:
    """Have `zstd` unpack: the standard library learns it in Python 3.14."""
    if shutil.which("zstd") is None:
        raise SurroundingsError(
            f"{name} is compressed with zstd, and `zstd` is not on PATH", hint="install zstd; or use another image"
        )
    with subprocess.Popen(
        ["zstd", "--decompress", "--stdout", "--quiet"],
        stdin=packed,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        stream, errors = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        try:
            yield stream
        except BaseException:
            process.kill()
            raise
        said = errors.read().decode("utf-8", "replace").strip()
        if process.wait():
            raise SurroundingsError(f"{name} is damaged: {said or 'zstd cannot read it'}", hint=HINT)
