import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow.spec import Checkpoint, Retry
from tests.workflow.studies import small


def task(said):
    return small(f"[tasks.two]\nrun = ['x']\n{said}\n").tasks[1]


def refused(said):
    with pytest.raises(WorkflowError) as caught:
        task(said)
    return [fault.text for fault in caught.value.faults]


# ---- Retries


def test_without_a_word_a_step_is_tried_once():
    assert task("").retry == Retry(times=0, on=("memory", "time"), grow_memory=1.0, grow_time=1.0)


def test_a_wrong_program_is_tried_again_only_where_that_is_said():
    assert "failed" not in task("retry = { times = 3 }").retry.on
    assert "failed" in task("retry = { times = 3, on = ['failed'] }").retry.on


def test_the_order_of_states_means_nothing():
    one, other = (task(f"retry = {{ times = 1, on = {on} }}") for on in (["time", "failed"], ["failed", "time"]))
    assert one == other


def test_a_lost_node_may_be_named_and_changes_nothing():
    assert task("retry = { times = 1, on = ['node', 'time'] }") == task("retry = { times = 1, on = ['time'] }")


def test_a_factor_may_be_a_whole_number():
    retry = task("retry = { times = 1, grow_memory = 2, grow_time = 1 }").retry
    assert (retry.grow_memory, retry.grow_time, type(retry.grow_memory)) == (2.0, 1.0, float)


def test_growth_after_what_is_not_tried_again_is_refused():
    assert refused("retry = { times = 1, on = ['time'], grow_memory = 2 }") == [
        "`grow_memory` is for steps that had too little memory, and they are not tried again"
    ]


def test_a_factor_of_one_grows_nothing_and_is_taken():
    assert task("retry = { times = 1, on = ['failed'], grow_memory = 1, grow_time = 1 }").retry.on == ("failed",)


def test_a_fault_in_the_states_is_told_alone():
    assert refused("retry = { times = 1, on = ['timeout'], grow_time = 2 }") == ["`tasks.two.retry.on[0]` is `timeout`"]


# ---- Checkpoints


def test_a_checkpoint_is_announced_by_usr1_a_minute_before():
    assert task("checkpoint = { path = 'c' }").checkpoint == Checkpoint(path="c", signal="USR1", before_s=60)


def test_a_checkpoint_says_its_signal_and_time():
    found = task("checkpoint = { path = 'c', signal = 'INT', before = '1h1s' }\nresources = { time = '2h' }").checkpoint
    assert (found.signal, found.before_s) == ("INT", 3601)


@pytest.mark.parametrize(("before", "time"), [("1m", "60s"), ("2h", "1h"), ("1h", "1h")])
def test_a_step_has_time_before_its_signal(before, time):
    said = f"checkpoint = {{ path = 'c', before = '{before}' }}\nresources = {{ time = '{time}' }}"
    assert ["it would never get to work" in fault for fault in refused(said)] == [True]


def test_a_second_of_work_is_enough():
    said = "checkpoint = { path = 'c', before = '59s' }\nresources = { time = '1m' }"
    assert task(said).checkpoint.before_s == 59


def test_a_time_that_is_refused_itself_is_told_alone():
    assert refused("checkpoint = { path = 'c' }\nresources = { time = '0s' }") == ["`time` is 0"]


# ---- The envelope


def test_the_envelope_is_on_and_no_kernel_is_asked_for():
    assert (task("").envelope, task("").blas) == (True, "")


def test_a_kernel_may_be_asked_for_where_the_envelope_is_said_to_be_on():
    assert task("envelope = 'on'\nblas = 'skylakex'").blas == "skylakex"


def test_a_kernel_without_the_envelope_is_refused():
    assert len(refused("envelope = 'off'\nblas = 'skylakex'")) == 1
