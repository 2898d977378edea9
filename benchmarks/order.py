"""The runner's own order on real workflow graphs, against lower bounds: in simulated time, in memory, and for real.

    .venv/bin/python benchmarks/order.py FOLDER [--copies 1 4 16 50] [--seeds 5]
    .venv/bin/python benchmarks/order.py --memory
    .venv/bin/python benchmarks/order.py FOLDER --real SECONDS

FOLDER holds graphs as `*.json`: {"tasks": [{"id", "runtime_s", "cores", "mem_bytes" or null, "parents"}]}, or as
wfcommons/WfInstances publishes them; being under the LGPL, they do not travel with sciflow. Those that are meant, at
its commit f085867f: pegasus/{1000genome/1000genome-chameleon-10ch-250k-001,cycles/cycles-chameleon-5l-2c-9p-001,
montage/montage-chameleon-dss-10d-001,seismology/seismology-chameleon-400p-001}, nextflow/rnaseq-dirt02-001.
An instance is a plan, each of its tasks a task, and K copies of it are a parameter of K values: `Order`, `Grants` and
`Steps` are the runner's, nothing is scheduled twice.

The lower bound is the greatest of: the longest path; work over cores; memory-seconds over memory; the pigeonhole's
(of k*m+1 steps of which k run at once, m+1 follow each other); and for every a, b: a + b + the work (memory-seconds)
over the cores (the memory) of the steps with a path of at least a before them and of at least b behind them.

Four orders are simulated: the runner's with exact durations; with declared durations that are wrong by a factor of
lognormal(0, 0.7); with these, and learning as steps end; and first come, first served (the first that fits).
`--real` compiles each graph with `sleep` as its steps, all of one core, and runs it on two cores, so scaled that it
should take SECONDS: what share of the cores was granted to steps, and for what share they slept as they were told.
`--memory` is the memory that the order of a chain of two tasks and a gathering one takes.
"""

import argparse
import heapq
import itertools
import json
import math
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

from sciflow.runner import points, records
from sciflow.runner.grants import Grants
from sciflow.runner.order import Order

NODE = {"cpus": 64, "memory_mib": 256 * 1024, "gpus": 0}
HERE = {"cpus": 2, "memory_mib": 8 * 1024, "gpus": 0}
MIB = 1 << 20
ASSUMED_MIB = 2048  # memory a core, where an instance does not say
SIGMA = 0.7
GOAL = 0.9
HELD_BYTES = MIB  # what a real step holds while it sleeps
SIZES = (1_000, 10_000, 100_000, 1_000_000)

Tasks = list[dict[str, Any]]


def published(workflow: dict[str, Any]) -> Tasks:
    """Return the tasks of an instance as WfInstances publishes it (WfFormat 1.5), cut down to what is scheduled."""
    ran = {task["id"]: task for task in workflow["execution"]["tasks"]}
    return [
        {
            "id": task["id"],
            "runtime_s": ran[task["id"]]["runtimeInSeconds"],
            # Few instances say on how many cores; the others' use of them tells, a little over a whole one being that.
            "cores": int(
                ran[task["id"]].get("coreCount") or max(1, math.ceil(ran[task["id"]].get("avgCPU", 0) / 100 - 0.1))
            ),
            "mem_bytes": ran[task["id"]].get("memoryInBytes"),
            "parents": task["parents"],
        }
        for task in workflow["specification"]["tasks"]
    ]


def read(path: Path) -> Tasks:
    """Return an instance's tasks, each after all it needs."""
    document = json.loads(path.read_text(encoding="utf-8"))
    given = document["tasks"] if "tasks" in document else published(document["workflow"])
    waiting, found = {task["id"]: task for task in given}, {}
    while waiting:
        ready = [name for name, task in waiting.items() if all(need in found for need in task["parents"])]
        if not ready:
            raise SystemExit(f"{path}: tasks wait for each other in a circle")
        found.update((name, waiting.pop(name)) for name in ready)
    return list(found.values())


def plan(tasks: Tasks, copies: int, declared: dict[str, float]) -> dict[str, Any]:
    """Return the plan of some copies of an instance, with declared durations."""
    entries = []
    for task in tasks:
        memory = math.ceil(task["mem_bytes"] / MIB) if task["mem_bytes"] else ASSUMED_MIB * task["cores"]
        wants = {"cpus": task["cores"], "memory_mib": max(memory, 1), "gpus": 0, "time_s": declared[task["id"]]}
        entry = {"name": task["id"], "uses": ["copy"], "needs": sorted(set(task["parents"])), "gather": ""}
        entries.append({**entry, "resources": wants, "steps": copies})
    return {"tasks": entries, "axes": [{"columns": ["copy"], "turns": copies}]}


