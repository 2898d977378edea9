import csv
import subprocess
import sys

import polars as pl
import pytest

from sciflow.errors import SurroundingsError
from sciflow.results import table
from sciflow.runner import points
from tests.results import studies


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def two_tasks(first, second, **more):
    """Return tables of one point that two tasks give metrics of."""
    plan = {
        "name": "two", "title": "", "parameters": [], "points": 1, "metrics": [], "charts": [],
        "tasks": [studies.task("train", [], 1), studies.task("score", [], 1, **more)],
    }  # fmt: skip
    settled = {
        ("train", 0): studies.record("train", 0, metrics=first),
        ("score", 0): studies.record("score", 0, metrics=second),
    }
    return table.build(plan, [{}], {"train": [0], "score": [0]}, settled)


def test_a_point_is_a_row_in_order():
    tables = table.build(*studies.digits())
    assert tables.points["point"].to_list() == list(range(96))


def test_columns_are_point_state_parameters_and_metrics():
    tables = table.build(*studies.digits())
    assert tables.points.columns == [
        "point", "state", "point_id", "gamma", "c", "kernel", "repeat", "budget", "accuracy", "training_time", "support_vectors",
    ]  # fmt: skip


def test_a_points_id_is_its_name_by_content():
    plan, rows, steps, settled = studies.digits()
    ids = table.build(plan, rows, steps, settled).points["point_id"].to_list()
    assert ids == [points.name(row, {"budget"}) for row in rows]


def test_a_column_without_a_value_at_some_points_is_null_there():
    declared = [studies.parameter("degree", "int")]
    study = studies.single([{}, {}], parameters=declared, points=[{"degree": 2}, {"degree": None}])
    assert table.build(*study).points["degree"].to_list() == [2, None]


def test_columns_have_the_type_of_their_kind():
    tables = table.build(*studies.digits())
    assert [str(dtype) for dtype in tables.points.dtypes] == [
        "UInt32", "String", "String", "Float64", "Float64", "String", "Int64", "Float64", "Float64", "Float64", "Int64",
    ]  # fmt: skip


def test_a_shared_step_is_one_row_that_names_its_first_point():
    tables = table.build(*studies.digits())
    split = tables.steps.filter(tables.steps["task"] == "split")
    assert split["point"].to_list() == [0, 1, 2]


def test_a_gathered_step_has_no_point():
    tables = table.build(*studies.digits())
    assert tables.steps.filter(tables.steps["task"] == "summary")["point"].to_list() == [None]


def test_steps_stand_in_the_order_of_the_plan_then_by_number():
    tables = table.build(*studies.digits())
    assert tables.steps["task"].to_list() == ["prepare"] + ["split"] * 3 + ["train"] * 96 + ["summary"]


def test_a_step_shows_the_parameters_it_uses_and_no_others():
    tables = table.build(*studies.digits())
    split = tables.steps.filter(tables.steps["task"] == "split").row(2, named=True)
    assert (split["repeat"], split["gamma"], split["kernel"]) == (2, None, None)


def test_a_gathered_task_is_no_part_of_the_points():
    tables = table.build(*studies.digits())
    assert "mean_accuracy" not in tables.points.columns


def test_a_gathered_step_that_failed_spoils_no_point():
    plan, points, steps, settled = studies.digits()
    settled["summary", 0] = studies.record("summary", 0, "failed")
    assert table.build(plan, points, steps, settled).points["state"].unique().to_list() == ["done"]


def test_a_failed_shared_step_is_the_state_of_every_point_that_uses_it():
    plan, points, steps, settled = studies.digits()
    settled["split", 1] = studies.record("split", 1, "failed")
    states = table.build(plan, points, steps, settled).points["state"].to_list()
    assert states == ["done", "failed", "done"] * 32


def test_the_cause_outweighs_the_steps_that_were_skipped_for_it():
    plan, points, steps, settled = studies.digits()
    settled["split", 1] = studies.record("split", 1, "memory")
    settled["train", 1] = studies.record("train", 1, "skipped")
    assert table.build(plan, points, steps, settled).points["state"][1] == "memory"


def test_a_point_with_a_step_without_a_record_has_no_state():
    plan, points, steps, settled = studies.digits()
    del settled["train", 5]
    assert table.build(plan, points, steps, settled).points["state"][5] is None


def test_a_step_without_a_record_is_a_row_of_nulls():
    plan, points, steps, settled = studies.digits()
    del settled["train", 5]
    row = table.build(plan, points, steps, settled).steps.row(4 + 5, named=True)
    assert (row["task"], row["step"], row["point"], row["state"], row["wall_s"]) == ("train", 5, 5, None, None)


def test_a_failed_step_gives_no_metrics():
    plan, points, steps, settled = studies.digits()
    settled["train", 5] = studies.record("train", 5, "failed", metrics={"accuracy": 0.1})
    assert table.build(plan, points, steps, settled).points["accuracy"][5] is None


