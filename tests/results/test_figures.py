import json
import struct
import xml.etree.ElementTree as ET

import pytest

from sciflow.results import figures, table
from tests.results import studies

CHARTS = {
    "line": studies.chart("line", "line", "gamma", "accuracy", color="c", facet=["kernel"]),
    "scatter": studies.chart("scatter", "scatter", "training_time", "accuracy", color="support_vectors"),
    "heatmap": studies.chart("heatmap", "heatmap", "gamma", "c", "accuracy", facet=["kernel", "repeat"]),
    "box": studies.chart("box", "box", "kernel", "accuracy", color="c"),
    "bar": studies.chart("bar", "bar", "gamma", "training_time", color="kernel"),
}


def drawn(folder, *chart):
    plan, points, steps, settled = studies.digits(chart)
    return figures.draw(table.build(plan, points, steps, settled), plan, folder)


def odd(folder, name="μ/..=<b>", value="[a.b]: \"'\\</script>数"):
    """Draw a study whose parameter and metric have names and values that programs trip over."""
    chart = studies.chart("odd", "line", "p.q[0]", name, color="k:N")
    study = studies.single(
        [{name: 1.0}, {name: 2.0}, {name: 4.0}, {name: 3.0}],
        parameters=[studies.parameter("p.q[0]", "float"), studies.parameter("k:N", "text")],
        points=[{"p.q[0]": p, "k:N": k} for p in (0.5, 1.5) for k in (value, "b")], charts=[chart],
    )  # fmt: skip
    return figures.draw(table.build(*study), study[0], folder)


def parsed(svg):
    return ET.parse(svg).getroot()  # noqa: S314  # what was just drawn, not a stranger's


def size(png):
    """Return a PNG's (width, height): the first two words of its header chunk."""
    data = png.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", data[16:24])


def marks(svg):
    return [element for element in parsed(svg).iter() if element.get("aria-roledescription")]


@pytest.mark.parametrize("kind", CHARTS)
def test_each_kind_is_drawn_as_a_png_at_twice_its_size(tmp_path, kind):
    (figure,) = drawn(tmp_path, CHARTS[kind])
    svg = parsed(figure.svg)
    assert size(figure.png) == (2 * int(svg.get("width")), 2 * int(svg.get("height")))


@pytest.mark.parametrize(("kind", "count"), [("line", 32), ("scatter", 96), ("heatmap", 96), ("box", 8), ("bar", 8)])
def test_each_kind_has_a_mark_for_each_value(tmp_path, kind, count):
    (figure,) = drawn(tmp_path, CHARTS[kind])
    word = {"line": "point", "scatter": "point", "heatmap": "rect mark", "box": "tick", "bar": "bar"}[kind]
    assert sum(mark.get("aria-roledescription") == word for mark in marks(figure.svg)) == count


def test_a_spec_is_written_with_its_data(tmp_path):
    (figure,) = drawn(tmp_path, CHARTS["bar"])
    assert json.loads((tmp_path / "bar.vl.json").read_text(encoding="utf-8")) == figure.spec


def test_the_same_chart_twice_gives_the_same_bytes(tmp_path):
    (once,), (again,) = drawn(tmp_path / "a", CHARTS["heatmap"]), drawn(tmp_path / "b", CHARTS["heatmap"])
    assert (once.png.read_bytes(), once.svg.read_bytes()) == (again.png.read_bytes(), again.svg.read_bytes())


def test_a_chart_of_a_metric_that_nothing_gave_is_left_out(tmp_path):
    assert [
        figure.name for figure in drawn(tmp_path, studies.chart("lost", "line", "gamma", "loss"), CHARTS["bar"])
    ] == ["bar"]


def test_the_axis_of_decades_is_logarithmic(tmp_path):
    assert '"type": "log"' in json.dumps(drawn(tmp_path, CHARTS["line"])[0].spec)


def test_no_spec_names_a_place_to_load_data_from(tmp_path):
    assert '"url"' not in json.dumps(drawn(tmp_path, CHARTS["line"])[0].spec)


def test_names_that_programs_trip_over_are_drawn(tmp_path):
    (figure,) = odd(tmp_path)
    assert sum(mark.get("aria-roledescription") == "point" for mark in marks(figure.svg)) == 4


def test_a_legend_shows_text_as_it_is(tmp_path):
    (figure,) = odd(tmp_path)
    assert "[a.b]: \"'\\</script>数" in {element.text for element in parsed(figure.svg).iter()}


def test_an_automatic_chart_of_an_odd_metric_stays_in_its_folder(tmp_path):
    study = studies.single(
        [{"../μ m": 1}, {"../μ m": 2}],
        declared=[studies.metric("../μ m", "maximize")],
        parameters=[studies.parameter("p", "int")],
        points=[{"p": 1}, {"p": 2}],
    )
    (figure,) = figures.draw(table.build(*study), study[0], tmp_path / "figures")
    assert figure.png.parent == tmp_path / "figures"


def test_charts_whose_names_differ_in_case_get_files_of_their_own(tmp_path):
    found = drawn(tmp_path, {**CHARTS["bar"], "name": "A"}, {**CHARTS["bar"], "name": "a"})
    assert [figure.png.name for figure in found] == ["A.png", "a-2.png"]


def test_a_single_value_is_drawn(tmp_path):
    chart = studies.chart("one", "heatmap", "p", "p", "n")
    study = studies.single([{"n": 1}], parameters=[studies.parameter("p", "int")], points=[{"p": 1}], charts=[chart])
    assert size(figures.draw(table.build(*study), study[0], tmp_path)[0].png) > (50, 50)


def test_ten_thousand_points_are_drawn(tmp_path):
    chart = studies.chart("many", "scatter", "p", "n")
    study = studies.single(
        [{"n": float(at % 100)} for at in range(10_000)],
        parameters=[studies.parameter("p", "int")], points=[{"p": at} for at in range(10_000)], charts=[chart],
    )  # fmt: skip
    (figure,) = figures.draw(table.build(*study), study[0], tmp_path)
    assert figure.subtitle == "one in 2 of 10,000 points"


def test_the_runtime_sets_what_the_page_calls():
    assert "window.vegaEmbed" in figures.runtime()
