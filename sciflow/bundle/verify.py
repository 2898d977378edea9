"""Ask for the verdict on a bundle: the same functions that travel in its `verify.py`, from the reader's own copy."""

from __future__ import annotations

from pathlib import Path

from sciflow.errors import SurroundingsError
from sciflow.runner import tree, verdict


def judge(bundle: Path, trust: Path | None = None) -> verdict.Verdict:
    """Return the verdict (id, files, faults, seals, code) on a bundle; `trust` defaults to the user's allowed_signers.

    Raises SurroundingsError where the folder, or the file of trusted keys, cannot be read.
    """
    default = Path(verdict.default_trust())
    chosen = trust or (default if default.exists() else None)
    try:
        return verdict.judge(str(bundle), str(chosen) if chosen else None, verdict.utc())  # type: ignore[no-any-return]
    except tree.Refused as error:
        raise SurroundingsError(f"`{chosen}`: {error}") from error
    except OSError as error:
        raise SurroundingsError(f"`{error.filename}`: {error.strerror}") from error