def test_a_metric_that_two_tasks_give_is_told_apart_by_the_task():
    points = two_tasks({"loss": 1.0}, {"loss": 2.0}).points.row(0, named=True)
    assert (points["train.loss"], points["score.loss"]) == (1.0, 2.0)


def test_a_metric_that_a_gathered_task_gives_too_keeps_its_bare_name():
    assert "loss" in two_tasks({"loss": 1.0}, {"loss": 2.0}, gather="train").points.columns


def test_a_metric_named_like_a_column_does_not_replace_it():
    row = two_tasks({"state": "solid"}, {}).points.row(0, named=True)
    assert (row["state"], row["train.state"]) == ("done", "solid")


def test_a_fraction_after_many_whole_numbers_is_not_cut():
    tables = table.build(*studies.single([{"n": 1}] * 500 + [{"n": 1.5}]))
    assert tables.points["n"][500] == 1.5


def test_points_may_be_read_only_once():
    plan, points, steps, settled = studies.digits()
    assert table.build(plan, iter(points), steps, settled).points.equals(
        table.build(plan, points, steps, settled).points
    )


def test_a_study_without_any_record_is_a_table_of_nulls():
    plan, points, steps, _ = studies.digits()
    assert table.build(plan, points, steps, {}).points["state"].null_count() == 96


def test_parquet_holds_what_was_built(tmp_path):
    tables = table.build(*studies.digits())
    assert pl.read_parquet(table.write(tables, tmp_path, provenance={})).equals(tables.points)


def test_steps_are_written_too(tmp_path):
    tables = table.build(*studies.digits())
    table.write(tables, tmp_path, provenance={})
    assert pl.read_parquet(tmp_path / "steps.parquet").equals(tables.steps)


def test_parquet_carries_the_provenance(tmp_path):
    path = table.write(table.build(*studies.digits()), tmp_path, provenance={"bundle": "ab12"})
    assert pl.read_parquet_metadata(path)["bundle"] == "ab12"


def test_the_same_tables_give_the_same_bytes_in_another_process(tmp_path):
    script = (
        "import sys, pathlib; from sciflow.results import table; from tests.results import studies\n"
        "table.write(table.build(*studies.digits()), pathlib.Path(sys.argv[1]), provenance={'b': '1', 'a': '2', 'c': '3'})"
    )
    for seed in "12":
        environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path), "TZ": f"UTC-{seed}"}
        subprocess.run([sys.executable, "-c", script, tmp_path / seed], check=True, env=environment)
    names = ("results.parquet", "steps.parquet", "results.csv")
    assert [(tmp_path / "1" / name).read_bytes() for name in names] == [
        (tmp_path / "2" / name).read_bytes() for name in names
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"])
def test_a_formula_in_a_csv_cell_is_tamed(tmp_path, text):
    study = studies.single([{"note": text}])
    table.write(table.build(*study), tmp_path, provenance={})
    assert rows_of(tmp_path / "results.csv")[1][3] == f"'{text}"


def test_a_formula_in_a_csv_heading_is_tamed(tmp_path):
    table.write(table.build(*studies.single([{"=x": 1}])), tmp_path, provenance={})
    assert rows_of(tmp_path / "results.csv")[0][3] == "'=x"


def test_negative_numbers_in_csv_stay_numbers(tmp_path):
    table.write(table.build(*studies.single([{"n": -1.5}])), tmp_path, provenance={})
    assert rows_of(tmp_path / "results.csv")[1][3] == "-1.5"


def test_parquet_keeps_a_formula_as_it_is(tmp_path):
    path = table.write(table.build(*studies.single([{"note": "=1+1"}])), tmp_path, provenance={})
    assert pl.read_parquet(path)["note"].to_list() == ["=1+1"]


def test_text_of_any_script_comes_back(tmp_path):
    text = 'naïve, "数据"\n🧪'
    table.write(table.build(*studies.single([{"note": text}])), tmp_path, provenance={})
    assert rows_of(tmp_path / "results.csv")[1][3] == text


def test_nothing_is_left_beside_the_files(tmp_path):
    table.write(table.build(*studies.digits()), tmp_path / "new", provenance={})
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == [
        "results.csv",
        "results.parquet",
        "steps.parquet",
    ]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    place = tmp_path / "file"
    place.write_text("")
    with pytest.raises(SurroundingsError, match=r"`.*file/results\.parquet` cannot be written"):
        table.write(table.build(*studies.digits()), place, provenance={})


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    place = tmp_path / "kept"
    place.write_text("old")

    def broken(path):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(SurroundingsError, match="No space left"):
        table.put(place, broken)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("kept", "old")]


def test_thinning_keeps_at_most_the_limit():
    thinned, stride = table.thin(pl.DataFrame({"x": range(10_001)}), 5000)
    assert (thinned.height, stride) == (3334, 3)
