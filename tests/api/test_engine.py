"""An engine: what it waits for, what it refuses, what it runs with less; and a run that fails."""

import datetime as dt
import os
import sys
from zoneinfo import ZoneInfo

import pytest

import sciflow
from sciflow.api.clock import SystemClock
from sciflow.errors import IncompleteError, SurroundingsError, UsageError, WorkflowError
from tests.conftest import missing

CODE = 'import json\njson.dump({"one": 1}, open("metrics.json", "w"))\n'
NIGHTS = {"preferred_hours": "22:00-08:00", "weekend_preferred": True}


def at(text, zone="UTC"):
    return dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.fixture(autouse=True)
def by_the_clock(monkeypatch):
    monkeypatch.delenv("SCIFLOW_RUN_NOW", raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def study(write):
    """Return what makes a study of one step, off-peak if it is given words of a schedule."""
    write("t.py", CODE)

    def make(policy=None, name="quick", **resources):
        made = sciflow.ExperimentalWorkflow(name)
        made.add_code("t.py")
        made.add_task("train", command=["python3", "t.py"], metrics="metrics.json")
        if policy:
            made.set_scheduling_policy("off_peak", policy)
        if resources:
            made.set_resource_requirements({"train": resources})
        return made

    return make


class Told(list):
    """What an engine says, as a list."""

    def __call__(self, text):
        self.append(text)

    def waiting(self):
        return [text for text in self if text.startswith("waiting")]


def ran(workflow, instant, **words):
    """Run a workflow at an instant of a simulated clock; return the results, the clock and what was said."""
    clock, told = sciflow.SimulatedClock(instant), Told()
    results = sciflow.Engine(clock=clock, say=told, **words).execute_parameter_sweep(workflow)
    return results, dt.datetime.fromtimestamp(clock.now(), dt.UTC), told


def test_by_default_all_that_is_here_is_used():
    assert repr(sciflow.Engine()) == "<Engine 'auto', workers: all cores>"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"backend": "slrum"}, "there is no backend `slrum`"),
        ({"on_unmet": "maybe"}, "`on_unmet` is `maybe`"),
        ({"workers": 0}, "`workers` is `0`"),
        ({"workers": True}, "`workers` is `True`"),
        ({"workers": 2.0}, "`workers` is `2.0`"),
    ],
)
def test_words_that_fit_no_engine_are_refused(words, said):
    with pytest.raises(UsageError, match=said):
        sciflow.Engine(**words)


def test_by_day_it_waits_for_the_night_and_says_how_not_to(study):
    results, now, told = ran(study(NIGHTS), at("2026-11-17 10:00"))
    assert told.waiting() == ["waiting until 22:00 (off_peak); SCIFLOW_RUN_NOW=1 or Engine(run_now=True) to start"]
    assert (now, results.started) == (at("2026-11-17 22:00"), "in hours")
    assert results.table["one"].to_list() == [1]


@pytest.mark.parametrize("instant", ["2026-11-17 22:00", "2026-11-18 07:59", "2026-11-21 12:00", "2026-11-22 23:59"])
def test_within_its_hours_it_starts_at_once(study, instant):
    _, now, told = ran(study(NIGHTS), at(instant))
    assert (now, told.waiting()) == (at(instant), [])


def test_the_hour_is_that_of_the_workflow_s_time_zone(study):
    _, now, told = ran(study({**NIGHTS, "timezone": "Europe/Zurich"}), at("2026-11-17 10:00"))
    assert now == at("2026-11-17 22:00", "Europe/Zurich")
    assert "until 22:00" in told.waiting()[0]


def test_after_max_wait_it_starts_outside_its_hours_and_says_so(study):
    results, now, told = ran(study({**NIGHTS, "max_wait_hours": 2}), at("2026-11-17 10:00"))
    assert (now, results.started) == (at("2026-11-17 12:00"), "max_wait")
    assert told.waiting()[0].startswith("waiting until 12:00 (off_peak, after max_wait of 2 h); ")


def test_max_wait_that_does_not_bind_changes_nothing(study):
    results, now, _ = ran(study({**NIGHTS, "max_wait_hours": 48}), at("2026-11-17 10:00"))
    assert (now, results.started) == (at("2026-11-17 22:00"), "in hours")


def test_told_to_run_now_it_does(study):
    results, now, told = ran(study(NIGHTS), at("2026-11-17 10:00"), run_now=True)
    assert (now, results.started, told.waiting()) == (at("2026-11-17 10:00"), "run_now", [])


def test_the_environment_may_tell_it_to_run_now(study, monkeypatch):
    monkeypatch.setenv("SCIFLOW_RUN_NOW", "1")
    assert ran(study(NIGHTS), at("2026-11-17 10:00"))[0].started == "run_now"


def test_where_nothing_remains_nothing_is_waited_for(study):
    ran(study(NIGHTS), at("2026-11-17 23:00"))
    results, now, told = ran(study(NIGHTS), at("2026-11-18 10:00"))
    assert (now, told.waiting(), results.table.height) == (at("2026-11-18 10:00"), [], 1)


def test_without_a_policy_it_starts_at_once(study):
    assert ran(study(), at("2026-11-17 10:00"))[0].started == "at once"


def test_a_task_longer_than_the_window_is_warned_of(study):
    told = ran(study(NIGHTS, max_runtime_hours=12), at("2026-11-17 23:00"))[2]
    assert [text for text in told if "warning" in text] == [
        "warning: `train` (12 h) may take longer than the window of 10 h, and go on after it"
    ]


def test_a_task_that_fits_the_window_is_not(study):
    told = ran(study(NIGHTS, max_runtime_hours=10), at("2026-11-17 23:00"))[2]
    assert [text for text in told if "warning" in text] == []


