"""A step with spaces of its own: what it sees of others, what ends with it, and what is told of it."""

import shutil
import sys
import time
from pathlib import Path

import pytest

from sciflow.runner import lane
from tests.runner.conftest import beside_tmp
from tests.runner.test_kernel import nested
from tests.runner.test_loop import FOLDER, Inside

pytestmark = nested
PYTHON = str(Path(sys.executable).resolve())  # no link to it in a /tmp that the lane's own hides


@pytest.fixture
def here():
    with beside_tmp() as folder:
        yield folder


@pytest.fixture
def looped(here):
    found = Inside([sys.executable, "-I", "-S", "-B", str(FOLDER / "loop.py"), str(here / "scratch")])
    assert found.kind[3] == "apart"
    yield found
    found.close()


class Step:
    """Steps in a lane, `apart` or not; what each printed, and the answer that told of its end."""

    def __init__(self, looped, folder):
        self.looped, self.folder = looped, folder

    def start(self, script, *, verb="apart", name="t", mib=0):
        logs = [f"{self.folder}/{name}", f"{self.folder}/{name}.out", f"{self.folder}/{name}.err"]
        Path(logs[0]).mkdir(exist_ok=True)
        words = ["sh", "-c", script] if isinstance(script, str) else script
        self.looped.send(lane.line([verb, f"l{name}", name, "p", *logs, str(mib), "0", *words]))
        return Path(logs[0])

    def run(self, script, **more):
        folder = self.start(script, **more)
        self.end = self.looped.end()
        return Path(f"{folder}.out").read_text()


@pytest.fixture
def step(looped, here):
    return Step(looped, here)


def appears(path):
    while not path.exists():
        time.sleep(0.01)


def test_a_step_sees_its_own_processes_and_no_others(step):
    assert step.run("cd /proc && echo [0-9]*") == "1 2\n"


def test_two_steps_do_not_see_each_other(step):
    marked = step.start("sleep 60; : far away", name="other")
    appears(Path(f"{marked}.err"))
    assert "far away" in step.run("cat /proc/[0-9]*/cmdline", verb="start")
    assert "far away" not in step.run("cat /proc/[0-9]*/cmdline")


@pytest.mark.skipif(not shutil.which("ipcmk"), reason="ipcmk is not installed here")
def test_shared_memory_of_one_is_not_the_next_ones(step):
    step.run("ipcmk -M 4096 && wc -l < /proc/sysvipc/shm")
    assert step.run("wc -l < /proc/sysvipc/shm").strip() == "1"  # its heading


@pytest.mark.parametrize("mode", ["0", "555"])
def test_a_tmp_that_a_step_has_shut_is_open_to_the_next(step, mode):
    step.run(f"mkdir /tmp/left /dev/shm/left && chmod {mode} /tmp /dev/shm", verb="start")
    assert step.run("stat -c %a /tmp /dev/shm && ls /tmp /dev/shm", verb="start").split() == [
        *["1777", "1777"],
        *["/dev/shm:", "/tmp:"],
    ]


def test_what_a_step_leaves_in_its_spaces_ends_with_it(step, alive):
    step.run(f"setsid sh -c 'sleep 60; : {step.folder}' > /dev/null 2>&1 & sleep 0.1")
    assert (step.end[2], alive(f": {step.folder}")) == ("0", 0)


@pytest.mark.parametrize(("script", "code", "number"), [("exit 3", "3", "0"), ("kill -9 $$", "0", "9")])
def test_the_end_that_is_told_is_the_step_s_own(step, script, code, number):
    step.run(script)
    assert step.end[1:4] == ["t", code, number]


def test_a_program_that_is_not_there_ends_with_127(step):
    step.run(["no-such-program"])
    assert step.end[2] == "127"
    assert "no-such-program" in (step.folder / "t.err").read_text()


def test_what_a_step_used_is_told_without_what_waited_for_it(step):
    step.run([PYTHON, "-c", "held = bytearray(60 << 20)\nfor _ in range(3000000): pass"])
    assert float(step.end[4]) > 0.02
    assert 60 << 10 < int(step.end[6]) < 100 << 10


def test_a_signal_reaches_the_step_which_may_act_on_it(step, looped):
    folder = step.start("trap 'echo told; exit 7' TERM; echo > ready; while :; do sleep 0.01; done")
    appears(folder / "ready")
    looped.send(lane.line(["signal", "t", "15"]))
    assert looped.end()[1:4] == ["t", "7", "0"]
    assert (step.folder / "t.out").read_text() == "told\n"


@pytest.mark.parametrize("number", ["15", "9"])
def test_a_signal_ends_a_step_that_does_nothing_about_it(step, looped, number):
    folder = step.start("echo > ready; exec sleep 60")
    appears(folder / "ready")
    looped.send(lane.line(["signal", "t", number]))
    assert looped.end()[1:4] == ["t", "0", number]


def test_a_step_that_holds_too_much_is_ended(step, looped):
    step.start([PYTHON, "-c", "import time; held = bytearray(200 << 20); time.sleep(60)"], mib=100)
    assert looped.answer()[:2] == ["over", "t"]
    assert looped.end()[1:4] == ["t", "0", "9"]


def test_the_pythons_that_wait_for_a_step_are_not_held_against_it(step):
    step.run("sleep 0.6", mib=4)
    assert step.end[2:4] == ["0", "0"]


def test_steps_that_have_spaces_and_others_follow_each_other_in_a_lane(step):
    told = [step.run("echo $$; umask; id -u", verb=verb) for verb in ("apart", "start", "apart")]
    assert told[0] == told[2]
    assert told[0].split()[0] == "2" != told[1].split()[0]
