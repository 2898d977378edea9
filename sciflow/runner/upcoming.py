"""The next round, as it would be: planned, not claimed. Who only wants to know, and who submits it, ask the same."""

import time

from . import closing, hours, options, packing, points, slurm
from .order import Order
from .standing import Standing, grown

WINDOWS = 21  # looked at for one in which some step fits: those of a week
ENTER_S = 10  # from a job's beginning to its first step


def remains(bundle, plan, run):
    """Return (steps, stands, {task: ascending steps}): what is to be run, or only to be put on record as skipped."""
    steps = points.Steps(plan, points.lines(bundle, plan))
    stands = Standing(run, plan)
    order = Order(plan, steps, stands)
    left = order.remaining()
    for name, number, _ in order.lost:
        left.setdefault(name, []).append(number)
    return steps, stands, {name: sorted(found) for name, found in left.items()}


def site(plan, given):
    """Return what bounds a round with these options: what the site says, and the workflow's own word."""
    return slurm.site(options.chosen(given, "partition"), options.chosen(given, "qos"), options.most_jobs(plan))


def opening(plan, found, now, since):
    """Return when the jobs of a round may begin, and when the hours then close, or None.

    A hard window of which too little is left for any step is passed by: jobs would only begin and end.
    """
    schedule, (_, stands, left) = plan["schedule"], found
    learned = stands.learned()
    wanted = [
        (task, closing.expected(task, learned.get(task["name"]), stands.cut(task["name"])))
        for task in plan["tasks"]
        if task["name"] in left
    ]
    first = start, close = hours.window(schedule, now, since)
    for _ in range(WINDOWS):
        ends = closing.Closing(close, hard=schedule["hard"])
        if any(ends.fits(task, takes, start + ENTER_S) for task, takes in wanted):
            return start, close
        start, close = hours.window(schedule, close, since)
    return first


def _refuse(plan, left, limits):
    """Refuse what no job here can ever run, by its task's name. Raises SlurmError."""
    where = " in partition `%s`" % limits["partition"] if limits.get("partition") else ""
    large = packing.too_large(plan, left, limits)
    if large and large[1] == "nodes":
        raise slurm.SlurmError(
            "a step of `%s` asks for %d nodes, and a job%s gets %d at most: ask for fewer, or have it go where there "
            "are more (--partition)" % (large[0], large[2], where, large[3])
        )
    if large:
        raise slurm.SlurmError(
            "a step of `%s` asks for %s %d, and no node%s has more than %d: ask for less, or have it go where there is"
            " more (--partition)" % (large[0], large[1], large[2], where, large[3])
        )
    long = packing.too_long(plan, left, limits)
    if long:
        raise slurm.SlurmError(
            "a step of `%s` may take %d minutes, and a job%s gets %d: give it a `checkpoint`, a shorter `time`, "
            "or have it go where more is allowed (--partition)"
            % (long[0], packing.whole_minutes(long[1]), where, limits["minutes"])
        )


def planned(plan, found, limits, since=None, *, idle=False):
    """Return the next round as (its file's first lines, its elements); nothing is claimed and nobody is asked.

    `found` is what `remains` says; `limits` what `site` says, or as much of it as is known: "array" at least. `since`
    is when the run was first launched; with `idle` it waits for no hours.
    Raises SlurmError, naming the task, where no job may take as long as one step.
    """
    (steps, stands, left), now = found, time.time()
    start, close = (now, None) if idle else opening(plan, found, int(now), since)
    hard = close is not None and plan["schedule"].get("hard")
    limits = dict(limits, window_s=close - start if hard else None)
    _refuse(plan, left, limits)
    arrays, elements = packing.plan_round(
        plan,
        steps,
        left,
        stands.learned(),
        limits,
        lambda task, one: packing.within(grown(task, stands.tried(task["name"], one)), task["resources"], limits),
    )
    return {"time": now, "begin": start, "moved": stands.moved, "arrays": arrays, "limits": limits}, elements
