import os

import pytest

from sciflow.containers import instructions
from sciflow.containers.instructions import Copy, Faults, Item, Recipe
from sciflow.errors import SurroundingsError, WorkflowError


@pytest.fixture
def beside(tmp_path):
    """Give a workflow's folder with a recipe in a folder of its own, and some files."""
    (tmp_path / "image/data/sub").mkdir(parents=True)
    (tmp_path / "image/none").mkdir()
    for name in ("image/tool.def", "image/a.txt", "image/b.txt", "image/data/one", "image/data/sub/two", "outside"):
        (tmp_path / name).write_text(name)
    return tmp_path


def copy(*sources, target="/opt/", contents=True):
    return Recipe(base="x", line=1, steps=(Copy(line=7, sources=sources, target=target, contents=contents),))


def found(folder, *sources, reference="image/tool.def", **more):
    return instructions.items(copy(*sources, **more), folder, reference)[0]


def refused(folder, *sources, **more):
    with pytest.raises(WorkflowError) as caught:
        found(folder, *sources, **more)
    return str(caught.value)


def test_a_file_and_a_folder_are_found_beside_the_recipe(beside):
    assert found(beside, "a.txt", "data") == (
        Item(name="a.txt", is_folder=False, files=(("image/a.txt", "a.txt"),)),
        Item(name="data", is_folder=True, files=(("image/data/one", "one"), ("image/data/sub/two", "sub/two"))),
    )


def test_patterns_find_names_in_their_order(beside):
    assert [one.name for one in found(beside, "?.t*")] == ["a.txt", "b.txt"]
    assert [one.files for one in found(beside, "d*/sub/*")] == [(("image/data/sub/two", "two"),)]


def test_the_whole_folder_of_a_recipe_of_its_own_may_be_copied(beside):
    (beside / "image/none").rmdir()
    assert [path for path, _ in found(beside, ".")[0].files][:2] == ["image/a.txt", "image/b.txt"]


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("../outside", "`../outside` leads out of the recipe's folder"),
        ("data/../../outside", "leads out of the recipe's folder"),
        ("nothing", "there is no `nothing` beside the recipe"),
        ("*.csv", "there is no `*.csv` beside the recipe"),
        ("a.txt/x", "there is no `a.txt/x` beside the recipe"),
        ("[ab].txt", "is a pattern beyond `*` and `?`"),
        ("**", "is a pattern beyond `*` and `?`"),
        ("none", "`image/none` has no file in it"),
    ],
)
def test_what_is_not_there_or_lies_outside_is_refused_with_its_line(beside, source, wanted):
    said = refused(beside, source)
    assert said.startswith("image/tool.def:7:1: ")
    assert wanted in said


@pytest.mark.parametrize(
    ("name", "source"), [("link", "link"), ("data/link", "data"), ("link", "link/x"), ("link", "l*")]
)
def test_a_link_is_refused_wherever_it_stands(beside, name, source):
    (beside / "image" / name).symlink_to("/etc")
    assert f"`image/{name}` is a link" in refused(beside, source)


def test_a_pipe_is_refused(beside):
    os.mkfifo(beside / "image/data/pipe")
    assert "`image/data/pipe` is no file" in refused(beside, "data")
    assert "`image/data/pipe` is no file" in refused(beside, "data/pipe")


def test_the_workflow_s_whole_folder_is_refused(beside):
    assert "is the workflow's whole folder" in refused(beside, ".", reference="tool.def")


def test_the_lock_is_refused(beside):
    (beside / "workflow.lock").write_text("x")
    assert "names the digests of what is copied" in refused(beside, "*.lock", reference="tool.def")


def test_several_things_need_a_folder(beside):
    assert "more than one thing to what is no folder" in refused(beside, "*.txt", target="/opt/x")
    assert len(found(beside, "*.txt", target="/opt/x", contents=False)) == 2


def test_a_folder_that_cannot_be_read_is_a_fault_of_the_surroundings(beside, monkeypatch):
    def scandir(_):
        raise PermissionError(13, "Permission denied", "image")

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(SurroundingsError, match="`image`: Permission denied"):
        found(beside, "a.txt")


def test_a_pin_is_of_the_recipe_and_of_all_that_is_copied(beside):
    (beside / "image/data/one").chmod(0o755)
    items = instructions.items(copy("data", "data/one"), beside, "image/tool.def")
    pins = instructions.files(items, beside, "image/tool.def")
    assert [(one.path, one.executable) for one in pins] == [
        ("image/data/one", True),
        ("image/data/sub/two", False),
        ("image/tool.def", False),
    ]


def test_a_recipe_is_read_as_text_without_marks_of_other_systems(tmp_path):
    (tmp_path / "r").write_bytes(b"\xef\xbb\xbfa\r\nb\n")
    assert instructions.text(tmp_path, "r") == "a\nb\n"


@pytest.mark.parametrize("data", [b"\xff", b"a\0b", b"x" * (instructions.MAX_TEXT + 1)])
def test_what_is_no_text_is_refused(tmp_path, data):
    (tmp_path / "r").write_bytes(data)
    with pytest.raises(WorkflowError, match="r: is not a text"):
        instructions.text(tmp_path, "r")


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SurroundingsError, match="`r`: No such file"):
        instructions.text(tmp_path, "r")


def test_spython_reads_too_whatever_the_locale(monkeypatch, capfd):
    monkeypatch.setenv("LC_ALL", "C")
    theirs = instructions.second("singularity", "Bootstrap: docker\nFrom: a\n%post\n  echo é\n")
    assert (theirs.fromHeader, theirs.install) == ("a", ["echo ?"])
    instructions.second("docker", "FROM scratch\nCOPY nothing /x\n")
    assert capfd.readouterr() == ("", "")


def test_where_spython_gives_up_there_is_nothing_to_agree_with():
    assert instructions.second("singularity", "Bootstrap: yum\n") is None


@pytest.mark.parametrize("theirs", [None, [], ["a"], ["b", "a"], ["a", "b", "c"]])
def test_a_difference_between_two_readers_is_a_fault(theirs):
    faults = Faults(file="r")
    instructions.agree(faults, [(1, "a"), (2, "b")], theirs)
    with pytest.raises(WorkflowError, match="two readers of recipes do not agree"):
        faults.end()


def test_two_readers_that_agree_are_no_fault():
    faults = Faults(file="r")
    instructions.agree(faults, [(1, "a"), (2, "é")], ["a", "?"])
    faults.end()
