"""Errors: one message, place and fault and fix, and one exit code."""

import pytest

from sciflow import errors
from sciflow.errors import Fault, SurroundingsError, UsageError, WorkflowError


def test_a_fault_gives_place_text_and_hint():
    fault = Fault(file="w.toml", line=14, column=10, text="no such task", hint="did you mean `prepare`?")
    assert str(fault) == "w.toml:14:10: no such task\n  hint: did you mean `prepare`?"


def test_a_fault_of_the_whole_file_has_no_line():
    assert str(Fault(file="w.toml", text="it is empty")) == "w.toml: it is empty"


def test_faults_come_in_the_order_of_the_file():
    late, early = (Fault(file="w.toml", line=line, column=1, text=str(line)) for line in (10, 9))
    assert WorkflowError([late, early]).faults == (early, late)


def test_a_workflow_error_says_all_its_faults():
    two = [Fault(file="w.toml", line=line, column=1, text="no") for line in (1, 2)]
    assert str(WorkflowError(two)) == "w.toml:1:1: no\nw.toml:2:1: no"


def test_an_error_gives_its_hint_on_a_line_of_its_own():
    assert str(UsageError("no such run", hint="`sciflow run` makes one")) == (
        "no such run\n  hint: `sciflow run` makes one"
    )


def test_an_error_without_a_hint_is_its_text():
    assert str(SurroundingsError("no space")) == "no space"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("WorkflowError", 2),
        ("ImageError", 3),
        ("UsageError", 2),
        ("SurroundingsError", 3),
        ("BundleError", 4),
        ("IncompleteError", 5),
        ("TrustError", 6),
        ("SciflowError", 70),
    ],
)
def test_each_class_has_its_documented_exit_code(name, code):
    assert getattr(errors, name).exit_code == code


def test_every_error_is_a_sciflow_error():
    found = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(found) == 8
    assert all(issubclass(one, errors.SciflowError) for one in found)
