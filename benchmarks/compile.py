"""Compile sweeps of 1,000 to 1,000,000 points and 3 tasks, cold, against polars and snakemake: median of several runs.

    .venv/bin/python benchmarks/compile.py [--runs 5] [--snakemake PATH]

The floor of each size is one process of polars that builds the same table by cross joins and writes it as NDJSON; each
row is also given as a ratio to it. Three kinds of sweep: `grid`, three axes; `where`, the same with a condition over
the first and the last axis and a derived column, which hold all three together; `sample`, drawn parameters (Sobol).
The exponent is that of a power law fitted to seconds over points, after the time of the smallest size is taken off.
`snakemake -n` plans the grid's tasks as far as its time stays below two minutes.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZES = (1_000, 10_000, 100_000, 1_000_000)
FLOOR = """\
import sys
import polars as pl
n = int(sys.argv[1])
a, c = pl.DataFrame({"a": range(n)}), pl.DataFrame({"c": range(n)})
b = pl.DataFrame({"b": [i / (n - 1) for i in range(n)]})
a.join(b, how="cross").join(c, how="cross").write_ndjson(sys.argv[2])
"""
HEAD = 'format = 1\n[workflow]\nname = "big"\n'
AXES = "[parameters]\na = {{ range = [0, {n}] }}\nb = {{ linspace = [0, 1, {n}] }}\nc = {{ range = [0, {n}] }}\n"
DRAWN = "[parameters]\na = { uniform = [0, 1] }\nb = { normal = [0, 1] }\nc = { integer = [0, 1000000] }\n"
TASKS = """
[tasks.prepare]
run = ["true", "{a}"]
[tasks.train]
needs = ["prepare"]
run = ["true", "{a}", "{b}", "{c}"]
[tasks.score]
needs = ["train"]
run = ["true"]
"""
SNAKEFILE = """\
N = {n}
A, B, C = range(N), range(N), range(N)
rule all:
    input: expand("score/{{a}}-{{b}}-{{c}}", a=A, b=B, c=C)
rule prepare:
    output: "prepare/{{a}}"
    shell: "touch {{output}}"
rule train:
    input: "prepare/{{a}}"
    output: "train/{{a}}-{{b}}-{{c}}"
    shell: "touch {{output}}"
rule score:
    input: "train/{{a}}-{{b}}-{{c}}"
    output: "score/{{a}}-{{b}}-{{c}}"
    shell: "touch {{output}}"
"""
PATIENCE_S = 120


def side(points: int) -> int:
    """Return how many values each of three axes has."""
    return round(points ** (1 / 3))


def workflow(kind: str, points: int) -> str:
    """Return the text of a workflow of so many points."""
    n = side(points)
    middle = {
        "grid": AXES.format(n=n),
        "where": AXES.format(n=n) + f"[sweep]\nwhere = 'a + c > {n // 2}'\nderive = {{ d = 'a * b' }}\n",
        "sample": DRAWN + f"[sweep]\nsample = {{ method = 'sobol', points = {points} }}\n",
    }[kind]
    return HEAD + middle + TASKS


def measured(words: list[str], folder: Path, env: dict[str, str]) -> tuple[float, float]:
    """Return (wall seconds, peak MiB) of one run of a command, which must succeed."""
    start = time.perf_counter()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{words}: exit {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def exponent(seconds: dict[int, float]) -> float:
    """Return the slope of log seconds over log points, by least squares, the least time taken off as start-up."""
    start = min(seconds.values())
    pairs = [(math.log(size), math.log(taken - start)) for size, taken in seconds.items() if taken > start * 1.05]
    if len(pairs) < 2:  # noqa: PLR2004  a line needs two points
        return 0.0
    x, y = (statistics.fmean(column) for column in zip(*pairs, strict=True))
    return sum((one - x) * (two - y) for one, two in pairs) / sum((one - x) ** 2 for one, _ in pairs)


def main() -> None:
    """Print a row a kind and size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--snakemake", help="the snakemake to compare with")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, env = Path(scratch), {**os.environ, "XDG_CONFIG_HOME": scratch}
        (folder / "floor.py").write_text(FLOOR)
        rows: dict[tuple[str, int], list[tuple[float, float]]] = {}
        for points in SIZES:
            commands = {"polars": [sys.executable, "floor.py", str(side(points)), "floor.ndjson"]}
            for kind in ("grid", "where", "sample"):
                (folder / f"{kind}.toml").write_text(workflow(kind, points))
                commands[kind] = [sys.executable, "-m", "sciflow", "compile", f"{kind}.toml"]
            for _ in range(chosen.runs):  # interleaved, so that a busy moment of the machine falls on all of them
                for kind, words in commands.items():
                    rows.setdefault((kind, points), []).append(measured(words, folder, env))
        if chosen.snakemake:
            for points in SIZES:
                (folder / "Snakefile").write_text(SNAKEFILE.format(n=side(points)))
                words = [chosen.snakemake, "-n", "--quiet", "all"]
                rows["snakemake -n", points] = [measured(words, folder, env)]
                if rows["snakemake -n", points][0][0] * 10 > PATIENCE_S:
                    break
        print(f"{'':14} {'points':>9} {'wall s':>8} {'MiB':>6} {'x polars':>9}")
        middle = {
            key: [statistics.median(column) for column in zip(*taken, strict=True)] for key, taken in rows.items()
        }
        for (kind, points), (wall, memory) in middle.items():
            ratio = wall / middle["polars", points][0]
            print(f"{kind:14} {points:9,} {wall:8.3f} {memory:6.0f} {ratio:9.2f}")
        for kind in dict.fromkeys(kind for kind, _ in middle):
            seconds = {size: taken[0] for (one, size), taken in middle.items() if one == kind}
            print(f"{kind}: exponent {exponent(seconds):.2f}")


if __name__ == "__main__":
    main()
