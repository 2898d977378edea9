"""Functions of a program, sliced out of it with all that they name, and nothing else."""

import ast
import functools
import linecache
import math
import random
import sys
import types
from dataclasses import dataclass
from typing import ClassVar as Named

import pytest

from sciflow.api import slices
from sciflow.errors import UsageError

RATE = 0.5
TABLE = {"a": (1, 2.5), "b": [True, None, "x"]}
TAGS = {"z", "y"}
HANDLE = object()
ENDLESS = []
ENDLESS.append(ENDLESS)
LONG = "x" * (slices.MAX_LITERAL + 1)
small = lambda: 1  # noqa: E731  what a test refuses


@dataclass
class Point:
    x: int = 3

    def go(self):
        return helper(self.x)


def helper(x: "sys.flags") -> float:
    return math.sin(x) * RATE


def decorated(function):
    @functools.wraps(function)
    def wrapper(*words):
        return function(*words)

    return wrapper


def hidden(function):
    return lambda *words: function(*words, *words)


@decorated
def task(x, rows=TABLE):
    return Point(x).go() + len(rows)


@hidden
def covered(x):
    return x


def uses_handle():
    return HANDLE


def uses_endless():
    return ENDLESS


def uses_long():
    return LONG


def uses_small():
    return small()


def uses_covered():
    return covered(1)


def uses_tags():
    return sorted(TAGS)


def recursive(n):
    return 1 if n < 2 else n * recursive(n - 1)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def shadowing(RATE):  # noqa: N803  the same name on purpose
    return RATE


def annotated(x: Point, y: Named) -> random.Random:
    return x


def sliced(*functions):
    found = slices.Slice()
    for function in functions:
        found.add("t", function)
    return found.text()


def run(text):
    """Run a module's text on its own, and return its names."""
    module = sys.modules["generated"] = types.ModuleType("generated")
    exec(compile(text, "generated.py", "exec"), vars(module))  # noqa: S102  what a step would import
    return module


def test_a_slice_gives_what_the_program_gives():
    assert run(sliced(task.__wrapped__)).task(2) == task(2)


def test_a_slice_holds_nothing_that_is_not_named():
    text = sliced(helper)
    assert [one for one in ("Point", "TABLE", "HANDLE", "pytest", "class") if one in text] == []


def test_the_same_functions_give_the_same_text():
    assert sliced(task.__wrapped__, uses_tags) == sliced(task.__wrapped__, uses_tags)


def test_a_set_is_written_in_one_order():
    assert "TAGS = set(['y', 'z'])" in sliced(uses_tags)


@pytest.mark.parametrize(("function", "argument", "value"), [(recursive, 5, 120), (even, 7, False)])
def test_functions_that_call_themselves_or_each_other_travel(function, argument, value):
    assert getattr(run(sliced(function)), function.__name__)(argument) == value


def test_an_argument_hides_a_constant_of_its_name():
    assert "0.5" not in sliced(shadowing)


def test_an_annotation_brings_imports_but_no_code():
    text = sliced(annotated)
    assert "from typing import ClassVar as Named\nimport random\n" in text
    assert "class Point" not in text


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (uses_handle, "names `HANDLE`, a object of the program"),
        (uses_endless, "names `ENDLESS`, a list of the program"),
        (uses_long, "names `LONG`, a very long constant"),
        (uses_small, "names `small`, a lambda"),
        (uses_covered, "names `covered`"),
    ],
)
def test_what_cannot_travel_is_named_with_who_names_it(function, words):
    with pytest.raises(UsageError, match=words) as caught:
        sliced(function)
    assert f"task `t`: `{function.__name__}`" in str(caught.value)


def test_two_things_of_one_name_are_refused():
    def helper(x):
        return x

    found = slices.Slice()
    found.add("t", recursive)
    found.add("t", globals()["helper"])
    with pytest.raises(UsageError, match="`helper`, which is two different things"):
        found.add("t", helper)


def test_two_functions_that_were_both_called_so_are_refused():
    program = types.ModuleType("__main__")
    cell(program, "<cell 1>", "def f():\n    return 1\na = f\n")
    cell(program, "<cell 2>", "def f():\n    return 2\nb = f\ndef task():\n    return a() + b()\n")
    with pytest.raises(UsageError, match="names `f`, which is two different things"):
        sliced(program.task)


def test_a_function_under_two_names_travels_once():
    program = types.ModuleType("__main__")
    cell(program, "<cell 1>", "def f():\n    return 1\na = f\ndef task():\n    return a() + f()\n")
    text = sliced(program.task)
    assert (text.count("def f"), run(text).task()) == (1, 2)


