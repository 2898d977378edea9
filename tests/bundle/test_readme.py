"""The README of a bundle: for somebody who has never heard of sciflow."""

import pytest

from sciflow.bundle import readme

TASK = {
    "name": "train",
    "steps": 6,
    "uses": ["gamma", "c"],
    "gather": "",
    "resources": {"cpus": 4, "memory_mib": 8192, "gpus": 0, "time_s": 7200},
    "retry": {"times": 0, "on": ["memory", "time"], "grow_memory": 1.0, "grow_time": 1.0},
    "checkpoint": None,
}


def page(*tasks, title="", boxes=()):
    return readme.page({"name": "digits", "title": title, "tasks": tasks, "boxes": list(boxes)})


def test_it_is_headed_by_the_title():
    assert page(title="How digits are read").startswith("# How digits are read\n")


def test_it_is_headed_by_the_name_where_there_is_no_title():
    assert page().startswith("# digits\n")


def test_each_task_has_a_row_with_what_it_may_use():
    assert "| `train` | 6 | `gamma`, `c` | 4 cpu, 8192 MiB, 7200 s |" in page(TASK)


def test_gpus_are_said_where_there_are_any():
    assert "8192 MiB, 2 GPU, 7200 s" in page({**TASK, "resources": {**TASK["resources"], "gpus": 2}})


def test_how_often_a_step_is_tried_again_is_said():
    retry = {**TASK["retry"], "times": 2, "on": ["failed", "time"]}
    assert "7200 s; tried again 2 times at most (after: failed, time) |" in page({**TASK, "retry": retry})


def test_what_is_tried_again_after_lost_nodes_alone_is_as_all_others_are():
    assert "7200 s |" in page({**TASK, "retry": {**TASK["retry"], "times": 2, "on": []}})


def test_where_a_stopped_step_goes_on_from_is_said():
    checkpoint = {"path": "ckpt", "signal": 10, "before_s": 60}
    assert "7200 s; goes on from `ckpt` when it was stopped |" in page({**TASK, "checkpoint": checkpoint})


def test_a_task_that_depends_on_nothing_says_so():
    assert "| nothing: it runs once |" in page({**TASK, "uses": []})


def test_a_gathering_task_says_over_what():
    assert "| all of `train` |" in page({**TASK, "uses": [], "gather": "train"})


def test_it_names_the_engines_that_isolate():
    boxes = [{"engine": name, "isolation": kind} for name, kind in (("apptainer", "shut"), ("host", "none"))]
    assert "`python3` (3.6 or later) and one of: apptainer.\n" in page(boxes=boxes)


def test_braces_in_a_title_mean_themselves():
    assert page(title="{name} and {}").startswith("# {name} and {}\n")


@pytest.mark.parametrize("word", ["./launch.sh", "sbatch", "python3 -I verify.py", "sciflow replay", "workflow.lock"])
def test_it_says_how_to_run_verify_and_replay(word):
    assert word in page(TASK)


def test_a_step_of_several_ranks_says_how_many_and_where():
    spread = {**TASK["resources"], "nodes": 2, "ranks": 8, "mpi": ""}
    assert "| 8 ranks on 2 nodes, on Slurm only, each: 4 cpu, 8192 MiB, 7200 s |" in page({**TASK, "resources": spread})
