"""Hold one run of a bundle against another, step by step: identical, within tolerance, different, missing."""

import math

from . import names

IDENTICAL, WITHIN, DIFFERENT, MISSING = "identical", "within tolerance", "different", "missing"
MAX_NAMED = 20


def tolerances(plan):
    """Return {metric: tolerance} of a plan; `task.metric` stands for the metric of one task."""
    return {metric["name"]: float(metric.get("tolerance") or 0.0) for metric in plan["metrics"]}


def _numeric(value):
    return (isinstance(value, float) and math.isfinite(value)) or type(value) is int


def agreement(a, b, tolerance):
    """Return how two values of a metric compare: numbers agree when `abs(a - b) <= tolerance * max(1, |a|, |b|)`."""
    # In Python True == 1, in a table it does not; and NaN, which records hold as null, is equal to itself here.
    if isinstance(a, bool) == isinstance(b, bool) and (a == b or a is b):
        return IDENTICAL
    if _numeric(a) and _numeric(b) and abs(a - b) <= tolerance * max(1, abs(a), abs(b)):
        return WITHIN
    return DIFFERENT


def step(task, a, b, allowed):
    """Yield (kind, name, status, left, right) of two records of one step, None where there is none.

    A step that is done on both sides is compared by its outputs (sha256) and its metrics, any other by its state. A
    step that either side has no record of is missing. `allowed` is what `tolerances` returns.
    """
    if a is None or b is None or not a["state"] == b["state"] == names.DONE:
        left, right = (record and record["state"] for record in (a, b))
        status = MISSING if left is None or right is None else IDENTICAL if left == right else DIFFERENT
        yield "step", "state", status, left, right
        return
    outputs, metrics = (sorted(set(a[part]) | set(b[part])) for part in ("outputs", "metrics"))
    if not outputs and not metrics:
        yield "step", "state", IDENTICAL, a["state"], b["state"]
    for name in outputs:
        left, right = (record["outputs"].get(name, {}).get("sha256") for record in (a, b))
        status = MISSING if left is None or right is None else IDENTICAL if left == right else DIFFERENT
        yield "output", name, status, left, right
    for name in metrics:
        left, right = (record["metrics"].get(name) for record in (a, b))
        tolerance = allowed.get("%s.%s" % (task, name), allowed.get(name, 0.0))
        status = agreement(left, right, tolerance)
        if name not in a["metrics"] or name not in b["metrics"]:
            status = MISSING
        yield "metric", name, status, left, right


def runs(plan, before, after):
    """Return ({status: how many}, lines that name what does not agree) of two runs' settled records."""
    allowed, counts, lines = tolerances(plan), dict.fromkeys((IDENTICAL, WITHIN, DIFFERENT, MISSING), 0), []
    for task in plan["tasks"]:
        for number in range(task["steps"]):
            key = task["name"], number
            for _, name, status, a, b in step(task["name"], before.get(key), after.get(key), allowed):
                counts[status] += 1
                if status in (DIFFERENT, MISSING):
                    lines.append("%s/%d %s: %s (%s -> %s)" % (key + (name, status, a, b)))
    return counts, lines


def told(counts, lines):
    """Say it for a person: a line for each of the first differences, then one line of sum; and whether they agree."""
    agrees = counts[IDENTICAL] + counts[WITHIN] > 0 and not counts[DIFFERENT] + counts[MISSING]
    found = lines[:MAX_NAMED] + (["… and %d more" % (len(lines) - MAX_NAMED)] if len(lines) > MAX_NAMED else [])
    parts = ", ".join("%d %s" % (counts[status], status) for status in (IDENTICAL, WITHIN, DIFFERENT, MISSING))
    return found + ["%s: %s" % ("reproduced" if agrees else "not reproduced", parts)], agrees
