"""A package: all that reproduces a run, written whole or not at all, and words that do what they say."""

import contextlib
import errno
import os
import re
import resource
import shutil
import subprocess
import tarfile

import pytest

import sciflow
from sciflow import api
from sciflow.api import package
from sciflow.errors import SurroundingsError, UsageError
from tests import small


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "configuration"))
        yield sciflow.Workflow.load(small.write(folder)).run(into=folder / "bundles", say=api.silent)


@pytest.fixture
def made(results):
    return sciflow.create_reproducibility_package(results.bundle, results, package_name="small_v1")


def test_it_holds_the_bundle_its_run_and_its_results(made, tmp_path):
    folder = made.export(tmp_path / "a" / "b")
    assert folder == tmp_path / "a" / "b" / "small_v1"
    assert sorted(path.name for path in folder.iterdir()) == [
        "REPRODUCE.md",
        "SHA256SUMS",
        "bundle",
        "report",
        "report.html",
        "reproduce.sh",
        "results.csv",
        "results.parquet",
        "steps.parquet",
    ]
    assert sorted(path.name for path in (folder / "bundle" / "runs" / "main").iterdir()) == ["outputs", "segments"]


def test_what_a_step_would_go_on_from_is_no_result(made, results, tmp_path):
    kept = results.run / "checkpoints" / "train"
    kept.mkdir(parents=True)
    (kept / "state").write_text("half\n")
    folder = made.export(tmp_path)
    shutil.rmtree(kept.parent)
    assert not (folder / "bundle" / "runs" / "main" / "checkpoints").exists()


def test_its_bundle_is_what_was_sealed(made, results, tmp_path):
    folder = made.export(tmp_path)
    verdict = api.verify(folder / "bundle")
    assert (verdict.id, verdict.faults) == (results.bundle.id, [])


def test_its_results_can_be_collected_again_from_it(made, results, tmp_path):
    folder = made.export(tmp_path)
    assert sciflow.Bundle.open(folder / "bundle").collect().table.equals(results.table)


def test_its_sums_are_of_every_file(made, tmp_path):
    folder = made.export(tmp_path)
    named = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there - named == {"SHA256SUMS"}


