import pytest

from sciflow.containers import dockerfile
from sciflow.containers.archive import SEARCH_PATH
from sciflow.containers.instructions import Copy, Make, Run
from sciflow.containers.source import Base
from sciflow.errors import WorkflowError
from sciflow.workflow import spec

UNDER = Base(layers=(), environment=(("LEVEL", "one"), ("PATH", "/base/bin")), folder="/work")


def read(text, under=UNDER):
    return dockerfile.read(text, "Dockerfile", under)


def refused(text):
    with pytest.raises(WorkflowError) as caught:
        read(text)
    return str(caught.value)


def runs(text, under=UNDER):
    return [step for step in read(text, under).steps if isinstance(step, Run)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("FROM debian\n", "docker://docker.io/library/debian:latest"),
        ("from tools.example/a/b:1 AS base", "docker://tools.example/a/b:1"),
        ("ARG V=12\nFROM debian:$V", "docker://docker.io/library/debian:12"),
        ("ARG V=1\nARG W=${V}2\nFROM debian:${W:-13}", "docker://docker.io/library/debian:12"),
        (
            "# syntax=docker/dockerfile:1\n# escape=\\\n\n# said\nFROM debian",
            "docker://docker.io/library/debian:latest",
        ),
    ],
)
def test_a_base_is_named_as_from_of_a_workflow_names_it(text, wanted):
    assert read(text).base == wanted


def test_commands_are_run_by_a_shell_or_as_they_stand():
    found = runs('FROM a\nRUN echo  \'a b\' && \\\n  # said\n\n    echo c\nRUN ["echo", "a b"]\nRUN [ -d /x ]\n')
    assert [one.words for one in found] == [
        ("/bin/sh", "-c", "echo  'a b' &&     echo c"),
        ("echo", "a b"),
        ("/bin/sh", "-c", "[ -d /x ]"),
    ]
    assert [one.line for one in found] == [2, 6, 7]


def test_a_backslash_before_another_goes_on_with_nothing():
    assert runs("FROM a\nRUN echo a\\\\\nRUN b\n")[0].words[-1] == "echo a\\\\"


def test_a_file_may_end_in_the_midst_of_a_command():
    assert runs("FROM a\nRUN echo a \\\n")[0].words[-1] == "echo a"


def test_each_command_has_the_environment_and_the_folder_of_its_place():
    first, second = runs("FROM a\nRUN x\nENV A=1 B=$LEVEL\nENV PATH=/x:$PATH\nWORKDIR sub\nWORKDIR ../$A\nRUN y\n")
    assert (first.environment, first.folder) == (UNDER.environment, "/work")
    assert dict(second.environment) == {"A": "1", "B": "one", "LEVEL": "one", "PATH": "/x:/base/bin"}
    assert second.folder == "/work/1"


def test_folders_to_work_in_are_made():
    assert [step.path for step in read("FROM a\nWORKDIR b\nWORKDIR /c\n").steps if isinstance(step, Make)] == [
        "/work/b",
        "/c",
    ]
    assert read("FROM a\nWORKDIR /c\n").folder == "/c"


def test_a_variable_means_all_along_an_instruction_what_it_meant_before():
    assert dict(read("FROM a\nENV A=1\nENV A=2 B=$A\n").environment)["B"] == "1"


def test_an_old_form_takes_the_rest_of_the_line():
    assert dict(read('FROM a\nENV A b "c"\n').environment)["A"] == "b c"


def test_a_base_without_a_search_path_has_the_usual_one():
    assert read("FROM a\nENV PATH=/x:$PATH", Base(layers=())).environment == (("PATH", f"/x:{SEARCH_PATH}"),)


def test_arguments_are_seen_by_commands_and_are_not_given_on():
    (run,) = runs("ARG V=1\nFROM a\nARG V\nARG W=2 LEVEL=x\nENV B=$V\nRUN x\n")
    assert {"V": "1", "W": "2", "B": "1", "LEVEL": "one"}.items() <= dict(run.environment).items()
    assert not {"V", "W"} & set(dict(read("ARG V=1\nFROM a\nARG V\nARG W=2\n").environment))


def test_an_argument_above_the_base_means_nothing_below_it():
    assert dict(read("ARG V=1\nFROM a\nENV B=[$V]\n").environment)["B"] == "[]"


@pytest.mark.parametrize(
    ("said", "sources", "target"),
    [
        ("a.txt /opt/", ("a.txt",), "/opt/"),
        ("a.txt name", ("a.txt",), "/work/name"),
        ("a.txt .", ("a.txt",), "/work/"),
        ("a b /opt/x/", ("a", "b"), "/opt/x/"),
        ('["a b", "/opt/c d"]', ("a b",), "/opt/c d"),
        ("/a.txt /", ("a.txt",), "/"),
        ("$LEVEL /opt/$LEVEL", ("one",), "/opt/one"),
    ],
)
def test_copies_have_their_sources_and_their_place(said, sources, target):
    for word in ("COPY", "ADD"):
        assert read(f"FROM a\n{word} {said}\n").steps == (Copy(line=2, sources=sources, target=target, contents=True),)


