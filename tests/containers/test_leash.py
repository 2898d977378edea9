import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciflow.containers import leash
from tests.live import family

PATIENCE_S = 20.0
MAKER = """\
import subprocess, sys
from sciflow.containers import leash
with leash.held(float(sys.argv[1])) as (ahead, descriptors):
    subprocess.run([*ahead, *sys.argv[2:]], pass_fds=descriptors)
"""


@pytest.fixture
def family_of():
    """Begin something on a leash, in a process of its own; return that process, and who descends from the tests."""
    with family.adopting():
        known = set(family.descendants())
        begun = []

        def begin(*words, grace_s=5.0):
            begun.append(subprocess.Popen([sys.executable, "-c", MAKER, str(grace_s), *words]))
            return begun[-1], lambda: family.descendants(known)

        yield begin
        for process in begun:
            process.kill()
            process.wait()
        for pid in family.outlived(1.0, known)[1]:
            os.kill(pid, signal.SIGKILL)


def until(fact):
    end = time.monotonic() + PATIENCE_S
    while not fact():
        assert time.monotonic() < end
        time.sleep(0.02)


def killed(process):
    process.kill()
    process.wait()


def asleep(living, count=1):
    return lambda: sum(words.startswith("sleep") for words in living().values()) == count


def test_what_a_program_says_and_its_code_come_through():
    done = leash.run(["sh", "-c", "echo out; echo err >&2; exit 7"])
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)


def test_a_program_that_a_signal_ended_has_its_code_as_shells_say_it():
    assert leash.run(["sh", "-c", "kill -9 $$"]).returncode == 128 + 9


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError) as caught:
        leash.run(["no-such-program"])
    assert caught.value.filename == "no-such-program"


def test_a_program_has_the_signals_that_programs_have():
    # `yes` ends by the signal of a broken pipe, which Python ignores.
    assert leash.run(["sh", "-c", "trap - INT; yes | head -1; kill -INT $$"]).returncode == 128 + signal.SIGINT


def test_all_that_was_started_ends_with_its_maker(family_of):
    process, living = family_of("sh", "-c", "sleep 300 & sleep 300 & wait")
    until(asleep(living, 2))
    killed(process)
    until(lambda: not living())


def test_so_does_what_left_its_session_and_its_parent(family_of):
    process, living = family_of("sh", "-c", "(setsid sleep 300 &); sleep 300")
    until(asleep(living, 2))
    killed(process)
    until(lambda: not living())


def test_who_is_asked_to_end_may_clear_away_first(family_of, tmp_path):
    script = f"trap 'echo cleared >{tmp_path}/said; exit' TERM; sleep 300 & wait"
    process, living = family_of("sh", "-c", script)
    until(asleep(living))
    killed(process)
    until(lambda: not living())
    assert (tmp_path / "said").read_text() == "cleared\n"


def test_who_will_not_end_is_killed(family_of):
    process, living = family_of("sh", "-c", "trap '' TERM; sleep 300 & wait; sleep 300", grace_s=0.2)
    until(asleep(living))
    killed(process)
    until(lambda: not living())


def test_without_grace_nobody_is_asked(family_of, tmp_path):
    process, living = family_of("sh", "-c", f"trap 'touch {tmp_path}/said' TERM; sleep 300 & wait", grace_s=0)
    until(asleep(living))
    killed(process)
    until(lambda: not living())
    assert not (tmp_path / "said").exists()


def test_the_program_ends_though_the_process_between_was_killed(family_of):
    _, living = family_of("sleep", "300")
    until(asleep(living))
    between = [pid for pid, words in living().items() if leash.__file__ in words]
    os.kill(between[0], signal.SIGKILL)
    until(lambda: not living())


def test_a_leash_leaves_no_descriptor_open():
    before = sorted(Path("/proc/self/fd").iterdir())
    leash.run(["true"])
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_a_program_on_a_leash_has_the_descriptors_that_it_would_have_by_itself():
    words = ["sh", "-c", "ls /proc/self/fd | wc -l"]
    alone = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    assert leash.run(words).stdout == alone
