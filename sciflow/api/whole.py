"""Write a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at

from sciflow.errors import SurroundingsError


def replace(place: Path, text: str) -> None:
    """Write a text to a place, by way of a name beside it. Raises SurroundingsError."""
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        part.replace(place)
    except OSError as error:
        raise SurroundingsError(f"`{place}` cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
