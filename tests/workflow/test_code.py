"""The files that travel as code, and the functions of a module, read and never run."""

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import code
from sciflow.workflow.spec import Code


def chosen(folder, include, exclude=()):
    found = code.files(Code(include=tuple(include), exclude=tuple(exclude)), folder)
    return [path.relative_to(folder).as_posix() for path in found]


@pytest.fixture
def folder(tmp_path):
    for path in ("a.py", "test_a.py", "lib/b.py", "lib/test_b.py", "lib/deep/c.txt", "bundles/x.py", ".git/x.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    return tmp_path


def test_a_pattern_chooses_files_in_order(folder):
    assert chosen(folder, ["lib/*.py", "*.py"]) == ["a.py", "lib/b.py", "lib/test_b.py", "test_a.py"]


def test_two_stars_at_the_end_mean_all_below(folder):
    assert [path for path in chosen(folder, ["lib/**"]) if "." in path] == [
        "lib/b.py",
        "lib/deep/c.txt",
        "lib/test_b.py",
    ]


def test_a_plain_name_is_left_out_wherever_it_stands(folder):
    assert chosen(folder, ["**/*.py"], ["test_*.py"]) == ["a.py", "lib/b.py"]


def test_a_pattern_too_long_for_any_name_chooses_nothing(folder):
    assert chosen(folder, ["a" * 300, "*/" + "a" * 300]) == []


def test_what_sciflow_or_git_keep_never_travels(folder):
    assert [path for path in chosen(folder, ["**/*.py"]) if path.startswith((".git", "bundles"))] == []


def test_a_bundle_wherever_it_stands_never_travels(folder):
    for name in ("manifest.json", "plan.json"):
        (folder / "lib" / name).write_text("")
    assert chosen(folder, ["**/*.py"]) == ["a.py", "test_a.py"]


def test_two_stars_beside_a_word_are_refused(folder):
    with pytest.raises(WorkflowError, match="is no pattern"):
        chosen(folder, ["**.py"])


@pytest.mark.parametrize(
    ("module", "files"), [("a", ("a/__init__.py", "a.py")), ("a.b_c", ("a/b_c/__init__.py", "a/b_c.py"))]
)
def test_a_module_may_be_a_file_or_a_folder(module, files):
    assert code.module_files(module) == files


def functions(tmp_path, text):
    (tmp_path / "m.py").write_text(text, encoding="utf-8")
    return sorted(code.functions(tmp_path / "m.py"))


def test_the_functions_are_those_defined_at_the_top(tmp_path):
    text = "def a():\n    def b(): pass\nclass C:\n    def d(self): pass\nif True:\n    def e(): pass\nasync def f(): pass\ng = a\n"
    assert functions(tmp_path, text) == ["a"]


def test_a_module_is_not_run_to_be_read(tmp_path):
    assert functions(tmp_path, f"open({str(tmp_path / 'planted')!r}, 'w')\ndef a(): pass\n") == ["a"]
    assert not (tmp_path / "planted").exists()


def test_an_escape_that_python_warns_of_is_no_matter(tmp_path):
    assert functions(tmp_path, 'def a():\n    return "\\d"\n') == ["a"]


@pytest.mark.parametrize("text", ["def a(:\n", "def a():\n\0\n", "a = " + "(" * 5000, "a = " + "-" * 100_000 + "1"])
def test_what_is_not_python_is_a_syntax_error(tmp_path, text):
    with pytest.raises(SyntaxError):
        functions(tmp_path, text)
