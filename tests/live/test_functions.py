"""A chain of Python functions, compiled and run for real: on the host, and in each engine's box."""

import pytest

from sciflow import api
from tests.live.conftest import IMAGE, settled, table

STUDY = """\
class Model:
    def __init__(self, weights):
        self.weights = weights


def preprocess():
    print("preprocessing")
    return {"data": [1.0, 2.0, 4.0]}


def train(preprocess_data, learning_rate, outputs):
    with open(outputs["log"], "w") as log:
        log.write(repr(learning_rate))
    return Model([value * learning_rate for value in preprocess_data["data"]])


def evaluate(train_model, learning_rate, seed, tolerance=0.5):
    return {"accuracy": sum(train_model.weights) / 7, "seed": seed, "rate": type(learning_rate).__name__}


def best(evaluate_model):
    first = max(evaluate_model, key=lambda one: one["metrics"]["accuracy"])
    return {"steps": len(evaluate_model), "rate": first["parameters"]["learning_rate"]}
"""
WORKFLOW = """\
format = 1

[workflow]
name = "chain"
{image}
[code]
include = ["study.py"]

[parameters]
learning_rate = [0.5, 1.0]
repeat = {{ range = [0, 3] }}

[tasks.preprocess-data]
python = "study:preprocess"
parameters = []

[tasks.train-model]
needs = ["preprocess-data"]
python = "study:train"
parameters = ["learning_rate"]
outputs = {{ log = "logs/train.txt" }}

[tasks.evaluate-model]
needs = ["train-model"]
python = "study:evaluate"

[tasks.best]
gather = "evaluate-model"
python = "study:best"
"""


def compiled(folder, image=""):
    (folder / "study.py").write_text(STUDY)
    (folder / "workflow.toml").write_text(WORKFLOW.format(image=image))
    return api.compile(folder / "workflow.toml").path


@pytest.fixture
def on_host(tmp_path):
    bundle = compiled(tmp_path)
    assert api.run(bundle, engine="host")[1] == 0
    return bundle


def test_a_chain_of_functions_runs_and_shares_its_steps(on_host):
    steps = sorted(key for key in settled(on_host)[0])
    assert steps == sorted(
        [("preprocess-data", 0), ("train-model", 0), ("train-model", 1), ("best", 0)]
        + [("evaluate-model", step) for step in range(6)]
    )


def test_what_functions_return_is_in_the_table(on_host):
    rows = [line.split(",") for line in table(on_host).splitlines()]
    at = {name: place for place, name in enumerate(rows[0])}
    assert [(row[at["learning_rate"]], row[at["accuracy"]], row[at["rate"]]) for row in rows[1:]] == [
        (rate, accuracy, "float") for rate, accuracy in (("0.5", "0.5"), ("1.0", "1.0")) for _ in range(3)
    ]
    assert len({row[at["seed"]] for row in rows[1:]}) == 6


def test_a_function_may_gather(on_host):
    assert settled(on_host)[0]["best", 0]["metrics"] == {"steps": 6, "rate": 1.0}


def test_a_chain_of_functions_is_replayed_to_the_same_bytes(on_host):
    found = api.replay(on_host, engine="host")
    assert {item.status for item in found.items} == {"identical"}


@pytest.mark.live("mmdebstrap", "apptainer")
def test_apptainer_gives_the_same_as_the_host(plain):
    bundle = compiled(plain.folder, IMAGE)
    plain.give(plain.folder)
    for engine in ("apptainer", "host"):
        found = plain.run(bundle / "launch.sh", "--engine", engine, "--run", engine)
        assert found.returncode == 0, found.stderr
    assert table(bundle, "apptainer") == table(bundle, "host")


@pytest.mark.live("mmdebstrap", "docker")
def test_docker_gives_the_same_as_the_host(tmp_path, cache):
    bundle = compiled(tmp_path, IMAGE)
    for engine in ("docker", "host"):
        assert api.run(bundle, engine, engine=engine)[1] == 0
    assert table(bundle, "docker") == table(bundle, "host")