def test_labels_are_names_and_texts():
    assert read('FROM a\nLABEL a.b="c d" e=$LEVEL\nLABEL e=f\n').labels == (("a.b", "c d"), ("e", "f"))


def test_what_makes_no_file_is_left_out_and_said():
    text = 'FROM a\nCMD ["x"]\nENTRYPOINT x\nEXPOSE 80\nVOLUME /x\nHEALTHCHECK NONE\nSTOPSIGNAL 9\nMAINTAINER me\nONBUILD RUN x\nUSER root\n'
    assert read(text).ignored == dockerfile.IGNORED
    assert read(text).steps == ()


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        ("", 0, "names no base"),
        ("# nothing\n", 0, "names no base"),
        ("RUN x\nFROM a\n", 1, "`RUN` stands before `FROM`"),
        ("FROM a\nFROM b\n", 2, "a second stage is not supported"),
        ("FROM a AS one\nRUN x\nFROM b\nCOPY --from=one /x /y\n", 3, "a second stage is not supported"),
        ("FROM --platform=linux/arm64 a\n", 1, "`--platform` is not supported"),
        ("FROM scratch\n", 1, "`FROM scratch` has nothing"),
        ("FROM A\n", 1, "`A` is not a reference"),
        ("FROM a b\n", 1, "`a b` is not a reference"),
        ("FROM a\nRNU x\n", 2, "`RNU` is no instruction"),
        ('FROM a\nSHELL ["bash"]\n', 2, "`SHELL` is no instruction that is supported"),
        ("FROM a\nRUN\n", 2, "`RUN` says nothing"),
        ("FROM a\nRUN --mount=type=cache,target=/x y\n", 2, "`RUN --mount=type=cache,target=/x` is not supported"),
        ("FROM a\nRUN cat <<EOF > /x\nhallo\nEOF\n", 2, "a text that begins with `<<`"),
        ("FROM a\nCOPY --chown=1 b /c\n", 2, "`COPY --chown=1` is not supported"),
        ("FROM a\nCOPY b\n", 2, "copies nothing"),
        ("FROM a\nADD https://x.example/y /z\n", 2, "fetches what nothing pins"),
        ("FROM a\nADD git@x.example:y /z\n", 2, "fetches what nothing pins"),
        ("FROM a\nADD b.tar.gz /z\n", 2, "may unpack it"),
        ("FROM a\nENV A\n", 2, "`A` has no value"),
        ("FROM a\nENV A=1 B\n", 2, "`B` is no `NAME=value`"),
        ("FROM a\nENV A.B=1\n", 2, "`A.B` is no name of a variable"),
        ('FROM a\nENV A="x\n', 2, 'has a " that is not closed'),
        ("FROM a\nENV A=${B%x}\n", 2, "has `${`"),
        ("FROM a\nARG A\n", 2, "`ARG A` has no value"),
        ("FROM a\nARG TARGETARCH=amd64\n", 2, "`ARG TARGETARCH` takes its value from the builder"),
        ("ARG A\nFROM a\n", 1, "`ARG A` has no value"),
        ("ARG 1A=2\nFROM a\n", 1, "`1A` is no name of a variable"),
        ("FROM a\nUSER me\n", 2, "`USER me` is not supported"),
        ("# escape=`\nFROM a\n", 1, "`escape` is not what it is by itself"),
        ("# syntax=x/y:1\nFROM a\n", 1, "`syntax` is not what it is by itself"),
        ("FROM a\nRUN x\ry\n", 2, "two readers of recipes do not agree"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_line(text, line, wanted):
    said = refused(text)
    assert wanted in said
    assert f"Dockerfile:{line}:1: " in said if line else "Dockerfile: " in said
    assert "\n  hint: " in said


def test_a_here_string_and_a_shift_are_no_heredoc():
    assert len(runs("FROM a\nRUN cat <<< x\nRUN echo $((1<<2))\n")) == 2


def test_files_are_the_dockerfile_and_what_it_copies(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM a\nCOPY data /data\n")
    (tmp_path / "data/sub").mkdir(parents=True)
    (tmp_path / "data/sub/x").write_text("x")
    found = dockerfile.files(spec.Image(source="dockerfile", reference="Dockerfile"), tmp_path)
    assert [one.path for one in found] == ["Dockerfile", "data/sub/x"]


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
def test_a_list_of_what_not_to_copy_is_refused(tmp_path, name):
    (tmp_path / "Dockerfile").write_text("FROM a\n")
    (tmp_path / name).write_text("x\n")
    with pytest.raises(WorkflowError, match="is not honoured"):
        dockerfile.files(spec.Image(source="dockerfile", reference="Dockerfile"), tmp_path)
