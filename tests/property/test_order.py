"""The laws of the order of work: over random graphs, standings, ends and retries, against their definitions."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.runner import names, order, points, records
from sciflow.runner.grants import Grants
from tests.runner.conftest import still

settings.register_profile("order", max_examples=100, deadline=None)
LAW = settings.get_profile("order")

CAPACITY = {"cpus": 3, "memory_mib": 60, "gpus": ["0"]}
STATES = [None, names.DONE, names.FAILED, names.TIME, names.MEMORY, names.NODE, names.SKIPPED, names.INTERRUPTED]


@st.composite
def graphs(draw):
    """Return (plan, steps): tasks that share steps over two axes, one of which can be divided in two ways."""
    axes = [
        [{"x": turn, "z": draw(st.integers(0, 2))} for turn in range(draw(st.integers(1, 5)))],
        [{"y": turn} for turn in range(draw(st.integers(1, 3)))],
    ]
    tasks = []
    for number in range(draw(st.integers(1, 6))):
        needs = draw(st.lists(st.sampled_from(tasks), unique_by=lambda task: task["name"], max_size=3)) if tasks else []
        many = [task["name"] for task in needs if task["uses"]]
        gather = many[0] if len(many) == 1 and draw(st.booleans()) else ""
        own = draw(st.sets(st.sampled_from("xyz"))) if not gather else set()
        uses = set() if gather else own.union(*(task["uses"] for task in needs))
        wants = {"cpus": draw(st.integers(1, 3)), "memory_mib": draw(st.integers(1, 50))}
        wants |= {"gpus": draw(st.integers(0, 1)), "time_s": draw(st.integers(0, 9))}
        entry = {"name": f"t{number}", "needs": [task["name"] for task in needs], "gather": gather}
        tasks.append({**entry, "uses": sorted(uses), "resources": wants})
    plan = {"tasks": tasks, "axes": [{"columns": sorted(rows[0]), "turns": len(rows)} for rows in axes]}
    steps = points.Steps(plan, axes)
    if draw(st.booleans()):  # as the compiler does
        for task in tasks:
            task["steps"] = steps.count(task["name"])
        steps = points.Steps(plan, axes)
    return plan, steps


def needs_of(plan, steps):
    """Return {step: the steps it needs}, and {step: all that needs it, directly or not}."""
    by_name = {task["name"]: task for task in plan["tasks"]}
    needs = {key: list(steps.needs(by_name[key[0]], key[1])) for key in steps.all()}
    below = {key: set() for key in needs}
    for key in reversed(list(needs)):
        for need in needs[key]:
            below[need] |= {key} | below[key]
    return needs, below


def play(found, random, failures=0.0, retries=0.0, *, grown=1.5, learn=True):
    """Run an order to its end; yield (what, step, whether it was done, what is free then).

    `what` is start, end, again, or halt, where nothing more starts.
    """
    grants, running = Grants(CAPACITY), {}
    while True:
        key = found.next(grants.free)
        if key:
            running[key] = grants.take(found.needs(*key))
            assert running[key] is not None, "it started beyond what was free"
            yield "start", key, None, dict(grants.free)
            continue
        yield "halt", None, None, dict(grants.free)
        if not running:
            return
        key = random.choice(sorted(running))
        grants.give_back(running.pop(key))
        if random.random() < retries:
            had = found.needs(*key)
            found.again(*key, {"memory_mib": min(int(had["memory_mib"] * grown), CAPACITY["memory_mib"])})
            yield "again", key, None, dict(grants.free)
        else:
            done = random.random() >= failures
            found.ended(*key, done=done)
            if learn:
                found.learn(key[0], random.choice([0.0, 1.0, 1.1, 50.0]))
            yield "end", key, done, dict(grants.free)


@LAW
@given(graphs(), st.randoms(use_true_random=False))
def test_every_step_starts_once_and_after_all_it_needs(graph, random):
    plan, steps = graph
    needs, _ = needs_of(plan, steps)
    started, done = [], set()
    for what, key, _, _ in play(order.Order(plan, steps, {}), random):
        if what == "start":
            assert done.issuperset(needs[key])
            started.append(key)
        elif what == "end":
            done.add(key)
    assert sorted(started) == sorted(steps.all())


@LAW
@given(graphs(), st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_a_failure_loses_what_needs_it_and_nothing_else(graph, random, failures):
    plan, steps = graph
    _, below = needs_of(plan, steps)
    found = order.Order(plan, steps, {})
    ended = {key: done for what, key, done, _ in play(found, random, failures) if what == "end"}
    lost = {(name, step) for name, step, _ in found.lost}
    assert lost == set().union(*(below[key] for key, done in ended.items() if not done))
    assert lost.isdisjoint(ended)
    assert len(lost) == len(found.lost)
    assert lost | set(ended) == set(steps.all())
    assert (still(found), found.left()) == (set(), (0, 0))


@LAW
@given(graphs(), st.randoms(use_true_random=False), st.floats(0, 0.5))
def test_a_step_is_lost_for_one_it_needs_that_is_lost_or_has_failed(graph, random, failures):
    plan, steps = graph
    needs, _ = needs_of(plan, steps)
    found, failed = order.Order(plan, steps, {}), set()
    for what, key, done, _ in play(found, random, failures):
        if what == "end" and not done:
            failed.add(key)
    for name, step, cause in found.lost:
        assert cause in needs[name, step]
        assert cause in failed
        failed.add((name, step))


@LAW
@given(graphs(), st.randoms(use_true_random=False), st.floats(0, 0.3), st.floats(0, 0.6))
def test_nothing_that_could_start_is_held_back(graph, random, failures, retries):
    plan, steps = graph
    needs, _ = needs_of(plan, steps)
    found, waiting, done = order.Order(plan, steps, {}), set(steps.all()), set()
    for what, key, well, free in play(found, random, failures, retries):
        if what == "start":
            waiting.remove(key)
        elif what == "again":
            waiting.add(key)
        elif well:
            done.add(key)
        elif what == "halt":
            ready = [key for key in waiting if done.issuperset(needs[key])]
            assert not any(all(found.needs(*key)[one] <= free[one] for one in free) for key in ready)


@LAW
@given(graphs(), st.randoms(use_true_random=False), st.floats(0, 0.6))
def test_what_is_tried_again_runs_until_it_ends_and_grows_as_it_was_told(graph, random, retries):
    plan, steps = graph
    declared = {task["name"]: task["resources"]["memory_mib"] for task in plan["tasks"]}
    found, tries, ended = order.Order(plan, steps, {}), {}, set()
    for what, key, _, _ in play(found, random, retries=retries, grown=2):
        if what == "again":
            tries[key] = tries.get(key, 0) + 1
            wanted = min(declared[key[0]] * 2 ** tries[key], CAPACITY["memory_mib"])
            assert found.needs(*key)["memory_mib"] == wanted
        elif what == "end":
            ended.add(key)
    assert ended == set(steps.all())
    assert all(found.needs(*key)["memory_mib"] == declared[key[0]] for key in ended - set(tries))


@LAW
@given(graphs(), st.randoms(use_true_random=False))
def test_the_longest_path_still_to_go_starts_first(graph, random):
    plan, steps = graph
    ranks = order.rank(plan["tasks"])
    needs, _ = needs_of(plan, steps)
    found, waiting, done = order.Order(plan, steps, {}), set(steps.all()), set()
    free = {**CAPACITY, "gpus": 1}
    for what, key, _, after in play(found, random, learn=False):
        if what == "start":
            fit = [
                other
                for other in waiting
                if done.issuperset(needs[other]) and all(found.needs(*other)[one] <= free[one] for one in free)
            ]
            longest = max(ranks[name] for name, _ in fit)
            assert ranks[key[0]] == longest
            assert key[1] == min(step for name, step in fit if name == key[0])
            waiting.remove(key)
        elif what == "end":
            done.add(key)
        free = after


@LAW
@given(graphs(), st.integers(), st.floats(0, 0.3), st.floats(0, 0.6))
def test_the_same_ends_give_the_same_order(graph, seed, failures, retries):
    plan, steps = graph
    one, two = (list(play(order.Order(plan, steps, {}), Random(seed), failures, retries)) for _ in range(2))
    assert one == two


@LAW
@given(graphs(), st.data())
def test_what_is_on_record_and_what_is_wanted_decide_what_runs(graph, data):
    """Each step by definition: it runs if all it needs is done or comes from here; it is lost if some of it is."""
    plan, steps = graph
    needs, _ = needs_of(plan, steps)
    every = list(needs)
    states = {key: data.draw(st.sampled_from(STATES)) for key in every}
    wanted = data.draw(st.none() | st.sets(st.sampled_from(every)))
    standing = {key: {"state": state} for key, state in states.items() if state}
    runs, lost, idle = set(), set(), set()
    for key in every:  # in topological order
        state = states[key]
        if (wanted is not None and key not in wanted) or state in records.FINAL:
            continue
        above = [
            "comes"
            if need in runs
            else "lost"
            if need in lost
            else "away"
            if need in idle
            else "done"
            if states[need] == names.DONE
            else "lost"
            if states[need] in (*records.FINAL, names.SKIPPED)
            else "away"
            for need in needs[key]
        ]
        (lost if "lost" in above else idle if "away" in above else runs).add(key)
    found = order.Order(plan, steps, standing, wanted)
    untold = {key for key in lost if states[key] != names.SKIPPED}
    assert {(name, step) for name, step, _ in found.lost} == untold
    assert (set(found.idle), still(found), found.total) == (idle, runs, len(runs) + len(untold))
    assert {key for what, key, _, _ in play(found, Random(0)) if what == "start"} == runs


@LAW
@given(graphs(), st.data())
def test_a_standing_that_tells_all_at_once_says_the_same(graph, data):
    plan, steps = graph
    standing = {key: {"state": state} for key in steps.all() if (state := data.draw(st.sampled_from(STATES)))}

    class Told(order.Settled):
        def codes(self, name):
            return order.codes(order.Settled(standing), name, steps.count(name))

    one, two = order.Order(plan, steps, standing), order.Order(plan, steps, Told(standing))
    assert (still(one), list(one.lost), one.idle) == (still(two), list(two.lost), two.idle)