# ---- The least that any order can take


def paths(tasks: Tasks) -> tuple[dict[str, float], dict[str, float]]:
    """Return the longest path before each task, and behind it."""
    before: dict[str, float] = {}
    behind: dict[str, float] = dict.fromkeys((task["id"] for task in tasks), 0.0)
    length = {task["id"]: task["runtime_s"] for task in tasks}
    for task in tasks:
        before[task["id"]] = max((before[need] + length[need] for need in task["parents"]), default=0.0)
    for task in reversed(tasks):
        for need in task["parents"]:
            behind[need] = max(behind[need], behind[task["id"]] + length[task["id"]])
    return before, behind


def pigeonhole(tasks: Tasks, copies: int, cpus: int) -> float:
    """Return the greatest bound by steps of at least so many cores, of which only so many run at once."""
    bound = 0.0
    for cores in {task["cores"] for task in tasks}:
        lengths = sorted((task["runtime_s"] for task in tasks if task["cores"] >= cores), reverse=True)
        lengths = [length for length in lengths for _ in range(copies)]
        sums, at_once = [0.0, *itertools.accumulate(lengths)], cpus // cores
        for times in range(1, (len(lengths) - 1) // at_once + 1):
            last = at_once * times + 1
            bound = max(bound, sums[last] - sums[last - times - 1])
    return bound


def energy(tasks: Tasks, copies: int, what: dict[str, float], capacity: float) -> float:
    """Return the greatest a + b + work(steps with at least a before and b behind them) / capacity."""
    before, behind = paths(tasks)
    bound = 0.0
    rows = sorted(((behind[task["id"]], before[task["id"]], what[task["id"]]) for task in tasks), reverse=True)
    for head in sorted(set(before.values())):
        sums = 0.0
        for tail, mine, work in rows:
            if mine >= head:
                sums += work * copies
                bound = max(bound, head + tail + sums / capacity)
    return bound


def lower_bound(tasks: Tasks, copies: int, capacity: dict[str, int]) -> float:
    """Return the least that any order can take, as the head of this file says it."""
    before, _ = paths(tasks)
    longest = max(before[task["id"]] + task["runtime_s"] for task in tasks)
    wants = {entry["name"]: entry["resources"] for entry in plan(tasks, 1, {task["id"]: 0 for task in tasks})["tasks"]}
    both = [
        energy(
            tasks, copies, {task["id"]: task["runtime_s"] * wants[task["id"]][what] for task in tasks}, capacity[what]
        )
        for what in ("cpus", "memory_mib")  # with a = b = 0 this is work over cores, and memory-seconds over memory
    ]
    return max(longest, pigeonhole(tasks, copies, capacity["cpus"]), *both)


# ---- Orders in simulated time


class Fifo:
    """First come, first served: of what is ready the first that fits. With the face of `Order`."""

    def __init__(self, made: dict[str, Any], steps: points.Steps) -> None:
        """Line up what needs nothing, copy by copy."""
        self.steps, self.tasks = steps, {task["name"]: task for task in made["tasks"]}
        self.missing = {
            (name, step): len(task["needs"])
            for step in range(made["axes"][0]["turns"])
            for name, task in self.tasks.items()
        }
        self.lines: dict[tuple[int, int], deque[tuple[int, str, int]]] = {}
        self.came = itertools.count()
        for (name, step), missing in self.missing.items():
            if not missing:
                self.come(name, step)

    def come(self, name: str, step: int) -> None:
        """Put a step at the end; those of equal needs stand in one line."""
        wants = self.tasks[name]["resources"]
        line = self.lines.setdefault((wants["cpus"], wants["memory_mib"]), deque())
        line.append((next(self.came), name, step))

    def next(self, free: dict[str, int]) -> tuple[str, int] | None:
        """Take the first that fits."""
        fit = [
            line
            for (cpus, mib), line in self.lines.items()
            if line and cpus <= free["cpus"] and mib <= free["memory_mib"]
        ]
        return min(fit, key=lambda line: line[0]).popleft()[1:] if fit else None

    def needs(self, name: str, _: int) -> dict[str, Any]:
        """Return what a step needs."""
        return self.tasks[name]["resources"]

    def ended(self, name: str, step: int, *, done: bool) -> None:
        """Line up what only waited for this."""
        assert done
        for found in self.steps.dependents(name, step):
            self.missing[found] -= 1
            if not self.missing[found]:
                self.come(*found)


def simulate(
    order: Any, seconds: dict[str, float], capacity: dict[str, int], *, learn: bool = False
) -> tuple[float, int, float]:
    """Return (makespan, decisions, what they took): steps take what `seconds` says of their task."""
    grants, running, now, number, decisions, taken = Grants(capacity), [], 0.0, itertools.count(), 0, 0.0
    while True:
        begin = time.perf_counter()
        while (found := order.next(grants.free)) is not None:
            grant = grants.take(order.needs(*found))
            heapq.heappush(running, (now + seconds[found[0]], next(number), found, grant))
            decisions += 1
        taken += time.perf_counter() - begin
        if not running:
            return now, decisions, taken
        now = running[0][0]
        begin = time.perf_counter()
        while running and running[0][0] == now:
            _, _, (name, step), grant = heapq.heappop(running)
            grants.give_back(grant)
            order.ended(name, step, done=True)
            if learn:
                order.learn(name, seconds[name])
        taken += time.perf_counter() - begin


def wrong(tasks: Tasks, seed: int) -> dict[str, float]:
    """Return durations that are wrong by a factor of lognormal(0, 0.7) a task."""
    draw = random.Random(seed)  # noqa: S311  nothing here is secret
    return {task["id"]: task["runtime_s"] * draw.lognormvariate(0, SIGMA) for task in tasks}


def ran(tasks: Tasks, copies: int, order: str, seed: int) -> tuple[float, float]:
    """Return (makespan, decisions a second) of an order on the node."""
    exact = {task["id"]: task["runtime_s"] for task in tasks}
    made = plan(tasks, copies, wrong(tasks, seed) if order.startswith("wrong") else exact)
    steps = points.Steps(made, ())
    serving = Fifo(made, steps) if order == "fifo" else Order(made, steps, {})
    makespan, decisions, taken = simulate(serving, exact, NODE, learn="learning" in order)
    if decisions != len(tasks) * copies:
        raise SystemExit(f"{order}: {decisions} of {len(tasks) * copies} steps were run")
    return makespan, decisions / taken


def show(files: list[Path], copies: list[int], seeds: int) -> None:
    """Print a row an instance, number of copies and order (its worst seed); then how many are within the goal."""
    print(f"{NODE['cpus']} cores, {NODE['memory_mib'] // 1024} GiB; wrong: lognormal({SIGMA}), worst of {seeds} seeds")
    print(
        f"{'instance':38} {'copies':>6} {'steps':>6} {'bound s':>10} "
        f"{'order':16} {'makespan s':>10} {'ratio':>6} {'':6} {'per s':>8}"
    )
    within: dict[str, list[list[float]]] = {}
    for path, count in itertools.product(files, copies):
        tasks = read(path)
        bound = lower_bound(tasks, count, NODE)
        for order in ("fifo", "order", "wrong", "wrong, learning"):
            found = [ran(tasks, count, order, seed) for seed in range(seeds if order.startswith("wrong") else 1)]
            within.setdefault(order, []).append([bound / makespan for makespan, _ in found])
            makespan, rate = max(found)
            good = ">=0.9" if bound / makespan >= GOAL else "below"
            print(
                f"{path.name.split('.')[0][:38]:38} {count:6} {count * len(tasks):6} {bound:10.1f} "
                f"{order:16} {makespan:10.1f} {bound / makespan:6.3f} {good:6} {rate:8.0f}",
                flush=True,
            )
    for order, cases in within.items():
        good = sum(min(ratios) >= GOAL for ratios in cases)
        runs = [ratio for ratios in cases for ratio in ratios]
        print(
            f"{order}: {good} of {len(cases)} within the goal with every seed, the worst {min(runs):.3f}; "
            f"of all {len(runs)} runs {sum(ratio >= GOAL for ratio in runs)}"
        )


# ---- For real


def workflow(tasks: Tasks, copies: int, scale: float) -> str:
    """Return a workflow file whose steps sleep for their scaled durations, each on one core and holding some memory."""
    names = {task["id"]: f"t{number}" for number, task in enumerate(tasks)}
    text = ['format = 1\n[workflow]\nname = "graph"\n[parameters]\n' + f"copy = {{ range = [0, {copies}] }}\n"]
    for task in tasks:
        needs = ", ".join(f'"{names[need]}"' for need in sorted(set(task["parents"])))
        hold = f"x=$(head -c {HELD_BYTES} /dev/zero | tr '\\\\0' x); sleep {task['runtime_s'] * scale:.3f}"
        text.append(
            f'[tasks.{names[task["id"]]}]\nneeds = [{needs}]\nparameters = ["copy"]\nshell = "{hold}"\n'
            f'resources = {{ cpus = 1, memory = "16 MiB", time = "{math.ceil(task["runtime_s"]) + 60}s" }}\n'
        )
    return "".join(text)


def real(files: list[Path], copies: int, wanted_s: float) -> None:
    """Run each instance on two cores by the real runner, and print its use of them beside the simulated one.

    The share that was granted counts each step from its start to its end, as records say; the share slept leaves out
    what shell, `sleep` and runner took.
    """
    print(
        f"{'instance':38} {'copies':>6} {'steps':>6} {'scale':>8} "
        f"{'simulated':>9} {'granted':>8} {'slept':>8} {'span s':>8} {'wanted s':>8}"
    )
    for path in files:
        tasks = [{**task, "cores": 1, "mem_bytes": 16 * MIB} for task in read(path)]
        exact = {task["id"]: task["runtime_s"] for task in tasks}
        declared = {name: math.ceil(length) + 60 for name, length in exact.items()}  # as in the workflow file
        made = plan(tasks, copies, declared)
        makespan, _, _ = simulate(Order(made, points.Steps(made, ()), {}), exact, HERE)
        scale, work = wanted_s / makespan, sum(exact.values()) * copies
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            (folder / "workflow.toml").write_text(workflow(tasks, copies, scale), encoding="utf-8")
            env = {**os.environ, "XDG_CONFIG_HOME": scratch}
            words = [sys.executable, "-m", "sciflow"]
            told = subprocess.run(
                [*words, "compile", "workflow.toml"], cwd=folder, env=env, check=True, capture_output=True, text=True
            )
            bundle = folder / told.stdout.splitlines()[-1]
            subprocess.run(
                [*words, "run", str(bundle), "--engine", "host", "-j", "2"],
                cwd=folder,
                env=env,
                check=True,
                capture_output=True,
            )
            ended = [record for record in records.read(str(bundle / "runs" / "main")) if "task" in record]
        granted = sum(record["wall_s"] for record in ended)
        span = max(record["end"] for record in ended) - min(record["start"] for record in ended)
        print(
            f"{path.name.split('.')[0][:38]:38} {copies:6} {len(ended):6} {scale:8.5f} {work / 2 / makespan:9.3f} "
            f"{granted / 2 / span:8.3f} {work * scale / 2 / span:8.3f} {span:8.1f} {wanted_s:8.1f}",
            flush=True,
        )


# ---- Memory


def memory(steps: int) -> None:
    """Print what the order of a chain over so many points takes, from its making to its end."""

    def task(name: str, uses: list[str], needs: list[str], gather: str = "") -> dict[str, Any]:
        wants = {"cpus": 1, "memory_mib": 1, "gpus": 0, "time_s": 10}
        entry = {"name": name, "uses": uses, "needs": needs, "gather": gather, "resources": wants}
        return {**entry, "steps": steps if uses else 1}

    class Nothing:
        """A standing of a run that has not begun."""

        def codes(self, name: str) -> bytes:
            return bytes(steps if name in "ab" else 1)

    tasks = [task("a", ["x"], []), task("b", ["x"], ["a"]), task("all", [], ["b"], "b")]
    made = {"tasks": tasks, "axes": [{"columns": ["x"], "turns": steps}]}
    before, begin, count = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter(), 0
    order, free = Order(made, points.Steps(made, ()), Nothing()), {"cpus": 2, "memory_mib": 100, "gpus": 0}
    made_s = time.perf_counter() - begin
    while (found := order.next(free)) is not None:
        order.ended(*found, done=True)
        count += 1
    taken, peak = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{count:9,} {made_s:9.4f} {taken / count * 1e6:12.2f} {peak / 1024:9.1f} {(peak - before) / 1024:9.1f}")


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="where the graphs are")
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 4, 16, 50])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--real", type=float, metavar="SECONDS", help="run each for real, in about so many seconds")
    parser.add_argument("--memory", type=int, nargs="?", const=0, metavar="STEPS", help="what an order of steps takes")
    chosen = parser.parse_args()
    if chosen.memory:
        return memory(chosen.memory)
    if chosen.memory is not None:
        print(f"{'steps':>9} {'made in s':>9} {'us a step':>12} {'peak MiB':>9} {'more MiB':>9}", flush=True)
        for size in SIZES:  # each in a process of its own: a peak never falls
            subprocess.run([sys.executable, __file__, "--memory", str(size)], check=True)
        return None
    files = sorted(chosen.folder.glob("*.json")) if chosen.folder else []
    if not files:
        raise SystemExit("name a folder of graphs (*.json)")
    if chosen.real:
        return real(files, chosen.copies[0], chosen.real)
    return show(files, chosen.copies, chosen.seeds)


if __name__ == "__main__":
    main()
