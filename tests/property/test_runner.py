"""The runner's laws: canonical form, records, who counts, hours, order."""

import copy
import datetime as dt
import functools
import json
import tempfile
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.plan.lock import transitions
from sciflow.runner import hours, names, order, points, records, wanted
from tests.runner.conftest import still

settings.register_profile("runner", max_examples=60, deadline=None)
LAW = settings.get_profile("runner")

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)

# ---- Canonical form (RFC 8785)


@LAW
@given(VALUES)
def test_what_is_canonical_reads_back_equal(value):
    # ECMAScript knows one kind of number, and writes a large float like an integer: read as floats, they are equal.
    assert json.loads(names.canonical(value), parse_int=float) == value


@LAW
@given(VALUES)
def test_the_canonical_form_of_a_canonical_form_is_itself(value):
    text = names.canonical(value)
    assert names.canonical(json.loads(text, parse_int=float)) == text


@LAW
@given(st.dictionaries(TEXTS, VALUES, max_size=6), st.randoms())
def test_the_order_of_keys_is_of_no_matter(value, random):
    items = list(value.items())
    random.shuffle(items)
    assert names.canonical(dict(items)) == names.canonical(value)


@LAW
@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_is_written_alike_as_integer_and_as_float(value):
    assert names.canonical(float(value)) == names.canonical(value)


@LAW
@given(FLOATS)
def test_a_number_has_the_fewest_digits_that_read_back(value):
    text = names.number(value)
    assert float(text) == value
    digits = text.partition("e")[0].lstrip("-").replace(".", "").strip("0")
    assert len(digits) <= len(repr(value).partition("e")[0].lstrip("-").replace(".", "").strip("0"))


# ---- Records

LINES = st.lists(
    st.fixed_dictionaries(
        {"task": st.just("t"), "step": st.integers(0, 9), "state": st.just("done"), "end": FLOATS, "stdout": TEXTS}
    ),
    min_size=1,
    max_size=5,
)


def written(folder, found):
    """Write records to a segment of a run; return the segment's path."""
    segment = records.Segment(folder, "w")
    for record in found:
        segment.append(record)
    segment.close()
    return Path(segment.path)


def bare(found):
    """Leave the checks out; a float that is whole comes back as an integer, so ends are made floats again."""
    return [
        {**{key: value for key, value in record.items() if key != "check"}, "end": float(record["end"])}
        for record in found
    ]


@LAW
@given(LINES)
def test_records_come_back_as_they_were_written(found):
    with tempfile.TemporaryDirectory() as folder:
        written(folder, found)
        assert bare(records.read(folder)) == found


@LAW
@given(LINES, st.data())
def test_wherever_a_segment_is_cut_what_is_whole_is_read(found, data):
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, found)
        whole = file.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        file.write_bytes(whole[:cut])
        assert bare(records.read(folder)) == found[: whole[:cut].count(b"\n")]


@LAW
@given(LINES, st.data())
def test_a_flipped_bit_in_a_line_is_seen(found, data):
    line = records.line(found[0]).encode()[:-1]
    at = data.draw(st.integers(0, len(line) - 1))
    bent = bytearray(line)
    bent[at] ^= 1 << data.draw(st.integers(0, 7))
    assert records.parsed(bytes(bent)) is None


@LAW
@given(LINES, st.data())
def test_a_segment_never_gives_what_was_not_written(found, data):
    with tempfile.TemporaryDirectory() as folder:
        file = written(folder, found)
        whole = bytearray(file.read_bytes())
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        file.write_bytes(bytes(whole))
        try:
            read = bare(records.read(folder))
        except records.TornError:
            return
        assert read == found[: len(read)]
        assert len(read) >= len(found) - 2  # the end may be taken for torn: its line, or two that have run together


ENDS = st.sampled_from([1.0, 2.0, 3.0])
STATES = st.sampled_from(["done", "failed", "time", "memory", "node", "skipped", "interrupted", "superseded"])


@st.composite
def attempts(draw):
    """Return records of two steps, each attempt by a name of its own, some of them workers'."""
    found = []
    for number in range(draw(st.integers(1, 8))):
        step, state, end = draw(st.integers(0, 1)), draw(STATES), draw(ENDS)
        found.append({"task": "t", "step": step, "state": state, "end": end, "attempt": f"a{number}", "outputs": {}})
    return found


