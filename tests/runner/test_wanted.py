"""What a start is for: points, tasks, steps, what they need, and the words with which others are refused."""

import pytest

from sciflow.runner import points, wanted
from tests.runner.conftest import task

ROWS = [{"x": x, "y": y} for x in (1, 2) for y in (1, 2)]
TASKS = [
    task("prepare", "true", uses=["x"]),
    task("train", "true", uses=["x", "y"], needs=["prepare"]),
    task("total", "true", needs=["train"], gather="train"),
    task("print", "true", needs=["total"]),
]
PLAN = {"tasks": [dict(entry, steps=count) for entry, count in zip(TASKS, (2, 4, 1, 1), strict=True)], "points": 4}
STEPS = points.Steps({"tasks": TASKS, "axes": [{"columns": ["x", "y"], "turns": 4}]}, [ROWS])


def test_without_words_all_is_wanted():
    assert wanted.chosen(STEPS) is None


def test_a_point_has_its_steps_and_nothing_that_gathers():
    assert wanted.chosen(STEPS, [2]) == [("prepare", 1), ("train", 2)]


def test_a_task_has_all_its_steps_and_what_they_need():
    assert wanted.chosen(STEPS, (), ["train"]) == [("prepare", 0), ("prepare", 1), *(("train", n) for n in range(4))]


def test_a_task_alone_leaves_out_what_comes_after_it():
    assert wanted.chosen(STEPS, (), ["prepare"]) == [("prepare", 0), ("prepare", 1)]


def test_what_gathers_needs_all():
    assert len(wanted.chosen(STEPS, (), ["print"])) == 2 + 4 + 1 + 1


def test_a_task_at_a_point_is_one_step_and_what_it_needs():
    assert wanted.chosen(STEPS, [2], ["train"]) == [("prepare", 1), ("train", 2)]
    assert wanted.chosen(STEPS, [2], ["prepare"]) == [("prepare", 1)]


def test_a_single_step_has_what_it_needs():
    assert wanted.chosen(STEPS, (), (), [("train", 3)]) == [("prepare", 1), ("train", 3)]


def test_a_single_step_comes_beside_what_else_is_named():
    assert wanted.chosen(STEPS, [0], (), [("train", 3)]) == [("prepare", 0), ("prepare", 1), ("train", 0), ("train", 3)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("train/12", ("train", 12)),
        ("train/", ("train", None)),
        ("train", ("", None)),
        ("/", ("", None)),
        ("train/-1", ("train", None)),
        ("train/²", ("train", None)),
        ("a/b/1", ("a/b", 1)),
    ],
)
def test_a_steps_name_is_a_task_and_a_number(text, found):
    assert wanted.parted(text) == found


@pytest.mark.parametrize(
    "words", [{}, {"points": [0, 3]}, {"tasks": ["total"]}, {"steps": ["train/3"]}, {"points": [1], "tasks": ["train"]}]
)
def test_words_for_what_there_is_are_not_refused(words):
    assert wanted.refusal(PLAN, **words) is None


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        ({"points": [4]}, "there are points 0 to 3, and no 4", "from 0"),
        ({"points": [-1]}, "no -1", "from 0"),
        ({"tasks": ["tran"]}, "there is no task `tran`", "did you mean `train`? the tasks are prepare, train, total"),
        ({"tasks": ["q"]}, "there is no task `q`", "the tasks are prepare"),
        ({"steps": ["train/4"]}, "there is no step `train/4`", "train/0...3"),
        ({"steps": ["train"]}, "there is no step `train`", "train/0...3"),
        ({"points": [0], "tasks": ["total"]}, "task `total` gathers all points", "`total/0`"),
        ({"points": [0], "tasks": ["print"]}, "task `print` gathers all points", "leave out the points"),
    ],
)
def test_words_for_what_is_not_there_are_refused_with_what_there_is(words, text, hint):
    found = wanted.refusal(PLAN, **words)
    assert (text in found[0], hint in found[1]) == (True, True)


def test_only_a_task_and_what_it_needs_is_run(study):
    found = study(TASKS, ROWS)
    found.run("run", "--task", "prepare")
    assert found.states() == {("prepare", 0): "done", ("prepare", 1): "done"}


def test_only_a_step_and_what_it_needs_is_run(study):
    found = study(TASKS, ROWS)
    found.run("run", "--step", "train/2")
    assert found.states() == {("prepare", 1): "done", ("train", 2): "done"}


def test_the_failed_steps_of_one_task_are_run_again_and_no_others(study, tmp_path):
    gate = tmp_path / "gate"
    both = [task("a", f"[ -e {gate} ]"), task("b", f"[ -e {gate} ]")]
    found = study(both)
    found.run(code=5)
    gate.touch()
    found.run("run", "--failed", "--task", "b")
    assert found.states() == {("a", 0): "failed", ("b", 0): "done"}


def test_a_task_that_is_not_there_ends_the_start_with_a_hint(study):
    said = study(TASKS, ROWS).run("run", "--task", "tran", code=2).stderr
    assert "there is no task `tran`\n  hint: did you mean `train`?" in said
