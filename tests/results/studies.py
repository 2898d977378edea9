"""Small studies as plan, points, steps and records: what the results floor is given, made up but lifelike."""

import itertools
import math

GAMMAS = [1e-4, 1e-3, 1e-2, 1e-1]
COSTS = [0.1, 1.0, 10.0, 100.0]
KERNELS = ["rbf", "linear"]
REPEATS = [0, 1, 2]


def parameter(name, kind, unit="", derived=False):
    return {"name": name, "kind": kind, "unit": unit, "derived": derived}


def task(name, uses, steps, **more):
    return {"name": name, "uses": uses, "steps": steps, "needs": [], "gather": "", "outputs": {}, "metrics": "", **more}


def metric(name, goal="", unit="", require="", tolerance=0.0):
    return {"name": name, "goal": goal, "unit": unit, "require": require, "tolerance": tolerance}


def chart(name, kind, x, y="", value="", **more):
    return {
        "name": name, "kind": kind, "x": x, "y": y, "value": value,
        "color": "", "facet": [], "aggregate": "mean", "title": "", **more,
    }  # fmt: skip


def record(task, step, state="done", metrics=None, outputs=None, **more):
    return {
        "task": task, "step": step, "attempt": 1, "state": state, "code": 0 if state == "done" else 1, "signal": None,
        "reason": "", "start": 1_700_000_000.0 + step, "wall_s": 1.0 + step, "user_s": 0.5, "system_s": 0.25,
        "peak_mib": 64.0, "metrics": metrics or {}, "outputs": outputs or {}, "key": f"{step:064x}", "worker": "w0", **more,
    }  # fmt: skip


def single(metrics, *, declared=(), parameters=(), points=None, charts=()):
    """Return a study of one task that has one step a point, from one dict of metrics a point (None: no record)."""
    points = points or [{} for _ in metrics]
    plan = {
        "name": "single", "title": "", "parameters": list(parameters), "points": len(metrics),
        "tasks": [task("train", [item["name"] for item in parameters], len(metrics), metrics="metrics.json")],
        "metrics": list(declared), "charts": list(charts),
    }  # fmt: skip
    settled = {
        ("train", step): record("train", step, metrics=given) for step, given in enumerate(metrics) if given is not None
    }
    return plan, points, {"train": list(range(len(metrics)))}, settled


def accuracy(gamma, c, kernel, repeat):
    if kernel == "linear":
        return 0.945 + 0.002 * math.log10(c) + 0.0015 * repeat
    return 0.985 - 0.03 * (math.log10(gamma) + 3) ** 2 + 0.006 * math.log10(c) + 0.003 * math.sin(7 * repeat + gamma)


def digits(charts=()):
    """Return the study of the handwritten digits: 96 points, 1 + 3 + 96 + 1 steps, all done."""
    points = [
        {"gamma": gamma, "c": c, "kernel": kernel, "repeat": repeat, "budget": c * 10}
        for gamma, c, kernel, repeat in itertools.product(GAMMAS, COSTS, KERNELS, REPEATS)
    ]
    uses = ["gamma", "c", "kernel", "repeat"]
    plan = {
        "name": "digits", "title": "How kernel width and margin change digit recognition",
        "parameters": [
            parameter("gamma", "float"), parameter("c", "float"), parameter("kernel", "text"),
            parameter("repeat", "int"), parameter("budget", "float", derived=True),
        ],
        "points": len(points),
        "tasks": [
            task("prepare", [], 1, outputs={"clean": "clean.csv"}),
            task("split", ["repeat"], 3, needs=["prepare"], outputs={"parts": "parts.csv"}),
            task("train", uses, 96, needs=["split"], metrics="metrics.json", outputs={"model": "model.npz"}),
            task("summary", [], 1, needs=["train"], gather="train", metrics="metrics.json"),
        ],
        "metrics": [
            metric("accuracy", "maximize", "1", "> 0.9", 1e-9),
            metric("training_time", "minimize", "s"),
            metric("mean_accuracy", "", "1", "> 0.5"),
        ],
        "charts": list(charts),
    }  # fmt: skip
    steps = {
        "prepare": [0] * 96,
        "split": [point["repeat"] for point in points],
        "train": list(range(96)),
        "summary": [0] * 96,
    }
    settled = {("prepare", 0): record("prepare", 0, outputs={"clean": output("clean.csv", "a")})}
    for step in range(3):
        settled["split", step] = record("split", step, outputs={"parts": output("parts.csv", f"{step}")})
    for step, point in enumerate(points):
        found = {
            "accuracy": accuracy(point["gamma"], point["c"], point["kernel"], point["repeat"]),
            "training_time": round(0.05 + 0.02 * math.log10(point["c"] * 100) + 0.01 * point["repeat"], 6),
            "support_vectors": 400 - 10 * step // 9,
        }
        outputs = {"model": output("model.npz", f"{step:x}")}
        settled["train", step] = record("train", step, metrics=found, outputs=outputs)
    settled["summary", 0] = record("summary", 0, metrics={"mean_accuracy": 0.94})
    return plan, points, steps, settled


def output(path, letter):
    return {"path": path, "size": 10, "sha256": letter.rjust(64, "0")}
