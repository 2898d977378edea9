"""What sciflow writes is what its published schemas say: plan, manifest, lock, records."""

import copy
import json
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import referencing

from sciflow import api, containers
from sciflow.bundle import folder
from sciflow.containers.image import Package, PinnedImage
from sciflow.plan import lockfile
from sciflow.workflow import load

SCHEMAS = Path(__file__).parent.parent / "schemas"
KINDS = ("lock", "manifest", "plan", "record", "workflow")
STUDY = f"""\
format = 1

[workflow]
name = "squares"
title = "Squares and their sum"

[code]
include = ["*.py"]

[inputs]
base = {{ path = "data/base.txt" }}

[parameters]
x = [1.0, 2.5]
label = ["a b", "it's"]
n = {{ range = [0, 2] }}
flag = [true]

[sweep]
derive = {{ double = "x * 2" }}

[tasks.prepare]
run = ["cp", "{{inputs.base}}", "{{outputs.base}}"]
outputs = {{ base = "out/base.txt" }}
checkpoint = {{ path = "ckpt", before = "10s" }}

[tasks.square]
run = ["{sys.executable}", "square.py", "{{x}}", "{{double}}-{{point}}-{{seed}}", "{{prepare.base}}"]
needs = ["prepare"]
metrics = "m.json"
environment = {{ MODE = "fast" }}
resources = {{ cpus = 1, memory = "64 MiB", time = "1m" }}
retry = {{ times = 2, grow_memory = 1.5 }}
blas = "generic"

[tasks.fail]
shell = "test {{x}} = 1.0"

[tasks.after]
shell = "echo {{x}}"
needs = ["fail"]

[tasks.halve]
needs = ["square"]
python = "half:halve"
parameters = ["x"]

[tasks.total]
gather = "square"
shell = "wc -l < {{square.records}} > n.txt"
outputs = {{ n = "n.txt" }}
envelope = "off"

[run]
max_failures = 100

[results.metrics]
y = {{ goal = "maximize", unit = "1", require = "> 0.5", tolerance = 1e-9 }}

[schedule]
hours = ["22:00-08:00", "12:00-13:00"]
timezone = "Europe/Zurich"
weekends = true
holidays = ["2026-12-25"]
max_wait = "2h"
when_idle = true

[slurm]
partition = "main"

[[charts]]
name = "y"
kind = "line"
x = "x"
y = "y"
facet = ["label"]
"""
CODE = "import json, sys\njson.dump({'y': float(sys.argv[1]) ** 2, 'text': 'x', 'none': float('nan')}, open('m.json', 'w'))\n"
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = {
    "from": PinnedImage(
        source="from",
        reference="docker://python:3.12-slim",
        platform="linux/amd64",
        digests=tuple((name, DIGEST) for name in ("archive", "config", "manifest", "squashfs", "tree")),
        size=1,
    ),
    "debian": PinnedImage(
        source="debian",
        reference="bookworm",
        platform="linux/amd64",
        asked=("python3",),
        digests=tuple((name, DIGEST) for name in ("archive", "config", "squashfs", "tree")),
        packages=(Package(name="python3", version="3.11.2-1+b1", architecture="amd64", sha256="0" * 64),),
        tools=(("mmdebstrap", "1.3.5"),),
    ),
    "file": PinnedImage(source="file", reference="image.sif", platform="linux/amd64", digests=(("file", DIGEST),)),
}


def schema(kind):
    return json.loads((SCHEMAS / f"{kind}-1.json").read_text(encoding="utf-8"))


