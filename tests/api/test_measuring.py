"""The size of a workflow, and its points, before anything is made of it."""

import csv

import polars as pl
import pytest

from sciflow import api
from sciflow.errors import SurroundingsError, UsageError, WorkflowError
from tests import small

HEAD = 'format = 1\n[workflow]\nname = "study"\n'
TASKS = '[tasks.one]\nrun = ["true", "{a}"]\noutputs = { o = "o.txt" }\n[tasks.two]\nneeds = ["one"]\nrun = ["true"]\n'


def written(tmp_path, text):
    file = tmp_path / "workflow.toml"
    file.write_text(HEAD + text + TASKS, encoding="utf-8")
    return file


def test_the_axes_multiply_to_the_points(tmp_path):
    found = api.check(written(tmp_path, "[parameters]\na = [1, 2, 3]\nb = [1, 2]\n"))
    assert (found.axes, found.points) == ((3, 2), 6)


def test_jobs_are_those_of_elements_of_half_an_hour(tmp_path):
    """An hour a step unless something else is said: so each step has an element of its own."""
    assert api.check(written(tmp_path, "[parameters]\na = [1, 2, 3]\n")).jobs == 6


def test_files_are_the_outputs_of_all_steps(tmp_path):
    assert api.check(written(tmp_path, "[parameters]\na = [1, 2, 3]\n")).files == 3


def test_a_small_sweep_has_no_warning(tmp_path):
    assert api.check(written(tmp_path, "[parameters]\na = [1, 2, 3]\n")).warnings == ()


def test_a_sweep_larger_than_it_looks_is_said_to_be(tmp_path):
    text = "[parameters]\n" + "".join(f"{name} = {{ range = [0, 60] }}\n" for name in "abc")
    found = api.check(written(tmp_path, text))
    assert found.warnings[0] == "216,000 points = 60 x 60 x 60"


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        ("{ times = 3, grow_memory = 2.0 }", "8,192 MiB"),
        ("{ times = 2, grow_time = 1.5 }", "8,100 s"),
        ("{ times = 1, grow_memory = 2, grow_time = 2 }", "2,048 MiB or 7,200 s"),
    ],
)
def test_what_a_step_may_grow_to_is_said(tmp_path, retry, said):
    text = f"[tasks.grows]\nrun = ['true']\nretry = {retry}\n[parameters]\na = [1]\n"
    assert api.check(written(tmp_path, text)).warnings == (
        f"a step of `grows` may come to use {said} when it is tried again",
    )


@pytest.mark.parametrize("retry", ["{ times = 3 }", "{ times = 0, grow_memory = 2.0 }"])
def test_what_does_not_grow_is_no_warning(tmp_path, retry):
    text = f"[tasks.stays]\nrun = ['true']\nretry = {retry}\n[parameters]\na = [1]\n"
    assert api.check(written(tmp_path, text)).warnings == ()


def test_points_that_stood_before_are_counted(tmp_path):
    text = "[parameters]\na = [1, 2]\n[sweep]\ninclude = [{ a = 2 }, { a = 3 }]\n"
    found = api.check(written(tmp_path, text))
    assert (found.points, found.doubles) == (3, 1)
    assert found.warnings == ("1 points of its blocks had stood before, and were left out",)


def test_several_sweeps_are_measured_each(tmp_path):
    assert [found.name for found in api.check_all(small.several(tmp_path))] != []
    with pytest.raises(UsageError, match="several sweeps"):
        api.check(tmp_path / "workflow.toml")


def test_the_image_is_as_large_as_the_lock_says(tmp_path):
    assert api.check(written(tmp_path, "[parameters]\na = [1]\n")).image_bytes is None


def test_the_first_points_have_numbers_names_and_values(tmp_path):
    found = api.points(written(tmp_path, "[parameters]\na = [1, 2, 3]\n[sweep]\nderive = { d = 'a * 2' }\n"), first=2)
    assert found.columns == ("point", "point_id", "a", "d")
    assert [(row[0], *row[2:]) for row in found.rows] == [(0, 1, 2), (1, 2, 4)]
    assert found.total == 3


def test_the_last_points_keep_their_numbers(tmp_path):
    file = written(tmp_path, "[parameters]\na = [1, 2, 3]\n")
    assert [row[0] for row in api.points(file, last=2).rows] == [1, 2]
    assert [row[0] for row in api.points(file, last=9).rows] == [0, 1, 2]


def test_another_order_of_the_file_renames_no_point(tmp_path):
    one = api.points(written(tmp_path, "[parameters]\na = [1, 2]\nb = [3, 4]\n"))
    two = api.points(written(tmp_path, "[parameters]\nb = [4, 3]\na = [2, 1]\n"))
    assert {row[1]: (row[2], row[3]) for row in one.rows} == {row[1]: (row[3], row[2]) for row in two.rows}


def test_points_are_saved_as_csv(tmp_path):
    file = written(tmp_path, "[parameters]\na = [1, 2]\nk = { values = ['x'], when = 'a > 1' }\n")
    assert api.save_points(file, tmp_path / "points.csv") == 2
    with (tmp_path / "points.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["a"], row["k"]) for row in rows] == [("1", ""), ("2", "x")]


def test_points_are_saved_as_parquet_with_their_kinds(tmp_path):
    file = written(tmp_path, "[parameters]\na = [1, 2]\nf = [0.5, 1]\n")
    api.save_points(file, tmp_path / "points.parquet")
    assert pl.read_parquet(tmp_path / "points.parquet").schema["f"] == pl.Float64


def test_points_are_saved_in_no_other_form(tmp_path):
    with pytest.raises(UsageError, match=r"neither a \.csv nor a \.parquet"):
        api.save_points(written(tmp_path, "[parameters]\na = [1]\n"), tmp_path / "points.xls")


def test_points_are_not_saved_where_nothing_may_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError):
        api.save_points(written(tmp_path, "[parameters]\na = [1]\n"), tmp_path / "file" / "points.csv")


def test_a_faulty_workflow_has_no_size(tmp_path):
    with pytest.raises(WorkflowError):
        api.check(written(tmp_path, "[parameters]\na = []\n"))


def test_the_cores_and_the_memory_of_all_ranks_count_and_each_step_is_a_job(tmp_path):
    text = "[tasks.cfd]\nrun = ['x']\nresources = { nodes = 2, ranks = 8, cpus = 4, memory = '2 GiB', time = '1m' }\n"
    found = api.check(written(tmp_path, text + "[parameters]\na = [1]\n"))
    assert (found.cpu_hours, found.peak_memory_mib) == (pytest.approx(2 + 8 * 4 / 60), 8 * 2048)
    assert found.jobs == 3
