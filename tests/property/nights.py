"""A simulated worker in simulated hours: the runner's own `hours`, `Closing`, `Order` and `Grants`, a machine in memory.

A seed makes a case: one of six zones, a change of its clocks, hours around it, weekends, holidays, cores, and a sweep of
more work than fits. Every other case works in two windows, in the second from what the first has left. The mix of steps, each with a
duration of its own (lognormal, 0.5 around the task's) and declared limits of 2.5 times the task's, as people do:
`prepare` of 2 minutes and after it `train` of 12, at as many points as there is work for, and up to as many as there are
cores of `long`, of 20 hours, which takes up to 2 minutes to come to a checkpoint. Of the steps that are told to end one
in ten has to be killed, of those that are asked for a checkpoint one in twenty does not come to it.
"""

import datetime as dt
import functools
import heapq
import itertools
from dataclasses import dataclass, field
from random import Random
from zoneinfo import ZoneInfo

from sciflow.plan.lock import transitions
from sciflow.runner import hours, names, points
from sciflow.runner.closing import Closing
from sciflow.runner.grants import Grants
from sciflow.runner.order import Order
from sciflow.runner.work import GRACE_S, TICK_S

ZONES = (
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Jerusalem",
    "Australia/Lord_Howe",
    "Europe/Zurich",
)
KNOWN = functools.cache(lambda zone: [list(pair) for pair in transitions(zone)])
YEARS = range(2026, 2059)
DAY_S, HOUR_S = 86400, 3600
SPREAD, ASKED_MORE = 0.5, 2.5
TYPICAL_S = {"prepare": 120, "train": 720, "long": 20 * HOUR_S}
BEFORE_S = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """What a seed makes. `now` is a while before a change of the clocks."""

    zone: str
    schedule: dict
    now: int
    cores: int
    longs: int


@dataclass(kw_only=True, slots=True)
class Night:
    """One window that was worked in: what there was, in core-seconds, what was used and what was lost by cutting off."""

    start: int
    close: int
    capacity: float
    used: float = 0.0
    lost: float = 0.0
    ran: list = field(default_factory=list)
    """(task, step, start, end, how it ended) of each attempt."""


def _pairs(random):
    """Return hours as [[opens, closes]], of one to fourteen hours each, that leave some of the day closed."""
    while True:
        pairs, open_ = [], set()
        for _ in range(random.choice((1, 1, 1, 2, 3))):
            opens, length = random.randrange(0, 1440, 5), random.randrange(60, 14 * 60, 5)
            pairs.append([opens, (opens + length) % 1440])
            open_.update((opens + minute) % 1440 for minute in range(length))
        if len(open_) < 1440:
            return pairs


def case(seed):
    """Return a seed's case."""
    random = Random(seed)
    zone = random.choice(ZONES)
    year = random.choice(YEARS)
    begin = dt.datetime(year, 1, 1, tzinfo=dt.UTC).timestamp()
    changes = [at for at, _ in KNOWN(zone) if begin <= at < begin + 365 * DAY_S]
    change = changes[seed % len(changes)]
    pairs = _pairs(random)
    day = dt.datetime.fromtimestamp(change, ZoneInfo(zone)).date()
    dates = [(day + dt.timedelta(days=random.randrange(-2, 4))).isoformat() for _ in range(random.choice((0, 0, 1, 2)))]
    schedule = {
        "policy": "off-peak",
        "opens": pairs[0][0],
        "closes": pairs[0][1],
        "also": pairs[1:],
        "weekends": random.random() < 0.2,
        "holidays": sorted(set(dates)),
        "max_wait_s": 0,
        "hard": True,
        "transitions": KNOWN(zone),
    }
    cores = random.randrange(1, 4)
    now = change - random.randrange(36 * HOUR_S)
    return Case(zone=zone, schedule=schedule, now=now, cores=cores, longs=random.randrange(cores + 1))


