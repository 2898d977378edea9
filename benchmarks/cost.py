"""From a command to what it cost: wall time, and the CPU time and the peak memory of it and all it started.

    python benchmarks/cost.py SECONDS WORD …     prints {"wall_s", "cpu_s", "peak_mib", "code"} as its last line

Each command is measured by a process of its own, whose only children are that command's.
"""

import ctypes
import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # prctl(2): what a command leaves behind becomes this process's child, and is counted too
SAID_BYTES = 2000


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """`peak_mib` is that of the largest single process; it is never below the meter's own, some 10 MiB."""

    wall_s: float
    cpu_s: float
    peak_mib: float


class TooLongError(Exception):
    """The command was ended because it took longer than was to be waited."""


def cost(words: list[str], folder: Path, env: dict[str, str] | None = None, patience_s: float = 3600) -> Cost:
    """Run a command in a folder; it must succeed. Raises SystemExit with the end of what it said, and TooLongError."""
    log = folder / "said.log"
    with log.open("wb") as said:
        meter = subprocess.run(
            [sys.executable, "-I", "-S", __file__, str(patience_s), *words],
            check=False,
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    found = json.loads(meter.stdout.splitlines()[-1])
    if found["code"] is None:
        raise TooLongError
    if found.pop("code"):
        raise SystemExit(f"{words} failed:\n{log.read_text(errors='replace')[-SAID_BYTES:]}")
    return Cost(**found)


def main(patience_s: float, words: list[str]) -> None:
    """Run a command, and print what it cost."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        code = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.terminate()
        code = None
    wall = time.perf_counter() - start
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "peak_mib": used.ru_maxrss / 1024, "code": code}))


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