def test_a_weekend_alone_is_no_window_to_measure_by(study):
    told = ran(study({"weekend_preferred": True}, max_runtime_hours=72), at("2026-11-21 12:00"))[2]
    assert [text for text in told if "warning" in text] == []


def test_what_is_not_here_is_done_without_and_on_record(study):
    results = ran(study(cpu_cores=4096, gpu=True), at("2026-11-17 23:00"), workers=1)[0]
    assert results.table["state"].to_list() == ["done"]
    assert results.degraded == {"train": {"cpus": [4096, 1], "gpus": [1, 0]}}


def test_what_is_not_here_is_refused_before_anything_starts_where_that_is_asked(study, here):
    with pytest.raises(SurroundingsError, match=r"`train` asks for cpus 4096 \(here: 1\), gpus 1 \(here: 0\)"):
        ran(study(NIGHTS, cpu_cores=4096, gpu=True), at("2026-11-17 10:00"), workers=1, on_unmet="strict")
    assert list((here / "bundles").glob("*/runs")) == []


def test_what_is_here_is_enough_for_the_strict(study):
    results = ran(study(cpu_cores=1), at("2026-11-17 23:00"), on_unmet="strict")[0]
    assert (results.degraded, results.failed) == ({}, ())


def test_faults_of_the_workflow_come_before_anything(study):
    made = study(NIGHTS)
    made.set_sweep(where="size > 1")
    with pytest.raises(WorkflowError, match="size"):
        ran(made, at("2026-11-17 10:00"))


@pytest.fixture
def broken(study):
    made = study()
    made.add_task("break", command="echo out of luck >&2; exit 3")
    made.add_task("after", command=["true"], depends_on=["break"])
    return made


def test_a_run_with_failures_gives_its_results_and_says_what_failed(broken):
    results, _, told = ran(broken, at("2026-11-17 10:00"))
    assert [(one.task, one.state) for one in results.failed] == [("break", "failed"), ("after", "skipped")]
    assert "2 of 3 steps are not done: break/0 failed: exit code 3" in told[-1]


def test_a_failure_is_an_error_where_that_is_asked(broken):
    with pytest.raises(IncompleteError, match="break/0 failed: exit code 3"):
        sciflow.Engine(say=Told()).execute_parameter_sweep(broken, raise_on_failure=True)


def test_steps_find_this_very_interpreter_first(write, here):
    write("which.py", "import json, sys\njson.dump({'exe': sys.prefix}, open('metrics.json', 'w'))\n")
    made = sciflow.ExperimentalWorkflow("which")
    made.add_code("which.py")
    made.add_task("which", command=["python3", "which.py"], metrics="metrics.json")
    assert made.run(say=Told()).table["exe"].to_list() == [sys.prefix]


def test_bundles_go_where_they_are_wanted(study, tmp_path):
    results = ran(study(), at("2026-11-17 10:00"), into=tmp_path / "there")[0]
    assert results.bundle.path.parent == tmp_path / "there"


def test_a_file_of_a_workflow_can_be_run_too(study, here, tmp_path):
    loaded = sciflow.Workflow.load(study().write_toml(tmp_path / "other"))
    assert ran(loaded, at("2026-11-17 10:00"))[0].bundle.id == study().compile().id


def test_what_it_says_goes_to_standard_error(study, capsys):
    sciflow.Engine(clock=sciflow.SimulatedClock(at("2026-11-17 10:00"))).execute_parameter_sweep(study(NIGHTS))
    said = capsys.readouterr()
    assert "sciflow: waiting until 22:00 (off_peak)" in said.err
    assert said.out == ""


@pytest.mark.parametrize("backend", ["apptainer", "docker", "podman"])
def test_a_container_engine_without_an_image_is_refused(study, backend):
    with pytest.raises(SurroundingsError, match=f"cannot run in `{backend}`"):
        ran(study(), at("2026-11-17 10:00"), backend=backend)


@pytest.mark.skipif(not missing("slurm"), reason="Slurm is here, and would take the job")
def test_without_slurm_that_backend_says_what_is_missing(study):
    with pytest.raises(SurroundingsError, match="sbatch"):
        ran(study(), at("2026-11-17 10:00"), backend="slurm")


QUEUE = """\
#!/bin/sh
# A queue of one: the job begins when it is submitted, and is in the queue for the first two times that it is asked.
case $(basename "$0") in
sbatch) for last; do :; done; (sleep 2; exec "$last" >&2) & echo "7;here" ;;
squeue) [ -e "{folder}/asked" ] && exit 0; mv "{folder}/ask" "{folder}/asked"; echo "7|RUNNING|None|" ;;
esac
"""


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """Put two programs on the path that take jobs as Slurm's do."""
    folder = tmp_path / "queue"
    folder.mkdir()
    (folder / "ask").write_text("")
    for name in ("sbatch", "squeue"):
        (folder / name).write_text(QUEUE.format(folder=folder))
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.slow
def test_on_slurm_it_submits_and_waits_until_the_queue_has_nothing_of_it(study, queue):
    told = Told()
    results = sciflow.Engine(backend="slurm", say=told, clock=Soon()).execute_parameter_sweep(study())
    assert "submitted as job 7" in told
    assert results.table["one"].to_list() == [1]


def test_a_first_key_is_worth_a_word(study):
    told = ran(study(), at("2026-11-17 10:00"))[2]
    assert "made your first key: `sciflow key ls` shows it" in told
    assert not [text for text in ran(study(name="other"), at("2026-11-17 10:00"))[2] if "first key" in text]


class Soon(SystemClock):
    """A clock whose naps last a second: long enough for the job of a test to end."""

    def sleep(self, seconds):
        super().sleep(min(seconds, 1.0) * 3)
