"""Call a Python function many times: through the runner's fork server, and by a fresh Python a call; median of rounds.

    .venv/bin/python benchmarks/functions.py [--calls 400] [--rounds 5] [--python PYTHON] [--image FILE]

PYTHON (by default the python3 on PATH) is what calls; the function's module imports numpy where that has it, else json
and decimal. Three ways take turns, one after another in each round, on one core:

    runner    a whole run of CALLS steps: the bundle is verified, each value hashed and put on record, all of it synced
    process   CALLS times `PYTHON -c`, which imports the same and writes the value to a file; a twentieth are timed
    apptainer CALLS times `apptainer exec FILE python3 -c`, likewise; a fiftieth as many, where FILE is given

With FILE, a squashfs or SIF that holds a python3, the runner's steps run inside it as well. What the runner takes is
also given without what it takes for a single step, its start: that is what one more step costs. The goal is a 25th of a
process each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sciflow import api

GOAL = 25
FEWER = {"process": 20, "apptainer": 50}  # what is slow is timed on so many fewer calls
STUDY = """\
{imports}


def double(x):
    return {{"y": x * 2}}
"""
ALONE = "{imports}; import json, sys; open('value', 'w').write(json.dumps({{'y': 2 * int(sys.argv[1])}}))"
WORKFLOW = """\
format = 1

[workflow]
name = "calls"
{image}
[code]
include = ["study.py"]

[parameters]
x = {{ range = [0, {calls}] }}

[tasks.double]
python = "study:double"
resources = {{ memory = "256 MiB", time = "1m" }}
"""


def imports(words: list[str]) -> str:
    """Return what the function's module imports, in the Python that these words start."""
    numpy = subprocess.run([*words, "-c", "import numpy"], capture_output=True, check=False)
    return "import json, decimal" if numpy.returncode else "import numpy"


def compiled(folder: Path, calls: int, what: str, image: Path | None) -> Path:
    """Write and compile a sweep of so many calls; return the bundle."""
    folder.mkdir()
    table = ""
    if image:
        shutil.copy(image, folder)
        table = f'\n[image]\nfile = "{image.name}"\n'
    (folder / "study.py").write_text(STUDY.format(imports=what), encoding="utf-8")
    (folder / "workflow.toml").write_text(WORKFLOW.format(calls=calls, image=table), encoding="utf-8")
    return api.compile(folder / "workflow.toml").path


def run(bundle: Path, name: str, image: Path | None, programs: str) -> float:
    """Run all of a bundle on one core; return the seconds that takes."""
    begin = time.perf_counter()
    engine = "apptainer" if image else "host"
    _, code = api.run(bundle, name, engine=engine, jobs=1, quiet=True, programs=None if image else programs)
    took = time.perf_counter() - begin
    if code:
        sys.exit(f"the run ended with exit code {code}")
    return took


def each(words: list[str], count: int, what: str, folder: Path) -> float:
    """Start a fresh Python so many times; return the seconds that each takes."""
    begin = time.perf_counter()
    for number in range(count):
        subprocess.run([*words, "-c", ALONE.format(imports=what), str(number)], cwd=folder, check=True)
    return (time.perf_counter() - begin) / count


def row(name: str, times: list[float], runner: float) -> None:
    """Print the milliseconds of a call, and how many of the runner's that is."""
    middle = statistics.median(times)
    spread = f"{min(times) * 1e3:.2f}-{max(times) * 1e3:.2f}"
    print(f"{name:28} {middle * 1e3:9.2f} ms a call   ({spread})   x {middle / runner:7.1f}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    words.add_argument("--calls", type=int, default=1000)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--python", default=shutil.which("python3"))
    words.add_argument("--image", type=Path)
    given = words.parse_args()
    contained = ["apptainer", "exec", "--containall", "--no-home", str(given.image), "python3"]
    fresh = {"process": [given.python], **({"apptainer": contained} if given.image else {})}
    what = imports(fresh["apptainer"] if given.image else fresh["process"])
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "programs").mkdir()
        # Not a link: of a linked python, a virtual environment is not found.
        starter = folder / "programs" / "python3"
        starter.write_text(f'#!/bin/sh\nexec {given.python} "$@"\n', encoding="utf-8")
        starter.chmod(0o755)
        programs = f"{folder / 'programs'}{os.pathsep}{os.environ['PATH']}"
        os.environ.setdefault("XDG_CONFIG_HOME", str(folder / "configuration"))
        many = compiled(folder / "many", given.calls, what, given.image)
        one = compiled(folder / "one", 1, what, given.image)
        (folder / "alone").mkdir()
        found: dict[str, list[float]] = {"whole": [], "more": [], **{name: [] for name in fresh}}
        for number in range(given.rounds):
            whole, start = (run(bundle, f"r{number}", given.image, programs) for bundle in (many, one))
            found["whole"].append(whole / given.calls)
            found["more"].append((whole - start) / (given.calls - 1))
            for name, argv in fresh.items():
                found[name].append(each(argv, max(2, given.calls // FEWER[name]), what, folder / "alone"))
    print(f"{given.calls} calls, {given.rounds} rounds, `{what}`{', in ' + given.image.name if given.image else ''}")
    runner = statistics.median(found["whole"])
    for name, times in found.items():
        row({"whole": "runner, the whole run", "more": "runner, one more step"}.get(name, name), times, runner)
    slowest = statistics.median(found["process"]) / runner
    print(f"a process takes {slowest:.1f} times as long as a step of the runner; the goal is {GOAL}")


if __name__ == "__main__":
    main()
