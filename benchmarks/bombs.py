"""Processor seconds and peak memory of `sciflow check` on the files of tests/workflow/bombs.py, which ask for much.

    .venv/bin/python benchmarks/bombs.py [WORD …]      only those whose name holds one of the words

A row a file: exit code, seconds of the processor, peak MiB, name; last, how many broke a bound (one second, 300 MiB,
a code other than 0 and 2, a traceback). Legal sweeps of a million points may take longer than the second.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.workflow import bombs

LIMIT_S = 1.0


def main() -> int:
    """Print a row a bomb; return how many broke a bound."""
    broken = 0
    for name, bomb in bombs.bombs().items():
        if len(sys.argv) > 1 and not any(word in name for word in sys.argv[1:]):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            found = bombs.checked(Path(scratch), bomb())
        wrong = found.code not in (0, 2) or "Traceback" in found.said
        over = wrong or found.seconds > LIMIT_S or found.peak_mib > bombs.LIMIT_MIB
        broken += over
        print(
            f"{'!' if over else ' '} {found.code:3} {found.seconds:7.2f} s {found.peak_mib:6.0f} MiB  {name}",
            flush=True,
        )
    print(f"{broken} over a bound")
    return broken


if __name__ == "__main__":
    sys.exit(min(main(), 1))
