"""What an attempt is given: its environment, the files beside it that tell it of its values, and its words."""

import json
import os

from . import names, points, records, step

ENVELOPE = {  # what a step finds the same everywhere
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "0",
}
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "SCIFLOW_CPUS",
)


def _anew(path):
    """Open a text file for writing where none stands: a step may have laid a link there, to be written through."""
    if os.path.lexists(path):
        os.unlink(path)
    return open(path, "x", encoding="utf-8")


class Given(object):
    """The means of one worker in one box. `settled` grows while it works; `work` is its folder, as the host sees it.

    `paths` are the folders as the box sees them. What is written stands beside the attempts, named for their slot, so
    that nothing is left behind by a step.
    """

    def __init__(self, plan, steps, table, settled, work, paths):
        self.plan, self.steps, self.table, self.settled = plan, steps, table, settled
        self.work, self.paths = work, paths
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self.kinds = points.kinds(plan)

    def to(self, running):
        """Write what one attempt reads; return (its environment, its argv)."""
        task, slot = running.task, running.slot
        values = self.values(task["name"], running.step)
        mine = {use: values[use] for use in task["uses"]}
        seed, inside = points.seed(mine), self.paths["work"] + "/" + running.attempt
        settings = dict(ENVELOPE, **{thread: str(task["resources"]["cpus"]) for thread in THREADS})
        settings.update(task["environment"])
        settings.update(
            HOME=inside,
            SCIFLOW_PARAMETERS=self._json("%d.parameters.json" % slot, points.given(mine, self.kinds)),
            SCIFLOW_OUT=inside,
            SCIFLOW_SEED=str(seed),
            SCIFLOW_STEP="%s/%d" % (task["name"], running.step),
        )
        if task["python"]:
            settings.update(SCIFLOW_CALL=self._json("%d.call.json" % slot, self._call(running, seed, inside)))
            return settings, ["python3", "-B", self.paths["runner"] + "/call.py", task["python"]]
        return settings, step.command(task, self._filler(running, values, seed, inside))

    def values(self, name, number):
        """Return the values of the first point that calls for a step."""
        return self.table.values(self.steps.first(name, number))

    def _json(self, file, value):
        """Write a JSON file in the worker's folder; return its path in the box."""
        with _anew(os.path.join(self.work, file)) as stream:
            json.dump(value, stream, ensure_ascii=False)
        return self.paths["work"] + "/" + file

    def _filler(self, running, values, seed, inside):
        """Return the function that turns a placeholder into text, for one attempt."""
        task, number = running.task, running.step

        def fill(part):
            ((kind, name),) = part.items()
            if kind == "parameter":
                return step.rendered(name, values)
            if kind == "input":
                return self._input(name)
            if kind == "output":
                return inside + "/" + task["outputs"][name]
            if kind == "upstream":
                owner, output = name
                need = next(found for found in self.steps.needs(task, number) if found[0] == owner)
                return self._published(need)[output]
            if kind == "records":
                return self._gathered(name, running.slot)
            if kind == "seed":
                return str(seed)
            return str(self.steps.first(task["name"], number))  # "point"

        return fill

    def _call(self, running, seed, inside):
        """Return what `call.py` is told of one attempt: paths in the box, and what is no parameter."""
        task, upstream = running.task, {}
        for owner, number in self.steps.needs(task, running.step):
            if owner == task["gather"]:
                upstream[owner] = {"records": ""}  # one for all its steps, written below
            elif self.tasks[owner]["python"]:
                upstream[owner] = {"result": self._published((owner, number))[names.RESULT]}
            else:
                upstream[owner] = {"outputs": self._published((owner, number))}
        if task["gather"]:
            upstream[task["gather"]] = {"records": self._gathered(task["gather"], running.slot)}
        told = {
            "upstream": upstream,
            "seed": seed,
            "inputs": {name: self._input(name) for name in self.plan["inputs"]},
            "outputs": {name: inside + "/" + path for name, path in task["outputs"].items() if name != names.RESULT},
            "result": inside + "/" + task["outputs"][names.RESULT],
            "metrics": inside + "/" + task["metrics"],
        }
        if not task["gather"] and len(task["uses"]) == len(self.plan["parameters"]):
            told["point"] = self.steps.first(task["name"], running.step)  # else points share the step: there is no one
        return told

    def _input(self, name):
        return self.paths["inputs"] + "/" + self.plan["inputs"][name]["path"]

    def _published(self, key):
        """Return {output: its path in the box} of a step that is done."""
        record = self.settled[key]
        folder = records.attempt_folder("", key[0], key[1], record["attempt"]).split("/", 1)[1]
        return {
            name: "%s/%s/%s" % (self.paths["outputs"], folder, found["path"])
            for name, found in record["outputs"].items()
        }

    def _gathered(self, name, slot):
        """Write the records of a gathered task as JSON lines, one a step, in step order; return the file's path."""
        uses = self.tasks[name]["uses"]
        file = "%d.%s.jsonl" % (slot, name)
        with _anew(os.path.join(self.work, file)) as stream:
            for number in range(self.steps.count(name)):
                values = self.values(name, number)
                json.dump(
                    {
                        "step": number,
                        "parameters": points.given({use: values[use] for use in uses}, self.kinds),
                        "metrics": self.settled[name, number]["metrics"],
                        "outputs": self._published((name, number)),
                    },
                    stream,
                    ensure_ascii=False,
                )
                stream.write("\n")
        return self.paths["work"] + "/" + file
