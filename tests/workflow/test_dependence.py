"""What the steps of a task depend on."""

import pytest

from sciflow.workflow import dependence
from sciflow.workflow.spec import Placeholder, Task

COLUMNS = ("a", "b", "c")


def task(name, *pieces, **more):
    return Task(name=name, shell=False, words=(tuple(pieces) or ("true",),), **more)


def parameter(name):
    return Placeholder(kind="parameter", name=name)


def uses(*tasks):
    return dependence.uses(tasks, COLUMNS)


def test_a_task_depends_on_what_its_text_names_in_the_order_of_the_columns():
    assert uses(task("t", parameter("c"), parameter("a"))) == {"t": ("a", "c")}


def test_what_a_task_lists_counts_like_what_it_names():
    assert uses(task("t", parameter("c"), parameters=("b",))) == {"t": ("b", "c")}


def test_a_task_depends_on_what_it_needs_depends_on_wherever_it_stands():
    later = task("later", parameter("b"))
    assert uses(task("t", needs=("later",)), later)["t"] == ("b",)


@pytest.mark.parametrize("kind", ["point", "seed"])
def test_who_asks_for_the_point_or_the_seed_depends_on_all(kind):
    assert uses(task("t", Placeholder(kind=kind))) == {"t": COLUMNS}


def test_a_function_depends_on_all_unless_it_lists_some():
    free, listing = (Task(name=n, shell=False, python="m:f", parameters=p) for n, p in (("f", None), ("l", ("b",))))
    assert uses(free, listing) == {"f": COLUMNS, "l": ("b",)}


def test_a_task_that_gathers_depends_on_none_and_nor_does_what_needs_it_through_it():
    gathering = task("all", needs=("t",), gather="t")
    found = uses(task("t", parameter("a")), gathering, task("last", needs=("all",)))
    assert (found["all"], found["last"]) == ((), ())
