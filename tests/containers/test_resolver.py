from dataclasses import replace

import pytest
import uv

from sciflow.containers import resolver
from sciflow.containers.image import Wheel
from sciflow.errors import SurroundingsError, WorkflowError
from tests.containers.wheelwright import TARGET


def _target(architecture, libc, *level):
    return replace(TARGET, architecture=architecture, libc=libc, level=level)


@pytest.mark.parametrize(
    ("target", "wanted"),
    [
        (_target("x86_64", "glibc", 2, 36), "x86_64-manylinux_2_36"),
        (_target("x86_64", "glibc", 2, 30), "x86_64-manylinux_2_28"),
        (_target("aarch64", "glibc", 2, 99), "aarch64-manylinux_2_40"),
        (_target("aarch64", "musl", 1, 2), "aarch64-unknown-linux-musl"),
        (_target("riscv64", "glibc", 2, 39), "riscv64-unknown-linux"),
    ],
)
def test_an_image_is_told_to_uv_by_the_largest_word_that_is_not_above_it(target, wanted):
    assert resolver.uv_platform(target) == wanted


@pytest.mark.parametrize(
    "target",
    [_target("s390x", "glibc", 2, 36), _target("x86_64", "glibc", 2, 16), _target("riscv64", "musl", 1, 2)],
)
def test_an_image_that_uv_has_no_word_for_is_named(target):
    with pytest.raises(SurroundingsError, match=f"packages for {target} cannot be chosen"):
        resolver.words(target)


def test_uv_gets_where_packages_are_had_and_nothing_of_what_is_chosen():
    given = {
        "PATH": "/bin",
        "UV_INDEX_OWN_PASSWORD": "x",
        "https_proxy": "http://proxy.example",
        "UV_PRERELEASE": "allow",
        "UV_CONSTRAINT": "x",
        "PYTHONPATH": "/x",
        "LANG": "C",
    }
    assert resolver.surroundings(given) == {key: given[key] for key in ("PATH", "UV_INDEX_OWN_PASSWORD", "https_proxy")}


def test_the_indexes_of_pip_stand_in_for_those_of_uv():
    given = {"PIP_INDEX_URL": "https://a.example", "PIP_EXTRA_INDEX_URL": "https://b.example"}
    assert resolver.surroundings(given) == {
        "UV_INDEX_URL": "https://a.example",
        "UV_EXTRA_INDEX_URL": "https://b.example",
    }


def test_the_indexes_of_uv_go_before_those_of_pip():
    given = {"PIP_INDEX_URL": "https://a.example", "UV_DEFAULT_INDEX": "https://c.example"}
    assert resolver.surroundings(given) == {"UV_DEFAULT_INDEX": "https://c.example"}


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://a.example/files/x.whl", "me:pw"),
        ("https://b.example/x.whl", "you:"),
        ("http://a.example/x.whl", ""),
        ("https://c.example/x.whl", ""),
        ("wheels/x.whl", ""),
    ],
)
def test_the_login_of_an_index_serves_its_host_alone(url, wanted):
    given = {
        "UV_DEFAULT_INDEX": "https://me:pw@a.example/simple",
        "UV_INDEX": "https://c.example own=https://you@b.example/simple",
    }
    assert resolver.login(url, given) == wanted


def test_held_versions_are_told_in_order():
    held = [Wheel(name=name, version="1.0", file="x", sha256="", size=0, url="") for name in ("b", "a")]
    assert resolver.preferred(held).split("\n\n")[1:] == [
        '[[packages]]\nname = "a"\nversion = "1.0"',
        '[[packages]]\nname = "b"\nversion = "1.0"\n',
    ]


def test_requirements_that_cannot_be_met_are_a_fault_of_the_file():
    said = "  \u00d7 No solution found when resolving dependencies:\n  \u2570\u2500\u25b6 Because tiny was not found\n      and you require tiny, no.\n"
    found = resolver.refusal(said, "requirements.txt")
    assert isinstance(found, WorkflowError)
    assert "No solution found when resolving dependencies: Because tiny was not found and you require tiny, no." in str(
        found
    )


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "warning: x\nerror: Failed to fetch: `https://a.example`\n  Caused by: dns error",
            "be chosen: Failed to fetch: `https://a.example` Caused by: dns error",
        ),
        ("", "uv failed and said nothing"),
        ("x" * 1000, "x" * 600 + "…"),
    ],
)
def test_all_else_that_uv_says_is_a_fault_of_the_surroundings(said, words):
    found = resolver.refusal(said, "requirements.txt")
    assert isinstance(found, SurroundingsError)
    assert words in str(found)


def test_a_login_in_what_uv_says_is_not_told():
    assert "pw" not in str(resolver.refusal("error: https://me:pw@a.example/simple: no", "requirements.txt"))


def _absent():
    raise FileNotFoundError


def test_a_uv_on_path_serves_where_none_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(uv, "find_uv_bin", _absent)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match="`uv` is not installed"):
        resolver._program()
    (tmp_path / "uv").write_text("")
    (tmp_path / "uv").chmod(0o755)
    assert resolver._program() == str(tmp_path / "uv")
