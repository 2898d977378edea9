"""The table of tests/live/broken.py, met for real -> docs/faults.md: what was done, and what sciflow says to it.

python tools/faults.py [--check]      needs what tests/testbed/up.sh brings up; a row takes from a second to two minutes
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pages

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/faults.md"
HEAD = """# Images that cannot be had, and what sciflow says

Made by `tools/faults.py`: each fault of the table in `tests/live/broken.py` was brought about, and `sciflow compile`
met it (`sciflow fetch` where something was locked before). HOST, PORT, FOLDER and DIGEST stand for what is another
each time. `tests/live/test_faults.py` holds each message to place, fault and fix, in this order; and it holds that no
lock and no bundle is left, nothing unfinished or spoilt in the cache, and that a good image is locked afterwards.
"""


def main() -> int:
    """Write the page, or say that it is not current."""
    sys.path.insert(0, str(ROOT))
    return pages.kept(PAGE, page(), about=__doc__, source="sciflow says", tool="tools/faults.py")


def page() -> str:
    """Bring all faults about; return the text of docs/faults.md."""
    from tests.live import broken  # noqa: PLC0415 - the tests are beside this folder, and no package is installed of them

    found = [HEAD]
    for row in broken.ROWS:
        sys.stderr.write(f"{row.name}\n")
        with tempfile.TemporaryDirectory() as folder, broken.bed(Path(folder)) as bed:
            met = broken.outcome(row, bed)
        found.append(
            f"\n## {row.name[0].upper()}{row.name[1:]}\n\nCode {met.done.returncode}.\n\n```text\n{met.said}\n```\n"
        )
    return "".join(found)


if __name__ == "__main__":
    sys.exit(main())
