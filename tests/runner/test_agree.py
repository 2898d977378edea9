"""One run held against another, with the standard library alone."""

import json

import pytest

from sciflow.runner import agree
from tests.runner.conftest import task

WRITES = task("write", "cat value > metrics.json", metrics="metrics.json")


def changed(record, **metrics):
    return {**record, "metrics": {**record["metrics"], **metrics}}


@pytest.fixture
def twice(study):
    """Run one bundle twice, and give it."""
    made = study([WRITES], code={"value": json.dumps({"score": 1.5})})
    made.run("run")
    made.run("run", "--run", "again")
    return made


def test_two_runs_of_one_bundle_agree(twice):
    assert twice.run("compare", "--run", "again").stdout == (
        "reproduced: 1 identical, 0 within tolerance, 0 different, 0 missing\n"
    )


def test_a_run_that_did_not_take_place_is_missing(twice):
    said = twice.run("compare", "--run", "never", code=1).stdout
    assert "write/0 state: missing (done -> None)" in said
    assert "not reproduced" in said


def test_the_name_of_a_run_is_one_plain_word(twice):
    assert "one plain word" in twice.run("compare", "--against", "a/b", code=2).stderr


def test_a_different_metric_is_named_with_both_values(twice):
    before = twice.settled()
    after = {key: changed(record, score=2.5) for key, record in before.items()}
    counts, lines = agree.runs(twice.plan, before, after)
    assert (counts["different"], lines) == (1, ["write/0 score: different (1.5 -> 2.5)"])


def test_the_many_differences_after_the_first_are_counted():
    lines = ["x"] * (agree.MAX_NAMED + 3)
    counts = {"identical": 0, "within tolerance": 0, "different": len(lines), "missing": 0}
    told, agrees = agree.told(counts, lines)
    assert (told[-2], agrees) == ("… and 3 more", False)


def test_nothing_to_compare_is_no_agreement():
    assert agree.told(dict.fromkeys(("identical", "within tolerance", "different", "missing"), 0), [])[1] is False
