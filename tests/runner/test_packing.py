"""A round is planned purely: what remains, the site's limits, what was learned -> arrays and what each element runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciflow.runner import packing, points
from tests.runner.conftest import task

SITE = {"array": 1001, "jobs": 10000, "all": 0, "user": None, "mine": 0, "minutes": None, "whole": False, "cpus": 64}


def made(*tasks, size=10):
    """Return (plan, steps) of tasks that use nothing, or `x` of so many values."""
    told = [dict(one, steps=size if one["uses"] else 1) for one in tasks]
    plan = {"tasks": told, "axes": [{"columns": ["x"], "turns": size}]}
    return plan, points.Steps(plan, [])


def planned(plan, steps, remaining=None, known=None, needs=None, **limits):
    if remaining is None:
        remaining = {one["name"]: list(range(one["steps"])) for one in plan["tasks"]}
    return packing.plan_round(
        plan, steps, remaining, known or {}, {**SITE, **limits}, needs or (lambda one, _: one["resources"])
    )


def each(elements):
    """Return what each element runs, as {task: [steps]}."""
    return [
        {name: [step for first, last in runs for step in range(first, last + 1)] for name, runs in element.items()}
        for element in elements
    ]


def a(name, *needs, uses=("x",), gather="", **resources):
    resources = {"time_s": 600, **resources}
    return task(name, "true", uses=list(uses), needs=list(needs), gather=gather, resources=resources)


def test_a_whole_round_is_planned():
    plan, steps = made(
        a("prepare", uses=(), memory_mib=2048),
        a("train", "prepare", cpus=4, gpus=1, memory_mib=8192),
        a("summary", "train", uses=(), gather="train", time_s=60),
        size=4,
    )
    arrays, elements = planned(plan, steps)
    shape = {"gpus": 0, "lead_s": 90, "time_s": 600}
    assert arrays == [
        {
            "task": "prepare",
            "needs": {**shape, "cpus": 1, "memory_mib": 2048, "minutes": 24},
            "first": 0,
            "elements": 1,
            "after": [],
        },
        {
            "task": "train",
            "needs": {**shape, "cpus": 4, "memory_mib": 8192, "gpus": 1, "minutes": 34},
            "first": 1,
            "elements": 2,
            "after": [0],
        },
        {
            "task": "summary",
            "needs": {**shape, "cpus": 1, "memory_mib": 40, "minutes": 6, "time_s": 60},
            "first": 3,
            "elements": 1,
            "after": [1],
        },
    ]
    assert elements == [{"prepare": [[0, 0]]}, {"train": [[0, 1]]}, {"train": [[2, 3]]}, {"summary": [[0, 0]]}]


def test_the_steps_of_one_point_that_follow_each_other_stay_in_one_element():
    plan, steps = made(a("one"), a("two", "one"), a("three", "two", "one"), size=4)
    arrays, elements = planned(plan, steps, known={"one": 300, "two": 300, "three": 300})
    assert [array["after"] for array in arrays] == [[]]
    assert each(elements) == [
        {"one": [0, 1], "two": [0, 1], "three": [0, 1]},
        {"one": [2, 3], "two": [2, 3], "three": [2, 3]},
    ]


def test_a_step_that_asks_for_more_than_the_one_before_is_not_held_back_by_it():
    plan, steps = made(a("one"), a("two", "one", cpus=2), a("three", "two", gpus=1), size=4)
    arrays, _ = planned(plan, steps)
    assert [(array["task"], array["after"]) for array in arrays] == [("one", []), ("two", [0]), ("three", [1])]


def test_what_one_step_opens_to_many_has_arrays_of_its_own():
    plan, steps = made(a("prepare", uses=()), a("train", "prepare"), size=4)
    assert [array["after"] for array in planned(plan, steps)[0]] == [[], [0]]


def test_a_chain_goes_on_where_its_first_steps_are_done():
    plan, steps = made(a("one"), a("two", "one"), size=3)
    arrays, elements = planned(plan, steps, {"one": [1], "two": [0, 1, 2]}, {"one": 1, "two": 1})
    assert each(elements) == [{"one": [1], "two": [1]}, {"two": [0, 2]}]
    assert [array["after"] for array in arrays] == [[], []]


def test_a_step_that_is_tried_again_with_more_has_an_array_that_gives_it_more():
    plan, steps = made(a("train", memory_mib=100), size=3)

    def needs(one, step):
        return dict(one["resources"], memory_mib=400 if step == 1 else 100)

    arrays, elements = planned(plan, steps, needs=needs)
    assert [(array["needs"]["memory_mib"], array["elements"]) for array in arrays] == [(100, 1), (400, 1)]
    assert each(elements) == [{"train": [0, 2]}, {"train": [1]}]


def test_an_array_is_no_longer_than_the_site_allows():
    plan, steps = made(a("train"), size=20)
    arrays, _ = planned(plan, steps, known={"train": 1800}, array=8)
    assert [(array["first"], array["elements"]) for array in arrays] == [(0, 8), (8, 8), (16, 4)]


def test_what_comes_after_waits_for_each_part():
    plan, steps = made(a("train"), a("summary", "train", uses=(), gather="train"), size=20)
    assert planned(plan, steps, known={"train": 1800}, array=8)[0][-1]["after"] == [0, 1, 2]


def test_elements_are_sized_by_what_was_learned():
    plan, steps = made(a("train"), size=100)
    _, elements = planned(plan, steps, known={"train": 60.0})
    assert [len(found["train"]) for found in each(elements)] == [25, 25, 25, 25]  # 30 would leave one with 10


def test_a_step_longer_than_an_element_has_one_of_its_own():
    plan, steps = made(a("train"), size=2)
    assert each(planned(plan, steps, known={"train": 7200.0})[1]) == [{"train": [0]}, {"train": [1]}]


def test_steps_of_no_time_at_all_are_packed():
    plan, steps = made(a("train"))
    assert each(planned(plan, steps, known={"train": 0.0})[1]) == [{"train": list(range(10))}]


def test_where_few_jobs_are_allowed_elements_are_larger_and_never_longer_than_four_hours():
    plan, steps = made(a("train"), size=1000)
    arrays, elements = planned(plan, steps, known={"train": 600.0}, user=36, mine=1)
    assert sum(array["elements"] for array in arrays) == len(elements) == 34
    assert arrays[0]["needs"]["minutes"] == 240 + packing.whole_minutes(600 + packing.OVERHEAD_S + packing.LEAD_S)


def test_where_there_is_no_room_at_all_nothing_is_planned():
    plan, steps = made(a("train"))
    assert planned(plan, steps, user=36, mine=35) == ([], [])


def test_where_not_every_stage_finds_room_the_first_ones_do():
    plan, steps = made(a("one", uses=()), a("two", "one"), a("sum", "two", uses=(), gather="two"))
    assert [array["task"] for array in planned(plan, steps, user=3, mine=0)[0]] == ["one", "two"]


def test_half_of_what_the_queue_may_hold_is_left_to_others():
    assert packing.room({"jobs": 100, "all": 40}) == 30
    assert packing.room({"jobs": 100, "all": 40, "user": 36, "mine": 10}) == 25
    assert packing.room({}) is None


@given(st.lists(st.integers(1, 50), max_size=8), st.integers(0, 60))
def test_shares_are_at_most_what_is_wanted_and_what_there_is(wanted, most):
    found = packing.shares(wanted, most)
    assert sum(found) <= most
    assert all(got <= want for got, want in zip(found, wanted, strict=True))
    assert found == wanted or sum(wanted) > most
    assert 0 not in found[:most]


def test_a_whole_node_is_filled():
    plan, steps = made(a("train", cpus=4), size=64)
    arrays, elements = planned(plan, steps, known={"train": 600.0}, whole=True, cpus=64)
    assert [len(found["train"]) for found in each(elements)] == [32, 32]  # 16 at once, three after each other: 48
    assert arrays[0]["needs"]["minutes"] == 20 + packing.whole_minutes(600 + packing.OVERHEAD_S + packing.LEAD_S)


def test_no_job_is_longer_than_its_partition_or_its_window():
    plan, steps = made(a("train", time_s=6000), size=5)
    assert planned(plan, steps, minutes=120)[0][0]["needs"]["minutes"] == 120
    assert planned(plan, steps, minutes=120, window_s=3600.0)[0][0]["needs"]["minutes"] == 60


def test_a_step_that_no_job_here_can_end_is_named_unless_it_can_stop_and_go_on():
    plan, _ = made(a("train", time_s=7201))
    assert packing.too_long(plan, {"train": [0]}, {"minutes": 120}) == ("train", 7201)
    assert packing.too_long(plan, {"train": [0]}, {"minutes": 121}) is None
    assert packing.too_long(plan, {}, {"minutes": 120}) is None
    plan["tasks"][0]["checkpoint"] = {"path": "c", "signal": 10, "before_s": 60}
    assert packing.too_long(plan, {"train": [0]}, {"minutes": 120}) is None


def test_a_step_that_no_node_here_can_hold_is_named():
    plan, _ = made(a("train", cpus=8, memory_mib=2000))
    assert packing.too_large(plan, {"train": [0]}, {"largest": {"cpus": 4, "memory_mib": 4000}}) == (
        "train",
        "cpus",
        8,
        4,
    )
    assert packing.too_large(plan, {"train": [0]}, {"largest": {"cpus": 8, "memory_mib": 2000}}) is None
    assert packing.too_large(plan, {}, {"largest": {"cpus": 4, "memory_mib": 4000}}) is None
    assert packing.too_large(plan, {"train": [0]}, {"largest": {}}) is None


def test_a_step_that_is_tried_again_with_more_gets_no_more_than_a_node_has():
    declared = {"cpus": 1, "memory_mib": 1000}
    site = {"largest": {"cpus": 4, "memory_mib": 4000}}
    assert packing.within({"cpus": 1, "memory_mib": 8000}, declared, site) == {"cpus": 1, "memory_mib": 4000}
    assert packing.within({"cpus": 1, "memory_mib": 8000}, declared, {}) == {"cpus": 1, "memory_mib": 8000}


def test_a_job_is_told_of_its_end_in_time_for_a_checkpoint():
    plan, steps = made(dict(a("train"), checkpoint={"path": "c", "signal": 10, "before_s": 300}))
    assert planned(plan, steps)[0][0]["needs"]["lead_s"] == packing.LEAD_S + 300


def test_a_worker_leaves_its_job_before_it_is_told_to_unless_there_is_no_time_to_spare():
    plan, steps = made(a("train"))
    needs = planned(plan, steps)[0][0]["needs"]
    assert packing.lasts(needs) == needs["minutes"] * 60 - 150
    assert packing.lasts({**needs, "minutes": 12}) is None


@pytest.mark.parametrize(("seconds", "wanted"), [(1, 1), (60, 1), (61, 2), (59.5, 1), (0, 0)])
def test_slurm_counts_whole_minutes(seconds, wanted):
    assert packing.whole_minutes(seconds) == wanted


STAGES = [a("prepare", uses=()), a("one", "prepare"), a("two", "one"), a("wide", "two", cpus=8)]


@given(
    st.sets(st.tuples(st.sampled_from(["prepare", "one", "two", "wide"]), st.integers(0, 29))),
    st.integers(1, 12),
    st.none() | st.integers(2, 40),
    st.dictionaries(st.sampled_from(["prepare", "one", "two", "wide"]), st.floats(0, 5000)),
)
def test_no_step_is_left_out_doubled_or_put_before_what_it_needs(chosen, most, user, known):
    plan, steps = made(*STAGES, size=30)
    remaining = {}
    for name, step in sorted(chosen):
        if name != "prepare" or step == 0:
            remaining.setdefault(name, []).append(step)
    arrays, elements = planned(plan, steps, remaining, known, array=most, user=user)
    found = [(name, step) for element in each(elements) for name, taken in element.items() for step in taken]
    assert len(found) == len(set(found))
    if user is None:
        assert set(found) == {(name, step) for name, taken in remaining.items() for step in taken}
    else:
        assert len(elements) <= user - 1
    assert all(array["elements"] <= most for array in arrays)
    place, before = {}, {}
    for number, array in enumerate(arrays):
        before[number] = set(array["after"]).union(*(before[one] for one in array["after"]))
        for at in range(array["first"], array["first"] + array["elements"]):
            for name, taken in each([elements[at]])[0].items():
                place.update({(name, step): (number, at) for step in taken})
    tasks = {one["name"]: one for one in plan["tasks"]}
    for (name, step), (number, at) in place.items():
        for need in steps.needs(tasks[name], step):
            if need in place:
                assert place[need][1] == at or place[need][0] in before[number]


def test_the_steps_of_elements_are_counted_by_task():
    assert packing.counts([{"a": [[0, 2], [5, 5]], "b": [[1, 1]]}, {"a": [[3, 4]]}]) == {"a": 6, "b": 1}
    assert packing.counts([]) == {}


# ---- Several ranks

CFD = {"nodes": 2, "ranks": 4, "mpi": "pmix"}
SHORT = {"time_s": 60}
CHAIN = [a("one"), a("cfd", "one", **CFD), a("two", "cfd", **SHORT), a("three", "two", **SHORT)]


def test_a_step_of_several_ranks_is_an_element_alone_and_ends_the_chain_before_it():
    arrays, elements = planned(*made(*CHAIN, size=2))
    assert [array["task"] for array in arrays] == ["one", "cfd", "two"]
    assert each(elements) == [{"one": [0, 1]}, {"cfd": [0]}, {"cfd": [1]}, {"two": [0, 1], "three": [0, 1]}]
    assert [array["after"] for array in arrays] == [[], [0], [1]]
    assert {what: arrays[1]["needs"][what] for what in CFD} == CFD
    assert not set(CFD) & set(arrays[0]["needs"])


def test_whole_nodes_do_not_bring_two_such_steps_together():
    _, elements = planned(*made(a("cfd", **CFD), size=3), whole=True)
    assert each(elements) == [{"cfd": [step]} for step in range(3)]


def test_where_few_jobs_are_allowed_such_steps_wait_for_the_next_round():
    _, elements = planned(*made(a("cfd", **CFD), size=10), user=4)
    assert each(elements) == [{"cfd": [step]} for step in range(3)]


def test_such_a_step_needs_its_nodes_and_room_on_them_for_its_ranks():
    plan, _ = made(a("cfd", cpus=2, memory_mib=100, **{**CFD, "ranks": 5}))
    site = {"widest": 2, "largest": {"cpus": 6, "memory_mib": 300}}
    assert packing.too_large(plan, {"cfd": [0]}, site) is None
    assert packing.too_large(plan, {"cfd": [0]}, {**site, "widest": 1}) == ("cfd", "nodes", 2, 1)
    assert packing.too_large(plan, {"cfd": [0]}, {"largest": {"cpus": 4}}) == ("cfd", "cpus", 6, 4)
    assert packing.too_large(plan, {"cfd": [0]}, {"largest": {"memory_mib": 299}}) == ("cfd", "memory_mib", 300, 299)
