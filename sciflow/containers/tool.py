"""Another program's words -> the version that it says, as locks keep it."""

from __future__ import annotations

import re
import subprocess


def version(*words: str) -> str:
    """Ask a program for its version; return the first number with dots in its answer, or nothing without one.

    Raises FileNotFoundError where there is no such program.
    """
    said = subprocess.run(
        words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    found = re.search(r"\d+(?:\.\d+)+", said.stdout + said.stderr)
    return found.group() if found else ""