def test_a_decorated_function_may_be_a_task_and_be_called_by_another():
    def calls():
        return task(2)

    text = sliced(task.__wrapped__, calls)
    assert run(text).calls() == task(2)


def test_equal_constants_of_one_name_are_one_thing():
    first, second = types.ModuleType("__main__"), types.ModuleType("__main__")
    found = slices.Slice()
    for module, name in ((first, "one"), (second, "two")):
        cell(module, f"<cell {name}>", f"K = [1, 2]\ndef {name}():\n    return K\n")
        found.add("t", getattr(module, name))
    assert found.text().count("K = [1, 2]") == 1


def cell(module, name, text):
    """Run a notebook's cell: its text is where the notebook's own machinery puts it."""
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    exec(compile(text, name, "exec"), vars(module))  # noqa: S102  what a notebook does


def test_functions_and_classes_of_a_notebook_travel():
    notebook = types.ModuleType("__main__")
    cell(notebook, "<cell 1>", "import math as m\nclass A:\n    def go(self):\n        return m.floor(2.5)\n")
    cell(notebook, "<cell 2>", "def task():\n    return A().go()\n")
    assert run(sliced(notebook.task)).task() == 2


def test_a_class_without_methods_is_found_in_the_last_cell_that_has_it():
    notebook = types.ModuleType("__main__")
    notebook.In = ["%magic\nclass A:\n    k = 1\n", "class A:\n    k = 2\n", "x = A\n"]
    exec("class A:\n    k = 2\n", vars(notebook))  # noqa: S102  what a notebook does
    cell(notebook, "<cell 3>", "def task():\n    return A.k\n")
    assert run(sliced(notebook.task)).task() == 2


def test_a_function_without_source_is_named():
    module = types.ModuleType("__main__")
    exec("def lost():\n    return 1\n", vars(module))  # noqa: S102  what has no source
    with pytest.raises(UsageError, match="there is no source of `lost`"):
        sliced(module.lost)


def dotted():
    from . import test_sample

    return test_sample


def test_an_import_by_dots_is_refused():
    with pytest.raises(UsageError, match="`dotted` imports from its own package by dots"):
        sliced(dotted)


def test_the_source_of_an_inner_function_is_shifted():
    def inner():
        return 1

    assert slices.source(inner).startswith("def inner():\n    return 1")


def test_a_text_that_begins_further_left_stays_as_it_is():
    def inner():
        return """
left
    in"""

    assert run(slices.source(inner)).inner() == inner()


PROGRAM = """
import os.path
from helper import h
import helper as other
print("TOP")
K = 3
class P:
    x = K
def inner(x):
    return x + P.x
def task(x):
    return inner(x) + h() + other.h() + len(os.path.sep)
from sciflow.api import portable
made = portable.carry({"t": task}, generated="gen")
print(sorted(made.copied), made.written["gen.py"])
"""


@pytest.fixture
def told(write, python):
    """Give what the program says when it stands in a file."""
    write("helper.py", "def h():\n    return 1\n")
    return python(write("prog.py", PROGRAM)).stdout


def test_a_program_given_as_words_says_the_same(told, python):
    assert python("-c", PROGRAM).stdout == told


def test_a_program_read_from_a_file_as_standard_input_says_the_same(told, here, python):
    with (here / "prog.py").open() as stream:
        assert python("-", stdin=stream).stdout == told


def test_a_program_read_from_a_pipe_has_no_source_and_says_so(told, python):
    said = python("-", text=PROGRAM, code=1).stderr
    assert "there is no source of `task`" in said
    assert "put the program, or that function, into a file" in said


def test_the_imports_of_a_slice_are_written_out(told):
    assert "['helper.py']" in told
    assert "from helper import h\nimport helper as other\nimport os.path\n" in told


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -3,
        2.5,
        -0.0,
        "é'\"\n",
        b"\x00",
        (),
        (1,),
        [],
        [[1, "a"], (2.0,)],
        {},
        {"a": {1: None}},
        set(),
        {3, 1},
    ],
)
def test_a_literal_gives_the_value_back(value):
    text = slices.literal(value)
    back = eval(text)  # noqa: S307  what a module does with its own text
    assert (back, type(back), repr(back)) == (value, type(value), repr(value))


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), [object()], 1j, ast, range(3)])
def test_what_has_no_literal_has_none(value):
    assert slices.literal(value) is None


def test_a_module_of_a_module_that_is_used_is_imported_too():
    import xml.dom

    module = types.ModuleType("__main__")
    module.xml = sys.modules["xml"]
    cell(module, "<cell xml>", "def task():\n    return xml.dom.Node\n")
    assert run(sliced(module.task)).task() is xml.dom.Node
