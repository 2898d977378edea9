import tomllib

import pytest

from sciflow.workflow import places
from tests.workflow.studies import FULL

TEXT = """\
format = 1
[tasks.train]
needs = ["b",
  "c"]
resources = { cpus = 1, deep = { y = [1, 2] } }
a.b."c" = 3
[[charts]]
x = 1
[[charts]]
x = 2
"""


@pytest.fixture
def document():
    return places.parse(TEXT)


def test_the_values_are_those_of_the_standard_parser():
    assert places.parse(FULL).data == tomllib.loads(FULL)


def test_a_key_has_the_place_of_its_first_character(document):
    assert document.keys["format",] == (1, 1)


def test_a_table_has_the_place_of_its_own_part_of_the_header(document):
    assert document.keys["tasks", "train"] == (2, 8)


def test_a_value_has_the_place_of_its_first_character(document):
    assert document.values["format",] == (1, 10)


def test_an_item_on_a_later_line_has_its_own_place(document):
    assert document.values["tasks", "train", "needs", 1] == (4, 3)


def test_what_is_nested_in_braces_has_its_own_place(document):
    assert document.keys["tasks", "train", "resources", "deep", "y"] == (5, 34)
    assert document.values["tasks", "train", "resources", "deep", "y", 1] == (5, 42)


def test_each_part_of_a_dotted_key_has_its_own_place(document):
    assert [document.keys["tasks", "train", *rest] for rest in (("a",), ("a", "b"), ("a", "b", "c"))] == [
        (6, 1),
        (6, 3),
        (6, 5),
    ]


def test_tables_of_a_list_are_told_apart(document):
    assert document.keys["charts", 1] == (9, 3)
    assert document.values["charts", 1, "x"] == (10, 5)


def test_columns_count_characters_not_bytes():
    assert places.parse('"é" = 1\n').values["é",] == (1, 7)


def test_the_standard_parser_is_left_as_it_was():
    places.parse(TEXT)
    assert tomllib.loads("a = 1") == {"a": 1}
    assert tomllib._parser.parse_value.__module__ == "tomllib._parser"


def test_without_its_hooks_the_text_is_read_without_places(monkeypatch):
    monkeypatch.setattr(places, "HOOKS", ("a_function_that_a_later_python_has_renamed",))
    document = places.parse(TEXT)
    assert document.data == tomllib.loads(TEXT)
    assert (document.keys, document.values) == ({}, {})


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a = 1\na = 2\n", 2, 1, "set twice"),
        ("a = 'x\n", 1, 5, "never closed"),
        ("a = 1 2\n", 1, 7, "goes on after its value"),
        ("a = 2024-02-30\n", 1, 5, "does not exist"),
        ("a = {b = 1\n", 1, 11, "`,` or `}`"),
        ('a = "\\ud800"\n', 1, 12, "names no character"),
        ("a = {b = 1, b = 2}\n", 1, 18, "set twice"),
        ("a = 1\n[a]\n", 2, 1, "set twice"),
        ("[a.b]\n[a]\nb.c = 1\n", 3, 1, "opened elsewhere"),
        ("a = [1]\n[[a]]\n", 2, 1, "already closed"),
        ('a = "x\ty\x07"\n', 1, 9, "control character"),
        ("\u00e9 = 1\n", 1, 1, "neither"),
        ("a = \n", 1, 5, "a value is missing"),
    ],
)
def test_what_is_not_toml_is_told_in_words_with_its_place(text, line, column, words):
    with pytest.raises(places.NotTomlError) as caught:
        places.parse(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert words in caught.value.text


def test_lists_may_be_nested_as_deep_as_the_limit_and_no_deeper():
    places.parse("a = " + "[" * 32 + "]" * 32)
    with pytest.raises(places.NotTomlError, match="nested more than 32"):
        places.parse("a = " + "[" * 33 + "]" * 33)


def test_brackets_in_texts_and_comments_do_not_count():
    assert places.parse("a = '" + "[" * 99 + "' # " + "[" * 99).data == {"a": "[" * 99}
