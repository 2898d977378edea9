"""A workflow's folder: written whole, over nothing but what sciflow wrote itself."""

import os

import pytest

from sciflow.api import staging
from sciflow.errors import Fault, SurroundingsError, UsageError, WorkflowError
from tests import small


@pytest.fixture
def made(tmp_path):
    (tmp_path / "from" / "data").mkdir(parents=True)
    (tmp_path / "from" / "data" / "x.csv").write_text("1\n")
    (tmp_path / "from" / "study.py").write_text("x = 1\n")
    return staging.Made(
        text=staging.MARK + "format = 1\n",
        written={"gen.py": staging.slices.MARK + "y = 1\n"},
        copied={"study.py": tmp_path / "from" / "study.py", "deep/data": tmp_path / "from" / "data"},
    )


def test_a_folder_gets_all_that_the_workflow_needs(made, tmp_path):
    assert staging.write(made, tmp_path / "to") == tmp_path / "to" / "workflow.toml"
    assert [path for path, (what, _) in small.contents(tmp_path / "to").items() if what is not None] == [
        "deep/data/x.csv",
        "gen.py",
        "study.py",
        "workflow.toml",
    ]


def test_what_was_written_before_is_written_anew(made, tmp_path):
    staging.write(made, tmp_path / "to")
    other = staging.Made(text=staging.MARK + "format = 2\n", written=made.written, copied=made.copied)
    assert staging.write(other, tmp_path / "to").read_text() == other.text


@pytest.mark.parametrize("name", ["workflow.toml", "study.py", "gen.py"])
def test_somebody_s_own_file_is_left_alone(made, tmp_path, name):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / name).write_text("mine\n")
    with pytest.raises(UsageError, match=f"{name}` stands there already, and is another file"):
        staging.write(made, tmp_path / "to")
    assert [path.name for path in (tmp_path / "to").iterdir()] == [name]


def test_a_file_that_would_stand_where_the_workflow_goes_is_refused(made, tmp_path):
    both = staging.Made(text=made.text, written={}, copied={"workflow.toml": made.copied["study.py"]})
    with pytest.raises(UsageError, match=r"study\.py` would stand where sciflow writes `workflow\.toml`"):
        staging.write(both, tmp_path / "to")


def test_a_folder_in_the_way_is_named(made, tmp_path):
    (tmp_path / "to" / "workflow.toml").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"workflow\.toml` is in the way"):
        staging.write(made, tmp_path / "to")


def test_the_folder_of_the_sources_itself_can_hold_the_workflow(made, tmp_path):
    staging.write(made, tmp_path / "from")
    assert (tmp_path / "from" / "study.py").read_text() == "x = 1\n"


def test_a_folder_that_cannot_be_written_is_said_so(made, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SurroundingsError, match="file` cannot be written"):
        staging.write(made, tmp_path / "file")


def test_a_large_input_is_not_written_twice_for_a_compile(made, tmp_path):
    with staging.staged(made) as file:
        assert (file.parent / "study.py").samefile(tmp_path / "from" / "study.py") == (
            os.stat(file.parent).st_dev == os.stat(tmp_path).st_dev  # noqa: PTH116  a file system's number
        )


def test_nothing_is_left_of_a_staged_workflow(made):
    with staging.staged(made) as file:
        assert file.is_file()
    assert not file.parent.exists()


def test_faults_are_told_at_their_place_in_the_text(made):
    with pytest.raises(WorkflowError) as caught, staging.staged(made) as file:
        raise WorkflowError([Fault(file=str(file), line=3, column=1, text="wrong")])
    assert str(caught.value) == "to_toml():3:1: wrong"


def test_faults_of_other_files_are_told_without_the_folder(made):
    with pytest.raises(WorkflowError) as caught, staging.staged(made) as file:
        raise WorkflowError([Fault(file=str(file.parent / "study.py"), text="is a link")])
    assert str(caught.value) == "study.py: is a link"
