import pytest

from sciflow.containers import reference
from sciflow.errors import SurroundingsError

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("docker://python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("python", "docker.io/library/python:latest"),
        ("docker://sci/python:1", "docker.io/sci/python:1"),
        ("docker://127.0.0.1:5000/a/b:c", "127.0.0.1:5000/a/b:c"),
        ("docker://localhost/a", "localhost/a:latest"),
        ("docker://registry.example/a/b/c", "registry.example/a/b/c:latest"),
        (f"docker://registry.example/a@{DIGEST}", f"registry.example/a@{DIGEST}"),
        (f"docker://registry.example/a:1@{DIGEST}", f"registry.example/a:1@{DIGEST}"),
    ],
)
def test_what_is_left_out_of_a_reference_is_filled_in(text, whole):
    assert str(reference.parse(text)) == whole


@pytest.mark.parametrize(
    "text",
    [
        "",
        "docker://",
        "docker://a:",
        "docker://A:1",
        "docker://a@sha256:12",
        "docker://a/../b",
        "docker://a b",
        "oras://a:1",
        "docker://a.b/c:1:2",
    ],
)
def test_a_reference_that_is_none_is_refused_by_name(text):
    with pytest.raises(SurroundingsError, match="is not a reference to an OCI image") as caught:
        reference.parse(text)
    assert f"`{text}`" in str(caught.value)


def test_a_whole_reference_reads_back_as_itself():
    name = reference.parse("docker://127.0.0.1:5000/a/b:c")
    assert reference.parse(str(name)) == name


def test_only_this_machine_is_spoken_to_without_tls():
    plain = {
        text: reference.parse(text).plain_http
        for text in (
            "127.0.0.1:5000/a",
            "localhost/a",
            "localhost:5000/a",
            "registry.example:5000/a",
            "127.0.0.1.example/a",
            "python",
        )
    }
    assert [text for text, is_plain in plain.items() if is_plain] == [
        "127.0.0.1:5000/a",
        "localhost/a",
        "localhost:5000/a",
    ]


def test_a_pinned_reference_has_no_tag():
    assert reference.parse("docker://127.0.0.1:5000/a:1").pinned(DIGEST) == f"127.0.0.1:5000/a@{DIGEST}"
