"""What workers say of themselves, believed as far as it can be."""

import json
import os
import subprocess
import time

import pytest

from sciflow.bundle import workers
from sciflow.runner import facts
from tests import small

ELSEWHERE = ["elsewhere", "another boot", 7, "1"]
ATTEMPT = ["train", 2, 5.0, "aa"]


@pytest.fixture
def bundle(tmp_path):
    return tmp_path / "bundle"


def only(bundle):
    (found,) = workers.read(bundle / "runs" / "main")
    return found


def ended():
    """Return the owner of a process of this machine that has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        started = facts.process(process.pid)
        process.kill()
    return [*facts.owner()[:2], process.pid, started]


def test_a_run_that_is_not_there_has_no_workers(tmp_path):
    assert workers.read(tmp_path / "nowhere") == ()


def test_what_a_worker_says_is_read(bundle):
    small.at_work(bundle, running=[ATTEMPT], cpus=4, busy_s=1.5, done=3, failed=1, of=9)
    found = only(bundle)
    assert found.running == (workers.Attempt(task="train", step=2, start=5.0, attempt="aa"),)
    assert (found.cpus, found.busy_s, found.done, found.failed, found.of) == (4, 1.5, 3, 1, 9)


def test_a_worker_of_this_machine_lives_as_long_as_its_process(bundle):
    small.at_work(bundle)
    assert (only(bundle).here, only(bundle).state(time.time())) == (True, "at work")
    small.at_work(bundle, owner=ended())
    assert only(bundle).state(time.time()) == "gone"


def test_a_worker_of_which_nothing_was_heard_for_long_is_silent(bundle):
    small.at_work(bundle, time=1000.0)
    assert [only(bundle).state(now) for now in (1001.0, 1030.0, 1031.0)] == ["at work", "at work", "silent"]


def test_of_another_machine_only_its_word_is_known(bundle):
    small.at_work(bundle, owner=ELSEWHERE)
    assert only(bundle).state(time.time()) == "silent"
    small.at_work(bundle, owner=ELSEWHERE, running=[ATTEMPT])
    assert (only(bundle).here, only(bundle).state(time.time())) == (False, "at work")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '["a"]', '{"a": 1}', '["h", "b", "x", "1"]'])
def test_an_owner_that_cannot_be_read_is_no_worker(bundle, text):
    folder = small.at_work(bundle)
    (folder / "owner.json").write_text(text)
    assert workers.read(bundle / "runs" / "main") == ()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "{}", '{"time": "x"}', '{"time": 1, "since": 1, "running": [[1]]}', '{"running": 5}'],
)
def test_a_word_that_cannot_be_read_is_none(bundle, text):
    folder = small.at_work(bundle, running=[ATTEMPT])
    (folder / "now.json").write_text(text)
    assert (only(bundle).time, only(bundle).running) == (None, ())


def placed(bundle, place="0"):
    """Write a worker at work on one step, whose streams go to a place; return its folder."""
    return small.at_work(bundle, running=[ATTEMPT], place={"aa": place})


def printed(bundle, stream="stdout", offset=0):
    found = only(bundle)
    return workers.printed(found, found.running[0], stream, offset)


def test_what_a_step_has_printed_so_far_is_read_from_its_place(bundle):
    folder = placed(bundle)
    (folder / "0.out").write_bytes(b"one\n\xfftwo")
    assert (printed(bundle), printed(bundle, offset=4)) == (b"one\n\xfftwo", b"\xfftwo")
    assert printed(bundle, "stderr") is None


@pytest.mark.parametrize("place", ["../x", "/etc/passwd", "..", ".", "", "a/b", "a\0b"])
def test_a_place_is_one_plain_word(bundle, place):
    placed(bundle, place)
    assert (only(bundle).running[0].place, printed(bundle)) == ("", None)


def test_a_link_or_a_pipe_in_the_place_of_a_log_is_not_read(bundle, tmp_path):
    folder = placed(bundle)
    (tmp_path / "secret").write_text("secret")
    (folder / "0.out").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "0.err")
    assert (printed(bundle), printed(bundle, "stderr")) == (None, None)


def test_workers_come_by_name(bundle):
    for name in ("wb", "wa"):
        small.at_work(bundle, name)
    (bundle / "runs" / "main" / "work" / "stray").write_text(json.dumps({}))
    assert [found.name for found in workers.read(bundle / "runs" / "main")] == ["wa", "wb"]
