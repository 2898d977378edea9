"""What records cost: time and CPU beside the bare loop, bytes beside those of results, and how much of them is filled.

    .venv/bin/python benchmarks/metadata.py [--folder DIR]

Steps of 0, 0.1, 1 and 10 seconds (`sleep`, then a file of 100,000 bytes is written), two at a time, on the host: by a
bare posix_spawn loop, and by sciflow. `start` is what sciflow takes with a single step that does nothing: once a
worker, whatever the steps; the cost of a step is what is over both. The share is of the
loop's time.

Bytes are those of segments, their indexes and logs, against results of 1,000 to 1,000,000 bytes a step; the worker's
own record of its machine is told apart. Coverage is the share of fields that hold something: not null, nor empty.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from cost import Cost, cost

ROOT = Path(__file__).parent.parent
BYTES = 100_000
KINDS = ((0.0, 2000), (0.1, 200), (1.0, 20), (10.0, 4))
SIZES = (1_000, 10_000, 100_000, 1_000_000)
RUNS = 3
SCRIPT = f'[ "$2" = 0.0 ] || sleep "$2"; head -c {BYTES} /dev/zero > "$3"'
WORKFLOW = """\
format = 1
[workflow]
name = "records"
[parameters]
i = {{ range = [0, {n}] }}
[tasks.one]
run = ["sh", "-c", {script}, "step", "{{i}}", "{seconds}", "{{outputs.o}}"]
outputs = {{ o = "o.bin" }}
resources = {{ cpus = 1, memory = "100 MB", time = "1m" }}
"""
BARE = """\
import os, sys
left, lanes = iter(range(int(sys.argv[1]))), set()
while True:
    for i in left:
        words = ["sh", "-c", sys.argv[3], "step", str(i), sys.argv[2], "%d.bin" % i]
        lanes.add(os.posix_spawn("/bin/sh", words, os.environ))
        if len(lanes) == 2:
            break
    if not lanes:
        break
    lanes.remove(os.wait()[0])
"""


def compiled(seconds: float, n: int, folder: Path) -> Path:
    """Compile a study of N steps of so many seconds; return the bundle."""
    folder.mkdir()
    text = WORKFLOW.format(n=n, seconds=seconds, script=json.dumps(SCRIPT))
    (folder / "workflow.toml").write_text(text)
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "sciflow", "compile", "workflow.toml"]
    done = subprocess.run(words, check=True, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return folder / done.stdout.decode().splitlines()[-1]


def ours(bundle: Path, run: str) -> Cost:
    """Run a bundle on the host."""
    words = [sys.executable, "-I", "-S", "-B", str(bundle / "runner"), "run", "--engine", "host", "--run", run]
    return cost([*words, "-j", "2", "--quiet"], bundle.parent)


def bare(seconds: float, n: int, folder: Path) -> Cost:
    """Run the same steps by a loop that takes no notice of them."""
    folder.mkdir()
    return cost([sys.executable, "-I", "-S", "-c", BARE, str(n), str(seconds), SCRIPT], folder)


def middle(costs: list[Cost]) -> tuple[float, float]:
    """Return the medians of wall and CPU seconds."""
    return statistics.median(one.wall_s for one in costs), statistics.median(one.cpu_s for one in costs)


def flat(value: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Return {dotted name: value} of a record, its objects opened."""
    found: dict[str, Any] = {}
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            found.update(flat(inner, f"{before}{name}."))
        else:
            found[before + name] = inner
    return found


def lines(bundle: Path, run: str) -> list[dict[str, Any]]:
    """Return all that is on record of a run."""
    return [json.loads(line) for path in (bundle / "runs" / run).glob("segments/*.jsonl") for line in path.open()]


def covered(title: str, found: list[dict[str, Any]]) -> None:
    """Print which fields of these records hold something."""
    filled: dict[str, int] = {}
    for record in found:
        for name, value in flat(record).items():
            filled[name] = filled.get(name, 0) + (value not in (None, "", [], {}))
    share = sum(count > 0 for count in filled.values()) / len(filled)
    empty = ", ".join(sorted(name for name, count in filled.items() if not count))
    print(f"{title}: {len(filled)} fields, {100 * share:.0f} % hold something; empty: {empty or 'none'}")


def main() -> None:
    """Print the cost in time, in bytes, and the coverage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as scratch:
        folder = Path(scratch)
        once = compiled(0.0, 1, folder / "once")
        start = middle([ours(once, f"r{turn}") for turn in range(RUNS)])
        print(f"start: {start[0]:.3f} s, {start[1]:.3f} s of CPU, once a worker")
        print(f"{'a step of':>10} {'steps':>6} {'bare s':>8} {'sciflow':>8} {'ms/step':>8} {'share':>8} {'cpu ms':>8}")
        for seconds, n in KINDS:
            bundle = compiled(seconds, n, folder / str(seconds))
            turns = range(RUNS if seconds < 1 else 1)
            taken = [(bare(seconds, n, folder / f"{seconds}-{turn}"), ours(bundle, f"r{turn}")) for turn in turns]
            floor, whole = middle([one for one, _ in taken]), middle([one for _, one in taken])
            wall, cpu = ((whole[which] - floor[which] - start[which]) / n for which in (0, 1))
            share = f"{100 * wall * n / floor[0]:7.2f}%"
            print(
                f"{seconds:8} s {n:6} {floor[0]:8.2f} {whole[0]:8.2f} {wall * 1000:8.3f} {share} {cpu * 1000:8.3f}",
                flush=True,
            )
            if not seconds:
                weighed(bundle, n)
        covered("the worker's record", lines(once, "r0")[:1])
        covered("a step's record", lines(once, "r0")[1:])


def weighed(bundle: Path, n: int) -> None:
    """Print the bytes of records, indexes and logs, against those of results."""
    run = bundle / "runs/r0"
    total = sum(path.stat().st_size for kind in ("segments", "logs") for path in run.glob(f"{kind}/*"))
    first = len(next(run.glob("segments/*.jsonl")).open("rb").readline())
    each = (total - first) / n
    told = ", ".join(f"{100 * each / size:.2f} % of results of {size:,}" for size in SIZES)
    print(f"bytes: {first:,} a worker, {each:.0f} a step: {told}")


if __name__ == "__main__":
    main()
