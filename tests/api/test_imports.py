"""The imports of a program, looked up by the name and the value that they give."""

import json
import os
import os.path as p
import pathlib
import sys
import types
from json import decoder

import pytest

from sciflow.api import imports


def written(name, value, *texts, package=""):
    return imports.written(name, value, texts, package)


@pytest.mark.parametrize(
    ("name", "value", "text", "lines"),
    [
        ("os", os, "import os", ["import os"]),
        ("os", os, "import os.path, sys\nimport os", ["import os", "import os.path"]),
        ("p", p, "import os.path as p", ["import os.path as p"]),
        ("dumps", json.dumps, "from json import dumps", ["from json import dumps"]),
        ("d", json.dumps, "from json import loads, dumps as d", ["from json import dumps as d"]),
        ("decoder", decoder, "from json import decoder", ["from json import decoder"]),
        ("os", os, "try:\n    import os\nexcept ImportError:\n    os = None", ["import os"]),
        ("os", os, "%matplotlib inline\n!ls\nimport os", ["import os"]),
        ("os", os, "import sys as os", []),
        ("dumps", json.loads, "from json import dumps", []),
        ("os", os, "this is no Python", []),
        ("os", os, "", []),
    ],
)
def test_an_import_counts_if_it_gives_this_very_value(name, value, text, lines):
    assert written(name, value, text) == lines


def test_the_first_text_that_has_it_counts():
    assert written("d", json.dumps, "x = 1", "from json import dumps as d") == ["from json import dumps as d"]


def test_an_import_by_dots_becomes_one_by_name():
    assert written("dumps", json.dumps, "from . import dumps", package="json") == ["from json import dumps"]


def test_an_import_by_dots_of_no_package_is_none():
    assert written("dumps", json.dumps, "from . import dumps") == []


def test_what_a_program_imports_of_itself_is_no_import(monkeypatch):
    program = types.ModuleType("__main__")
    program.thing = thing = object()
    monkeypatch.setitem(sys.modules, "__main__", program)
    assert written("thing", thing, "from __main__ import thing") == []
    assert imports.of_module("program", program) == []


def test_a_module_is_imported_by_its_own_name():
    assert imports.of_module("json", json) == ["import json"]
    assert imports.of_module("j", json) == ["import json as j"]


def test_a_thing_is_imported_from_the_most_public_of_its_modules(monkeypatch):
    private = types.ModuleType("pathlib._local")
    monkeypatch.setitem(sys.modules, "pathlib._local", private)
    path = type("Where", (), {"__module__": "pathlib._local"})
    private.Where = path
    assert imports.of_value("Where", path) == ["from pathlib._local import Where"]
    monkeypatch.setattr(pathlib, "Where", path, raising=False)
    assert imports.of_value("Where", path) == ["from pathlib import Where"]
    assert imports.of_value("W", path) == ["from pathlib import Where as W"]


@pytest.mark.parametrize("value", [object(), 3, "text", type("Nowhere", (), {})()])
def test_what_does_not_know_where_it_is_from_has_no_import(value):
    assert imports.of_value("x", value) == []
