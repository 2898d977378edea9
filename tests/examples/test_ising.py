"""The Ising study is run for real: against Onsager, and stopped in every way while it runs, to the same bytes."""

import importlib
import itertools
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import records
from tests.runner.conftest import Study

ISING = Path(__file__).parents[2] / "examples" / "ising"
LIMIT_S = 120
MOST_STARTS = 60
CAUGHT = 1 << (signal.SIGUSR1 - 1)
STOPPING = """\
format = 1
[workflow]
name = "idle"
[tasks.idle]
shell = "exit 75"
checkpoint = { path = "ckpt" }
"""


def compiled(folder, changes=()):
    """Compile the example without its image, which the host has no use for; return the bundle."""
    folder.mkdir()
    for file in ISING.glob("*.py"):
        shutil.copy(file, folder)
    text = re.sub(r"\[image\].*?\n\n", "", (ISING / "workflow.toml").read_text(encoding="utf-8"), flags=re.DOTALL)
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / "workflow.toml").write_text(text, encoding="utf-8")
    bundle = api.compile(folder / "workflow.toml").path
    return Study(path=bundle, plan=json.loads((bundle / "plan.json").read_text()), key=None, started=[])


# ---- Against the exact solution


@pytest.fixture(scope="module")
def exact():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ISING))
        patch.setattr(sys, "dont_write_bytecode", True)
        yield importlib.import_module("exact")


def counted(size, temperature):
    """The energy a site of a torus, by looking at every one of its states."""
    sites = range(size * size)
    weights, energies = [], []
    for spins in itertools.product((-1, 1), repeat=size * size):
        bonds = (spins[at - at % size + (at + 1) % size] + spins[(at + size) % (size * size)] for at in sites)
        energies.append(-sum(spin * both for spin, both in zip(spins, bonds, strict=True)))
        weights.append(math.exp(-energies[-1] / temperature))
    return math.fsum(w * e for w, e in zip(weights, energies, strict=True)) / math.fsum(weights) / size**2


@pytest.mark.parametrize("temperature", [1.0, 2.2, 2.269185314213022, 5.0])
@pytest.mark.parametrize("size", [2, 3])
def test_the_finite_energy_is_that_of_all_states(exact, size, temperature):
    assert exact.finite(size, temperature) == pytest.approx(counted(size, temperature), abs=1e-8)


@pytest.mark.parametrize("temperature", [1.5, 2.0, 2.7, 3.2])
def test_away_from_the_critical_temperature_a_large_torus_is_onsagers(exact, temperature):
    assert exact.finite(64, temperature) == pytest.approx(exact.infinite(temperature), abs=2e-8)


def test_at_the_critical_temperature_the_energy_is_that_of_the_literature(exact):
    assert exact.infinite(2 / math.log(1 + math.sqrt(2))) == pytest.approx(-math.sqrt(2), abs=1e-12)


@pytest.mark.parametrize("off", [-1, 1])
def test_an_energy_six_standard_errors_off_is_named(exact, off):
    temperature, error = 2.4, 0.001
    wrong = exact.finite(16, temperature) + off * 6 * error
    said = list(exact.faults([exact.row(16, temperature, [(wrong, error)])]))
    assert "at temperature 2.4 the energy is " in said[-1]
    assert ", of the finite lattice -1.25504: more off than 5 x 0.00100 + 0.00000" in said[-1]


def test_an_energy_four_standard_errors_off_is_not(exact):
    assert list(exact.faults([exact.row(16, 2.4, [(exact.finite(16, 2.4) + 0.004, 0.001)])])) == []


def test_an_energy_that_is_no_number_is_named(exact):
    assert len(list(exact.faults([exact.row(16, 2.4, [(math.nan, 0.001)])]))) == 2


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The study as it stands, run on the host."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        found = compiled(tmp_path_factory.mktemp("swept") / "study")
        found.run("run", "--engine", "host")
        yield found


@pytest.mark.slow
def test_the_whole_sweep_agrees_with_onsager(swept):
    assert set(swept.states().values()) == {"done"}
    assert len(swept.states()) == 22
    assert swept.settled()["exact", 0]["metrics"]["worst_errors_off"] < 5


