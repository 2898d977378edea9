"""What an attempt's end is taken for, by how it ended and by what it was told meanwhile."""

import pytest

from sciflow.runner.attempt import Attempt
from sciflow.runner.box import End
from tests.runner.conftest import task

CHECKPOINT = {"path": "ckpt", "signal": 10, "before_s": 5}


def judged(code=0, number=0, *, killed=0, told=None, asked=None, stopping=False, **more):
    attempt = Attempt("a", task("t", "true", **more), 0, {})
    attempt.told, attempt.asked = told, asked
    return attempt.judged(End("a", code, number, 0.0, 0.0, 1.0, 0, 0, 0.0, 0.0, killed), stopping=stopping)


@pytest.mark.parametrize(
    ("end", "found"),
    [
        ({}, ("done", "")),
        ({"code": 3}, ("failed", "exit code 3")),
        ({"number": 11}, ("failed", "signal 11")),
        ({"number": 9}, ("failed", "signal 9")),
        ({"number": 9, "killed": 1}, ("memory", "killed by the kernel for want of memory")),
        ({"code": 137, "killed": 2}, ("memory", "killed by the kernel for want of memory")),
        ({"code": 1, "killed": 1}, ("failed", "exit code 1")),
        ({"killed": 2}, ("done", "the kernel killed 2 processes for want of memory while it ran")),
        ({"number": 15, "told": ("time", 0, "time limit of 1 s")}, ("time", "time limit of 1 s")),
        ({"told": ("interrupted", 0, "stopped by signal 15")}, ("interrupted", "stopped by signal 15")),
        ({"code": 75}, ("failed", "exit code 75")),
        ({"code": 75, "checkpoint": CHECKPOINT}, ("interrupted", "stopped at a checkpoint")),
        ({"number": 10, "asked": 1, "checkpoint": CHECKPOINT}, ("interrupted", "stopped at a checkpoint")),
        ({"asked": 1, "checkpoint": CHECKPOINT}, ("done", "")),
        ({"number": 11, "checkpoint": CHECKPOINT}, ("failed", "signal 11")),
        ({"number": 15, "stopping": True}, ("interrupted", "stopped as its worker was")),
        ({"code": 1, "stopping": True}, ("interrupted", "stopped as its worker was")),
        ({"stopping": True}, ("done", "")),
    ],
)
def test_an_end_is_taken_for_what_it_was(end, found):
    assert judged(**end) == found
