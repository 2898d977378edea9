"""What a planned round comes to: its jobs, their hours at most, and by when it could be over."""

import pytest

from sciflow.plan.forecast import forecast

RESOURCES = {"cpus": 2, "memory_mib": 100, "gpus": 0, "time_s": 600}
NEEDS = {"cpus": 2, "memory_mib": 100, "gpus": 0, "minutes": 30, "lead_s": 90}
PLAN = {"tasks": [{"name": name, "resources": RESOURCES} for name in "ab"], "slurm": {}}
ELEMENTS = [{"a": [[0, 1]]}, {"a": [[2, 2]]}, {"b": [[0, 0]]}]
ARRAYS = [
    {"task": "a", "needs": NEEDS, "first": 0, "elements": 2, "after": []},
    {"task": "b", "needs": NEEDS, "first": 2, "elements": 1, "after": [0]},
]


def ahead(known=None, *, slurm=None, left=None, begin=1000, elements=ELEMENTS, arrays=ARRAYS, **limits):
    state = {"time": 1000.0, "begin": begin, "arrays": arrays, "limits": limits}
    return forecast({**PLAN, "slurm": slurm or {}}, state, elements, left or {"a": [0, 1, 2], "b": [0]}, known or {})


def test_the_longest_path_of_arrays_is_how_long_it_takes():
    found = ahead()
    assert (found.begins, found.ends) == (1000, 1000 + 2 * 600 + 600)
    assert [(one.steps, one.seconds) for one in found.jobs] == [(3, 1200), (1, 600)]


def test_what_was_learned_counts_before_what_is_declared():
    assert ahead({"a": 10}).ends == 1000 + 2 * 10 + 600


def test_it_begins_when_it_opens():
    assert (ahead(begin=5000).begins, ahead(begin=5000).ends) == (5000, 5000 + 1800)


def test_hours_are_those_that_jobs_may_take():
    found = ahead(cpus=8, nodes=100)
    assert (found.core_hours, found.node_hours) == (3 * 2 * 0.5, pytest.approx(3 * 2 * 0.5 / 8))
    assert ahead().node_hours is None


def test_where_jobs_get_whole_nodes_all_of_them_counts_and_works():
    found = ahead(cpus=8, nodes=100, whole=True)
    assert (found.core_hours, found.node_hours) == (3 * 8 * 0.5, 3 * 0.5)
    assert found.jobs[0].seconds == 1200 / 4


def test_a_small_cluster_takes_as_long_as_its_cores_need():
    assert ahead(cpus=2, nodes=1).ends == 1000 + 4 * 600


def test_where_only_so_many_run_at_once_they_take_turns():
    assert ahead(slurm={"max_running": 1}).ends == 1000 + 2 * 1200 + 600


def test_what_an_element_has_beyond_its_time_is_no_work_of_this_round():
    short = [{**ARRAYS[0], "needs": {**NEEDS, "minutes": 15}}]
    assert ahead(arrays=short).jobs[0].seconds == 900


def test_steps_without_jobs_are_left_to_later_rounds():
    assert ahead(arrays=ARRAYS[:1], elements=ELEMENTS[:2]).later == 1
    assert (ahead(arrays=[], elements=[]).jobs, ahead(arrays=[], elements=[]).later) == ((), 4)


SPREAD = {"nodes": 2, "ranks": 8, "mpi": ""}
RANKED = [{"task": "a", "needs": {**NEEDS, **SPREAD}, "first": 0, "elements": 3, "after": []}]


def test_the_hours_of_several_ranks_are_those_of_all_their_cores():
    (job,) = ahead(arrays=RANKED, cpus=8, nodes=100).jobs
    assert (job.cores, job.memory_mib) == (16, 800)
    found = ahead(arrays=RANKED, cpus=8, nodes=100)
    assert (found.core_hours, found.node_hours) == (3 * 16 * 0.5, pytest.approx(3 * 2 * 0.5))


def test_where_nodes_are_whole_the_hours_are_those_of_all_its_nodes():
    found = ahead(arrays=RANKED, cpus=64, nodes=100, whole=True)
    assert (found.jobs[0].cores, found.node_hours) == (128, pytest.approx(3 * 2 * 0.5))
