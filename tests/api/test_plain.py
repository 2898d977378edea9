"""A workflow file and a bundle as things, whose verbs are those of the api."""

import pytest

import sciflow
from sciflow import api
from sciflow.api import plain
from sciflow.errors import BundleError, SurroundingsError, UsageError, WorkflowError
from sciflow.runner import names
from sciflow.workflow import load
from tests import small


@pytest.fixture
def workflow(tmp_path):
    return sciflow.Workflow.load(small.write(tmp_path))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "configuration"))
        yield sciflow.Bundle.open(small.ran(folder))


def test_a_workflow_is_loaded_with_all_its_faults(tmp_path):
    with pytest.raises(WorkflowError, match="sise"):
        sciflow.Workflow.load(small.write(tmp_path, ("{size}", "{sise}")))


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(UsageError, match="there is no file"):
        sciflow.Workflow.load(tmp_path / "nowhere.toml")


def test_check_says_its_size(workflow):
    assert workflow.check() == api.check(workflow.file)


@pytest.fixture
def several(tmp_path):
    sweeps = '[sweeps.low]\nwhere = "size < 2"\n\n[sweeps.all]\n\n[tasks.prepare]'
    return sciflow.Workflow.load(small.write(tmp_path, ("[tasks.prepare]", sweeps)))


def test_of_several_sweeps_one_is_named(several, tmp_path):
    assert several.sweeps == ("low", "all")
    assert (several.check("low").points, several.check("all").points) == (2, 4)
    assert several.compile(sweep="low").name == "small-low"
    results = several.run(into=tmp_path / "b", say=api.silent, sweep="low")
    assert results.table.height == 2
    assert sciflow.create_reproducibility_package(several, results, package_name="p").name == "p"


@pytest.mark.parametrize(
    ("sweep", "said"), [("", "has several sweeps, and one is wanted"), ("lo", "has no sweep `lo`")]
)
def test_which_of_several_sweeps_must_be_said(several, sweep, said):
    with pytest.raises(UsageError, match=said):
        several.check(sweep)


def test_it_compiles_to_what_the_api_compiles(workflow):
    bundle = workflow.compile()
    assert bundle.path == api.compile(workflow.file).path
    assert bundle.path.parent == workflow.file.parent / "bundles"


def test_it_compiles_into_another_folder(workflow, tmp_path):
    assert workflow.compile(tmp_path / "there").path.parent == tmp_path / "there"


def test_what_it_writes_reads_back_equal(workflow, tmp_path):
    (tmp_path / "other").mkdir()
    written = workflow.write_toml(tmp_path / "copy.toml")
    assert load.read(written) == load.read(workflow.file)


def test_it_writes_into_a_folder_and_again(workflow, tmp_path):
    (tmp_path / "other").mkdir()
    assert workflow.write_toml(tmp_path / "other") == tmp_path / "other" / "workflow.toml"
    assert workflow.write_toml(tmp_path / "other").is_file()


def test_it_does_not_write_over_the_file_that_somebody_wrote(workflow):
    with pytest.raises(UsageError, match="is another file"):
        workflow.write_toml(workflow.file)


def test_it_runs(workflow, tmp_path):
    results = workflow.run(into=tmp_path / "bundles", say=api.silent)
    assert results.table["score"].to_list() == [10.5, 11.0, 11.0, 12.0]


def test_a_workflow_says_what_it_is(workflow):
    assert repr(workflow) == f"<Workflow 'small': 3 tasks, 2 parameters, {str(workflow.file)!r}>"
    assert "&lt;Workflow" in workflow._repr_html_()


def test_a_bundle_says_what_it_is(ran):
    assert repr(ran) == f"<Bundle 'small' {ran.id[:12]}: 4 points, 6 steps, {str(ran.path)!r}>"
    assert "<td>train</td><td>4</td><td>size, rate</td>" in ran._repr_html_()


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(UsageError, match="is not a bundle"):
        sciflow.Bundle.open(tmp_path)


def test_a_run_gives_its_results(tmp_path):
    bundle = sciflow.Bundle.open(small.compiled(tmp_path))
    results = bundle.run("mine", engine="host")
    assert (results.run, results.table.height) == (bundle.path / "runs" / "mine", 4)


def test_results_of_steps_that_failed_are_results_too(tmp_path):
    bundle = sciflow.Bundle.open(small.compiled(tmp_path, ('"train", "{prepare.clean}"', '"train", "nowhere"')))
    assert [one.task for one in bundle.run(engine="host").failed[:4]] == ["train"] * 4


def test_collecting_writes_the_tables(ran):
    ran.collect()
    assert (ran.path / "runs" / "main" / "results.csv").is_file()


def test_the_verdict_and_the_report_and_the_counts_are_the_api_s(ran):
    assert ran.verify().id == ran.id
    assert ran.report() == ran.path / "runs" / "main" / "report.html"
    assert ran.status()["steps"] == 6


def test_a_replay_agrees(ran, monkeypatch):
    from sciflow.bundle import seal

    monkeypatch.setenv("XDG_CONFIG_HOME", str(ran.path.parents[1] / "configuration"))
    assert ran.replay(count=1, engine="host", trust=seal.home() / "allowed_signers").verdict.agrees


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (names.EXIT_SURROUNDINGS, SurroundingsError, "this machine could not run it"),
        (names.EXIT_CHANGED, BundleError, "not what was sealed"),
        (names.EXIT_LATER, SurroundingsError, "`now=True` starts at any hour"),
        (names.EXIT_INTERRUPTED, KeyboardInterrupt, ""),
        (99, SurroundingsError, "ended with code 99"),
    ],
)
def test_the_runner_s_exit_code_is_an_error_of_its_kind(tmp_path, code, kind, said):
    with pytest.raises(kind) as caught:
        plain.heed(code, tmp_path)
    assert said in str(caught.value)


@pytest.mark.parametrize("code", [names.EXIT_OK, names.EXIT_INCOMPLETE])
def test_done_and_incomplete_are_answers(tmp_path, code):
    plain.heed(code, tmp_path)
