"""Packing: what remains of a sweep as the elements of a round's arrays. Pure.

Steps of equal needs go together until an element has half an hour of work, by what was learned or else by what is
declared. The steps of one point that follow each other one to one make a *chain*, and stay in one element. What many
wait for, or what waits for many, has arrays of its own, which come after. An element that has more to do than its time
allows leaves the rest to the next round; so where a site takes few jobs, elements are made larger, never more. A step
that is several ranks has an element alone; where that makes too many, some wait for the next round.
"""

from array import array

from .grants import spread

ELEMENT_S = 1800  # how much work an element is given
LONGEST_S = 4 * 3600  # and at most, where there may not be as many elements as that would take
OVERHEAD_S = 120  # for entering the box, and for Slurm's slack about limits
EARLY_S = 60  # by how much sooner than it was asked for Slurm may tell of the end (sbatch(1), --signal)
LEAD_S = 90  # how long before its end a job is told of it: for steps to end, and what they left to be put on record
NEEDS = ("cpus", "memory_mib", "gpus", "time_s")
SPREAD = ("nodes", "ranks", "mpi")  # what a step needs beside that is several ranks


def whole_minutes(seconds):
    """Round up: Slurm counts whole minutes (sbatch(1), --time)."""
    return -int(-seconds // 60)


def seconds(task, known):
    """Return what a step of a task takes, by what was learned or else by what is declared; never nothing."""
    return max(known.get(task["name"], task["resources"]["time_s"]), 0.01)


def packed(task):
    """Return how many steps of a task one element has, before anything was learned of it."""
    return 1 if spread(task["resources"]) else max(1, int(ELEMENT_S // seconds(task, {})))


class Group(object):
    """Chains of equal needs. `steps` says {task: the step that each chain has of it, or -1}, the first one's first."""

    def __init__(self, task, needs, steps, after):
        self.needs, self.after = dict(needs), after
        self.steps, self.tasks = {task["name"]: array("q", steps)}, [task]

    def __len__(self):
        return len(self.steps[self.tasks[0]["name"]])

    def add(self, task, chain, step):
        """Let a chain go on with a step."""
        if task["name"] not in self.steps:
            self.steps[task["name"]] = array("q", [-1]) * len(self)
            self.tasks.append(task)
        self.steps[task["name"]][chain] = step

    def seconds(self, known):
        """Return what one chain takes."""
        return sum(seconds(task, known) for task in self.tasks)

    def element(self, start, stop):
        """Return some of its chains as {task: [[first, last], …]}."""
        found = {}
        for task in self.tasks:
            runs = found[task["name"]] = []
            for step in self.steps[task["name"]][start:stop]:
                if step < 0:
                    continue
                if runs and runs[-1][1] == step - 1:
                    runs[-1][1] = step
                else:
                    runs.append([step, step])
            if not runs:
                del found[task["name"]]
        return found


class Homes(object):
    """In which group and chain the steps of a round are."""

    def __init__(self, steps):
        self._steps, self._of = steps, {}

    def put(self, name, step, group, chain):
        """Note where a step is."""
        if name not in self._of:
            size = self._steps.count(name)
            self._of[name] = array("l", [-1]) * size, array("l", bytes(array("l").itemsize * size))
        self._of[name][0][step], self._of[name][1][step] = group, chain

    def of(self, name, step):
        """Return (group, chain), or None of a step that is not in this round."""
        if name not in self._of or self._of[name][0][step] < 0:
            return None
        return self._of[name][0][step], self._of[name][1][step]

    def groups(self, name):
        """Return the groups that have steps of a task."""
        return set(self._of[name][0]) - {-1} if name in self._of else set()


def groups(plan, steps, remaining, needs):
    """Return the groups of what remains, those that others wait for first.

    `remaining` is {task: ascending steps}; `needs(task, step)` what a step needs, which grows as it is tried again.
    """
    found, homes = [], Homes(steps)
    for task in plan["tasks"]:  # in topological order
        name, roots = task["name"], {}
        links = [(need, steps.link(need, name)) for need in task["needs"] if need != task["gather"]]
        equal = {need for need, _ in links if steps.count(need) == steps.count(name)}
        gathered = homes.groups(task["gather"]) if task["gather"] else set()
        for step in remaining.get(name, ()):
            wants = needs(task, step)
            over = {need: homes.of(need, link.over(step)) for need, link in links}
            over = {need: home for need, home in over.items() if home is not None}
            chains = set(over.values())
            if len(chains) == 1 and not gathered and equal.intersection(over) and _within(wants, found, chains):
                group, chain = chains.pop()
                found[group].needs["time_s"] = max(found[group].needs["time_s"], wants["time_s"])
                found[group].add(task, chain, step)
                homes.put(name, step, group, chain)
                continue
            key = tuple(wants[what] for what in (NEEDS + SPREAD if spread(wants) else NEEDS))
            after = frozenset(group for group, _ in chains) | gathered
            roots.setdefault((key, after), []).append(step)
        for (key, after), chosen in sorted(roots.items(), key=lambda item: item[1][0]):
            for chain, step in enumerate(chosen):
                homes.put(name, step, len(found), chain)
            found.append(Group(task, dict(zip(NEEDS + SPREAD, key)), chosen, sorted(after)))
    return found


def _within(wants, found, chains):
    (home,) = chains
    has = found[home[0]].needs
    if spread(wants) or spread(has):
        return False
    # Not with fewer GPUs either: those would idle while the rest of the chain runs.
    return wants["cpus"] <= has["cpus"] and wants["memory_mib"] <= has["memory_mib"] and wants["gpus"] == has["gpus"]


def cores(needs):
    """Return how many cores one step that needs this has, on all its nodes."""
    return needs["cpus"] * needs.get("ranks", 1)


def memory_mib(needs):
    """Return how much memory one step that needs this has, on all its nodes."""
    return needs["memory_mib"] * needs.get("ranks", 1)


def at_once(needs, limits):
    """Return how many chains an element runs at once: one, but where it is given a whole node."""
    return max(1, limits.get("cpus", 0) // needs["cpus"]) if limits.get("whole") and not spread(needs) else 1


def counts(elements):
    """Return {task: how many of its steps are in these elements}."""
    found = {}
    for element in elements:
        for task, runs in element.items():
            found[task] = found.get(task, 0) + sum(last - first + 1 for first, last in runs)
    return found


def room(limits):
    """Return how many elements a round may have now, or None where nothing bounds it.

    Of what the whole queue may hold half is left to others; of the user's jobs one is kept for the next round.
    """
    found = []
    if limits.get("jobs"):
        found.append((limits["jobs"] - limits.get("all", 0)) // 2)
    if limits.get("user"):
        found.append(limits["user"] - limits.get("mine", 0) - 1)
    return max(0, min(found)) if found else None


def shares(wanted, most):
    """Return how many elements each group gets, of as many as it wants: all, or its share, but one at least.

    Groups at the end, which wait for others, get none where there are not enough for all.
    """
    if most is None or sum(wanted) <= most:
        return list(wanted)
    total = sum(wanted[:most])
    found = [max(1, count * most // max(total, 1)) for count in wanted[:most]]
    while sum(found) > most:
        largest = found.index(max(found))
        found[largest] -= min(found[largest] - 1, sum(found) - most)
    return found + [0] * (len(wanted) - len(found))


def plan_round(plan, steps, remaining, known, limits, needs):
    """Return (arrays, elements): what to submit, and what each element runs.

    An array: {"task": its first one's, "needs": {"cpus", "memory_mib", "gpus", "time_s": of one step, "minutes",
    "lead_s", of several ranks "nodes", "ranks", "mpi" too}, "first": its first element's number, "elements": how many,
    "after": the arrays that should have ended before, by their place}.
    An element: {task: [[first step, last step], …]}. `known` is {task: seconds a step takes}; `limits` is what
    `slurm.site` says, with "window_s", the time until hours close for good, or None.
    """
    found, arrays, elements, places = groups(plan, steps, remaining, needs), [], [], {}
    sizes = [
        1 if spread(one.needs) else max(1, int(ELEMENT_S * at_once(one.needs, limits) / one.seconds(known)))
        for one in found
    ]
    counts = shares([-(-len(one) // size) for one, size in zip(found, sizes)], room(limits))
    for number, (one, count) in enumerate(zip(found, counts)):
        if not count:
            continue
        size = 1 if spread(one.needs) else -(-len(one) // count)
        first = len(elements)
        elements += [one.element(start, start + size) for start in range(0, min(len(one), count * size), size)]
        shape, places[number] = _shape(one, size, known, limits), []
        for at in range(first, len(elements), limits["array"]):
            places[number].append(len(arrays))
            arrays.append(
                {
                    "task": one.tasks[0]["name"],
                    "needs": shape,
                    "first": at,
                    "elements": min(limits["array"], len(elements) - at),
                    "after": sorted(place for group in one.after for place in places.get(group, ())),
                }
            )
    return arrays, elements


def _shape(group, size, known, limits):
    needs = group.needs
    work = min(size * group.seconds(known) / at_once(needs, limits), LONGEST_S)
    lead = LEAD_S + max([task["checkpoint"]["before_s"] for task in group.tasks if task.get("checkpoint")] or [0])
    # The declared limit binds each step; an element sized by what was learned has it once more, as a reserve.
    wanted = whole_minutes(work + needs["time_s"] + OVERHEAD_S + lead)
    bounds = [limits.get("minutes"), int(limits["window_s"] // 60) if limits.get("window_s") else None]
    return dict(needs, minutes=max(1, min([wanted] + [bound for bound in bounds if bound])), lead_s=lead)


def lasts(needs):
    """Return for how many seconds an element may start what ends in that time; None where its job has no such slack.

    A worker is to leave a job before it is told to, which Slurm may do a minute early.
    """
    found = needs["minutes"] * 60 - needs["lead_s"] - EARLY_S
    return found if found >= needs["time_s"] else None


def too_large(plan, remaining, limits):
    """Return (task, what, how much it asks for, the most a node has) of the first that no node can run, or None.

    Of a step that is several ranks: what those on a node ask for together; or `nodes`, and how many there are.
    """
    there = limits.get("largest") or {}
    for task in plan["tasks"]:
        needs = task["resources"]
        side = -(-needs.get("ranks", 1) // needs.get("nodes", 1))  # as many ranks one of its nodes has at least
        if not remaining.get(task["name"]):
            continue
        if limits.get("widest") and needs.get("nodes", 1) > limits["widest"]:
            return task["name"], "nodes", needs["nodes"], limits["widest"]
        for what in sorted(there):
            if needs[what] * side > there[what]:
                return task["name"], what, needs[what] * side, there[what]
    return None


def within(needs, declared, limits):
    """Return what a step needs that was granted more than any node has, as far as one has it."""
    there = limits.get("largest") or {}
    return dict(needs, **{what: min(needs[what], max(declared[what], there[what])) for what in there})


def too_long(plan, remaining, limits):
    """Return (task, seconds it may take) of the first that no job here can end, or None."""
    for task in plan["tasks"]:
        takes = task["resources"]["time_s"]
        wanted = remaining.get(task["name"]) and not task.get("checkpoint")
        if wanted and limits.get("minutes") and whole_minutes(takes) > limits["minutes"]:
            return task["name"], takes
    return None
