import pytest

from sciflow.results import charts, table
from tests.results import studies


def drawn(chart, **changes):
    plan, points, steps, settled = studies.digits([chart])
    settled.update(changes.get("settled", {}))
    return charts.drawing(table.build(plan, points, steps, settled), plan, chart)


def refused(chart, metrics=None):
    study = studies.digits([chart]) if metrics is None else studies.single(metrics, charts=[chart])
    return charts.refusal(table.build(*study), study[0], chart)


def sweep(values, kind="float", chart_kind="heatmap"):
    """Return the drawing of a sweep over one parameter, whose metric is its position."""
    chart = studies.chart("c", chart_kind, "p", "p" if chart_kind == "heatmap" else "n", "n")
    study = studies.single(
        [{"n": float(at)} for at in range(len(values))],
        parameters=[studies.parameter("p", kind)], points=[{"p": value} for value in values], charts=[chart],
    )  # fmt: skip
    return charts.drawing(table.build(*study), study[0], chart)


def test_a_heatmap_has_the_mean_over_what_is_on_no_axis():
    found = drawn(studies.chart("h", "heatmap", "gamma", "c", "accuracy", facet=["kernel"]))
    cell = next(row for row in found.rows if (row["x"], row["y"], row["column"]) == ("0.001", "100", "kernel = rbf"))
    by_hand = sum(studies.accuracy(1e-3, 100.0, "rbf", repeat) for repeat in range(3)) / 3
    assert cell["value"] == pytest.approx(by_hand, rel=1e-12)


def test_the_subtitle_says_what_was_aggregated():
    assert (
        drawn(studies.chart("h", "heatmap", "gamma", "c", "accuracy", facet=["kernel"])).subtitle
        == "mean over repeat (n = 3)"
    )


@pytest.mark.parametrize(("how", "value"), [("min", 0), ("max", 2), ("median", 1), ("mean", 1)])
def test_each_aggregate_is_what_it_says(how, value):
    found = drawn(studies.chart("l", "line", "kernel", "repeat", aggregate=how))
    assert [row["y"] for row in found.rows] == [value, value]


def test_a_derived_column_is_not_aggregated_over():
    assert drawn(studies.chart("l", "line", "gamma", "accuracy", facet=["kernel"])).subtitle.startswith(
        "mean over c and repeat"
    )


def test_uneven_groups_show_the_range_of_n():
    found = drawn(
        studies.chart("h", "heatmap", "gamma", "c", "accuracy", facet=["kernel"]),
        settled={("train", 0): studies.record("train", 0, "failed")},
    )
    assert found.subtitle == "mean over repeat (n = 2 to 3); 95 of 96 points"


def test_a_cell_without_a_result_is_spoken_of():
    lost = {("train", step): studies.record("train", step, "failed") for step in range(3)}
    found = drawn(studies.chart("h", "heatmap", "gamma", "c", "accuracy", facet=["kernel"]), settled=lost)
    assert "grey: no result" in found.subtitle


def test_text_keeps_the_order_of_the_sweep():
    assert drawn(studies.chart("b", "bar", "kernel", "accuracy")).scales["x"].levels == ("rbf", "linear")


def test_numbers_of_a_heatmap_are_sorted():
    assert sweep([10, 9, 100], "int").scales["x"].levels == (9, 10, 100)


def test_decades_give_a_logarithmic_axis():
    assert drawn(studies.chart("l", "line", "gamma", "accuracy")).scales["x"].log


def test_even_steps_give_a_linear_axis():
    assert not drawn(studies.chart("l", "line", "repeat", "accuracy")).scales["x"].log


@pytest.mark.parametrize(
    ("values", "log"),
    [
        ([1, 10, 100], True),
        ([1, 3, 10, 30, 100], True),
        ([1, 10], False),
        ([0, 10, 1000], False),
        ([1, 50, 100], False),
        ([5], False),
    ],
)
def test_decades_are_told_from_even_steps(values, log):
    assert charts.by_decades(values) is log


