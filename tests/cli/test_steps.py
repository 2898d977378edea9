"""The commands that look at single steps."""

import json
import os
import pty
import subprocess
import sys

import pytest

from sciflow import api
from tests import small


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    """Run a study whose training prints what a terminal could act on, and fails, twice."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("configuration")))
        words = f'run = ["{sys.executable}", "t.py", "train", "{{prepare.clean}}", "{{size}}", "{{rate}}"]'
        noise = "printf 'red \\\\033[31m\\\\n'; echo rate {rate} of {size}; echo wrong >&2; cat {prepare.clean}; false"
        bundle = small.compiled(tmp_path_factory.mktemp("study"), (words, f'shell = """{noise}"""'))
        api.run(bundle, engine="host", quiet=True)
        api.run(bundle, engine="host", failed=True, quiet=True)
        return bundle


def last(found):
    return found.stdout.splitlines()[-1]


def test_logs_of_a_step_show_how_it_ended_and_both_streams(noisy):
    found = small.sciflow("logs", noisy, "train/0").stdout.splitlines()
    assert found[0].startswith("== train/0: failed (exit code 1), ")
    assert (found[1:], len(found)) == (["red \\x1b[31m", "rate 0.5 of 1", "10", "wrong", "1 steps shown"], 6)


def test_one_stream_alone_is_shown(noisy):
    assert small.sciflow("logs", noisy, "train/0", "--stream", "stderr").stdout.splitlines()[1:] == [
        "wrong",
        "1 steps shown",
    ]


def test_logs_without_a_step_are_of_all_that_did_not_succeed(noisy):
    assert last(small.sciflow("logs", noisy)) == "4 steps shown"


def test_each_attempt_is_shown_when_asked(noisy):
    found = small.sciflow("logs", noisy, "train/0", "--all-attempts")
    assert (found.stdout.count("== train/0: failed"), last(found)) == (2, "2 attempts shown")


def test_raw_is_what_was_printed_and_nothing_else(noisy):
    found = small.sciflow("logs", noisy, "train/1", "--stream", "stdout", "--raw")
    assert found.stdout == "red \x1b[31m\nrate 1.0 of 1\n10\n"


def test_raw_is_not_for_a_terminal(noisy):
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "sciflow", "logs", str(noisy), "train/1", "--raw"]
    found = subprocess.run(words, stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert (found.returncode, "into a file or a pipe" in found.stderr) == (2, True)


def test_programs_get_the_records(noisy):
    found = json.loads(small.sciflow("logs", noisy, "train/0", "--all-attempts", "--json").stdout)
    assert [record["stderr"] for record in found["records"]] == ["wrong\n"] * 2
    assert found["running"] == []


def test_a_step_at_work_shows_what_it_has_printed_so_far(tmp_path):
    bundle = small.compiled(tmp_path)
    folder = small.at_work(bundle, running=[["train", 2, 5.0, "aa"]], place={"aa": "0"})
    (folder / "0.out").write_bytes(b"so \x1b[31m far\n")
    found = small.sciflow("logs", bundle, "train/2").stdout.splitlines()
    assert found[0].startswith("== train/2: running since 1970-01-01 00:00:05 UTC on ")
    assert found[1:] == ["so \\x1b[31m far", "1 steps shown"]
    assert small.sciflow("logs", bundle, "train/2", "--raw").stdout == "so \x1b[31m far\n"


def test_a_step_at_work_out_of_reach_says_since_when_and_where(tmp_path):
    bundle = small.compiled(tmp_path)
    small.at_work(bundle, running=[["train", 2, 5.0, "aa"]])
    found = small.sciflow("logs", bundle, "train/2").stdout.splitlines()
    assert "running since 1970-01-01 00:00:05 UTC on " in found[0]
    assert "out of reach" in found[1]


def test_a_step_that_runs_again_shows_what_it_did_before_when_asked(noisy):
    folder = small.at_work(noisy, "wagain", running=[["train", 3, 5.0, "aa"]])
    try:
        assert "failed" not in small.sciflow("logs", noisy, "train/3").stdout
        assert small.sciflow("logs", noisy, "train/3", "--all-attempts").stdout.count("== train/3: failed") == 2
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
        folder.parent.rmdir()


def test_following_shows_a_step_to_its_end_line_by_line(tmp_path):
    noise = f"printf 'begun \\\\033[31m\\\\nhalf'; touch '{tmp_path}/begun'"
    bundle = small.compiled(tmp_path / "study", *small.gated(tmp_path / "gate", noise))
    words = [sys.executable, "-m", "sciflow", "run", str(bundle), "--engine", "host", "-j", "1", "--quiet"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        small.until((tmp_path / "begun").exists, "the run does not begin")
        follow = [sys.executable, "-m", "sciflow", "logs", str(bundle), "train/0", "--follow"]
        with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
            (tmp_path / "gate").touch()
            told = following.communicate(timeout=60)[0].splitlines()
        process.wait(60)
    assert told[:2] == ["begun \\x1b[31m", "half"]
    assert told[2].startswith("== train/0: done, ")


def test_why_says_values_key_needs_and_attempts(noisy):
    found = small.sciflow("why", noisy, "train/2")
    lines = found.stdout.splitlines()
    assert (found.returncode, lines[0], last(found)) == (0, "values: size = 2, rate = 0.5 (point 2)", "train/2: failed")
    assert lines[1] == f"key: {api.why(noisy, 'train/2')['key']}"
    assert "needs prepare/0: 1 done" in lines
    assert [line.split(",")[0] for line in lines if line.startswith("attempt ")][:2] == [
        "attempt 1: failed (exit code 1)",
        "attempt 2: failed (exit code 1)",
    ]
    assert lines[-2] == "attempt 1 ended as failed (exit code 1), and `--failed` ran it again"


def test_why_of_what_gathers_counts_what_it_needs(noisy):
    assert "needs 4 steps of train: 4 failed" in small.sciflow("why", noisy, "total/0").stdout.splitlines()


def test_why_gives_programs_all_of_it(noisy):
    found = json.loads(small.sciflow("why", noisy, "train/2", "--json").stdout)
    assert found == json.loads(json.dumps(api.why(noisy, "train/2")))