@LAW
@given(attempts(), st.randoms())
def test_who_counts_does_not_hang_on_the_order_of_reading(found, random):
    other = list(found)
    random.shuffle(other)
    assert records.settle("r", found) == records.settle("r", other)


@LAW
@given(attempts())
def test_whoever_counts_is_a_success_where_there_is_one(found):
    settled, _ = records.settle("r", found)
    for step in (0, 1):
        if any(record["step"] == step and record["state"] == "done" for record in found):
            assert settled["t", step]["state"] == "done"


# ---- Hours, against zoneinfo

ZONES = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns")
CHANGES = (
    dt.date(2026, 3, 8),
    dt.date(2026, 3, 29),
    dt.date(2026, 10, 25),
    dt.date(2026, 11, 1),
    dt.date(2026, 4, 5),
    dt.date(2026, 10, 4),
)
KNOWN = functools.cache(lambda zone: [list(pair) for pair in transitions(zone)])
MINUTE = 60


def is_open(schedule, zone, instant):
    """Say by the clock on the wall, and nothing else, whether it is open at an instant."""
    wall = dt.datetime.fromtimestamp(instant, ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    opens, closes = schedule["opens"], schedule["closes"]
    inside = opens <= minute < closes if opens < closes else minute >= opens or minute < closes
    return inside or (schedule["weekends"] and wall.weekday() >= 5)


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    day=st.sampled_from(CHANGES) | st.dates(dt.date(2025, 1, 1), dt.date(2035, 12, 31)),
    hour=st.integers(-48, 48),
    opens=st.integers(4, 47),
    closes=st.integers(4, 47),
    weekends=st.booleans(),
)
def test_a_window_is_what_the_clock_on_the_wall_says(*, zone, day, hour, opens, closes, weekends):
    # Hours that begin or end while the clocks change (before 02:00 to 04:00) have a rule, tested by example; here they are full.
    opens, closes = (max(value * 30, 240) for value in (opens, closes))
    if opens == closes:
        closes = (opens + 600) % 1440 or 240
    schedule = {
        "policy": "off-peak",
        "opens": opens,
        "closes": closes,
        "weekends": weekends,
        "max_wait_s": 0,
        "hard": False,
    }
    now = int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp()) + hour * 3600
    start, close = hours.window({**schedule, "transitions": KNOWN(zone)}, now)
    half = 30 * MINUTE
    assert is_open(schedule, zone, start)
    assert not is_open(schedule, zone, close)
    assert start == now or not is_open(schedule, zone, start - 1)
    assert is_open(schedule, zone, close - 1)
    assert not any(is_open(schedule, zone, instant) for instant in range(now, start, half))
    assert all(is_open(schedule, zone, instant) for instant in range(start, close, half))


@LAW
@given(st.sampled_from(ZONES), st.integers(1577836800, 2840140800))
def test_an_offset_is_the_zone_s(zone, instant):
    wanted = dt.datetime.fromtimestamp(instant, ZoneInfo(zone)).utcoffset().total_seconds()
    assert hours.offset(KNOWN(zone), instant) == wanted


@LAW
@given(st.sampled_from(ZONES), st.integers(1580000000, 2830000000))
def test_a_wall_s_reading_is_the_first_instant_that_shows_it(zone, wall):
    naive = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=wall)  # noqa: DTZ001
    assert hours.instant(KNOWN(zone), wall) == naive.replace(tzinfo=ZoneInfo(zone), fold=0).timestamp()


# ---- Order


@st.composite
def graphs(draw):
    """Return tasks in topological order, each with needs, parameters and resources, and the turns of two axes."""
    tasks = []
    for number in range(draw(st.integers(1, 5))):
        earlier = [task["name"] for task in tasks]
        needs = draw(st.lists(st.sampled_from(earlier), unique=True, max_size=2)) if earlier else []
        gather = draw(st.sampled_from(["", *needs])) if len(needs) == 1 else ""
        upstream = {name for task in tasks if task["name"] in needs and task["name"] != gather for name in task["uses"]}
        uses = sorted(upstream | set(draw(st.lists(st.sampled_from("xy"), unique=True)))) if not gather else []
        wants = {
            "cpus": draw(st.integers(1, 3)),
            "memory_mib": draw(st.integers(1, 50)),
            "gpus": draw(st.integers(0, 1)),
        }
        wants["time_s"] = draw(st.integers(1, 100))
        tasks.append({"name": f"t{number}", "needs": needs, "gather": gather, "uses": uses, "resources": wants})
    turns = [[{name: value} for value in range(draw(st.integers(1, most)))] for name, most in (("x", 3), ("y", 2))]
    axes = [{"columns": list(rows[0]), "turns": len(rows)} for rows in turns]
    return {"tasks": tasks, "axes": axes}, turns