def spans(case_, around):
    """Return the open times around an instant by the standard library's clock alone, merged, as [(open, close)]."""
    zone, said = ZoneInfo(case_.zone), case_.schedule
    day = dt.datetime.fromtimestamp(around, zone).date() - dt.timedelta(days=3)

    def instant(date, minutes):
        found = dt.datetime.combine(date, dt.time()) + dt.timedelta(minutes=minutes)
        return int(found.replace(tzinfo=zone).timestamp())

    found = []
    for date in (day + dt.timedelta(days=count) for count in range(24)):
        for opens, closes in [(said["opens"], said["closes"]), *said["also"]]:
            found.append((instant(date, opens), instant(date, closes + (1440 if closes < opens else 0))))
        if date.isoformat() in said["holidays"] or (said["weekends"] and date.weekday() >= 5):
            found.append((instant(date, 0), instant(date, 1440)))
    merged = []
    for start, end in sorted(span for span in found if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def sweep(case_, capacity_s):
    """Return the (plan, steps) of a sweep of half as much work again as fits."""
    rows = int(1.5 * capacity_s / (TYPICAL_S["prepare"] + TYPICAL_S["train"])) + case_.cores
    tasks = []
    for name, uses, needs in (("prepare", ["x"], []), ("train", ["x"], ["prepare"]), ("long", ["y"], [])):
        wants = {"cpus": 1, "memory_mib": 1, "gpus": 0, "time_s": int(TYPICAL_S[name] * ASKED_MORE)}
        checkpoint = {"path": "kept", "signal": 10, "before_s": BEFORE_S} if name == "long" else None
        entry = {"name": name, "uses": uses, "needs": needs, "gather": "", "resources": wants, "checkpoint": checkpoint}
        tasks.append(entry)
    tasks = tasks if case_.longs else tasks[:2]
    turns = {"x": rows, "y": max(case_.longs, 1)}
    for task in tasks:
        task["steps"] = turns[task["uses"][0]]
    plan = {"tasks": tasks, "axes": [{"columns": [name], "turns": count} for name, count in turns.items()]}
    return plan, points.Steps(plan, ())


class Machine:
    """What is done and kept of a sweep, and how long its steps take: the world that a worker works in."""

    def __init__(self, seed, case_, capacity_s):
        self.random, self.case = Random(f"machine {seed}"), case_
        self.plan, self.steps = sweep(case_, capacity_s)
        self.tasks = {task["name"]: task for task in self.plan["tasks"]}
        self.settled, self.cut, self.kept, self.walls, self.durations = {}, set(), {}, {}, {}

    def seconds(self, key):
        """Return how long a step still takes."""
        if key not in self.durations:
            typical = TYPICAL_S[key[0]] * self.random.lognormvariate(0, SPREAD)
            self.durations[key] = min(typical, self.tasks[key[0]]["resources"]["time_s"])
        return self.durations[key] - self.kept.get(key, 0.0)

    def work(self, start, close):
        """Do what one worker does from `start` to the closing; return the night."""
        night = Night(start=start, close=close, capacity=self.case.cores * (close - start))
        closing, grants, number = (
            Closing(close, hard=True),
            Grants({"cpus": self.case.cores, "memory_mib": 99, "gpus": 0}),
            itertools.count(),
        )
        learned = {name: total / count for name, (total, count) in self.walls.items()}
        order = Order(self.plan, self.steps, self.settled, learned=learned)
        events, now = [], float(start)
        while True:
            held = closing.held(self.plan["tasks"], learned, self._stands_cut, now)
            while not closing.over(now) and (key := order.next(grants.free, held)):
                grant = grants.take(order.needs(*key))
                end, how = self._end(closing, key, now)
                heapq.heappush(events, (end, next(number), key, now, how, grant))
            if not events:
                return night
            now, _, key, began, how, grant = heapq.heappop(events)
            grants.give_back(grant)
            night.ran.append((*key, began, now, how))
            self._record(night, order, key, now - began, how)
            if how == names.DONE:
                total, count = self.walls[key[0]]
                learned[key[0]] = total / count

    def _stands_cut(self, name):
        return any(key[0] == name for key in self.cut)

    def _end(self, closing, key, began):
        """Return (when, how) an attempt ends: as `Worker._limits` sees to it, which looks every TICK_S."""
        task, end = self.tasks[key[0]], began + self.seconds(key)
        if task["checkpoint"]:
            asked = closing.close - BEFORE_S + self.random.uniform(0, TICK_S)
            assert not closing.asks(task, began)
            came = asked + self.random.uniform(0, BEFORE_S - TICK_S)
            if end > came and self.random.random() >= 0.05:
                return came, "kept"
        told = closing.close + self.random.uniform(0, TICK_S)
        if end <= told:
            return end, names.DONE
        stubborn = self.random.random() < 0.1
        return told + (GRACE_S + TICK_S if stubborn else self.random.uniform(0, GRACE_S)), "cut"

    def _record(self, night, order, key, wall, how):
        self.cut.discard(key)
        if how == names.DONE:
            self.settled[key] = {"state": names.DONE}
            total, count = self.walls.get(key[0], (0.0, 0))
            self.walls[key[0]] = total + wall, count + 1
            order.ended(*key, done=True)
            night.used += wall
            return
        order.again(*key)
        self.cut.add(key)
        if how == "kept":
            self.kept[key] = self.kept.get(key, 0.0) + wall
            night.used += wall
        else:
            night.lost += wall


def nights(seed):
    """Return a seed's (case, machine, nights)."""
    found, now, planned = case(seed), None, []
    now = found.now
    for _ in range(1 + seed % 2):
        start, close = hours.window(found.schedule, now)
        planned.append((start, close))
        now = close
    machine = Machine(seed, found, sum(found.cores * (close - start) for start, close in planned))
    return found, machine, [machine.work(start, close) for start, close in planned]
