"""Functions made portable: by their module's file, or as source; and those that cannot be, refused in words."""

import importlib
import math

import pytest

from sciflow.api import portable
from sciflow.errors import UsageError


class Thing:
    def method(self):
        pass

    def __call__(self):
        pass


def generator():
    yield 1


async def waits():
    pass


def plain(a, b=1, *, c, d=2, **rest):
    return a


def around():
    weight = 3

    def inner():
        return weight

    return inner


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: 1, "is a lambda"),
        (Thing().method, "is a method, bound to an object"),
        (Thing, "is a class"),
        (Thing(), "is no plain function"),
        (math.sin, "is written in C"),
        (3, "is no plain function"),
        (generator, "is a generator"),
        (waits, "is asynchronous"),
        (around(), "closes over `weight`"),
        (pytest.importorskip, "stands in an installed package"),
    ],
)
def test_what_can_never_travel_is_refused_with_its_task(function, words):
    with pytest.raises(UsageError, match=words) as caught:
        portable.accept("train", function)
    assert str(caught.value).startswith("task `train`: ")


def test_the_arguments_of_a_function_are_known():
    assert portable.signature(plain) == portable.Signature(arguments=("a", "b", "c", "d"), open=True)


@pytest.fixture
def study(write):
    write("helpers.py", "K = 2\n")
    write("study.py", "import helpers\n\n\ndef train(a, b=1, *, c, d=2, **rest):\n    return a * helpers.K\n")
    return importlib.import_module("study")


def test_a_function_of_a_module_travels_as_its_file_with_what_that_imports(study, here):
    made = portable.carry({"t": study.train}, generated="gen")
    assert made.names == {"t": "study:train"}
    assert made.copied == {"helpers.py": here / "helpers.py", "study.py": here / "study.py"}
    assert made.written == {}


def test_a_function_named_by_its_module_travels_in_the_same_way_without_being_run(write, here):
    write("study.py", "raise SystemExit\ndef train(a):\n    return a\n")
    made = portable.carry({"t": "study:train"}, generated="gen")
    assert (made.names, list(made.copied)) == ({"t": "study:train"}, ["study.py"])


def test_a_function_of_the_program_travels_as_source(study):
    def task():
        return 1

    made = portable.carry({"t": task}, generated="gen")
    assert made.names == {"t": "gen:task"}
    assert "def task():\n    return 1\n" in made.written["gen.py"]


def test_two_tasks_may_share_a_function(study):
    def task():
        return 1

    made = portable.carry({"t": task, "u": task}, generated="gen")
    assert made.written["gen.py"].count("def task") == 1


def test_somebody_s_own_module_is_not_written_over(write):
    def task():
        return 1

    write("gen.py", "x = 1\n")
    with pytest.raises(UsageError, match="there is a module `gen` already"):
        portable.carry({"t": task}, generated="gen")


def test_a_module_that_was_generated_before_is_not_in_the_way(write):
    def task():
        return 1

    write("gen.py", portable.carry({"t": task}, generated="gen").written["gen.py"])
    assert portable.carry({"t": task}, generated="gen").names == {"t": "gen:task"}


def test_the_signature_of_a_named_function_is_read_from_its_file(study):
    assert portable.named("t", "study:train") == ("study", portable.signature(study.train))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study", "names no function"),
        ("study:", "names no function"),
        ("stu dy:train", "names no function"),
        ("nowhere:train", "there is no module file `nowhere`"),
        ("json:dumps", "there is no module file `json`"),
        ("study:trian", "has no function `trian` at its top level"),
    ],
)
def test_a_name_that_names_no_function_of_the_users_own_is_refused(study, text, words):
    with pytest.raises(UsageError, match=words):
        portable.named("t", text)
