"""What a run has brought: the best point, one number, what failed, a chart; and each question it cannot answer."""

import sys

import pytest

import sciflow
from sciflow import api
from sciflow.api import found
from sciflow.errors import IncompleteError, UsageError
from tests import small

CODE = """\
import json, sys
size, rate, kernel = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
if (size, rate) == (3, 0.5):
    sys.exit("no such number")
with open("metrics.json", "w") as target:
    json.dump({"score": size * rate if rate < 1 else None, "size_seen": size, "name": kernel, "flat": 1.5}, target)
"""
FILE = """\
format = 1

[workflow]
name = "sized"

[code]
include = ["*.py"]

[parameters]
size = [1, 2, 3]
rate = [0.25, 0.5, 1.0]
kernel = ["rbf"]

[sweep]
derive = {{ twice = "size * 2" }}

[tasks.train]
run = ["{python}", "t.py", "{{size}}", "{{rate}}", "{{kernel}}"]
metrics = "metrics.json"

[tasks.again]
run = ["{python}", "again.py"]
parameters = ["size"]
metrics = "metrics.json"

[[charts]]
name = "scores"
kind = "line"
x = "size"
y = "score"

[[charts]]
name = "names"
kind = "line"
x = "rate"
y = "lost"

[results.metrics]
score = {{ goal = "maximize" }}
lost = {{}}
"""
AGAIN = 'import json\njson.dump({"flat": 2.5}, open("metrics.json", "w"))\n'


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run a study of 9 points, one of which fails and three of which have no score."""
    folder = tmp_path_factory.mktemp("sized")
    (folder / "workflow.toml").write_text(FILE.format(python=sys.executable))
    (folder / "t.py").write_text(CODE)
    (folder / "again.py").write_text(AGAIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "configuration"))
        return sciflow.Workflow.load(folder / "workflow.toml").compile().run(engine="host")


def test_the_best_point_is_given_by_its_swept_parameters(ran):
    assert ran.find_optimal_parameters("score") == {"size": 2, "rate": 0.5, "kernel": "rbf"}


def test_the_best_may_be_the_least(ran):
    assert ran.find_optimal_parameters("score", maximize=False) == {"size": 1, "rate": 0.25, "kernel": "rbf"}


def test_what_comes_out_is_plain_python(ran):
    best = ran.find_optimal_parameters("score")
    assert [type(value) for value in (*best.values(), ran.get_metric(best, "score"))] == [int, float, str, float]


def test_of_equals_the_first_is_taken_and_the_others_are_ties(ran):
    assert ran.find_optimal_parameters("train.flat")["rate"] == 0.25
    assert [(tie["size"], tie["rate"]) for tie in ran.ties] == [
        (1, 0.5),
        (1, 1.0),
        (2, 0.25),
        (2, 0.5),
        (2, 1.0),
        (3, 0.25),
        (3, 1.0),
    ]


def test_a_best_point_alone_has_no_ties(ran):
    ran.find_optimal_parameters("score")
    assert ran.ties == ()


@pytest.mark.parametrize(
    ("where", "best"),
    [
        ("rate < 0.5", (3, 0.25)),
        ("size_seen == 1 and score > 0", (1, 0.5)),
        ("kernel == 'rbf' and twice == 2", (1, 0.5)),
        ({"rate": 0.25}, (3, 0.25)),
        ({"size": 1.0, "twice": 2}, (1, 0.5)),
        ("true", (2, 0.5)),
    ],
)
def test_the_best_may_be_looked_for_among_some(ran, where, best):
    found_there = ran.find_optimal_parameters("score", where=where)
    assert (found_there["size"], found_there["rate"]) == best


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("size +", "`size \\+`: "),
        ("size", "is not true or false"),
        ("sise > 1", "did you mean `size`"),
        ({"sise": 1}, "there is no parameter `sise`"),
    ],
)
def test_a_condition_that_is_none_is_refused(ran, where, said):
    with pytest.raises(UsageError, match=said):
        ran.find_optimal_parameters("score", where=where)


def test_that_no_point_meets_a_condition_is_said(ran):
    with pytest.raises(IncompleteError, match="no finished point that meets `where` has `score`"):
        ran.find_optimal_parameters("score", where="size > 5")


def test_an_unknown_metric_is_refused_with_those_there_are(ran):
    with pytest.raises(UsageError, match="there is no metric `scor`") as caught:
        ran.find_optimal_parameters("scor")
    assert "`score`" in caught.value.hint
    assert "`again.flat`" in caught.value.hint


def test_a_metric_of_two_tasks_is_asked_for_with_its_task(ran):
    with pytest.raises(UsageError, match="several tasks give `flat`") as caught:
        ran.get_metric({}, "flat")
    assert caught.value.hint == "name one of `train.flat`, `again.flat`"


def test_a_metric_of_texts_has_no_best(ran):
    with pytest.raises(UsageError, match="`name` holds texts"):
        ran.find_optimal_parameters("name")


@pytest.mark.parametrize("size", [2, 2.0])
def test_a_metric_is_given_at_one_point(ran, size):
    assert ran.get_metric({"kernel": "rbf", "size": size, "rate": 0.5}, "score") == 1.0


def test_a_derived_column_may_be_named_too(ran):
    assert ran.get_metric({"kernel": "rbf", "size": 2, "rate": 0.5, "twice": 4}, "score") == 1.0


def test_a_point_half_named_is_refused_with_what_is_missing(ran):
    with pytest.raises(UsageError, match="`rate`, `kernel` are not given, and 3 points agree with the rest"):
        ran.get_metric({"size": 2}, "score")


def test_an_unknown_parameter_is_refused(ran):
    with pytest.raises(UsageError, match="there is no parameter `sise`"):
        ran.get_metric({"sise": 2}, "score")


@pytest.mark.parametrize("size", [7, "2", True, None, 2.5, float("nan"), [2], {"a": 1}])
def test_values_that_no_point_has_are_refused_with_those_there_are(ran, size):
    with pytest.raises(UsageError, match="no point has `size` = ") as caught:
        ran.get_metric({"size": size, "rate": 0.5, "kernel": "rbf"}, "score")
    assert caught.value.hint == "`size` is one of [1, 2, 3]"


def test_values_that_do_not_occur_together_are_told_apart(ran):
    with pytest.raises(UsageError, match="no point has") as caught:
        ran.get_metric({"size": 2, "rate": 0.5, "kernel": "rbf", "twice": 2}, "score")
    assert caught.value.hint == "each of these values occurs, but not together"


@pytest.mark.parametrize(("size", "rate", "state"), [(3, 0.5, "failed"), (1, 1.0, "done")])
def test_a_point_without_the_metric_says_how_it_ended(ran, size, rate, state):
    with pytest.raises(IncompleteError, match=f"is {state}, and has no `score`"):
        ran.get_metric({"size": size, "rate": rate, "kernel": "rbf"}, "score")


def test_what_failed_is_named_with_its_values(ran):
    (failure,) = ran.failed
    assert (failure.task, failure.state, failure.parameters) == (
        "train",
        "failed",
        {"size": 3, "rate": 0.5, "kernel": "rbf"},
    )


def test_the_tables_have_a_row_a_point_and_a_row_a_step(ran):
    assert (ran.table.height, ran.steps.height) == (9, 9 + 3)


def test_a_chart_is_drawn_when_it_is_asked_for(ran):
    chart = ran.chart("scores")
    assert chart.png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in chart._repr_svg_()


@pytest.mark.parametrize(("name", "said"), [("score", "there is no chart `score`"), ("names", "cannot be drawn")])
def test_a_chart_that_cannot_be_drawn_is_refused(ran, name, said):
    with pytest.raises(UsageError, match=said):
        ran.chart(name)


def test_the_report_is_a_page(ran):
    assert ran.report().read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_it_says_what_it_is_in_a_line(ran):
    metrics = "score, train.flat, name, size_seen, again.flat"
    assert repr(ran) == (f"<Results 'sized' {ran.bundle.id[:12]}: 9 points, 11 of 12 steps done, metrics: {metrics}>")


def test_it_shows_itself_in_a_notebook(ran):
    page = ran._repr_html_()
    assert page.startswith("<p>&lt;Results &#x27;sized&#x27;")
    assert page.count("<tr>") == 1 + 9


def test_a_cell_of_html_is_shown_as_text(tmp_path):
    bundle = small.compiled(
        tmp_path, ("rate = [0.5, 1.0]", 'rate = [0.5]\nkind = ["<b>&"]'), ('"{rate}"', '"{rate}", "{kind}"')
    )
    api.run(bundle, engine="host")
    page = found.read(sciflow.Bundle.open(bundle))._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page


def test_where_all_failed_the_best_is_not_there(tmp_path):
    bundle = small.compiled(tmp_path, ('"train", "{prepare.clean}"', '"train", "nowhere"'))
    api.run(bundle, engine="host")
    results = found.read(sciflow.Bundle.open(bundle))
    with pytest.raises(IncompleteError, match="no finished point has `score`") as caught:
        results.find_optimal_parameters("score")
    assert "results.failed" in caught.value.hint


def test_a_run_without_records_has_no_results(tmp_path):
    with pytest.raises(IncompleteError, match="has no records yet"):
        found.read(sciflow.Bundle.open(small.compiled(tmp_path)))


def test_nothing_ran_degraded_where_all_was_there(ran):
    assert ran.degraded == {}


REPEATED = (
    FILE.replace('kernel = ["rbf"]', 'kernel = ["rbf"]\nrepeat = {{ replicates = 2 }}')
    .replace('"{{kernel}}"]', '"{{kernel}}", "{{repeat}}"]')
    .replace("rate = [0.25, 0.5, 1.0]", "rate = [0.25]")
)
REPEATING = """\
import json, sys
size, repeat = int(sys.argv[1]), int(sys.argv[4])
with open("metrics.json", "w") as target:
    json.dump({"score": size + 3 * repeat if size < 3 else 4}, target)
"""


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    """Scores 1 and 4, 2 and 5, 4 and 4: their means are 2.5, 3.5 and 4."""
    folder = tmp_path_factory.mktemp("repeated")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        (folder / "workflow.toml").write_text(REPEATED.format(python=sys.executable))
        (folder / "t.py").write_text(REPEATING)
        (folder / "again.py").write_text('open("metrics.json", "w").write("{}")\n')
        return sciflow.Workflow.load(folder / "workflow.toml").compile().run(engine="host")


def test_the_best_point_is_best_in_the_mean_of_its_replicates(repeated):
    assert repeated.find_optimal_parameters("score") == {"size": 3, "rate": 0.25, "kernel": "rbf"}


def test_a_metric_of_a_point_is_the_mean_of_its_replicates(repeated):
    assert repeated.get_metric({"size": 1, "rate": 0.25, "kernel": "rbf"}, "score") == 2.5


def test_one_replicate_may_be_named(repeated):
    assert repeated.get_metric({"size": 1, "rate": 0.25, "kernel": "rbf", "repeat": 1}, "score") == 4
