"""The program that the Python API must run as it stands, and the same study from a notebook and from TOML."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import sciflow
from tests import small

pytestmark = pytest.mark.slow

SAMPLE = Path(__file__).parent / "sample"
ROOT = SAMPLE.parents[2]
BEST = {"learning_rate": 0.01, "hidden_layers": 2, "neurons_per_layer": 128, "dropout_rate": 0.3}
TOP = "open('top.txt', 'a').write('x')\n"


def environment(folder):
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCIFLOW_RUN_NOW": "1",
        "XDG_CONFIG_HOME": str(folder / "configuration"),
        "CUDA_VISIBLE_DEVICES": "",
    }


def python(folder, *words):
    """Run Python on some words in a folder, and hold it to exit code 0."""
    found = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(folder),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    return found


def program(folder):
    """Return the sample's text, its export path replaced, with a line that counts how often its top level runs."""
    text = (SAMPLE / "sample_api.py").read_text(encoding="utf-8")
    assert text.count("/path/to/export/directory") == 1
    text = text.replace("/path/to/export/directory", str(folder / "export" / "deep"))
    return text.replace("import sciflow\n", f"{TOP}import sciflow\n", 1)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the sample as a program, once for all tests of this file that only look."""
    folder = tmp_path_factory.mktemp("sample")
    shutil.copy(SAMPLE / "study.py", folder)
    (folder / "sample_api.py").write_text(program(folder), encoding="utf-8")
    return folder, python(folder, "sample_api.py"), (folder / "top.txt").read_text()


@pytest.fixture(scope="module")
def bundle(ran):
    (path,) = (ran[0] / "bundles").iterdir()
    return sciflow.Bundle.open(path)


def test_it_prints_the_best_point_and_its_accuracy_in_plain_python(ran):
    assert ran[1].stdout == f"Best parameters: {BEST}\nBest accuracy: 0.9\n"


def test_its_81_points_share_163_steps(bundle):
    assert {task["name"]: task["steps"] for task in bundle.plan["tasks"]} == {
        "preprocess_data": 1,
        "train_model": 81,
        "evaluate_model": 81,
    }


def test_every_step_is_done_once(bundle):
    counts = bundle.status()
    assert (counts["steps"], sum(task["done"] for task in counts["tasks"].values())) == (163, 163)
    assert set(bundle.collect().steps["state"]) == {"done"}


def test_its_top_level_ran_once(ran):
    assert ran[2] == "x"


def test_the_last_parameter_turns_fastest(bundle):
    table = bundle.collect().table
    assert table["dropout_rate"].to_list()[:4] == [0.1, 0.3, 0.5, 0.1]
    assert table["learning_rate"].to_list()[::27] == [0.001, 0.01, 0.1]


def test_its_wishes_stand_in_the_plan(bundle):
    train = next(task for task in bundle.plan["tasks"] if task["name"] == "train_model")
    assert train["resources"] == {"cpus": 4, "memory_mib": 8192, "gpus": 1, "time_s": 12 * 3600}
    schedule = bundle.plan["schedule"]
    assert (schedule["opens"], schedule["closes"], schedule["weekends"], schedule["max_wait_s"]) == (
        22 * 60,
        8 * 60,
        True,
        48 * 3600,
    )


@pytest.mark.skipif(len(os.sched_getaffinity(0)) >= 4, reason="here the sample gets the 4 cores that it asks for")
def test_what_this_machine_lacks_is_said_once_and_on_record(ran, bundle):
    assert ran[1].stderr.count("less is here than was asked for") == 1
    here = len(os.sched_getaffinity(0))
    assert bundle.collect().degraded["train_model"]["cpus"] == [4, here]


def test_the_gpu_that_is_not_here_is_on_record(bundle):
    assert bundle.collect().degraded["train_model"]["gpus"] == [1, 0]


def test_a_task_longer_than_the_window_is_warned_of(ran):
    assert "`train_model` (12 h) may take longer than the window of 10 h" in ran[1].stderr


def test_the_chart_is_the_mean_over_the_parameter_on_no_axis(bundle):
    chart = bundle.collect().chart("accuracy_vs_parameters")
    spec = json.loads(chart.png.with_suffix(".vl.json").read_text())
    assert "mean over neurons_per_layer (n = 3)" in " ".join(spec["title"]["subtitle"])


def test_the_cells_of_the_chart_are_what_the_formula_gives(bundle):
    chart = bundle.collect().chart("accuracy_vs_parameters")
    spec = json.loads(chart.png.with_suffix(".vl.json").read_text())
    (rows,) = spec["datasets"].values()
    best = [row for row in rows if (row["x"], row["y"], row["column"][-3:]) == ("0.01", "2", "0.3")]
    # neurons 64 and 256 are one doubling from the best: 1/40 less each
    assert [row["value"] for row in best] == [pytest.approx(0.9 - 2 / 40 / 3)]


def test_the_package_stands_whole_where_it_was_exported_to(ran):
    found = {path.name for path in (ran[0] / "export" / "deep" / "neural_net_experiment_v1").iterdir()}
    assert found >= {"bundle", "report.html", "results.csv", "REPRODUCE.md", "reproduce.sh"}


def test_run_again_it_has_nothing_to_do_and_says_the_same(ran):
    folder, before, _ = ran
    shutil.rmtree(folder / "export")
    again = python(folder, "sample_api.py")
    assert again.stdout == before.stdout
    assert "steps done in" not in again.stderr


def written(text, folder):
    """Run the sample as far as its workflow, write its TOML, and return its bundle's id."""
    head = text.partition("engine = sciflow.Engine()")[0]
    end = "workflow.write_toml('toml')\nprint(workflow.compile('again').id)\n"
    return python(folder, "-c", head + end).stdout.strip()


def test_its_toml_compiled_by_the_command_line_has_the_same_id(ran, bundle):
    folder = ran[0]
    assert written((SAMPLE / "sample_api.py").read_text(encoding="utf-8"), folder) == bundle.id
    said = small.sciflow("compile", folder / "toml" / "workflow.toml", "--json", XDG_CONFIG_HOME=str(folder / "c"))
    assert json.loads(said.stdout)["id"] == bundle.id


def test_the_same_study_with_functions_of_a_notebook_gives_the_same_results(ran, bundle):
    folder = ran[0]
    study = (SAMPLE / "study.py").read_text(encoding="utf-8")
    text = program(folder).replace("from study import evaluate_function, preprocess_function, train_function\n", study)
    text = text.replace(TOP, "").replace("neural_net_experiment_v1", "notebook").replace("_training", "_notebook")
    assert python(folder, "-c", text).stdout == ran[1].stdout
    (other,) = (folder / "bundles").glob("neural_network_notebook-*")
    theirs, ours = sciflow.Bundle.open(other).collect().table, bundle.collect().table
    assert theirs.equals(ours)
