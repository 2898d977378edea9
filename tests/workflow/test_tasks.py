import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow.spec import Checkpoint, Retry
from tests.workflow.studies import small

PARAMETERS = "[parameters]\na = [1, 2]\n"


def refused(text):
    with pytest.raises(WorkflowError) as caught:
        small(text)
    return [fault.text for fault in caught.value.faults]


@pytest.mark.parametrize(
    "command",
    [
        "x {a}",
        "x --a={a}",
        r"x \"{a}",
        "x 'one' {a} \"two\"",
        "# don't\\nx {a}",
        "x 'a'{a}'b'",
        "x # '{a}'",
        "x a#'b' {a}",
    ],
)
def test_a_placeholder_outside_quotes_is_taken(command):
    text = command.replace('"', '\\"') if '\\"' not in command else command.replace('\\"', '\\\\\\"')
    assert small(PARAMETERS + f'[tasks.two]\nshell = "{text}"\n').tasks[1].shell


@pytest.mark.parametrize(
    ("command", "quotes"),
    [("x '{a}'", "single"), ('x "{a}"', "double"), ("x `y {a}`", "back"), ("x 'b' \"c '{a}'\"", "double")],
)
def test_a_placeholder_inside_quotes_is_refused(command, quotes):
    faults = refused(PARAMETERS + f"[tasks.two]\nshell = '''{command} '''\n")
    assert faults == [f"`{{a}}` stands inside {quotes}{'' if quotes == 'back' else ' '}quotes"]


def test_quotes_in_an_argument_list_are_plain_characters():
    assert small(PARAMETERS + "[tasks.two]\nrun = ['x', '\"{a}\"']\n")


def test_a_gathering_task_may_need_a_task_that_runs_once():
    text = PARAMETERS + "[tasks.two]\nrun = ['x', '{a}']\n[tasks.three]\nneeds = ['one']\ngather = 'two'\nrun = ['x']\n"
    assert small(text).tasks[2].needs == ("one", "two")


def test_a_gathering_task_may_need_a_task_after_another_gathering_one():
    text = (
        PARAMETERS + "[tasks.two]\nrun = ['x', '{a}']\n[tasks.all]\ngather = 'two'\nrun = ['x']\n"
        "[tasks.after]\nneeds = ['all']\nrun = ['x']\n[tasks.last]\ngather = 'two'\nneeds = ['after']\nrun = ['x']\n"
    )
    assert len(small(text).tasks) == 5


def test_what_is_needed_of_a_task_with_many_steps_is_told_through_others():
    text = (
        PARAMETERS + "[tasks.two]\nrun = ['x', '{a}']\n[tasks.three]\nneeds = ['two']\nrun = ['x']\n"
        "[tasks.all]\ngather = 'two'\nneeds = ['three']\nrun = ['x']\n"
    )
    assert refused(text) == ["`all` runs once, and `three` has a step for each value of `a`"]


def test_a_derived_column_may_stand_in_a_command():
    text = PARAMETERS + "[sweep]\nderive = { b = 'a + 1' }\n[tasks.two]\nrun = ['x', '{b}']\n"
    assert small(text).tasks[1].words[1][0].name == "b"


def test_a_task_that_says_nothing_of_its_steps_has_them_run_as_all_are():
    task = small("").tasks[0]
    assert (task.retry, task.checkpoint, task.isolate) == (Retry(), None, "worker")
    assert (task.envelope, task.blas) == (True, "")


def test_what_a_task_says_of_its_steps_is_kept():
    text = """[tasks.two]
run = ['x']
retry = { times = 2 }
checkpoint = { path = 'c' }
isolate = 'step'
blas = 'zen'
[tasks.three]
run = ['x']
envelope = 'off'
"""
    _, two, three = small(text).tasks
    assert (two.retry, two.checkpoint, two.isolate) == (Retry(times=2), Checkpoint(path="c"), "step")
    assert (two.envelope, two.blas, three.envelope) == (True, "zen", False)
