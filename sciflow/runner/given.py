"""What an attempt is given: its environment, the files beside it that tell it of its values, and its words."""

import json

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
)


KERNELS = {  # what holds the usual BLAS libraries to one kernel: OpenBLAS, BLIS, MKL
    "generic": ("Prescott", "generic", "COMPATIBLE"),
    "sandybridge": ("Sandybridge", "sandybridge", "AVX"),
    "haswell": ("Haswell", "haswell", "AVX2"),
    "zen": ("Zen", "zen", "AVX2"),
    "skylakex": ("SkylakeX", "skx", "AVX512"),
}
KERNEL_NAMES = ("OPENBLAS_CORETYPE", "BLIS_ARCH_TYPE", "MKL_CBWR")
_written = json.JSONEncoder(ensure_ascii=False).encode  # made once: json.dumps makes one each time
DEVICES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def envelope(task):
    """Return what a task's steps find the same everywhere: {variable: text}."""
    if not task.get("envelope", True):
        return {}
    found = dict(ENVELOPE, **{thread: str(task["resources"]["cpus"]) for thread in THREADS})
    if task.get("blas"):
        found.update(zip(KERNEL_NAMES, KERNELS[task["blas"]]))
    return found


class Given(object):
    """The means of one worker in one box. `standing` grows while it works.

    `paths` are the folders as the box sees them, `isolation` is what the box says of itself.
    """

    def __init__(self, plan, steps, table, standing, paths, isolation):
        self.plan, self.steps, self.table, self.standing, self.paths = plan, steps, table, standing, paths
        self.tasks = {task["name"]: task for task in plan["tasks"]}
        self.kinds = points.kinds(plan)
        self._tables = any(kind == "table" for kind in self.kinds.values())
        # Where programs leave their files if they may not all share /tmp. Not on the host: there the path of a place is
        # long, and sockets (unix(7), 108 bytes) are made in it.
        self._temporary = isolation["isolation"] != "none" and isolation["tmp"] == "shared"
        self._shared = {}

    def to(self, attempt):
        """Write what one attempt reads; return its environment, in two parts, and its argv.

        The first part is the same for all steps of its task in its place, the second is its own.
        """
        task, place = attempt.task, attempt.place
        values = self.values(task["name"], attempt.step)
        mine = {use: values[use] for use in task["uses"]}
        attempt.values = names.canonical(mine)
        seed = points.seed(attempt.values)
        given = points.given(mine, self.kinds) if self._tables else mine
        place.tell("parameters.json", [_written(given)])
        own = {"SCIFLOW_SEED": str(seed), "SCIFLOW_STEP": "%s/%d" % (task["name"], attempt.step)}
        if attempt.grant.get("gpus"):
            own.update((name, ",".join(attempt.grant["gpus"])) for name in DEVICES)
        if attempt.checkpoint:
            own["SCIFLOW_CHECKPOINT"] = attempt.checkpoint
        if task["python"]:
            place.tell("call.json", [_written(self._call(attempt, seed))])
            return self.shared(task, place), own, self.call(task)
        return self.shared(task, place), own, step.command(task, self._filler(attempt, values, seed))

    def call(self, task):
        """Return the words that call a task's function."""
        return ["python3", "-B", self.paths["runner"] + "/call.py", task["python"]]

    def shared(self, task, place):
        """Return the environment of all steps of a task in a place: the same object each time."""
        key = task["name"], place.number
        if key not in self._shared:
            found = dict(envelope(task), SCIFLOW_CPUS=str(task["resources"]["cpus"]))
            if self._temporary:
                found["TMPDIR"] = place.inside
            found.update(task["environment"])
            found.update(
                HOME=place.inside,
                SCIFLOW_PARAMETERS=place.inside + ".parameters.json",
                SCIFLOW_OUT=place.inside,
                SCIFLOW_SCRATCH=place.inside,
            )
            if task["python"]:
                found["SCIFLOW_CALL"] = place.inside + ".call.json"
            self._shared[key] = found
        return self._shared[key]

    def values(self, name, number):
        """Return the values of the first point that calls for a step."""
        return self.table.values(self.steps.first(name, number))

    def _filler(self, attempt, values, seed):
        """Return the function that turns a placeholder into text, for one attempt."""
        task, number = attempt.task, attempt.step

        def fill(part):
            ((kind, name),) = part.items()
            if kind == "parameter":
                return step.rendered(name, values)
            if kind == "input":
                return self._input(name)
            if kind == "output":
                return attempt.place.inside + "/" + task["outputs"][name].rstrip("/")
            if kind == "upstream":
                owner, output = name
                need = next(found for found in self.steps.needs(task, number) if found[0] == owner)
                return self._published(need)[output]
            if kind == "records":
                return self._gathered(name, attempt.place)
            if kind == "seed":
                return str(seed)
            return str(self.steps.first(task["name"], number))  # "point"

        return fill

    def _call(self, attempt, seed):
        """Return what `call.py` is told of one attempt: paths in the box, and what is no parameter."""
        task, upstream, inside = attempt.task, {}, attempt.place.inside
        for owner, number in self.steps.needs(task, attempt.step):
            if owner == task["gather"]:
                upstream[owner] = {"records": ""}  # one for all its steps, written below
            elif self.tasks[owner]["python"]:
                upstream[owner] = {"result": self._published((owner, number))[names.RESULT]}
            else:
                upstream[owner] = {"outputs": self._published((owner, number))}
        if task["gather"]:
            upstream[task["gather"]] = {"records": self._gathered(task["gather"], attempt.place)}
        told = {
            "upstream": upstream,
            "seed": seed,
            "inputs": {name: self._input(name) for name in self.plan["inputs"]},
            "outputs": {name: inside + "/" + path for name, path in task["outputs"].items() if name != names.RESULT},
            "result": inside + "/" + task["outputs"][names.RESULT],
            "metrics": inside + "/" + task["metrics"],
        }
        if not task["gather"] and len(task["uses"]) == len(self.plan["parameters"]):
            told["point"] = self.steps.first(task["name"], attempt.step)  # else points share the step: there is no one
        return told

    def _input(self, name):
        return self.paths["inputs"] + "/" + self.plan["inputs"][name]["path"]

    def _published(self, key, record=None):
        """Return {output: its path in the box} of a step that is done."""
        record = record or self.standing.record(*key)
        folder = records.attempt_folder("", key[0], key[1], record["attempt"]).split("/", 2)[2]
        return {
            name: "%s/%s/%s" % (self.paths["outputs"], folder, found["path"].rstrip("/"))
            for name, found in record["outputs"].items()
        }

    def _gathered(self, name, place):
        """Write the records of a gathered task as JSON lines, one a step, in step order; return the file's path."""
        return place.tell(name + ".jsonl", self._lines(name))

    def _lines(self, name):
        uses = self.tasks[name]["uses"]
        for number in range(self.steps.count(name)):
            values, record = self.values(name, number), self.standing.record(name, number)
            told = {
                "step": number,
                "parameters": points.given({use: values[use] for use in uses}, self.kinds),
                "metrics": record["metrics"],
                "outputs": self._published((name, number), record),
            }
            yield _written(told) + "\n"
