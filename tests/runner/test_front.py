"""Where the steps of one task stand: which may start, which are tried again, which are given up."""

import pytest

from sciflow.runner import front
from tests.runner.conftest import task

FREE = {"cpus": 4, "memory_mib": 100, "gpus": 0}
MANY = 3 * front.BLOCK + 5


def made(count=4, **more):
    return front.Front(task("a", "true", **more), 1, bytes([front.WAITING]) * count)


def drained(found, free=FREE):
    return list(iter(lambda: found.take(free), None))


def test_steps_start_in_the_order_of_their_numbers():
    found = made()
    found.expect(0)
    assert drained(found) == [0, 1, 2, 3]


@pytest.mark.parametrize("last", [0, 1, front.BLOCK - 1, front.BLOCK, MANY - 1])
def test_a_lower_number_that_becomes_ready_later_still_comes_first(last):
    found = made(MANY)
    found.release(MANY - 2, MANY - 1)
    found.release(last, last + 1)
    assert drained(found) == sorted({last, MANY - 2})


def test_a_range_that_is_released_leaves_out_what_does_not_wait():
    found = made(MANY)
    found.release(7, 8)
    assert found.take(FREE) == 7
    found.release(0, MANY)
    assert (found.ready, 7 in drained(found)) == (MANY - 1, False)


def test_a_step_that_waits_for_two_is_ready_after_the_second():
    found = made(2, needs=["x", "y"])
    found.expect(2)
    found.met(range(2))
    assert found.ready == 0
    found.met(iter([1]))
    assert drained(found) == [1]


def test_a_step_that_waits_for_one_of_two_is_ready_after_it():
    found = made(2, needs=["x", "y"])
    found.expect(2, 0)
    found.expect(1, 1)
    found.met(range(2))
    assert drained(found) == [1]


def test_a_step_that_is_tried_again_comes_before_the_others():
    found = made()
    found.expect(0)
    assert [found.take(FREE), found.take(FREE)] == [0, 1]
    found.again(1)
    assert drained(found) == [1, 2, 3]


def test_a_step_has_its_new_needs_while_it_waits_and_while_it_runs():
    found = made()
    found.expect(0)
    found.take(FREE)
    found.again(0, {"memory_mib": 50})
    assert found.needs(0)["memory_mib"] == 50
    found.take(FREE)
    assert (found.needs(0)["memory_mib"], found.needs(1)["memory_mib"]) == (50, 40)


def test_a_step_that_is_put_back_twice_keeps_what_it_was_given_first():
    found = made()
    found.expect(0)
    for needs in ({"memory_mib": 50}, {"time_s": 120}):
        found.take(FREE)
        found.again(0, needs)
    assert (found.needs(0)["memory_mib"], found.needs(0)["time_s"]) == (50, 120)


def test_a_step_that_has_grown_too_large_for_now_is_passed():
    found = made()
    found.expect(0)
    found.take(FREE)
    found.again(0, {"memory_mib": 101})
    assert drained(found) == [1, 2, 3]
    assert found.take({**FREE, "memory_mib": 101}) == 0


def test_what_was_not_running_cannot_be_put_back():
    with pytest.raises(ValueError, match="a/0 is put back, and was not running"):
        made().again(0)


def test_a_step_that_ends_while_it_waits_to_be_tried_again_does_not_start():
    found = made(1)
    found.expect(0)
    found.take(FREE)
    found.again(0)
    assert found.ended(0, front.DONE)
    assert (found.ready, found.left, found.take(FREE)) == (0, 0, None)


def test_an_end_counts_once():
    found = made()
    found.expect(0)
    found.take(FREE)
    assert [found.ended(0, front.DONE), found.ended(0, front.LOST)] == [True, False]
    assert (found.left, found.state[0]) == (3, front.DONE)


def test_a_lane_that_many_pass_through_gives_back_what_it_held():
    lane, state = front.Lane({}), bytes([front.AGAIN])
    for _ in range(4 * front.BLOCK):
        lane.push(0)
        assert lane.take(state) == 0
    assert len(lane._steps) <= front.BLOCK + 2


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        ([front.WAITING, front.READY], front.WAITING),
        ([front.DONE, front.DONE], front.DONE),
        ([front.LOST], front.LOST),
        ([front.ELSEWHERE], front.ELSEWHERE),
        ([front.DONE, front.WAITING], None),
        ([], front.WAITING),
    ],
)
def test_a_front_says_where_all_stand_if_they_stand_alike(states, kind):
    assert front.Front(task("a", "true"), 1, bytes(states)).kind() == kind


def test_what_is_lost_first_is_told_first():
    lost = front.Lost(["a", "b"])
    many = [("b", number, ("a", 0)) for number in range(3 * front.BLOCK)]
    for name, step, cause in many:
        lost.append(name, step, cause)
    assert (len(lost), list(lost)) == (len(many), many)
    assert [lost.popleft() for _ in many] == many
    assert not lost


def test_of_nothing_lost_nothing_is_taken():
    with pytest.raises(IndexError):
        front.Lost([]).popleft()
