import pytest

from sciflow.errors import WorkflowError
from tests.workflow.studies import small


def task(said):
    return small(f"[tasks.two]\nrun = ['x']\n{said}\n").tasks[1]


def refused(said):
    with pytest.raises(WorkflowError) as caught:
        task(said)
    return [fault.text for fault in caught.value.faults]


@pytest.mark.parametrize("place", ["a/b.csv", "a b,c:d.csv", "ümlaut.csv", ".hidden"])
def test_plain_relative_paths_are_taken(place):
    assert task(f"outputs = {{ o = '{place}' }}").outputs == (("o", place),)


@pytest.mark.parametrize("place", ["maps/", "a/b c/", ".hidden/", "...../"])
def test_a_path_that_ends_in_a_slash_is_a_folder_and_kept_as_it_stands(place):
    assert task(f"outputs = {{ o = '{place}' }}").outputs == (("o", place),)


@pytest.mark.parametrize("place", ["/", "/a", "../a", "a/../b", "a//b", "a//", "./a", ".", "./", "../", "a/../", "/a/"])
def test_other_paths_are_refused(place):
    assert len(refused(f"outputs = {{ o = '{place}' }}")) == 1


@pytest.mark.parametrize(("one", "other"), [("a/", "a/b"), ("a/b", "a/"), ("a/b/", "A/"), ("a/", "a"), ("a/", "a/")])
def test_no_output_lies_in_a_folder_that_is_one(one, other):
    assert len(refused(f"outputs = {{ o = '{one}', p = '{other}' }}")) == 1


@pytest.mark.parametrize(("one", "other"), [("a/", "ab/"), ("a/b/", "a/c"), ("a b/", "a")])
def test_paths_beside_each_other_are_taken(one, other):
    assert task(f"outputs = {{ o = '{one}', p = '{other}' }}").outputs == (("o", one), ("p", other))


@pytest.mark.parametrize("said", ["outputs = { o = 'a/c' }", "outputs = { o = 'a/' }", "metrics = 'a/b/m.json'"])
def test_a_checkpoint_shares_no_path_with_what_is_left(said):
    (fault,) = refused(f"checkpoint = {{ path = 'a' }}\n{said}")
    assert "and the checkpoint" in fault


def test_a_checkpoint_beside_an_output_is_taken():
    found = task("checkpoint = { path = 'a/state' }\noutputs = { o = 'a/maps/' }\nmetrics = 'a/m.json'")
    assert (found.checkpoint.path, found.outputs) == ("a/state", (("o", "a/maps/"),))


def test_a_checkpoint_may_not_lie_where_a_function_s_value_will(tmp_path):
    from sciflow.workflow import load

    (tmp_path / "m.py").write_text("def f(): pass\n")
    text = "format = 1\n[workflow]\nname = 'x'\n[code]\ninclude = ['m.py']\n"
    text += "[tasks.t]\npython = 'm:f'\ncheckpoint = { path = 'result' }\n"
    with pytest.raises(WorkflowError, match="the function's value and the checkpoint are one path"):
        load.parse(text, file=tmp_path / "w.toml")


def test_the_folder_is_what_a_placeholder_of_it_names():
    workflow = small(
        "[tasks.two]\nrun = ['x', '{outputs.o}']\noutputs = { o = 'maps/' }\n"
        "[tasks.three]\nneeds = ['two']\nrun = ['x', '{two.o}']\n"
    )
    assert [task.words[1][0].name for task in workflow.tasks[1:]] == ["o", "o"]
