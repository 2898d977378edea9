"""F7, F25: workers at once have one winner a step; and the harness catches protocols that are known to be wrong."""

import collections
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.runner import records
from tests.runner.conftest import task

CLAIMS = Path(__file__).with_name("claims.py")
STEPS, WORKERS = 500, 4


def at_once(words, many, **more):
    """Run so many processes, which begin together; return what each printed."""
    processes = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more) for _ in range(many)
    ]
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * many, told
    return [said for said, _ in told]


@pytest.mark.slow
def test_of_four_workers_on_500_steps_one_wins_each(study):
    """F7, F25: two live copies of a run, started by hand or by a scheduler that had lost one: here four."""
    words = ["echo ", {"parameter": "x"}, " > o.txt"]
    found = study([task("a", words, uses=["x"], outputs={"o": "o.txt"})], [{"x": x} for x in range(STEPS)])
    at_once(found.words("run", "--quiet", "-j", "2"), WORKERS)
    told = [record for record in found.records() if "attempt" in record]
    won = collections.Counter(
        record["step"]
        for record in told
        if record["state"] == "done" and records.published(str(found.run_folder), record)
    )
    assert won == dict.fromkeys(range(STEPS), 1)
    lost = {record["attempt"] for record in told if record["state"] == "superseded"}
    ran = {record["attempt"] for record in told}
    print(f"{len(ran)} attempts at {STEPS} steps, {len(lost)} superseded")
    assert len(ran) == STEPS + len(lost)
    assert lost
    assert len(list((found.run_folder / "outputs/a").glob("*/*"))) == STEPS
    assert not (found.run_folder / "work").exists()
    texts = [path.read_text() for path in sorted((found.run_folder / "outputs/a").glob("*/*/o.txt"))]
    assert texts == [f"{step}\n" for step in range(STEPS)]


def test_the_race_catches_a_protocol_that_looks_and_then_renames(tmp_path):
    won = 0
    for number in range(10):
        words = [sys.executable, "-S", str(CLAIMS), "exists-then-rename", str(tmp_path / str(number)), str(STEPS)]
        won = sum(map(int, at_once(words, WORKERS)))
        if won > STEPS:
            break
    assert won > STEPS


@pytest.mark.live("strace")
def test_the_kills_catch_a_protocol_that_writes_in_place(tmp_path):
    words = [sys.executable, "-S", str(CLAIMS), "in-place", str(tmp_path / "run"), "4"]
    torn = 0
    for count in range(1, 9):
        shutil.rmtree(tmp_path / "run", ignore_errors=True)
        inject = ["-e", "trace=write", "-e", f"inject=write:signal=KILL:when={count}"]
        subprocess.run(["strace", "-qq", "-o", os.devnull, *inject, *words], check=False, capture_output=True)
        subprocess.run(words, check=True, capture_output=True)
        for step in range(4):
            try:
                json.loads((tmp_path / "run" / str(step)).read_text())
            except ValueError:
                torn += 1
    assert torn