def test_units_stand_in_the_title_of_an_axis():
    assert drawn(studies.chart("l", "line", "gamma", "training_time")).scales["y"].title == "training_time (s)"


def test_the_unit_of_a_pure_number_is_not_written():
    assert drawn(studies.chart("l", "line", "gamma", "accuracy")).scales["y"].title == "accuracy"


def test_labels_have_the_digits_that_tell_them_apart():
    assert charts.labels([0.1, 0.123456, 0.123457]) == ["0.1", "0.123456", "0.123457"]


def test_labels_are_short_where_that_is_enough():
    assert charts.labels([10**-0.5, 1e-7, True, 100000]) == ["0.3162", "1e-7", "true", "100000"]


def test_many_values_of_a_heatmap_become_bins():
    assert len(sweep([float(value) for value in range(1000)]).scales["x"].levels) == 30


def test_bins_are_spoken_of():
    assert (
        sweep([float(value) for value in range(1000)]).subtitle == "mean (n = 33 to 34); p in 30 bins; grey: no result"
    )


def test_many_names_are_cut_short_aloud():
    found = sweep([f"name {value}" for value in range(50)], "text", "bar")
    assert (len(found.rows), found.subtitle) == (40, "the first 40 of 50 values of p")


def test_more_points_than_a_picture_holds_are_thinned_aloud():
    found = sweep([float(value) for value in range(12_000)], chart_kind="scatter")
    assert (len(found.rows), found.subtitle) == (4000, "one in 3 of 12,000 points")


def test_a_box_has_its_quartiles():
    row = drawn(studies.chart("b", "box", "kernel", "repeat")).rows[0]
    assert (row["low"], row["quarter"], row["y"], row["three_quarters"], row["high"]) == (0, 0, 1, 2, 2)


def test_a_metric_that_nothing_gave_is_refused():
    assert refused(studies.chart("l", "line", "gamma", "loss")) == "no finished point has `loss`"


def test_a_metric_of_text_is_refused():
    assert (
        refused(studies.chart("l", "line", "note", "note"), [{"note": "a"}])
        == "`note` is text, and a line measures numbers"
    )


def test_a_metric_that_is_always_nan_is_refused():
    assert refused(studies.chart("l", "line", "n", "n"), [{"n": float("nan")}]) == "no finished point has `n`"


def test_a_study_with_nothing_done_is_refused():
    assert refused(studies.chart("l", "line", "n", "n"), [None]) == "no point is done"


def test_without_charts_each_parameter_is_drawn_for_each_goal():
    study = studies.digits()
    named = [(chart["name"], chart["kind"]) for chart in charts.wanted(table.build(*study), study[0])]
    assert named == [
        ("accuracy-by-gamma", "line"), ("accuracy-by-c", "line"), ("accuracy-by-kernel", "bar"), ("accuracy-by-repeat", "line"),
        ("training_time-by-gamma", "line"), ("training_time-by-c", "line"), ("training_time-by-kernel", "bar"),
        ("training_time-by-repeat", "line"),
    ]  # fmt: skip


def test_without_charts_and_goals_the_numbers_are_drawn():
    study = studies.single(
        [{"n": 1, "t": "a"}, {"n": 2, "t": "b"}],
        parameters=[studies.parameter("p", "int")],
        points=[{"p": 1}, {"p": 2}],
    )
    assert [chart["name"] for chart in charts.wanted(table.build(*study), study[0])] == ["n-by-p"]


def test_truth_values_are_measured_as_shares():
    chart = studies.chart("b", "bar", "p", "ok")
    study = studies.single(
        [{"ok": True}, {"ok": False}],
        parameters=[studies.parameter("p", "int")],
        points=[{"p": 1}, {"p": 1}],
        charts=[chart],
    )
    assert charts.drawing(table.build(*study), study[0], chart).rows[0]["y"] == 0.5
