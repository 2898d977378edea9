import pytest

from sciflow.containers import definition
from sciflow.containers.archive import SEARCH_PATH
from sciflow.containers.instructions import Copy, Run
from sciflow.containers.source import Base
from sciflow.errors import WorkflowError
from sciflow.workflow import spec

HEADER = "Bootstrap: docker\nFrom: tools.example/Tiny/tiny:1\n".replace("Tiny", "tiny")
UNDER = Base(layers=(), environment=(("LEVEL", "one"), ("PATH", "/base/bin")))


def read(text, under=UNDER, file="image/tool.def"):
    return definition.read(text, file, under)


def refused(text):
    with pytest.raises(WorkflowError) as caught:
        read(text)
    return str(caught.value)


def test_a_base_is_named_as_from_of_a_workflow_names_it():
    assert read(HEADER).base == "docker://tools.example/tiny/tiny:1"
    assert (
        read("# said\nbootstrap:docker\nFROM: debian # of Docker's\n").base
        == "docker://docker.io/library/debian:latest"
    )
    assert read("Bootstrap: oci-archive\nFrom: base.tar\n").base == "oci-archive:image/base.tar"


def test_all_that_makes_files_is_read_in_order():
    found = read(
        HEADER
        + "%post\n    # from: nowhere\n    if true\n    then echo é\n    fi\n\n%files\n    a.txt /opt/  # here\n    'b c'\n"
        + "%test\n    test -s /opt/a.txt\n%runscript\n    one\n    two\n%help\n  words\n"
    )
    copy, bare, post, test = found.steps
    assert copy == Copy(line=10, sources=("a.txt",), target="/opt/", contents=False)
    assert bare == Copy(line=11, sources=("b c",), target="/b c", contents=False)
    assert isinstance(post, Run)
    assert post.text.startswith("    # from: nowhere\n    if true\n")
    assert post.words == ("/bin/sh", "-ex")
    assert (post.line, post.environment) == (3, UNDER.environment)
    assert test.text == "    test -s /opt/a.txt\n"
    assert found.ignored == ("%runscript", "%help")


def test_another_shell_may_be_named():
    (post,) = read(HEADER + "%post -c /bin/bash -eu  # say\n    x\n").steps
    assert post.words == ("/bin/bash", "-eu")
    assert read(HEADER + "%post\n\n").steps == ()


def test_the_environment_is_what_a_shell_would_export():
    found = read(
        HEADER
        + '%environment\n    # said\n    export PATH=/opt/bin:$PATH A="x y" # why\n    B=$A\n    export C=${B}z B\n    LEVEL=two\n    D=1\n'
    )
    assert found.environment == (
        ("A", "x y"),
        ("B", "x y"),
        ("C", "x yz"),
        ("LEVEL", "two"),
        ("PATH", "/opt/bin:/base/bin"),
    )


def test_a_base_without_a_search_path_has_the_usual_one():
    assert read(HEADER + "%environment\n export PATH=/x:$PATH\n", Base(layers=())).environment == (
        ("PATH", f"/x:{SEARCH_PATH}"),
    )


def test_a_test_sees_the_environment_that_is_made():
    *_, test = read(HEADER + "%environment\n  export LEVEL=two\n%test\n  x\n").steps
    assert dict(test.environment)["LEVEL"] == "two"


