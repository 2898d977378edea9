"""The loop inside the box: requests arrive as they were written, steps start clean, and nothing outlives it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciflow.runner import box, lane, loop

FOLDER = Path(loop.__file__).parent


def python(interpreter):
    return [interpreter, "-I", "-S", "-B", str(FOLDER / "loop.py"), ""], fields


def fields(told):
    return lane.line(told)


def start_of(write, folder, words, settings=(), *, name="t", mib=0):
    """Write a request; each step has a lane of its own name."""
    settings, places = [str(len(settings)), *settings], [str(folder), f"{folder}/out", f"{folder}/err"]
    if write is box.shell_fields:
        return write(["start", *settings, name, *places, *words])
    return write(["start", f"l{name}", name, "p", *places, str(mib), *settings, *words])


class Inside:
    """A loop that runs, as the runner sees it."""

    def __init__(self, words, env=None):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        self.kind = self.answer()
        if self.kind[1] == "python":
            self.send(fields(["set", "p", "0"]))

    def send(self, line):
        self.process.stdin.write(line.encode("utf-8") + b"\n")
        self.process.stdin.flush()

    def answer(self):
        return self.process.stdout.readline().decode().rstrip("\n").split("\t")

    def end(self):
        """Return the next answer that tells of an end."""
        found = self.answer()
        return found if found[0] == "end" else self.end()

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]


@pytest.fixture(params=["python", "dash", "bash", "busybox"])
def inside(request):
    """Start each loop in turn: loop.py, and loop.sh in each shell there is; give (loop, how its requests are written)."""
    if request.param == "python":
        found, write = Inside(python(sys.executable)[0]), fields
    else:
        words = next(words for words in SHELLS if words[0] == request.param)
        if not shutil.which(words[0]):
            pytest.skip(f"{words[0]} is not installed here")
        found, write = Inside([*words, str(FOLDER / "loop.sh")]), box.shell_fields
    yield found, write
    if found.process.poll() is None:
        found.close()


def test_a_loop_says_that_it_is_ready(inside):
    found, write = inside
    can = ["sh", "", ""] if write is box.shell_fields else ["python", "adopts", ""]
    assert found.kind == ["ready", *can, os.uname().nodename, str(found.process.pid)]


def test_fields_survive_their_writing():
    told = ["plain", "tab\there", "new\nline", "back\\slash", "\\t", "\\\\n", "", "é漢\U0001f600", "\\"]
    assert lane.fields(lane.line(told).encode()) == [one.encode() for one in told]


def test_shell_words_survive_their_writing():
    told = ["plain", "tab\there", "new\nline", "it's", '"', "$(x) `y` ${NL}", "\\", "", "é漢", "-n", "\n"]
    script = "NL='\n'; for word in " + box.shell_fields(told) + '; do printf "%s\\0" "$word"; done'
    said = subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout
    assert said.decode("utf-8").split("\0")[:-1] == told


def test_a_step_starts_in_its_folder_with_its_settings(inside, tmp_path):
    found, write = inside
    found.send(start_of(write, tmp_path, ["sh", "-c", 'echo "$PWD $A"'], ["A=b c=d"]))
    found.end()
    assert (tmp_path / "out").read_text() == f"{tmp_path} b c=d\n"


def test_an_end_tells_code_and_signal(inside, tmp_path):
    found, write = inside
    found.send(start_of(write, tmp_path, ["sh", "-c", "exit 3"]))
    first = found.end()
    found.send(start_of(write, tmp_path, ["sh", "-c", "kill -9 $$"]))
    assert (first[1:4], found.end()[1:4]) == (["t", "3", "0"], ["t", "0", "9"])


def test_a_program_that_is_not_there_ends_with_127(inside, tmp_path):
    found, write = inside
    found.send(start_of(write, tmp_path, ["no-such-program"]))
    assert found.end()[2] == "127"
    assert "no-such-program" in (tmp_path / "err").read_text()


def test_a_step_whose_folder_is_not_there_cannot_be_started(inside, tmp_path):
    found, write = inside
    (tmp_path / "gone").mkdir()
    line = start_of(write, tmp_path / "gone", ["true"]).replace("gone/out", "out").replace("gone/err", "err")
    (tmp_path / "gone").rmdir()
    found.send(line)
    assert found.answer()[:2] == ["unable", "t"]


@pytest.mark.parametrize("name", ["out", "err"])
def test_a_step_whose_logs_cannot_be_opened_is_not_started_and_the_next_one_is(inside, tmp_path, name):
    found, write = inside
    (tmp_path / name).mkdir()
    found.send(start_of(write, tmp_path, ["touch", "begun"]))
    assert found.answer()[:2] == ["unable", "t"]
    assert not (tmp_path / "begun").exists()
    (tmp_path / name).rmdir()
    found.send(start_of(write, tmp_path, ["touch", "begun"]))
    assert found.end()[1:3] == ["t", "0"]


def test_a_step_ignores_no_signal(inside, tmp_path):
    # SIGINT and SIGQUIT are left out: a shell starts what runs in the background without them (POSIX, 2.12).
    found, write = inside
    found.send(start_of(write, tmp_path, ["cat", "/proc/self/status"]))
    found.end()
    ignored = int(re.search(r"SigIgn:\s*(\w+)", (tmp_path / "out").read_text()).group(1), 16)
    assert not [
        number
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD)
        if ignored & 1 << number - 1
    ]


def test_a_step_reads_nothing(inside, tmp_path):
    found, write = inside
    found.send(start_of(write, tmp_path, ["cat"]))
    assert found.end()[2] == "0"


def test_a_step_inherits_no_open_file(inside, tmp_path):
    found, write = inside
    found.send(
        start_of(
            write,
            tmp_path,
            ["sh", "-c", "for n in 3 4 5 6 7 8 9; do [ -e /proc/self/fd/$n ] && readlink /proc/self/fd/$n; done; true"],
        )
    )
    found.end()
    assert "pipe" not in (tmp_path / "out").read_text()


def test_files_are_made_for_others_to_read(inside, tmp_path):
    found, write = inside
    found.send(start_of(write, tmp_path, ["sh", "-c", "umask"]))
    found.end()
    assert (tmp_path / "out").read_text().strip() == "0022"


def test_many_steps_run_at_once(inside, tmp_path):
    found, write = inside
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        found.send(start_of(write, tmp_path / str(number), ["sh", "-c", "sleep 0.2; echo x"], name=f"t{number}"))
    assert sorted(found.end()[1] for _ in range(5)) == [f"t{number}" for number in range(5)]


def test_a_signal_reaches_all_that_a_step_started(tmp_path, alive):
    found = Inside(python(sys.executable)[0])
    found.send(start_of(fields, tmp_path, ["sh", "-c", f"(sh -c 'sleep 60; : {tmp_path}') & echo > begun; wait"]))
    while not (tmp_path / "begun").exists():
        pass
    found.send(fields(["signal", "t", "15"]))
    end = found.end()
    left = alive(f": {tmp_path}")
    found.close()
    assert (end[3], left) == ("15", 0)


def test_a_signal_for_a_step_that_is_about_to_begin_waits_for_it(tmp_path):
    found = Inside(python(sys.executable)[0])
    for number in range(20):  # in one write: the lane has not begun when the signal is read
        start = start_of(fields, tmp_path, ["sleep", "60"], name=f"t{number}")
        found.send(start + "\n" + fields(["signal", f"t{number}", "15"]))
        assert found.end()[1:4] == [f"t{number}", "0", "15"]
    found.close()


def test_memory_is_watched_while_one_step_is_told_of_after_another(tmp_path):
    found = Inside(python(sys.executable)[0])
    hold = "import time; held = bytearray(200 << 20); time.sleep(60)"
    found.send(start_of(fields, tmp_path, [sys.executable, "-c", hold], name="large", mib=100))
    told = ["end"]
    while told[0] != "over":  # without a pause of a quarter of a second
        found.send(start_of(fields, tmp_path, ["true"], name="short"))
        told = found.answer()
    assert told[:2] == ["over", "large"]
    found.close()


def test_a_signal_for_a_step_that_has_ended_is_passed_over(tmp_path):
    found = Inside(python(sys.executable)[0])
    found.send(fields(["signal", "gone", "9"]))
    found.send(start_of(fields, tmp_path, ["true"]))
    assert found.end()[1] == "t"
    found.close()


def test_when_the_runner_is_gone_everything_ends(tmp_path, alive):
    found = Inside(python(sys.executable)[0])
    found.send(start_of(fields, tmp_path, ["sh", "-c", f"echo > begun; sleep 60; : {tmp_path}"]))
    while not (tmp_path / "begun").exists():
        pass
    found.close()
    assert alive(f": {tmp_path}") == 0


def test_each_python_serves_without_a_locale(tmp_path, interpreter):
    found = Inside(python(interpreter)[0], env={"PATH": os.environ["PATH"]})
    found.send(start_of(fields, tmp_path, ["printf", "%s|%s", "é漢\n\t", "\\"], ["A=ü"]))
    code = found.end()[2]
    found.close()
    assert (code, (tmp_path / "out").read_text(encoding="utf-8")) == ("0", "é漢\n\t|\\")


def test_enter_takes_the_shell_where_there_is_no_python(tmp_path):
    (tmp_path / "sh").symlink_to("/bin/sh")
    found = Inside(["/bin/sh", str(FOLDER / "enter.sh"), str(FOLDER), ""], env={"PATH": str(tmp_path)})
    kind = found.kind
    found.close()
    assert kind[:2] == ["ready", "sh"]


def test_enter_takes_the_shell_where_python_is_cut_down(tmp_path):
    cut = tmp_path / "python3"
    cut.write_text("#!/bin/sh\nexit 1\n")
    cut.chmod(0o755)
    found = Inside(["/bin/sh", str(FOLDER / "enter.sh"), str(FOLDER), ""], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    kind = found.kind
    found.close()
    assert kind[:2] == ["ready", "sh"]


def test_enter_takes_the_shell_where_python_lacks_what_it_waits_with(tmp_path):
    # As Debian's python3-minimal: os.wait4 is there, and fails when it is called.
    cut = tmp_path / "python3"
    cut.write_text(
        f'#!/bin/sh\n[ "$4" = -c ] || exec "{sys.executable}" "$@"\n'
        f'exec "{sys.executable}" $1 $2 $3 -c "import sys; sys.modules[\'resource\'] = None; $5"\n'
    )
    cut.chmod(0o755)
    found = Inside(["/bin/sh", str(FOLDER / "enter.sh"), str(FOLDER), ""], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    kind = found.kind
    found.close()
    assert kind[:2] == ["ready", "sh"]


def test_enter_takes_python_where_there_is_one(tmp_path):
    (tmp_path / "python3").symlink_to(sys.executable)
    found = Inside(["/bin/sh", str(FOLDER / "enter.sh"), str(FOLDER), ""], env={"PATH": str(tmp_path)})
    kind = found.kind
    found.close()
    assert kind[:2] == ["ready", "python"]


# ---- Lanes


def begun(found, tmp_path, words, **more):
    """Start a step that makes a file `begun` in its folder; return once it has."""
    found.send(start_of(fields, tmp_path, words, **more))
    while not (tmp_path / "begun").exists():
        time.sleep(0.01)


@pytest.fixture
def looped():
    """Give a loop in Python."""
    found = Inside(python(sys.executable)[0])
    yield found
    found.close()


def test_steps_of_a_lane_run_one_after_another(looped, tmp_path):
    for number in range(20):
        told = ["start", "l", f"t{number}", "p", str(tmp_path), f"{tmp_path}/out", f"{tmp_path}/err", "0", "0"]
        looped.send(fields([*told, "sh", "-c", "mkdir busy && sleep 0.01 && rmdir busy"]))
    ends = [looped.end() for _ in range(20)]
    assert [end[1:4] for end in ends] == [[f"t{number}", "0", "0"] for number in range(20)]


def test_what_leaves_a_step_s_session_ends_with_the_step(looped, tmp_path, alive):
    away = f"(setsid sh -c 'echo > begun; sleep 60; : {tmp_path}' &) ; while [ ! -e begun ]; do sleep 0.01; done"
    looped.send(start_of(fields, tmp_path, ["sh", "-c", away]))
    assert (looped.end()[2], alive(f": {tmp_path}")) == ("0", 0)


def test_what_a_step_leaves_does_not_end_another_lane_s_step(looped, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    begun(looped, tmp_path / "a", ["sh", "-c", "echo > begun; sleep 0.5; echo whole"], name="a")
    looped.send(start_of(fields, tmp_path / "b", ["sh", "-c", "(setsid sleep 60 &)"], name="b"))
    assert [looped.end()[1:4], looped.end()[1:4]] == [["b", "0", "0"], ["a", "0", "0"]]
    assert (tmp_path / "a" / "out").read_text() == "whole\n"


def test_a_step_that_holds_more_than_it_may_is_ended(looped, tmp_path):
    hold = "import time; held = bytearray(200 << 20); time.sleep(60)"
    looped.send(start_of(fields, tmp_path, [sys.executable, "-c", hold], mib=100))
    told = looped.answer()
    assert (told[:2], int(told[2]) > 100) == (["over", "t"], True)
    assert looped.end()[2:4] == ["0", "9"]


def test_what_all_processes_of_a_step_hold_counts_together(looped, tmp_path):
    hold = f"{sys.executable} -c 'import time; held = bytearray(80 << 20); time.sleep(60)' & "
    looped.send(start_of(fields, tmp_path, ["sh", "-c", hold * 3 + "wait"], mib=200))
    assert looped.answer()[:2] == ["over", "t"]


def test_a_step_that_holds_less_than_it_may_is_left_alone(looped, tmp_path):
    hold = "import time; held = bytearray(50 << 20); time.sleep(1)"
    looped.send(start_of(fields, tmp_path, [sys.executable, "-c", hold], mib=200))
    assert looped.answer()[:3] == ["end", "t", "0"]


def test_nothing_begins_after_a_halt(looped, tmp_path):
    begun(looped, tmp_path, ["sh", "-c", "echo > begun; sleep 0.3"])
    looped.send(
        fields(["start", "lt", "next", "p", str(tmp_path), f"{tmp_path}/out", f"{tmp_path}/err", "0", "0", "true"])
    )
    looped.send("halt")
    assert [looped.answer()[:2], looped.answer()[:2]] == [["end", "t"], ["dropped", "next"]]


def test_a_lane_that_is_killed_takes_its_step_along_and_is_told_of(looped, tmp_path, alive):
    begun(looped, tmp_path, ["sh", "-c", f"echo > begun; sleep 60; : {tmp_path}"])
    lane_pid = next(pid for pid, told in lane.processes().items() if told[0] == looped.process.pid)
    os.kill(lane_pid, signal.SIGKILL)
    assert looped.answer() == ["lost", "lt"]
    assert alive(f": {tmp_path}") == 0


def test_the_loop_goes_on_with_a_new_lane_after_one_was_killed(looped, tmp_path):
    begun(looped, tmp_path, ["sh", "-c", "echo > begun; sleep 60"])
    os.kill(next(pid for pid, told in lane.processes().items() if told[0] == looped.process.pid), signal.SIGKILL)
    looped.answer()
    looped.send(start_of(fields, tmp_path, ["false"]))  # under the name that was lost: asked for too late
    looped.send(start_of(fields, tmp_path, ["true"], name="u"))
    assert looped.end()[2] == "0"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_loop_that_is_killed_leaves_nothing_running(looped, tmp_path, alive, number):
    begun(looped, tmp_path, ["sh", "-c", f"echo > begun; sleep 60; : {tmp_path}"])
    looped.process.send_signal(number)  # SIGTERM it ignores: what arrives by group is for the runner to decide
    if number == signal.SIGTERM:
        looped.close()
    while alive(f": {tmp_path}"):
        time.sleep(0.01)


def test_a_step_may_start_a_script_without_an_interpreter_s_name(looped, tmp_path):
    (tmp_path / "bare").write_text("echo said\n")
    (tmp_path / "bare").chmod(0o755)
    looped.send(start_of(fields, tmp_path, [str(tmp_path / "bare")]))
    looped.end()
    assert "bare" in (tmp_path / "err").read_text()  # as execve(2) has it; a shell would be guessing


def test_an_end_tells_of_times_and_of_what_was_used(looped, tmp_path):
    looped.send(start_of(fields, tmp_path, ["sh", "-c", "sleep 0.1"]))
    before = time.time()
    _, _, _, _, user, system, peak, read, written, start, wall, killed = looped.end()
    assert 0.1 <= float(wall) < 5
    assert abs(float(start) - before) < 5
    assert (float(user) < 1, float(system) < 1, int(peak) > 500, int(read) >= 0, int(written) >= 0) == (True,) * 5
    assert killed == "0"
