"""The words of the Python API, and what of the file they stand for."""

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest

from sciflow import api
from sciflow.api import spoken
from sciflow.errors import UsageError
from sciflow.workflow import quantity


class Float(float):
    """As numpy's: a float, and more."""


class Array:
    """As numpy's: it knows itself as a list."""

    def __init__(self, value):
        self.value = value

    def tolist(self):
        return self.value


def test_the_names_are_those_of_the_schema():
    schema = json.loads(api.schema())["properties"]
    assert schema["tasks"]["propertyNames"]["pattern"] == f"^{spoken.NAME.pattern}$"
    assert schema["workflow"]["properties"]["name"]["pattern"] == f"^{spoken.NAME.pattern}$"
    assert schema["parameters"]["propertyNames"]["pattern"] == f"^{spoken.PARAMETER.pattern}$"


@pytest.mark.parametrize("name", ["", "1a", "a b", "a/b", "é", "a" * 65, None, 3])
def test_a_name_that_the_file_cannot_hold_is_refused(name):
    with pytest.raises(UsageError, match="a task cannot be called"):
        spoken.name(name, "a task")


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Float(1.5), 1.5),
        (Array([1, 2]), [1, 2]),
        (Array(2.5), 2.5),
        (range(3), [0, 1, 2]),
        ((1, (2, "a")), [1, [2, "a"]]),
        (pl.Series([1, 2]), [1, 2]),
        (Path("a/b"), "a/b"),
        ({"a": (1,)}, {"a": [1]}),
        (True, True),
        (-0.0, -0.0),
        (dt.date(2026, 1, 1), dt.date(2026, 1, 1)),
    ],
)
def test_values_become_plain(value, plain):
    made = spoken.plain(value, "x")
    assert (repr(made), type(made)) == (repr(plain), type(plain))


@pytest.mark.parametrize("value", [None, object(), {1, 2}, b"x", [None], 1j, lambda: 1])
def test_what_a_file_cannot_hold_is_refused(value):
    with pytest.raises(UsageError, match="`x` holds a"):
        spoken.plain(value, "`x`")


@pytest.mark.parametrize(
    ("value", "values", "dropped"),
    [
        ([1, 2, 1], [1, 2], 1),
        ([1, 1.0, True], [1, True], 1),
        (3, [3], 0),
        ("text", ["text"], 0),
        (False, [False], 0),
        ([{"a": 1}, {"a": 1.0}, {"a": 2}], [{"a": 1}, {"a": 2}], 1),
        ({"uniform": (0, 1)}, {"uniform": [0, 1]}, 0),
    ],
)
def test_a_parameter_keeps_each_value_once(value, values, dropped):
    assert spoken.parameter("p", value) == (values, dropped)


@pytest.mark.parametrize("value", [[], (), range(0), Array([])])
def test_a_parameter_without_values_is_refused(value):
    with pytest.raises(UsageError, match="parameter `p` has no values"):
        spoken.parameter("p", value)


def test_infinity_is_left_for_the_file_s_own_faults():
    assert spoken.parameter("p", [float("inf")])[1] == 0


def test_resources_are_the_file_s():
    words = {"cpu_cores": 4, "memory_gb": 8, "gpu": True, "max_runtime_hours": 12}
    assert spoken.resources("t", words) == {"cpus": 4, "memory": "8 GiB", "gpus": 1, "time": "12h"}


@pytest.mark.parametrize(
    ("words", "made"),
    [
        ({"memory_gb": 0.5}, {"memory": "512 MiB"}),
        ({"max_runtime_hours": 0.25}, {"time": "900s"}),
        ({"gpu": False}, {"gpus": 0}),
        ({"gpu": 2}, {"gpus": 2}),
        ({}, {}),
    ],
)
def test_fractions_and_truth_become_what_the_file_says(words, made):
    assert spoken.resources("t", words) == made


def test_memory_in_the_file_is_what_was_said():
    assert quantity.mebibytes(spoken.resources("t", {"memory_gb": 1.5})["memory"]) == 1536


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"cpus": 1}, "has no `cpus`"),
        ({"cpu_cores": "4"}, "`cpu_cores` is `4`"),
        ({"cpu_cores": True}, "`cpu_cores` is `True`"),
        ({"memory_gb": -1}, "`memory_gb` is `-1`"),
        ([], "is a list"),
    ],
)
def test_resources_that_are_none_are_refused(words, said):
    with pytest.raises(UsageError, match=said):
        spoken.resources("t", words)


def test_a_schedule_is_the_file_s():
    words = {"preferred_hours": "22:00-08:00", "weekend_preferred": True, "max_wait_hours": 48}
    assert spoken.schedule("off_peak", words) == {
        "policy": "off-peak",
        "hours": "22:00-08:00",
        "weekends": True,
        "max_wait": "48h",
    }


def test_at_once_is_a_policy_too():
    assert spoken.schedule("immediate", {}) == {"policy": "now"}


@pytest.mark.parametrize(
    ("policy", "words", "said"),
    [
        ("of_peak", {}, "there is no scheduling policy `of_peak`"),
        ("off_peak", {"hours": "22:00-08:00"}, "has no `hours`"),
        ("off_peak", {"max_wait_hours": "2"}, "`max_wait_hours` is `2`"),
    ],
)
def test_a_schedule_that_is_none_is_refused(policy, words, said):
    with pytest.raises(UsageError, match=said):
        spoken.schedule(policy, words)


def test_a_chart_is_the_file_s():
    words = {"type": "line", "x_axis": "a", "y_axis": "m", "color_by": "b", "facet_by": "c", "aggregate": "max"}
    assert spoken.chart("v", words) == {
        "name": "v",
        "kind": "line",
        "x": "a",
        "y": "m",
        "color": "b",
        "facet": ["c"],
        "aggregate": "max",
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [({"type": "line", "x_axis": "a"}, "has no `y_axis`"), ({"kind": "line"}, "has no `kind`")],
)
def test_a_chart_that_is_none_is_refused(words, said):
    with pytest.raises(UsageError, match=said):
        spoken.chart("v", words)


@pytest.mark.parametrize(
    ("chart", "metrics"),
    [
        ({"kind": "heatmap", "x": "a", "y": "typo", "value": "m"}, ["m"]),
        ({"kind": "line", "x": "typo", "y": "m", "color": "b"}, ["m"]),
        ({"kind": "scatter", "x": "n", "y": "m"}, ["n", "m"]),
        ({"kind": "line", "x": "a", "y": "b"}, []),
    ],
)
def test_a_chart_makes_known_the_metrics_it_measures_and_no_axis(chart, metrics):
    assert spoken.measured(chart, ["a", "b"]) == metrics
