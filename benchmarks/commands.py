"""Wall time and peak memory of the commands a user types, on examples/digits (81 points): median of several runs.

    .venv/bin/python benchmarks/commands.py [--runs 5]

The floor of the same run is `python -c pass`; each row is also given as a ratio to it. `collect` wants records, so the
study is run once on the host engine if scikit-learn can be imported there, and that row is left out if not.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SCIFLOW = Path(sys.executable).with_name("sciflow")


def measured(words: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Return (wall seconds, peak MiB) of one run of a command, which must succeed (6: no trusted key, is allowed)."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{words}: exit {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    """Print a row a command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as scratch:
        env = {**os.environ, "XDG_CONFIG_HOME": scratch}
        study = Path(scratch) / "digits"
        shutil.copytree(ROOT / "examples/digits", study)
        workflow = str(study / "workflow.toml")
        compiled = subprocess.run(
            [SCIFLOW, "compile", workflow], check=True, stdout=subprocess.PIPE, text=True, env=env
        )
        bundle = compiled.stdout.splitlines()[-1]
        rows = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "sciflow --help": [str(SCIFLOW), "--help"],
            "sciflow check": [str(SCIFLOW), "check", workflow],
            "sciflow compile (locked)": [str(SCIFLOW), "compile", "--locked", workflow],
            "sciflow verify": [str(SCIFLOW), "verify", bundle],
            "python3 -I verify.py": [sys.executable, "-I", f"{bundle}/verify.py"],
        }
        if subprocess.run([SCIFLOW, "run", bundle, "--engine", "host"], check=False, env=env).returncode == 0:
            rows["sciflow collect"] = [str(SCIFLOW), "collect", bundle]
            rows["sciflow report"] = [str(SCIFLOW), "report", bundle]
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in rows}
        for _ in range(runs):  # interleaved, so that a busy moment of the machine falls on all of them
            for name, words in rows.items():
                found[name].append(measured(words, env))
    floor = statistics.median(wall for wall, _ in found["python -c pass"])
    print(f"{'command':28} {'wall s':>8} {'x floor':>8} {'peak MiB':>9}   (median of {runs})")
    for name, samples in found.items():
        wall, peak = statistics.median(wall for wall, _ in samples), statistics.median(peak for _, peak in samples)
        print(f"{name:28} {wall:8.3f} {wall / floor:8.1f} {peak:9.1f}")


if __name__ == "__main__":
    main()
