"""A task whose steps are several ranks: what its words come to, and what it cannot have beside."""

from pathlib import Path

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import draft, load
from tests.workflow.studies import small


def task(resources, said="", command="run = ['x']"):
    return small(f"[tasks.two]\n{command}\nresources = {{ {resources} }}\n{said}\n").tasks[1]


def spread(resources):
    found = task(resources).resources
    return found.nodes, found.ranks, found.mpi


def refused(*said, **more):
    with pytest.raises(WorkflowError) as caught:
        task(*said, **more)
    return [fault.text for fault in caught.value.faults]


def test_a_task_that_says_nothing_of_ranks_has_none():
    assert spread("cpus = 4") == (0, 0, "")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("nodes = 2, ranks = 8, mpi = 'pmix'", (2, 8, "pmix")),
        ("ranks = 8", (1, 8, "")),
        ("nodes = 3", (3, 3, "")),
        ("ranks = 1, mpi = 'pmi2'", (1, 1, "pmi2")),
    ],
)
def test_nodes_are_one_and_ranks_are_one_a_node_where_they_are_not_said(said, wanted):
    assert spread(said) == wanted


def test_one_rank_on_one_node_is_a_step_as_any_other():
    assert task("ranks = 1, nodes = 1") == task("cpus = 1")


def test_a_workflow_with_ranks_is_written_and_read_back_as_it_was():
    study = small("[tasks.two]\nrun = ['x']\nresources = { nodes = 2, ranks = 8, mpi = 'pmix', cpus = 3 }\n")
    assert load.parse(draft.write(study), file=Path("workflow.toml")) == study


def test_more_nodes_than_ranks_are_refused():
    assert refused("nodes = 3, ranks = 2") == ["`nodes` is 3 and `ranks` is 2: some nodes would have nothing to do"]


def test_a_way_to_start_ranks_without_any_is_refused():
    assert refused("mpi = 'pmix'") == ["`mpi` is `pmix`, and neither `ranks` nor `nodes` says how many ranks there are"]


@pytest.mark.parametrize("word", ["'-x'", "'a b'", "'a;b'", "''", "'a\\nb'"])
def test_a_way_to_start_ranks_is_a_plain_word(word):
    assert refused(f"ranks = 2, mpi = {word}")


@pytest.mark.parametrize(
    ("resources", "said", "command", "wanted"),
    [
        ("ranks = 2", "", "python = 'train:main'", "a function is called once, and this task asks for several ranks"),
        ("ranks = 2, gpus = 1", "", "run = ['x']", "`gpus` and several ranks do not go together yet"),
        ("ranks = 2", "isolate = 'step'", "run = ['x']", "each rank has a box of its own in any case"),
        ("ranks = 2", "isolate = 'spaces'", "run = ['x']", "each rank has a box of its own in any case"),
        (
            "ranks = 2",
            "retry = { times = 1, grow_memory = 2 }",
            "run = ['x']",
            "`grow_memory` and several ranks do not go together: nobody here sees what a rank holds",
        ),
    ],
)
def test_what_several_ranks_cannot_have_beside_is_refused(resources, said, command, wanted):
    assert wanted in refused(resources, said, command)
