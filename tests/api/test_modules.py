"""Where a module stands, whose it is, and what it imports of its own kind."""

import ast
import importlib
import json
import sys

import pytest

from sciflow.api import modules
from sciflow.errors import UsageError


def imported(text, package=""):
    return modules.imported(ast.parse(text), package)


def test_a_module_of_the_folder_is_found_with_the_folder_its_name_begins_in(write, here):
    write("deep/er/one.py", "")
    place = modules.find("deep.er.one")
    assert (place.path, place.root) == ("deep/er/one.py", here)


def test_a_package_is_its_init_file(write):
    write("pack/__init__.py", "")
    assert modules.find("pack").path == "pack/__init__.py"


@pytest.mark.parametrize("name", ["json", "sys", "polars", "sciflow", "sciflow.api", "nowhere", "nowhere.deep"])
def test_what_is_installed_or_unknown_is_not_the_users_own(here, name):
    assert modules.find(name) is None


def test_an_own_module_hides_one_of_the_library_as_an_import_would(write):
    write("statistics.py", "")
    assert modules.find("statistics").path == "statistics.py"


def test_what_a_package_lacks_is_not_looked_for_further_along_the_path(write, tmp_path, monkeypatch):
    write("pack/__init__.py", "")
    (tmp_path / "other" / "pack").mkdir(parents=True)
    (tmp_path / "other" / "pack" / "inner.py").write_text("")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "other")])
    assert modules.find("pack.inner") is None


def test_every_way_to_import_is_seen():
    found = imported("import a.b\nfrom c import d\ndef f():\n    import e as g\n    from h.i import *\n")
    assert found == ["a.b", "c", "c.d", "e", "h.i"]


def test_relative_imports_start_from_the_package():
    assert imported("from . import x\nfrom ..y import z\n", "top.mid") == [
        "top.mid",
        "top.mid.x",
        "top.y",
        "top.y.z",
    ]


def test_all_that_a_module_imports_of_the_users_own_comes_along(write, here):
    write("one.py", "import json\nimport two\n")
    write("two.py", "def f():\n    from pack.inner import x\n")
    write("pack/__init__.py", "from . import other\n")
    write("pack/inner.py", "x = 1\n")
    write("pack/other.py", "")
    write("unused.py", "")
    assert list(modules.closure(["one"])) == ["one.py", "pack/__init__.py", "pack/inner.py", "pack/other.py", "two.py"]


def test_modules_that_import_each_other_come_along_once(write):
    write("one.py", "import two\n")
    write("two.py", "import one\n")
    assert list(modules.closure(["one"])) == ["one.py", "two.py"]


def test_a_compiled_module_is_refused_by_name_and_by_who_imports_it(write):
    write("one.py", "import fast\n")
    write("fast.cpython-311-x86_64-linux-gnu.so", "")
    with pytest.raises(UsageError, match=r"`fast\..*so`, which `one` imports, is compiled"):
        modules.closure(["one"])


def test_a_module_that_imports_the_program_itself_is_refused(write, python):
    write("helper.py", "import prog\n")
    write(
        "prog.py",
        """
        if __name__ == "__main__":
            from sciflow.api import modules
            from sciflow.errors import UsageError
            try:
                modules.closure(["helper"])
            except UsageError as error:
                print(error)
        """,
    )
    assert "`prog.py`, which `helper` imports, is the program itself" in python("prog.py").stdout


def test_a_file_that_is_no_python_is_named_with_the_line(write):
    place = write("one.py", "x = 1\ndef:\n")
    with pytest.raises(UsageError, match=r"one\.py:2` is not Python"):
        modules.tree(place)


def test_a_function_of_a_module_file_is_of_that_module(write):
    write("one.py", "def f():\n    pass\n")
    assert modules.of_function(importlib.import_module("one").f) == "one"


@pytest.mark.parametrize(
    "text",
    [
        "f = lambda: 1\n",
        "def make():\n    def f():\n        pass\n    return f\nf = make()\n",
        "exec('def f(): pass')\n",
    ],
)
def test_a_function_without_a_def_at_the_top_level_is_of_no_module(write, text):
    write("one.py", text)
    assert modules.of_function(importlib.import_module("one").f) is None


def test_a_function_inside_of_a_function_is_of_no_module():
    def inner():
        pass

    assert modules.of_function(inner) is None


def test_functions_of_the_library_and_of_packages_are_installed():
    assert modules.is_installed(json.dumps)
    assert modules.is_installed(pytest.fixture)
    assert not modules.is_installed(imported)
