"""`sciflow lock --check` of real images: it agrees, or says which files a command made differently, and no others."""

import re

import pytest

from tests import small
from tests.live.test_sources import archived, from_flake, study

DEFINITION = """\
Bootstrap: oci-archive
From: base.tar

%post
    mkdir /opt
    echo same >/opt/same
    {command}
"""
DIFFERENT = "head -c 8 /dev/urandom >/opt/noise"
CHANGED = re.compile(r"\./opt/noise: content [0-9a-f]{12} -> [0-9a-f]{12}")


@pytest.fixture
def checked(tmp_path, monkeypatch):
    """Lock a study with an image, and build that once more."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))

    def check(source, *words):
        file = study(tmp_path, source)
        locked = small.sciflow("lock", file)
        assert locked.returncode == 0, locked.stderr
        return small.sciflow("lock", file, "--check", "--quiet", *words)

    return check


def defined(folder, command):
    archived(folder)
    (folder / "tool.def").write_text(DEFINITION.format(command=command))
    return 'definition = "tool.def"'


@pytest.mark.live("apptainer")
def test_a_definition_whose_commands_always_do_the_same_agrees(tmp_path, checked):
    found = checked(defined(tmp_path, "date >/tmp/when"))
    assert (found.returncode, found.stderr) == (0, "")
    assert re.fullmatch(r"it is built the same again: sha256:[0-9a-f]{64}\n", found.stdout)


@pytest.mark.live("nix")
def test_a_flake_agrees(tmp_path, checked):
    found = checked(from_flake(tmp_path, None))
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.live("apptainer")
def test_the_one_file_that_a_command_makes_differently_is_named(tmp_path, checked):
    found = checked(defined(tmp_path, DIFFERENT))
    assert found.returncode == 1, found.stderr
    line, last = found.stdout.splitlines()
    assert CHANGED.fullmatch(line)
    assert re.fullmatch(r"1 file differs: sha256:[0-9a-f]{64}", last)


@pytest.mark.live("apptainer")
def test_it_is_named_where_the_cache_is_lost_too(tmp_path, checked, monkeypatch):
    source = defined(tmp_path, DIFFERENT)
    checked(source)
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "another"))
    found = small.sciflow("lock", tmp_path / "workflow.toml", "--check", "--quiet")
    assert found.returncode == 1, found.stderr
    assert CHANGED.fullmatch(found.stdout.splitlines()[0])
