"""Pull an image, and build a definition over it, with sciflow and with Apptainer alone, cold: median of several runs.

    .venv/bin/python benchmarks/images.py docker://127.0.0.1:5000/tools:1 [--runs 3] [--post 'echo x >/opt/x']

Each run has a cache of its own, so everything is fetched and packed anew; the registry and the page cache are warm for
both. sciflow writes the squashfs for Apptainer *and* the archive for Docker, hashes both, and says what it did in a
lock; `apptainer pull` and `apptainer build` write one SIF. Times are also given as ratios, sizes in MB. Run it as a
plain user: root of a container may lack powers that `apptainer build` asks for.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

HEAD = 'format = 1\n[workflow]\nname = "b"\n[tasks.t]\nrun = ["true"]\n[image]\n'
MEGA = 1e6


def timed(words: list[str], folder: Path, **settings: str) -> float:
    begin = time.perf_counter()
    found = subprocess.run(
        words, cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        sys.exit(f"{' '.join(words)}\n{found.stderr[-2000:]}")
    return time.perf_counter() - begin


def sciflow(folder: Path, image: str) -> tuple[float, float]:
    """Lock a workflow with this image; return seconds and the squashfs's megabytes."""
    (folder / "workflow.toml").write_text(HEAD + image)
    words = [sys.executable, "-m", "sciflow", "lock", "workflow.toml"]
    took = timed(words, folder, SCIFLOW_CACHE=str(folder / "cache"))
    locked = tomllib.loads((folder / "workflow.lock").read_text())
    return took, locked["image"]["size"] / MEGA


def apptainer(folder: Path, *words: str) -> tuple[float, float]:
    settings = {f"APPTAINER_{name}": str(folder / name) for name in ("CACHEDIR", "TMPDIR")}
    for place in settings.values():
        Path(place).mkdir()
    took = timed(["apptainer", words[0], "--no-https", "out.sif", *words[1:]], folder, **settings)
    return took, (folder / "out.sif").stat().st_size / MEGA


def row(name: str, runs: list[tuple[tuple[float, float], tuple[float, float]]]) -> None:
    ours, theirs = (statistics.median(pair[who][0] for pair in runs) for who in (0, 1))
    sizes = [runs[0][who][1] for who in (0, 1)]
    print(
        f"{name:28} sciflow {ours:7.2f} s {sizes[0]:8.1f} MB   apptainer {theirs:7.2f} s {sizes[1]:8.1f} MB   "
        f"time x {ours / theirs:5.2f}   size x {sizes[0] / sizes[1]:5.2f}"
    )


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("reference")
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--post", default="mkdir -p /opt/made && echo 1 >/opt/made/one")
    given = words.parse_args()
    name = given.reference.removeprefix("docker://")
    definition = f"Bootstrap: docker\nFrom: {name}\n\n%post\n    {given.post}\n"
    pulls, builds = [], []
    for _ in range(given.runs):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            ours = sciflow(Path(one), f'from = "{given.reference}"\n')
            pulls.append((ours, apptainer(Path(other), "pull", given.reference)))
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            for folder in (one, other):
                (Path(folder) / "tool.def").write_text(definition)
            ours = sciflow(Path(one), 'definition = "tool.def"\n')
            builds.append((ours, apptainer(Path(other), "build", "tool.def")))
    row("pull", pulls)
    row("build of a definition", builds)


if __name__ == "__main__":
    main()
