import pytest

from sciflow.errors import UsageError
from sciflow.results import stats, table
from tests.results import studies


def bests(metrics, **about):
    study = studies.single(metrics, declared=[studies.metric("score", **about)])
    return stats.best(table.build(*study), study[0])


def test_the_greatest_value_is_best_where_more_is_better():
    (best,) = bests([{"score": 1}, {"score": 3}, {"score": 2}], goal="maximize")
    assert (best.point, best.value) == (1, 3)


def test_the_least_value_is_best_where_less_is_better():
    (best,) = bests([{"score": 1.5}, {"score": 0.5}], goal="minimize")
    assert (best.point, best.value) == (1, 0.5)


def test_of_equals_the_first_is_best():
    (best,) = bests([{"score": 1}, {"score": 2}, {"score": 2}], goal="maximize")
    assert best.point == 1


def test_null_and_nan_are_never_best():
    (best,) = bests([{"score": float("nan")}, {"score": None}, {"score": 1.0}], goal="maximize")
    assert (best.point, best.of) == (2, 1)


def test_a_point_that_failed_is_never_best():
    plan, points, steps, settled = studies.digits()
    settled["train", 44] = studies.record("train", 44, "failed", metrics={"accuracy": 2.0})
    assert stats.best(table.build(plan, points, steps, settled), plan)[0].point != 44


def test_the_best_of_the_digits_names_its_parameters():
    study = studies.digits()
    best = stats.best(table.build(*study), study[0])[0]
    assert best.parameters == {"gamma": 1e-3, "c": 100.0, "kernel": "rbf", "repeat": 2, "budget": 1000.0}


def test_each_metric_with_a_goal_has_a_best():
    study = studies.digits()
    assert [best.metric for best in stats.best(table.build(*study), study[0])] == ["accuracy", "training_time"]


def test_a_metric_without_a_goal_has_no_best():
    assert bests([{"score": 1}]) == ()


def test_a_metric_that_nothing_gave_has_no_best():
    assert bests([{}], goal="maximize") == ()


def test_text_has_no_best():
    assert bests([{"score": "high"}], goal="maximize") == ()


def test_points_that_meet_the_requirement_are_counted():
    (best,) = bests([{"score": 0.5}, {"score": 0.6}, {"score": 0.7}], goal="maximize", require="> 0.5")
    assert (best.holds, best.meeting, best.of) == (True, 2, 3)


def test_a_best_that_misses_the_requirement_says_so():
    (best,) = bests([{"score": 0.5}], goal="maximize", require="> 0.5")
    assert (best.holds, best.meeting) == (False, 0)


@pytest.mark.parametrize(
    ("value", "require", "holds"),
    [
        (1, "> 1", False),
        (1, ">=1", True),
        (1, "< 1.5e0", True),
        (1, "<= .5", False),
        (-1, "== -1", True),
        (1, "!= 1", False),
    ],
)
def test_a_comparison_is_read(value, require, holds):
    assert stats.meets(value, require) is holds


@pytest.mark.parametrize("require", ["", "0.5", "> x", ">> 1", "> 1 and < 2", "> nan"])
def test_what_is_no_comparison_is_refused(require):
    with pytest.raises(UsageError, match="is no comparison with a number"):
        stats.meets(1, require)


def test_gathered_metrics_are_held_against_their_requirement():
    study = studies.digits()
    (found,) = stats.gathered(table.build(*study), study[0])
    assert (found.task, found.metric, found.value, found.holds) == ("summary", "mean_accuracy", 0.94, True)


def test_steps_are_counted_by_state():
    plan, points, steps, settled = studies.digits()
    settled["train", 1] = studies.record("train", 1, "failed")
    settled["train", 2] = studies.record("train", 2, "skipped")
    del settled["train", 3]
    how = stats.progress(table.build(plan, points, steps, settled))
    assert (how.steps, dict(how.states), how.missing) == (101, {"done": 98, "skipped": 1, "failed": 1}, 1)


def test_usage_gives_median_and_longest_wall_time():
    study = studies.digits()
    split = stats.usage(table.build(*study), study[0])[1]
    assert (split.task, split.steps, split.wall_median_s, split.wall_max_s, split.cpu_s) == ("split", 3, 2.0, 3.0, 2.25)


def test_usage_of_a_task_without_records_is_unknown():
    plan, points, steps, _ = studies.digits()
    found = stats.usage(table.build(plan, points, steps, {}), plan)[0]
    assert (found.recorded, found.wall_max_s, found.cpu_s, found.peak_mib) == (0, None, None, None)


def test_failures_come_before_what_was_skipped_for_them():
    plan, points, steps, settled = studies.digits()
    settled["train", 1] = studies.record("train", 1, "skipped")
    settled["train", 7] = studies.record("train", 7, "time", reason="after 3600 s")
    found = stats.failures(table.build(plan, points, steps, settled), plan, 10)
    assert [(item.step, item.state, item.reason) for item in found] == [(7, "time", "after 3600 s"), (1, "skipped", "")]


def test_a_failure_names_the_values_its_step_uses():
    plan, points, steps, settled = studies.digits()
    settled["split", 2] = studies.record("split", 2, "failed")
    (found,) = stats.failures(table.build(plan, points, steps, settled), plan, 10)
    assert found.parameters == {"repeat": 2}
