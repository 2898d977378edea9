"""Which steps a start is for, by its words: of some points, of some tasks, single ones; and all that these need."""

LISTED = 20  # so many names a refusal lists


def _of_all(tasks):
    """Return the tasks that gather, or need what does: their steps are of all points, and of none by itself."""
    found = set()
    for task in tasks:  # a plan lists tasks in topological order
        if task["gather"] or found.intersection(task["needs"]):
            found.add(task["name"])
    return found


def parted(text):
    """Return the (task, number) that a step's name says (`train/12`); the number is None where it is none."""
    task, _, number = text.rpartition("/")
    return task, int(number) if number.isdecimal() else None


def refusal(plan, points=(), tasks=(), steps=()):
    """Return (what is wrong, what to do about it) of words that choose what is not there, or None."""
    known = [task["name"] for task in plan["tasks"]]
    for point in points or ():
        if not 0 <= point < plan["points"]:
            return "there are points 0 to %d, and no %d" % (plan["points"] - 1, point), "points are numbered from 0"
    for name in tasks or ():
        if name not in known:
            return "there is no task `%s`" % name, _likely(name, known)
        if points and name in _of_all(plan["tasks"]):
            text = "task `%s` gathers all points, and belongs to no single one" % name
            return text, "leave out the points, or choose its step: `%s/0`" % name
    for text in steps or ():
        task, number = parted(text)
        count = next((entry["steps"] for entry in plan["tasks"] if entry["name"] == task), 0)
        if number is None or number >= count:
            listed = ["%s/0...%d" % (entry["name"], entry["steps"] - 1) for entry in plan["tasks"][:LISTED]]
            return "there is no step `%s`" % text, "the steps are %s" % ", ".join(listed)
    return None


def _likely(name, known):
    import difflib  # noqa: PLC0415  for a refusal alone

    near = difflib.get_close_matches(name, known, n=1)
    more = ", ..." if len(known) > LISTED else ""
    meant = "did you mean `%s`? " % near[0] if near else ""
    return "%sthe tasks are %s%s" % (meant, ", ".join(known[:LISTED]), more)


def chosen(steps, points=(), tasks=(), single=()):
    """Return the chosen (task, step) and all that they need, in order; None where no word chooses, which means all.

    `points` and `tasks` together choose the steps of these tasks at these points; `single` adds (task, step) to them.
    """
    if not points and not tasks and not single:
        return None
    found = {task["name"]: set() for task in steps.tasks}
    for name, number in single or ():
        found[name].add(number)
    if points:
        for name, number in steps.of_points(points):
            if not tasks or name in tasks:
                found[name].add(number)
    else:
        for name in tasks or ():
            found[name].update(range(steps.count(name)))
    for task in reversed(steps.tasks):  # topological order: what a task needs stands before it
        mine = found[task["name"]]
        whole = len(mine) == steps.count(task["name"])
        for need in task["needs"] if mine else ():
            if whole or need == task["gather"]:  # every step of what a task needs is needed by one of its steps
                found[need].update(range(steps.count(need)))
            else:
                found[need].update(steps.of[need][steps.first(task["name"], number)] for number in mine)
    return [(name, number) for name in sorted(found) for number in sorted(found[name])]
