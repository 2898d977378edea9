"""F12, F15, F16, F24: the ways in which a step, or the machine under it, ends; each is on record as what it was."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runner.conftest import HOST, task

CHECKPOINT = {"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 1}
COUNT = """
trap 'exit 75' USR1
n=$(cat ckpt/n 2>/dev/null || echo 0)
while [ $n -lt 20 ]; do n=$((n + 1)); echo $n > ckpt/part; mv ckpt/part ckpt/n; echo $n >> ckpt/all; sleep 0.05; done
cp ckpt/all o
"""
RETRIES = {"times": 2, "on": ["memory", "time"], "grow_memory": 1.0, "grow_time": 1.0}


def attempts(found):
    return sorted((record for record in found.records() if "attempt" in record), key=lambda record: record["start"])


@pytest.mark.parametrize("numbers", [[signal.SIGUSR1], [signal.SIGCONT, signal.SIGTERM]])
def test_at_the_end_of_its_time_a_worker_keeps_the_checkpoint_and_the_next_goes_on_from_it(study, numbers):
    """F12: as Slurm tells of it, `--signal=B:USR1@…` first, SIGCONT and SIGTERM in the end; no retry is used up."""
    found = study([task("a", COUNT, checkpoint=CHECKPOINT, outputs={"o": "o"}, retry={**RETRIES, "times": 0})])
    process = found.start()
    while not list((found.run_folder / "checkpoints").glob("*/*/*/n")):
        time.sleep(0.02)
    for number in numbers:
        process.send_signal(number)
    assert process.wait(30) == 75
    (kept,) = (found.run_folder / "checkpoints").glob("*/*/*/all")
    before = kept.read_text()
    (stopped,) = attempts(found)
    assert (stopped["state"], stopped["reason"]) == ("interrupted", f"stopped by signal {numbers[-1]:d}")
    found.run()
    assert [record["state"] for record in attempts(found)] == ["interrupted", "done"]
    assert found.output("a", 0, "o") == "".join(f"{n}\n" for n in range(1, 21))
    assert before
    assert not list((found.run_folder / "checkpoints").rglob("all"))


@pytest.mark.parametrize(
    ("words", "code", "number"),
    [
        ("exit 1", 1, None),
        ("exit 3", 3, None),
        ("exit 75", 75, None),
        ("exit 137", 137, None),
        ("exit 255", 255, None),
        ("kill -SEGV $$", 0, signal.SIGSEGV),
        ("kill -KILL $$", 0, signal.SIGKILL),
        ("kill -TERM $$", 0, signal.SIGTERM),
        ("kill -USR1 $$", 0, signal.SIGUSR1),
    ],
)
def test_a_step_s_own_failure_is_on_record_and_not_tried_again(study, words, code, number):
    """F16: with code or signal; other kinds of failure may be tried again, this one not unless it is asked for."""
    found = study([task("a", words, retry=RETRIES)])
    found.run(code=5)
    (record,) = attempts(found)
    assert (record["state"], record["code"], record["signal"]) == ("failed", code, number)
    found.run(code=5)
    assert len(attempts(found)) == 1


def test_a_step_s_own_failure_is_tried_again_where_that_is_asked_for(study):
    """F16."""
    found = study([task("a", "exit 3", retry={**RETRIES, "on": ["failed"]})])
    found.run(code=5)
    assert [record["code"] for record in attempts(found)] == [3, 3, 3]


@pytest.fixture
def small_memory():
    """Give the words that start a process in a cgroup of 160 MiB; skips where none can be made."""
    top = Path("/sys/fs/cgroup")
    limit, top = ("memory.limit_in_bytes", top / "memory") if (top / "memory").is_dir() else ("memory.max", top)
    folder = top / f"sciflow-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(160 << 20))
    except OSError as error:
        pytest.skip(f"no cgroup can be made here: {error}")
    yield ["sh", "-c", f'echo $$ > "{folder}/cgroup.procs" && exec "$@"', "sh"]
    end = time.monotonic() + 20
    while True:
        try:
            folder.rmdir()
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.05)
        else:
            return


FILL = f"{sys.executable} -I -S -c 'kept = bytearray(400 << 20); print(len(kept))'"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (FILL, 5, ("memory", "killed by the kernel for want of memory")),
        (f"{FILL}; exit $?", 5, ("memory", "killed by the kernel for want of memory")),
        (f"{FILL} || true", 0, ("done", "the kernel killed 1 processes for want of memory while it ran")),
    ],
)
def test_what_the_kernel_kills_for_want_of_memory_is_told_of_even_where_the_step_swallows_it(
    study, small_memory, words, code, told
):
    """F15, in a real cgroup: a step killed itself, a child of its killed, and that child's end passed over."""
    found = study([task("a", words, resources={"memory_mib": 150})])
    ended = subprocess.run([*small_memory, *found.words("run")], check=False, capture_output=True, text=True)
    assert ended.returncode == code, ended.stderr
    (record,) = attempts(found)
    assert (record["state"], record["reason"]) == told


def test_a_machine_on_which_no_box_holds_is_left_after_three_of_them(study, tmp_path):
    """F24: a black hole takes step after step and ends none; none of them has failed, and elsewhere they are done."""
    broken = tmp_path / "broken"
    broken.touch()
    opened = tmp_path / "opened"
    words = f'echo x >> "{opened}"; if [ -e "{broken}" ]; then "$@" & sleep 0.4; kill -9 $!; wait; else exec "$@"; fi'
    box = {**HOST, "enter": ["sh", "-c", words, "box"]}
    rows = [{"x": x} for x in range(20)]
    tasks = [task("a", [f"while [ -e '{broken}' ]; do sleep 1; done; echo ", {"parameter": "x"}], uses=["x"])]
    found = study(tasks, rows, boxes=[box])
    said = found.run("run", "-j", "2", code=3).stderr
    assert "the box was lost: " in said
    assert "; 3 in a row" in said
    assert len(opened.read_text().split()) == 3
    assert {record["state"] for record in attempts(found)} == {"node"}
    broken.unlink()
    found.run()
    assert set(found.states().values()) == {"done"}


@pytest.mark.live("strace")
def test_a_runner_that_has_done_its_work_keeps_to_its_code_whatever_is_sent_to_it_then(study, tmp_path):
    """F12, at the very end: it gives up no signal's handler before it is gone."""
    found = study([task("a", "true")])
    words = ["strace", "-qq", "-o", str(tmp_path / "log"), "-e", "trace=rt_sigaction"]
    subprocess.run([*words, *found.words("run", "--quiet")], check=True, capture_output=True)
    told = [line for line in (tmp_path / "log").read_text().splitlines() if "(SIGINT, {" in line]
    assert "SIG_DFL" not in told[-1]