CAPACITY = {"cpus": 3, "memory_mib": 60, "gpus": 1}


@LAW
@given(graphs(), st.randoms(), st.floats(0, 0.5))
def test_no_step_starts_before_its_needs_and_no_more_than_there_is_room_for(graph, random, failures):
    plan, turns = graph
    steps = points.Steps(plan, turns)
    by_name = {task["name"]: task for task in plan["tasks"]}
    found, free = order.Order(plan, steps, {}), dict(CAPACITY)
    running, ended = [], {}
    while True:
        key = found.next(free)
        if key:
            assert all(ended.get(need) for need in steps.needs(by_name[key[0]], key[1]))
            assert key not in running
            assert key not in ended
            running.append(key)
            free = {what: free[what] - by_name[key[0]]["resources"][what] for what in free}
            assert min(free.values()) >= 0
            continue
        if not running:
            break
        key = running.pop(random.randrange(len(running)))
        free = {what: free[what] + by_name[key[0]]["resources"][what] for what in free}
        ended[key] = random.random() >= failures
        found.ended(*key, ended[key])
    lost = [(name, step) for name, step, _ in found.lost]
    assert sorted([*ended, *lost]) == sorted(steps.all())
    assert all(not all(ended.get(need) for need in steps.needs(by_name[name], step)) for name, step in lost)
    assert free == CAPACITY


@LAW
@given(graphs(), st.data())
def test_a_second_start_runs_what_the_first_did_not(graph, data):
    plan, turns = graph
    steps = points.Steps(plan, turns)
    by_name = {task["name"]: task for task in plan["tasks"]}
    settled = {}
    for key in steps.all():
        if all(
            settled.get(need, {}).get("state") == "done" for need in steps.needs(by_name[key[0]], key[1])
        ) and data.draw(st.booleans()):
            settled[key] = {"state": "done"}
    found = order.Order(plan, steps, copy.deepcopy(settled))
    assert still(found) == set(steps.all()) - set(settled)
    assert not found.lost


# ---- What a start is for


def words_for(draw, plan, steps):
    """Draw the points, tasks and steps that a start names."""
    known = [task["name"] for task in plan["tasks"]]
    return (
        draw(st.lists(st.integers(0, steps.points - 1), unique=True, max_size=3)),
        draw(st.lists(st.sampled_from(known), unique=True, max_size=2)),
        draw(st.lists(st.sampled_from(sorted(steps.all())), unique=True, max_size=3)),
    )


def closed(plan, steps, found):
    """Add what is needed to some steps, one by one and as plainly as can be."""
    by_name, found, before = {task["name"]: task for task in plan["tasks"]}, set(found), set()
    while found != before:
        before = set(found)
        found |= {need for name, step in before for need in steps.needs(by_name[name], step)}
    return found


@LAW
@given(graphs(), st.data())
def test_what_is_chosen_is_what_is_named_and_all_it_needs_and_no_more(graph, data):
    plan, turns = graph
    steps = points.Steps(plan, turns)
    at, tasks, single = words_for(data.draw, plan, steps)
    found = wanted.chosen(steps, at, tasks, single)
    if not at and not tasks and not single:
        assert found is None
        return
    named = set(steps.of_points(at) if at else steps.all()) if at or tasks else set()
    named = {key for key in named if not tasks or key[0] in tasks}
    assert found == sorted(closed(plan, steps, named | set(single)))


@LAW
@given(graphs(), st.data())
def test_whatever_is_chosen_can_be_run_to_its_end(graph, data):
    plan, turns = graph
    steps = points.Steps(plan, turns)
    chosen = wanted.chosen(steps, *words_for(data.draw, plan, steps))
    found = order.Order(plan, steps, {}, chosen)
    big = {"cpus": 10**6, "memory_mib": 10**6, "gpus": 10**6}
    ended = []
    while (key := found.next(big)) is not None:
        ended.append(key)
        found.ended(*key, True)
    assert (sorted(ended), found.idle) == (sorted(steps.all() if chosen is None else chosen), [])