def test_labels_are_names_and_texts():
    assert read(HEADER + "%labels\n  Author A B\n  Version   1.0\n").labels == (("Author", "A B"), ("Version", "1.0"))


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        ("", 0, "names no base"),
        ("Bootstrap: docker\n", 0, "names no base"),
        ("Bootstrap: docker\nFrom: A B\n", 2, "`A B` is not a reference"),
        ("Bootstrap: docker\nFrom: a\nFrom: b\n", 3, "names a base for the second time"),
        ("Bootstrap: library\nFrom: a\n", 1, "`Bootstrap: library` is not supported"),
        ("Bootstrap: localimage\nFrom: a.sif\n", 1, "`Bootstrap: localimage` is not supported"),
        ("Bootstrap: oci-archive\nFrom: /etc/x.tar\n", 2, "`/etc/x.tar` is no file beside the definition"),
        ("Bootstrap: oci-archive\nFrom: ../x.tar\n", 2, "is no file beside the definition"),
        (HEADER + "Include: yes\n", 3, "`Include: yes` is nothing for the top"),
        (HEADER + "what\n", 3, "`what` is nothing for the top"),
        (HEADER + "Stage: one\n", 3, "a second stage is not supported"),
        (HEADER + "%post\n  x\nBootstrap: docker\nFrom: b\n", 5, "a second stage is not supported"),
        (HEADER + "%files from one\n  a /b\n", 3, "a second stage is not supported"),
        (HEADER + "%setup\n  x\n", 3, "`%setup` runs on the host"),
        (HEADER + "%pre\n  x\n", 3, "`%pre` runs on the host"),
        (HEADER + "%arguments\n  A=1\n", 3, "`%arguments` makes many images"),
        (HEADER + "%post\n  echo {{ A }}\n", 4, "has `{{ }}`"),
        (HEADER + "%appinstall x\n  x\n", 3, "`%appinstall` is for Apptainer alone"),
        (HEADER + "%psot\n  x\n", 3, "there is no section `%psot`"),
        (HEADER + "%post\n  x\n  %-y\n", 5, "begins with `%`, and is no section"),
        (HEADER + "%post\n  x\n%post\n  y\n", 5, "`%post` stands here for the second time"),
        (HEADER + "%labels x\n", 3, "`%labels` with `x` is not supported"),
        (HEADER + "%post bash\n x\n", 3, "`bash` is not a shell"),
        (HEADER + "%post -c\n x\n", 3, "`-c` is not a shell"),
        (HEADER + "%files\n  /etc/passwd /x\n", 4, "`/etc/passwd` is outside the workflow's folder"),
        (HEADER + "%files\n  ~/x /x\n", 4, "is outside the workflow's folder"),
        (HEADER + "%files\n  a b c\n", 4, "is not a name and where to copy it"),
        (HEADER + "%files\n  $HOME/x /x\n", 4, "is not a name and where to copy it"),
        (HEADER + "%files\n  'a /x\n", 4, "has a ' that is not closed"),
        (HEADER + "%post\n  echo A=1 >> $APPTAINER_ENVIRONMENT\n", 4, "what Apptainer alone would read later"),
        (HEADER + "%environment\n  export A=$(id)\n", 4, "has `$(`"),
        (HEADER + "%environment\n  . /opt/activate\n", 4, "has `.`, for which a shell would be needed"),
        (HEADER + "%environment\n  unset A\n", 4, "has `unset`"),
        (HEADER + "%environment\n  export A=1; export B=2\n", 4, "has `;`"),
        (HEADER + "%environment\n  export A=$HOME/x\n", 4, "which depends on who enters"),
        (HEADER + "%environment\n  export A=~/x\n", 4, "which depends on who enters"),
        (HEADER + "%labels\n  Author\n", 4, "the label `Author` says nothing"),
        (HEADER + "%post\n  echo bootstrap: x\n  y\n", 4, "two readers of recipes do not agree"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_line(text, line, wanted):
    said = refused(text)
    assert wanted in said
    assert f"image/tool.def:{line}:1: " in said if line else "image/tool.def: " in said
    assert "\n  hint: " in said


def test_all_faults_come_together():
    assert refused("Bootstrap: yum\nFrom: x\n%setup\n%psot\n").count("hint:") == 3


def test_files_are_the_definition_and_what_it_copies(tmp_path):
    (tmp_path / "image").mkdir()
    (tmp_path / "image/tool.def").write_text(HEADER + "%files\n  *.txt /opt/\n")
    for name in ("b.txt", "a.txt", "c.csv"):
        (tmp_path / "image" / name).write_text(name)
    found = definition.files(spec.Image(source="definition", reference="image/tool.def"), tmp_path)
    assert [one.path for one in found] == ["image/a.txt", "image/b.txt", "image/tool.def"]
