"""A page of docs/ that a tool makes: written, or held against what stands there."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def kept(page: Path, text: str, *, about: str | None, source: str, tool: str) -> int:
    """Write the page; or, asked to --check, say whether it is what `source` says, and how it is made anew."""
    parser = argparse.ArgumentParser(description=about.split("\n", 1)[0] if about else None)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        if page.exists() and page.read_text(encoding="utf-8") == text:
            return 0
        sys.stderr.write(f"{page}: it is not what {source}\n  hint: python {tool}\n")
        return 1
    page.write_text(text, encoding="utf-8")
    return 0