@pytest.mark.slow
def test_the_errors_are_small_enough_to_tell_the_torus_from_the_infinite_lattice(swept):
    rows = [line.split(",") for line in swept.output("exact", 0, "table").splitlines()[1:]]
    (critical,) = [[float(value) for value in row] for row in rows if row[0] == "2.269185314213022"]
    _, energy, error, infinite, finite, _ = critical
    assert abs(energy - infinite) > 5 * error > abs(energy - finite)


@pytest.mark.slow
def test_repeats_are_not_alike(swept):
    assert len({swept.output("sample", step, "series") for step in range(21)}) == 21


# ---- Stopped and gone on

LONG = (
    ('"4000"', '"{sweeps}"'),
    ("[1.5, 2.0, 2.2, 2.269185314213022, 2.4, 2.7, 3.2]", "[1.5, 2.269185314213022]"),
    ("{ replicates = 3 }", "{ values = [0] }"),
)


def long(folder, sweeps, *more):
    """Compile two steps of so many sweeps."""
    changes = [(old, new.format(sweeps=sweeps) if "sweeps" in new else new) for old, new in LONG]
    return compiled(folder, [*changes, *more])


@pytest.fixture(scope="module")
def lasting(tmp_path_factory):
    """Give the function that says how many sweeps take so many seconds here: some machines are ten times as fast."""
    found = long(tmp_path_factory.mktemp("pace") / "study", 2000)
    found.run()
    wall = min(record["wall_s"] for key, record in found.settled().items() if key[0] == "sample")
    return lambda seconds: int(2000 * seconds / wall) // 100 * 100 + 100


def left(found, run="main"):
    """Return {step: what it left} of a run: its outputs and its metrics, byte for byte."""
    folder = str(found.path / "runs" / run)
    kept = {}
    for (task, step), record in records.settle(folder, records.read(folder))[0].items():
        assert record["state"] == "done", record
        outputs = Path(records.attempt_folder(folder, task, step, record["attempt"]))
        kept[task, step] = [(outputs / one["path"]).read_bytes() for one in record["outputs"].values()]
        kept[task, step].append(record["metrics"])
    return kept


def stops(found):
    """Return the records of the attempts that came to no end, of a run none of whose steps has used up a retry."""
    every = [record for record in found.records() if "facts" not in record and record["task"] == "sample"]
    assert {record["state"] for record in every} <= {"done", "interrupted"}
    return [record for record in every if record["state"] == "interrupted"]


def sampling(found):
    """Return the processes of a bundle's sampling steps that would note the signal now."""
    ready = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words, status = (folder / "cmdline").read_bytes(), (folder / "status").read_text()
            except OSError:
                continue
            mask = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
            if b"sample.py" in words and str(found.path).encode() in words and mask and int(mask[1], 16) & CAUGHT:
                ready.append(int(folder.name))
    return ready


@contextmanager
def started(found):
    """Start the runner, and leave with it at its end."""
    with (found.path.parent / "said").open("a") as said, subprocess.Popen(found.words("run"), stderr=said) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def until_sampling(found, process):
    """Wait until a step would note a signal, or all is over."""
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and not sampling(found):
        assert time.monotonic() < end, "no step begins"
        time.sleep(0.02)


@pytest.mark.slow
def test_signals_at_random_moments_change_no_byte(tmp_path, lasting):
    found = long(tmp_path / "study", lasting(2))
    found.run("run", "--run", "calm")
    moments, sent = random.Random(5), 0
    with started(found) as process:
        while process.poll() is None:
            time.sleep(moments.uniform(0, 0.4))
            for pid in sampling(found):
                try:
                    os.kill(pid, signal.SIGUSR1)
                    sent += 1
                except ProcessLookupError:
                    continue
    assert process.returncode == 0
    told = stops(found)
    assert 1 < len(told) <= sent
    assert {(record["code"], record["reason"]) for record in told} == {(75, "stopped at a checkpoint")}
    assert left(found) == left(found, "calm")