def faults(kind, document):
    """Return what a schema has against a document. The registry is empty, so that nothing is ever fetched."""
    validator = jsonschema.Draft202012Validator(schema(kind), registry=referencing.Registry())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Compile the study and run it, with a step that fails; return the folder of the study and the bundle."""
    source = tmp_path_factory.mktemp("study")
    (source / "data").mkdir()
    (source / "data" / "base.txt").write_text("1\n")
    (source / "square.py").write_text(CODE)
    (source / "half.py").write_text("def halve(x):\n    return {'half': x / 2}\n")
    (source / "workflow.toml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(source / "config"))
        bundle = folder.read(api.compile(source / "workflow.toml").path)
    words = [sys.executable, "-I", "-B", str(bundle.path / "runner" / "__main__.py"), "run"]
    assert subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 5
    return source, bundle


# ---- The schemas themselves


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one(kind):
    jsonschema.Draft202012Validator.check_schema(schema(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_known_by_its_kind_and_format(kind):
    assert schema(kind)["$id"] == f"urn:sciflow:schema:{kind}-1"


def fields(node, path="$"):
    """Yield (path, schema) of every property anywhere in a schema."""
    if isinstance(node, dict):
        for name, found in node.get("properties", {}).items():
            yield f"{path}.{name}", found
        for key, found in node.items():
            yield from fields(found, f"{path}.{key}")
    elif isinstance(node, list):
        for number, found in enumerate(node):
            yield from fields(found, f"{path}[{number}]")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind):
    found = dict(fields(schema(kind)))
    assert found
    assert [
        path
        for path, field in found.items()
        if isinstance(field, dict) and not field.get("description") and "$ref" not in field
    ] == []


@pytest.mark.parametrize("kind", ["lock", "manifest", "plan", "record"])
def test_no_schema_reaches_outside(kind):
    assert not [
        line for line in json.dumps(schema(kind), indent=1).splitlines() if '"$ref"' in line and '"#/' not in line
    ]


# ---- What is written


def test_a_plan_is_what_its_schema_says(ran):
    assert faults("plan", ran[1].plan) == []


@pytest.mark.parametrize("source", IMAGES)
def test_every_engine_s_box_is_what_the_plan_s_schema_says(ran, source):
    boxes = containers.boxes(IMAGES[source])
    assert [box["engine"] for box in boxes if box["isolation"] == "container"]
    assert faults("plan", {**ran[1].plan, "boxes": boxes, "image": DIGEST}) == []


def test_a_manifest_is_what_its_schema_says(ran):
    assert faults("manifest", json.loads((ran[1].path / "manifest.json").read_bytes())) == []


def test_a_lock_is_what_its_schema_says(ran):
    assert faults("lock", tomllib.loads((ran[0] / "workflow.lock").read_text())) == []


@pytest.mark.parametrize("source", IMAGES)
def test_a_lock_with_an_image_is_what_its_schema_says(ran, source):
    pinned = replace(lockfile.read(ran[0] / "workflow.lock"), image=IMAGES[source])
    assert faults("lock", tomllib.loads(lockfile.text(pinned))) == []


def lines(bundle):
    """Return every line of a run's segments, as JSON: what is written, with its check."""
    return [
        json.loads(line)
        for file in (bundle.run() / "segments").glob("*.jsonl")
        for line in file.read_bytes().splitlines()
    ]


def test_every_record_is_what_its_schema_says(ran):
    found = lines(ran[1])
    assert {record.get("state", "worker") for record in found} == {"worker", "done", "failed", "skipped"}
    assert [fault for record in found for fault in faults("record", record)] == []


def test_the_workflow_is_what_its_schema_says(ran):
    assert load.read(ran[0] / "workflow.toml").name == "squares"
    assert faults("workflow", tomllib.loads(STUDY)) == []


# ---- What is not


def without(document, key):
    return {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize("kind", ["plan", "manifest"])
def test_a_document_with_a_key_too_many_or_too_few_is_refused(ran, kind):
    document = ran[1].plan if kind == "plan" else json.loads((ran[1].path / "manifest.json").read_bytes())
    assert faults(kind, {**document, "extra": 1})
    assert [key for key in document if not faults(kind, without(document, key))] == []


def test_a_record_with_a_key_too_many_or_too_few_is_refused(ran):
    for record in lines(ran[1]):
        assert faults("record", {**record, "extra": 1})
        assert [key for key in record if not faults("record", without(record, key))] == []


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        "./a",
        "runs/x",
        "seals/x",
        "carried/x",
        "manifest.json",
        "a\\b",
        "",
    ],
)
def test_an_unsafe_path_in_a_manifest_is_refused(ran, path):
    document = json.loads((ran[1].path / "manifest.json").read_bytes())
    document["files"][0]["path"] = path
    assert faults("manifest", document)


@pytest.mark.parametrize("path", ["a", ".hidden", "a/b.c", "runner/..x", "seals.txt", "code/manifest.json", "ü/漢 字"])
def test_a_plain_path_in_a_manifest_is_accepted(ran, path):
    document = json.loads((ran[1].path / "manifest.json").read_bytes())
    document["files"][0]["path"] = path
    assert faults("manifest", document) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("tasks", 0, "words"), [[{"parameter": "x", "input": "y"}]]),
        (("tasks", 0, "words"), [[{"secret": "x"}]]),
        (("tasks", 0, "words"), []),
        (("tasks", 0, "python"), "not a function"),
        (("tasks", 0, "resources", "cpus"), 0),
        (("tasks", 0, "retry", "on"), ["node"]),
        (("tasks", 0, "retry", "grow_time"), 0.5),
        (("tasks", 0, "checkpoint"), {"path": "ckpt", "signal": 9, "before_s": 60}),
        (("tasks", 0, "isolate"), "container"),
        (("tasks", 0, "blas"), "Haswell"),
        (("run", "max_failures"), -1),
        (("schedule", "opens"), 1440),
        (("schedule", "also"), []),
        (("schedule", "also"), [[0, 1440]]),
        (("schedule", "holidays"), ["25 December"]),
        (("schedule", "when_idle"), False),
        (("boxes", 0, "isolation"), "some"),
        (("boxes", 0, "enter"), None),
        (("image",), "python:3.12"),
        (("format",), 2),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(ran, where, value):
    document = copy.deepcopy(ran[1].plan)
    node = document
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = value
    assert faults("plan", document)
