"""How far it is, in words, and what stays of them on a terminal of any size."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from types import SimpleNamespace

import pytest

from sciflow.runner import progress, standing
from tests.runner.conftest import TIMEOUT_S, task

STANDS = {
    "steps": 12,
    "tasks": {
        "prepare": {"steps": 2, "done": 2},
        "train": {"steps": 9, "done": 3, "failed": 1, "running": 2},
        "total": {"steps": 1, "skipped": 1},
    },
    "rate": 0.5,
    "left_s": 90.0,
    "use": 0.93,
    "cpus": 4,
}


class Terminal:
    """A terminal of some columns and rows: what is written to it, and what a person would see there."""

    def __init__(self, columns, rows=24):
        self.columns, self.written = columns, b""
        self._other, ours = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.stream = os.fdopen(ours, "w", encoding="utf-8")
        self._read = threading.Thread(target=self._reading)
        self._read.start()

    def _reading(self):
        while True:
            try:
                data = os.read(self._other, 1 << 16)
            except OSError:  # Linux says EIO when the last writer has closed
                return
            self.written += data

    def close(self):
        self.stream.close()
        self._read.join()
        os.close(self._other)
        return self.written.decode()

    def seen(self, text):
        """Show text as a terminal does: lines break at its width; return the lines."""
        screen, row, column = [[]], 0, 0
        for part in re.findall(r"\x1b\[\d*[A-Za-z]|.|\n", text, re.DOTALL):
            if part == "\n":
                row, column = row + 1, 0
                screen += [[] for _ in range(row + 1 - len(screen))]
            elif part == "\r":
                column = 0
            elif part.endswith("A") and len(part) > 1:
                row -= int(part[2:-1])
            elif part == "\x1b[J":
                del screen[row + 1 :], screen[row][column:]
            elif part.endswith("m") and len(part) > 1:
                continue
            else:
                if column == self.columns:
                    row, column = row + 1, 0
                    screen += [[] for _ in range(row + 1 - len(screen))]
                screen[row][column : column + 1] = [part]
                column += 1
        return ["".join(line) for line in screen]


def drawn(columns, rows, *drawings):
    """Draw lists of lines one after the other; return what is seen in the end."""
    terminal = Terminal(columns, rows)
    screen = progress.Screen(terminal.stream)
    for lines in drawings:
        screen.draw(lines)
    return terminal.seen(terminal.close())


@pytest.mark.parametrize(
    ("seconds", "said"), [(1.23, "1.2 s"), (59, "59 s"), (119, "119 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_a_length_of_time_is_said_for_people(seconds, said):
    assert progress.human(seconds) == said


def test_a_headline_says_all_that_is_known():
    assert progress.headline(STANDS) == (
        "5 of 12 steps done, 1 failed, 1 skipped, 2 running, about 90 s left, 0.5 steps/s, 93 % of 4 cores"
    )


def test_what_is_not_known_is_left_out():
    assert progress.headline({"steps": 2, "tasks": {"a": {"steps": 2}}}) == "0 of 2 steps done"


@pytest.mark.parametrize("width", range(1, 110))
def test_a_headline_for_a_width_leaves_out_whole_parts(width):
    found = progress.headline(STANDS, width)
    assert progress.headline(STANDS).startswith(found)
    assert len(found) <= width or found == "5 of 12 steps done"


def test_a_task_has_a_line_of_its_own():
    assert progress.rows(STANDS, 10) == [
        "  prepare  2/2 done",
        "  train    3/9 done, 1 failed, 2 running",
        "  total    0/1 done, 1 skipped",
    ]


def test_one_task_alone_needs_no_line():
    assert progress.rows({"tasks": {"a": {"steps": 3}}}, 10) == []


def test_where_there_is_no_room_for_all_tasks_those_at_work_are_shown():
    tasks = {f"t{number:02}": {"steps": 1, "done": 1} for number in range(30)}
    tasks["t17"], tasks["t20"] = {"steps": 1, "running": 1}, {"steps": 1}
    found = progress.rows({"tasks": tasks}, 3)
    assert found == ["  t17  0/1 done, 1 running", "  t20  0/1 done", "  and 28 more tasks"]


def test_a_name_that_a_terminal_could_act_on_is_escaped():
    found = progress.rows({"tasks": {"a\x1b[31m": {"steps": 1}, "b": {"steps": 1}}}, 5)
    assert all(line.isprintable() for line in found)


def test_a_rate_is_taken_over_the_last_while():
    samples = [(0.0, 0), (100.0, 1000), (150.0, 1010), (200.0, 1020)]
    assert progress.rate(samples, 200.0) == pytest.approx(20 / 100)


def test_a_rate_of_few_ends_goes_further_back():
    assert progress.rate([(0.0, 0), (100.0, 3), (300.0, 6)], 300.0) == pytest.approx(6 / 300)


@pytest.mark.parametrize("samples", [[], [(0.0, 0)], [(0.0, 0), (9.0, 0)]])
def test_where_nothing_has_ended_there_is_no_rate(samples):
    assert progress.rate(samples, 10.0) is None


# ---- On a terminal


def test_lines_are_drawn_in_their_place():
    assert drawn(40, 10, ["one", "two"], ["three", "four"]) == ["three", "four"]


def test_fewer_lines_leave_nothing_of_more():
    assert drawn(40, 10, ["one", "two", "three"], ["four"]) == ["four"]


@pytest.mark.parametrize("columns", [1, 2, 7, 20])
def test_a_narrow_terminal_never_breaks_a_line(columns):
    lines = ["x" * 60, "y" * 60]
    wide = max(1, columns - 1)
    assert drawn(columns, 10, lines, lines, lines) == ["x" * wide, "y" * wide]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_no_more_lines_are_drawn_than_the_terminal_has(rows):
    assert len(drawn(40, rows, [str(number) for number in range(50)])) == max(1, rows - 1)


def test_a_terminal_made_narrower_is_still_cleared():
    terminal = Terminal(40)
    screen = progress.Screen(terminal.stream)
    screen.draw(["x" * 39, "y" * 39])
    fcntl.ioctl(terminal.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 24, 20, 0, 0))
    terminal.columns = 20
    screen.draw(["short"])
    assert terminal.seen(terminal.close()) == ["short"]


def test_what_is_said_stays_above():
    terminal = Terminal(40)
    screen = progress.Screen(terminal.stream)
    screen.draw(["one", "two"])
    screen.say("said")
    screen.draw(["three"])
    assert terminal.seen(terminal.close()) == ["said", "three"]


def test_what_is_cleared_leaves_the_line_to_others():
    terminal = Terminal(40)
    screen = progress.Screen(terminal.stream)
    screen.draw(["one", "two"])
    screen.clear()
    terminal.stream.write("other")
    assert terminal.seen(terminal.close()) == ["other"]


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_failures_are_red_unless_colours_are_not_wanted(monkeypatch, no_color, coloured):
    monkeypatch.setenv("NO_COLOR", no_color)
    terminal = Terminal(80)
    progress.Screen(terminal.stream).draw(["3 failed, 0 time, 2 done"])
    assert ("\x1b[31m3 failed\x1b[0m, 0 time" in terminal.close()) == coloured


def test_a_terminal_that_goes_away_stops_nothing():
    terminal = Terminal(80)
    screen = progress.Screen(terminal.stream)
    terminal.close()
    screen.draw(["one"])
    assert not screen.open


@pytest.mark.parametrize(("term", "is_watched"), [("xterm", True), ("dumb", False)])
def test_a_terminal_that_cannot_move_its_cursor_is_none(monkeypatch, term, is_watched):
    monkeypatch.setenv("TERM", term)
    terminal = Terminal(80)
    assert progress.watched(terminal.stream) == is_watched
    terminal.close()


# ---- Of one worker

BEFORE = {"steps": 4, "tasks": {"a": {"steps": 3, "done": 1, "skipped": 1}, "b": {"steps": 1}}}
ORDER = SimpleNamespace(total=3)
RUNNING = {"x": SimpleNamespace(task=task("a", "true"), step=1)}


def test_what_was_done_before_is_counted_and_what_runs_again_is_not():
    found = progress.Progress(BEFORE, 2, stream=io.StringIO())
    stands = found.stands({("a", "failed"): 1}, ORDER, RUNNING, found._start + 10)
    assert stands["tasks"] == {"a": {"steps": 3, "done": 1, "failed": 1, "running": 1}, "b": {"steps": 1}}


def test_the_time_left_is_that_of_what_is_left():
    found = progress.Progress(BEFORE, 2, stream=io.StringIO())
    assert found.stands({("a", "done"): 1}, ORDER, {}, found._start + 10)["left_s"] == pytest.approx(20)
    assert found.stands({("a", "done"): 1}, ORDER, {}, found._start + 10, left=5)["left_s"] == pytest.approx(50)


def test_the_use_of_cores_is_what_steps_had_of_them():
    found = progress.Progress(BEFORE, 2, stream=io.StringIO())
    found({}, ORDER, {}, busy_s=15.0)
    assert found.stands({}, ORDER, {}, found._start + 10)["use"] == pytest.approx(0.75)


def test_a_start_that_just_began_says_nothing_where_nobody_watches():
    stream = io.StringIO()
    progress.Progress(BEFORE, 2, stream=stream)({}, ORDER, RUNNING)
    assert stream.getvalue() == ""


def test_the_last_line_is_said_everywhere():
    stream = io.StringIO()
    progress.Progress(BEFORE, 2, stream=stream)({("a", "done"): 2}, ORDER, {}, final=True)
    assert re.match(r"sciflow: 3 of 4 steps done in \d\.\d s, ", stream.getvalue())


def test_quiet_says_nothing():
    stream = io.StringIO()
    progress.Progress(BEFORE, 2, quiet=True, stream=stream)({("a", "done"): 2}, ORDER, {}, final=True)
    assert stream.getvalue() == ""


def test_of_some_steps_only_those_are_counted(study):
    found = study([task("a", "true", uses=["x"]), task("b", "true", uses=["x"])], [{"x": x} for x in range(3)])
    found.run("run", "--step", "a/0", "--step", "a/2")
    stands = standing.Standing(str(found.run_folder), found.plan)
    wanted = progress.begun(stands, [("a", 0), ("a", 1)])
    assert wanted == {"steps": 2, "tasks": {"a": {"steps": 2, "done": 1}}}
    assert progress.begun(stands)["steps"] == 6
    stands.close()


def test_a_run_on_a_terminal_leaves_one_line_that_says_all(study):
    tasks = [task("a", "sleep 0.3; true", uses=["x"]), task("b", "false")]
    found = study(tasks, [{"x": x} for x in range(3)])
    terminal = Terminal(200)
    subprocess.run(found.words("run", "-j", "1"), stderr=terminal.stream, check=False, timeout=TIMEOUT_S)
    text = terminal.close()
    engine, last, rest, _ = terminal.seen(text)
    assert ("engine `host`" in engine, rest) == (
        True,
        "sciflow: incomplete: 1 of 4 steps are not done; `status` and the records say why",
    )
    assert re.match(r"sciflow: 3 of 4 steps done in \d\.\d s, 1 failed, ", last)
    assert "a  1/3 done" in text  # while it ran, each task had its line


def test_a_quiet_run_says_nothing_of_how_far_it_is(study):
    assert "steps done" not in study([task("a", "true")]).run("run", "--quiet").stderr
