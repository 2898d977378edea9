"""The README of a bundle: for somebody who has never heard of sciflow."""

import pytest

from sciflow.bundle import readme

TASK = {
    "name": "train",
    "steps": 6,
    "uses": ["gamma", "c"],
    "gather": "",
    "resources": {"cpus": 4, "memory_mib": 8192, "gpus": 0, "time_s": 7200},
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
