import pytest

from sciflow.containers import requirements
from sciflow.errors import SurroundingsError, WorkflowError
from tests.containers import wheelwright

A, B = "a" * 64, "b" * 64


def _read(tmp_path, text, **others):
    (tmp_path / "requirements.txt").write_text(text, encoding="utf-8")
    for name, more in others.items():
        path = tmp_path / name.replace("__", "/").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(more)
    return requirements.read("requirements.txt", tmp_path)


def test_lines_are_taken_without_comments_and_hashes(tmp_path):
    found = _read(tmp_path, f"# about \\\n\nSix==1.0 --hash=sha256:{A} \\\n  --hash sha256:{B}  # why\n")
    assert found.lines == ("Six==1.0",)
    assert found.hashes == {"six": {A, B}}


def test_what_a_package_may_ask_for_is_kept(tmp_path):
    lines = ("numpy>=1.26,<2", "Scikit_Learn[extra]==1.5 ; python_version >= '3.9'", "click", "a (>1)", "b~=2.0")
    assert _read(tmp_path, "".join(f"{line}  # why\n" for line in lines)).lines == lines


def test_a_wheel_by_its_address_is_kept(tmp_path):
    line = f"tiny @ https://example.org/tiny-1.0-py3-none-any.whl#sha256={A}"
    assert _read(tmp_path, f"{line}\n").lines == (line,)


def test_files_that_are_included_are_read_and_pinned_by_their_path(tmp_path):
    found = _read(
        tmp_path,
        "-r more/base.txt\n--constraint=limits.txt\n-climits.txt\nclick\n",
        more__base_txt="numpy\n-c ../limits.txt\n-r ../requirements.txt\n",
        limits_txt="scipy<2\n",
    )
    assert (found.lines, found.constraints) == (("numpy", "click"), ("scipy<2",))
    assert [(one.path, one.sha256) for one in found.files] == [
        (name, wheelwright.digest((tmp_path / name).read_bytes()))
        for name in ("limits.txt", "more/base.txt", "requirements.txt")
    ]


def test_options_that_say_where_packages_are_become_those_of_uv(tmp_path):
    text = "-i https://one.example/simple\n--extra-index-url https://two.example\n-f wheels\n--no-index\n--pre\n--only-binary :all:\n"
    assert _read(tmp_path, text).options == (
        *("--default-index", "https://one.example/simple", "--index", "https://two.example"),
        *("--find-links", str(tmp_path / "wheels"), "--no-index", "--prerelease", "allow"),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("./here", "`./here` cannot be asked for: it is no package's name"),
        ("wheels/x-1.0-py3-none-any.whl", "it is no package's name"),
        ("git+https://example.org/x.git", "it is no package's name"),
        ("x @ git+https://example.org/x.git", "`x` is asked for by an address that is no wheel's"),
        ("x @ file:///x-1.0-py3-none-any.whl", "by an address that is no wheel's"),
        ("x @ https://me:pw@example.org/x-1.0-py3-none-any.whl", "by an address that is no wheel's"),
        ("x=1.2", "`x=1.2` cannot be asked for: "),
        ("x; python_version > 'a' and", "cannot be asked for: "),
        ("-e .", "it asks for an editable package"),
        ("--editable=x", "it asks for an editable package"),
        ("--no-binary x", "`--no-binary` is an option that sciflow does not know"),
        ("-", "`-` is an option that sciflow does not know"),
        ("x --global-option=y", "has an option that sciflow does not know"),
        ("x==${VERSION}", "it hangs on a variable of this machine"),
        ("-i https://me:pw@example.org/simple", "the address after `--index-url` holds a login"),
        ("-i file:///simple", "is neither an https address nor a folder"),
        ("-f ../wheels", "is neither an https address nor a folder"),
        ("-r https://example.org/more.txt", "is not in the workflow's folder"),
        ("-r ../more.txt", "`../more.txt` is not in the workflow's folder"),
        ("-c /etc/limits.txt", "is not in the workflow's folder"),
        ("x --hash=md5:abc", "`x` has no digest that sciflow checks"),
        ("--require-hashes\nx", "`x` has no `--hash`, and hashes are asked for"),
    ],
)
def test_what_another_machine_could_not_have_is_refused_at_its_line(tmp_path, line, words):
    with pytest.raises(WorkflowError) as found:
        _read(tmp_path, f"# a first line\n{line}\n")
    assert words in str(found.value)
    assert str(found.value).startswith("requirements.txt:2:1: " if "\n" not in line else "requirements.txt:3:1: ")
    assert found.value.faults[0].hint
    assert "pw" not in str(found.value)


def test_all_faults_come_at_once(tmp_path):
    with pytest.raises(WorkflowError) as found:
        _read(tmp_path, "-e .\n-r more.txt\n", more_txt="../x\n")
    assert [(one.file, one.line) for one in found.value.faults] == [("more.txt", 1), ("requirements.txt", 1)]


def test_hashes_are_given_to_all_or_to_none(tmp_path):
    with pytest.raises(WorkflowError, match=r"requirements.txt:2:1: `y` has no `--hash`"):
        _read(tmp_path, f"x==1 --hash=sha256:{A}\ny==1\n")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SurroundingsError, match=r"`.*more.txt`: No such file"):
        _read(tmp_path, "-r more.txt\n")


def test_a_file_in_another_encoding_is_named(tmp_path):
    (tmp_path / "requirements.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(WorkflowError, match="it is not UTF-8"):
        requirements.read("requirements.txt", tmp_path)


@pytest.mark.parametrize(("name", "wanted"), [("Scikit_Learn", "scikit-learn"), ("a.-_B", "a-b"), ("x", "x")])
def test_a_name_is_compared_as_indexes_do(name, wanted):
    assert requirements.normal(name) == wanted