@pytest.mark.slow
def test_time_limits_shorter_than_the_step_change_no_byte(tmp_path, lasting):
    calm = long(tmp_path / "calm", lasting(4))
    calm.run()
    short = (
        ('time = "10m" }\ncheckpoint', 'time = "2s" }\ncheckpoint'),
        ('before = "1m"', 'before = "1s"'),
    )
    found = long(tmp_path / "short", lasting(4), *short)
    found.run()
    assert len(stops(found)) > 1
    assert left(found) == left(calm)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_stopping_the_runner_at_random_moments_changes_no_byte(tmp_path, lasting, number):
    found = long(tmp_path / "study", lasting(3))
    found.run("run", "--run", "calm")
    moments = random.Random(int(number))
    for _ in range(MOST_STARTS):
        with started(found) as process:
            until_sampling(found, process)
            time.sleep(moments.uniform(0, 0.5))
            process.send_signal(number)
        if process.returncode == 0:
            break
        assert process.returncode == (130 if number == signal.SIGINT else 75)
    assert stops(found)
    assert {record["reason"] for record in stops(found)} == {f"stopped by signal {int(number)}"}
    assert left(found) == left(found, "calm")


@pytest.mark.slow
def test_after_a_kill_it_goes_on_from_the_last_checkpoint(tmp_path, lasting):
    found = long(tmp_path / "study", lasting(2))
    found.run("run", "--run", "calm")
    for number in (signal.SIGTERM, signal.SIGKILL):
        with started(found) as process:
            until_sampling(found, process)
            time.sleep(0.2)
            process.send_signal(number)
    found.run()
    assert "going on from sweep" in found.settled()["sample", 0]["stdout"]
    assert left(found) == left(found, "calm")


def test_nothing_is_kept_of_what_is_done(tmp_path, lasting):
    found = long(tmp_path / "study", lasting(2))
    with started(found) as process:
        until_sampling(found, process)
        process.send_signal(signal.SIGTERM)
    kept = found.run_folder / "checkpoints" / "sample"
    assert len(list(kept.glob("*/*/state.json"))) == len(stops(found)) > 0
    found.run()
    assert list(kept.iterdir()) == []


def test_a_step_that_stops_without_getting_further_fails(tmp_path):
    (tmp_path / "workflow.toml").write_text(STOPPING)
    bundle = api.compile(tmp_path / "workflow.toml").path
    folder, code = api.run(bundle, engine="host", quiet=True)
    (record,) = [record for record in records.read(str(folder)) if "facts" not in record]
    assert (code, record["state"], record["code"]) == (5, "failed", 75)
    assert record["reason"] == "it stopped at a checkpoint, and had come no further"


SHELL = """\
format = 1
[workflow]
name = "shell"
[code]
include = ["*.py"]
[tasks.sample]
shell = "python3 sample.py series.txt --temperature 2.2 --size 16 --sweeps SWEEPS --seed 1; echo next >> ran; cp ran {outputs.ran}"
outputs = { series = "series.txt", ran = "ran.txt" }
resources = { time = "2s" }
checkpoint = { path = "ckpt", before = "1s" }
"""


@pytest.mark.slow
def test_a_shell_waits_for_its_command_to_stop_and_does_not_go_on_after_it(tmp_path, lasting):
    shutil.copy(ISING / "sample.py", tmp_path)
    (tmp_path / "workflow.toml").write_text(SHELL.replace("SWEEPS", str(lasting(4))))
    bundle = api.compile(tmp_path / "workflow.toml").path
    folder, code = api.run(bundle, engine="host", quiet=True)
    found = [record for record in records.read(str(folder)) if "facts" not in record]
    assert code == 0, found
    assert [record["state"] for record in found][-2:] == ["interrupted", "done"]
    assert {record["code"] for record in found[:-1]} == {75}
    (ran,) = folder.rglob("ran.txt")
    assert ran.read_text() == "next\n"


# ---- The example's files


def test_without_sciflow_it_goes_on_as_well(tmp_path):
    words = [sys.executable, str(ISING / "sample.py"), "series.txt", "--temperature", "2.2", "--size", "8"]
    words += ["--sweeps", "40000", "--seed", "1"]
    settings = {**os.environ, "SCIFLOW_CHECKPOINT": str(tmp_path)}
    with subprocess.Popen(words, cwd=tmp_path, env=settings) as process:
        while not int(re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())[1], 16) & CAUGHT:
            time.sleep(0.01)
        process.send_signal(signal.SIGUSR1)
    assert process.returncode == 75
    assert json.loads((tmp_path / "state.json").read_text())["swept"] > 0
