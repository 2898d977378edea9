"""The runner's peak memory at 1,000 to 100,000 steps, and how long it takes to start again over 1,000,000 records.

    .venv/bin/python benchmarks/memory.py [--real 20000] [--records 1000000] [--folder DIR]

Of each size all but a hundred steps are on record as done already, written by the runner's own `records.Segment`; these
are run (`true`, two at a time, on the host). `--real` is how many are run one and all. Peak memory is that of the
runner's process, which is the largest.

Starting again: `standing.Standing` in a fresh Python, with the segment's index and without it, beside counting the
lines of the segment; and the whole command, which verifies the bundle, finds nothing to do, and ends. Each is the least
of three.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cost import cost

from sciflow.runner import names, records

ROOT = Path(__file__).parent.parent
SIZES = (1_000, 10_000, 100_000)
LEFT = 100
BATCH = 10_000  # records that are committed together
WORKFLOW = """\
format = 1
[workflow]
name = "steps-{n}"
[parameters]
a = {{ range = [0, {n}] }}
[tasks.one]
run = ["true", "{{a}}"]
resources = {{ cpus = 1, memory = "100 MB", time = "1m" }}
"""
COUNT = """\
import sys, time
start, lines = time.perf_counter(), 0
with open(sys.argv[1], "rb", 0) as stream:
    for piece in iter(lambda: stream.read(1 << 20), b""):
        lines += piece.count(b"\\n")
print(time.perf_counter() - start)
"""
STAND = """\
import json, sys, time
sys.path.insert(0, sys.argv[1])
from sciflow.runner import standing
plan = json.load(open(sys.argv[2] + "/plan.json"))
start = time.perf_counter()
stands = standing.Standing(sys.argv[2] + "/runs/main", plan)
taken = time.perf_counter() - start
assert stands.count("done") == plan["tasks"][0]["steps"] - int(sys.argv[3])
print(taken)
"""


def compiled(n: int, folder: Path) -> Path:
    """Compile a study of N steps; return the bundle."""
    (folder / "workflow.toml").write_text(WORKFLOW.format(n=n))
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "sciflow", "compile", "workflow.toml"]
    done = subprocess.run(words, check=True, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return folder / done.stdout.decode().splitlines()[-1]


def preset(bundle: Path, n: int) -> None:
    """Put the first N steps on record as done."""
    segment = records.Segment(str(bundle / "runs/main"), "w" + names.token())
    segment.append({"worker": "w", "facts": {}, "box": {}, "start": 0.0})
    record = {
        "task": "one",
        "key": "0" * 64,
        "worker": "w",
        "state": names.DONE,
        "code": 0,
        "signal": None,
        "reason": "",
        "wall_s": 0.001234,
        "user_s": 0.000456,
        "system_s": 0.000789,
        "peak_mib": 1.75,
        "read_bytes": 0,
        "written_bytes": 0,
        "metrics": {},
        "outputs": {},
        "stdout": "",
        "stderr": "",
    }
    for first in range(0, n, BATCH):
        rows = []
        for step in range(first, min(first + BATCH, n)):
            at = segment.append(dict(record, step=step, attempt=f"{step:016x}", start=step / 8, end=step / 8 + 0.5))
            rows.append((at, step, 0, names.DONE))
        segment.commit()
        segment.enter(rows)
    segment.close()


def seconds(words: list[str]) -> float:
    """Return the least of three times that a program says it took."""
    said = [subprocess.run(words, check=True, capture_output=True).stdout for _ in range(3)]
    return min(float(text) for text in said)


def runner(bundle: Path) -> list[str]:
    """Return the words that run what remains of a bundle on the host."""
    return [sys.executable, "-I", "-S", "-B", str(bundle / "runner"), "run", "--engine", "host", "-j", "2", "--quiet"]


def again(n: int, folder: Path) -> None:
    """Print how long starting again takes over N records."""
    bundle = compiled(n, folder)
    start = time.perf_counter()
    preset(bundle, n)
    (segment,) = (bundle / "runs/main/segments").glob("*.jsonl")
    index = segment.with_suffix(".idx")
    size, row = segment.stat().st_size / n, index.stat().st_size / n
    print(f"\n{n:,} records of {size:.0f} bytes, {row:.0f} in the index, made in {time.perf_counter() - start:.1f} s")
    words = [sys.executable, "-I", "-c"]
    count = seconds([*words, COUNT, str(segment)])
    stand = [*words, STAND, str(ROOT), str(bundle), "0"]
    rows = {"counting the lines": count, "standing, by the index": seconds(stand)}
    whole = [cost(runner(bundle), folder) for _ in range(3)]
    rows["the whole command"] = min(one.wall_s for one in whole)
    index.unlink()
    rows["standing, without an index"] = seconds(stand)
    for name, taken in rows.items():
        print(f"{name:28} {taken:8.3f} s {taken / count:8.2f} x counting")
    print(f"peak memory of the command: {max(one.peak_mib for one in whole):.0f} MiB")


def main() -> None:
    """Print a row a size, then how long it takes to start again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--real", type=int, default=20_000)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    chosen = parser.parse_args()
    print(f"{'steps':>9} {'run':>7} {'peak MiB':>9} {'wall s':>8}")
    for n, run in [(n, LEFT) for n in SIZES] + [(chosen.real, chosen.real)]:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
            bundle = compiled(n, Path(scratch))
            if run < n:
                preset(bundle, n - run)
            found = cost(runner(bundle), Path(scratch))
            stated = subprocess.run(
                [sys.executable, "-I", "-S", "-B", str(bundle / "runner"), "status"], check=True, stdout=subprocess.PIPE
            )
            assert json.loads(stated.stdout)["tasks"]["one"].get("done") == n
            print(f"{n:9,} {run:7,} {found.peak_mib:9.1f} {found.wall_s:8.2f}", flush=True)
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        again(chosen.records, Path(scratch))


if __name__ == "__main__":
    main()
