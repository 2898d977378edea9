"""A workflow that uses every key of format 1, for the tests of this floor."""

from pathlib import Path

from sciflow.workflow import load

FULL = """\
format = 1

[workflow]
name = "digits"
title = "How kernel width changes digit recognition"

[image]
debian = "bookworm"
packages = ["python3-sklearn", "python3-numpy"]

[code]
include = ["*.py"]
exclude = ["test_*.py"]

[inputs]
reads = { path = "data/reads.fq" }

[parameters]
gamma = [1, 0.5, 0.25]
c = { logspace = [0, 2, 3], unit = "1" }
kernel = ["rbf", "linear"]
repeat = { range = [0, 2] }

[sweep]
zip = [["gamma", "c"]]
derive = { double = "budget * 2", budget = "c * 10" }
where = "kernel == 'rbf' or gamma == 1"

[tasks.prepare]
run = ["python3", "prepare.py", "{inputs.reads}", "{outputs.clean}"]
outputs = { clean = "clean.csv", parts = "parts/" }
isolate = "step"
blas = "haswell"

[tasks.train]
needs = ["prepare"]
parameters = ["kernel"]
shell = "python3 train.py --gamma {gamma} {prepare.clean} | awk '{{print $1}}'"
outputs = { model = "models/best.npz" }
metrics = "metrics.json"
environment = { LC_ALL = "C" }
resources = { cpus = 4, memory = "8 GiB", gpus = 1, time = "1h30m" }
retry = { times = 2, on = ["time", "memory", "node", "failed"], grow_memory = 2, grow_time = 1.5 }
checkpoint = { path = "state/ckpt", signal = "TERM", before = "2m" }

[tasks.summary]
gather = "train"
run = ["python3", "summary.py", "{train.records}"]

[tasks.judge]
needs = ["train"]
python = "study:judge"
outputs = { curve = "curve.csv" }
envelope = "off"

[run]
max_failures = 10

[results.metrics]
accuracy = { goal = "maximize", unit = "1", require = "> 0.5", tolerance = 1e-9 }

[schedule]
policy = "off-peak"
hours = "22:00-08:00"
weekends = true
timezone = "Europe/Zurich"
max_wait = "2d"
hard = true

[slurm]
partition = "main"
mail_type = "END,FAIL"

[[charts]]
name = "map"
kind = "heatmap"
x = "gamma"
y = "c"
value = "accuracy"
facet = ["kernel"]
aggregate = "max"
title = "Accuracy"

[[charts]]
name = "line"
kind = "line"
x = "budget"
y = "accuracy"
color = "kernel"
"""

HEAD = 'format = 1\n[workflow]\nname = "study"\n[tasks.one]\nrun = ["true"]\n'


def full(folder: Path):
    """Return the workflow above, read from a folder that holds its input."""
    (folder / "data").mkdir()
    (folder / "data" / "reads.fq").write_text("ACGT\n")
    (folder / "study.py").write_text("def judge(train, kernel, *, seed): ...\n")
    file = folder / "workflow.toml"
    file.write_text(FULL)
    return load.read(file)


def small(rest: str):
    """Return a workflow of one task and these further sections."""
    return load.parse(HEAD + rest, file=Path("workflow.toml"))