def reproduce(folder, **environment):
    """Run the script, without sciflow in sight."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "XDG_CONFIG_HOME")}
    return subprocess.run(
        ["sh", str(folder / "reproduce.sh")],
        cwd="/",
        env={**kept, "XDG_CONFIG_HOME": str(folder.parent / "nobody"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_script_reproduces_it_for_a_stranger_and_again(made, tmp_path):
    folder = made.export(tmp_path)
    for _ in range(2):
        found = reproduce(folder)
        assert found.returncode == 0, found.stderr
        assert found.stdout.splitlines()[-1].startswith("reproduced: ")
    assert "sealed by nobody you trust" in found.stdout


def test_a_changed_file_stops_the_script(made, tmp_path):
    folder = made.export(tmp_path)
    (folder / "results.csv").write_text("better,numbers\n")
    found = reproduce(folder)
    assert found.returncode != 0
    assert "results.csv" in found.stdout + found.stderr


def test_a_changed_bundle_with_sums_to_match_stops_the_script(made, tmp_path):
    folder = made.export(tmp_path)
    (folder / "bundle" / "code" / "t.py").write_text("print()\n")
    lines = [line for line in (folder / "SHA256SUMS").read_text().splitlines() if not line.endswith("code/t.py")]
    (folder / "SHA256SUMS").write_text("\n".join(lines) + "\n")
    found = reproduce(folder)
    assert found.returncode != 0
    assert "code/t.py: has changed" in found.stderr
    assert "reproduced" not in found.stdout


def test_numbers_that_differ_are_named_and_the_script_says_no(tmp_path):
    results = sciflow.Workflow.load(small.random_study(tmp_path)).run(into=tmp_path / "bundles", say=api.silent)
    folder = sciflow.create_reproducibility_package(results.bundle, results, package_name="n").export(tmp_path)
    found = reproduce(folder)
    assert found.returncode == 1
    assert "train/0 score: different" in found.stdout
    assert "not reproduced" in found.stdout


def test_the_commands_of_the_page_are_those_of_the_script(made, tmp_path):
    folder = made.export(tmp_path)
    blocks = re.findall(r"```sh\n(.*?)\n```", (folder / "REPRODUCE.md").read_text(), re.DOTALL)
    lines = [line for line in (folder / "reproduce.sh").read_text().splitlines() if line and not line.startswith("#")]
    assert lines == ["set -eu", 'cd "$(dirname "$0")"', *blocks]


def test_an_archive_holds_the_same_as_the_folder(made, tmp_path):
    file = made.export(tmp_path / "packed", format="tar.gz")
    assert file == tmp_path / "packed" / "small_v1.tar.gz"
    with tarfile.open(file) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    folder = made.export(tmp_path / "plain")
    assert small.contents(tmp_path / "out" / "small_v1") == small.contents(folder)


def test_the_same_archive_has_the_same_bytes(made, tmp_path):
    first, second = (made.export(tmp_path / name, format="tar.gz").read_bytes() for name in ("a", "b"))
    assert first == second


def test_only_the_run_of_the_results_comes_along(results, tmp_path):
    bundle = tmp_path / "bundle"
    shutil.copytree(results.bundle.path, bundle)
    other = sciflow.Bundle.open(bundle).run("other", engine="host")
    folder = sciflow.create_reproducibility_package(other.bundle, other, package_name="o").export(tmp_path)
    assert [path.name for path in (folder / "bundle" / "runs").iterdir()] == ["other"]
    assert reproduce(folder).returncode == 0


@pytest.mark.parametrize("form", ["dir", "tar.gz"])
def test_nothing_is_written_over(made, tmp_path, form):
    there = made.export(tmp_path, format=form)
    before = small.contents(tmp_path)
    with pytest.raises(UsageError, match=f"{there.name}` is there already"):
        made.export(tmp_path, format=form)
    assert small.contents(tmp_path) == before


def test_a_folder_that_cannot_be_is_said_so_and_nothing_is_left(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match=r"cannot be written: .*Not a directory"):
        made.export(tmp_path / "file" / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@contextlib.contextmanager
def no_file_beyond(size):
    """Let no file grow beyond a size, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_copy_that_is_cut_off_leaves_nothing_behind(results, tmp_path):
    shutil.copytree(results.bundle.path, tmp_path / "bundle")
    (tmp_path / "bundle" / "runs" / "main" / "outputs" / "large").write_bytes(os.urandom(6_000_000))
    copied = sciflow.Bundle.open(tmp_path / "bundle").collect()
    made = sciflow.create_reproducibility_package(copied.bundle, copied, package_name="n")
    with no_file_beyond(5_000_000), pytest.raises(SurroundingsError, match="File too large"):
        made.export(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_whatever_goes_wrong_leaves_nothing_behind(results, tmp_path):
    shutil.copytree(results.bundle.path, tmp_path / "bundle")
    copied = sciflow.Bundle.open(tmp_path / "bundle").collect()
    shutil.rmtree(tmp_path / "bundle" / "runs")
    made = sciflow.create_reproducibility_package(copied.bundle, copied, package_name="n")
    with pytest.raises(sciflow.api.judging.IncompleteError):
        made.export(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_the_image_comes_along_where_that_is_asked(here, write, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write("tools.sif", "hsqs, and the rest of an image")
    workflow = sciflow.ExperimentalWorkflow("boxed")
    workflow.set_image(file="tools.sif")
    workflow.add_task("true", command=["true"])
    results = workflow.run(backend="host", say=api.silent)
    thin = sciflow.create_reproducibility_package(workflow, results, package_name="thin").export("out")
    fat = sciflow.create_reproducibility_package(workflow, results, package_name="fat", carry=True).export("out")
    assert not (thin / "bundle" / "carried").exists()
    (image,) = (fat / "bundle" / "carried" / "sha256").iterdir()
    assert image.read_text() == "hsqs, and the rest of an image"
    assert image.name in (fat / "SHA256SUMS").read_text()


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", None])
def test_a_name_that_no_folder_can_have_is_refused(results, name):
    with pytest.raises(UsageError, match="a package cannot be called"):
        sciflow.create_reproducibility_package(results.bundle, results, package_name=name)


def test_results_of_another_workflow_are_refused(results):
    other = sciflow.ExperimentalWorkflow("other")
    with pytest.raises(UsageError, match="the results are those of `small`"):
        sciflow.create_reproducibility_package(other, results, package_name="n")


def test_results_that_are_none_are_refused(results):
    with pytest.raises(UsageError, match="the results are a dict"):
        sciflow.create_reproducibility_package(results.bundle, {}, package_name="n")


def test_a_format_that_is_none_is_refused(made, tmp_path):
    with pytest.raises(UsageError, match="there is no format `zip`"):
        made.export(tmp_path, format="zip")


def test_the_reason_of_an_error_is_the_operating_system_s():
    assert package._reason(OSError(errno.EACCES, "Permission denied", "/x")) == "/x: Permission denied"
