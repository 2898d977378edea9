"""The cache: content by digest, whole or absent, shared by any number of processes at once.

`sha256/<hex>` holds verified content: images for each engine, and the manifests, configs and layers they are made of;
`making/` what is not finished, each with its maker's name. A file gets its name by one rename, after its bytes were
hashed; two processes that make the same one both win. Its time stamp is that of its last use: see `stock`.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.errors import SurroundingsError
from sciflow.runner import box, facts, names, step

if TYPE_CHECKING:
    from collections.abc import Iterator

READ_ONLY = 0o444
MAKING = "making"
MAKER = "maker.json"
WORK = "work"
PREFIX = "workshop-"


def root() -> Path:
    """Return the cache's folder, which may not be there yet."""
    return Path(names.cache())


def place(digest: str) -> Path:
    """Return where content of this digest (`sha256:<hex>`) stands or would stand."""
    return root() / "sha256" / digest.removeprefix("sha256:")


def held(digest: str) -> Path | None:
    """Return content of this digest if the cache has it unspoilt, and note the use; a spoilt file is removed."""
    path = place(digest)
    try:
        # Before it is read, which may take long: it is not to be cleared away meanwhile.
        box.claim(str(path))
        if names.digest_file(path)[0] == path.name:
            return path
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise refused(error) from error
    return None


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """Give a new folder inside the cache to make content in; it goes away with all that was not kept.

    Its maker's name stands beside it, so that what a killed one leaves behind is known as such.
    Raises SurroundingsError where there is no space or no permission, whoever met it inside.
    """
    try:
        (root() / MAKING).mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root() / MAKING))
        (folder / MAKER).write_text(names.canonical(facts.owner()), encoding="utf-8")
        (folder / WORK).mkdir()  # last: where it stands the name does too
    except OSError as error:
        raise refused(error) from error
    try:
        yield folder / WORK
    except OSError as error:
        raise refused(error) from error
    finally:
        with contextlib.suppress(OSError):  # what another user's id made in it; what happened inside is worth more
            step.clear(str(folder))


def keep(path: Path) -> str:
    """Move a finished file of a workshop to its place; return its digest, `sha256:<hex>`."""
    digest = f"sha256:{names.digest_file(path)[0]}"
    settle(path, place(digest))
    return digest


def settle(path: Path, target: Path) -> None:
    """Move a finished file to its name, read-only, in one rename."""
    path.chmod(READ_ONLY)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)


def refused(error: OSError) -> SurroundingsError:
    """Say that the cache cannot be used, and what to do."""
    where = error.filename or root()
    return SurroundingsError(
        f"`{where}` in the cache cannot be used: {error.strerror or error}",
        hint="make room or get permission there, or set SCIFLOW_CACHE to another folder",
    )
