import os
import shutil
import tempfile
from pathlib import Path

import pytest

from sciflow.containers import building
from sciflow.errors import SurroundingsError

SAYS = """\
#!/bin/sh
{}
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Put an Apptainer on PATH that does what it is told, and give a workshop."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "workshop, two").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def does(script, name="apptainer"):
        (tmp_path / "bin" / name).write_text(SAYS.format(script))
        (tmp_path / "bin" / name).chmod(0o755)
        return tmp_path / "workshop, two"

    return does


def refused(workshop):
    with pytest.raises(SurroundingsError) as caught:
        building.build(workshop, print)
    return str(caught.value)


def test_steps_are_told_as_they_are_taken(tool):
    started = []
    found = building.build(
        tool("echo sciflow-step 0; echo x; echo sciflow-step 1; echo sciflow-step x"), started.append
    )
    assert started == [0, 1]
    assert found.name == building.SIF


def test_apptainer_sees_folders_of_the_workshop_alone_by_a_name_without_commas(tool, monkeypatch):
    monkeypatch.setenv("APPTAINER_BIND", "/etc")
    workshop = tool('env > seen; echo "$@" >> seen')
    building.build(workshop, print)
    seen = (workshop / "seen").read_text()
    assert "APPTAINER_BIND" not in seen
    assert ", two" not in seen.replace("PWD=", "").replace(str(workshop), "")
    assert (workshop / "build.def").read_text() == building.DEFINITION


def test_a_tmpdir_with_a_comma_is_not_named_to_apptainer(tool, tmp_path, monkeypatch):
    (tmp_path / "my, tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "my, tmp"))
    workshop = tool('env > seen; echo "$@" >> seen')
    building.build(workshop, print)
    assert "my, tmp" not in (workshop / "seen").read_text()


def test_a_command_that_fails_gives_its_step_its_code_and_its_last_words(tool):
    workshop = tool(
        "echo sciflow-step 2; printf 'red \\033[31mwords\\033[0m \\007\\n'; echo sciflow-ended 2 9; echo more; exit 255"
    )
    with pytest.raises(building.FailedError) as caught:
        building.build(workshop, print)
    assert (caught.value.step, caught.value.code, caught.value.said) == (2, 9, ("red words \\x07",))


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (
            "FATAL: could not use fakeroot: no mapping entry found in /etc/subuid",
            "cannot build as this user: FATAL: could",
        ),
        ("ERROR: Failed to create user namespace: not allowed", "cannot build as this user: ERROR: Failed"),
        ("write: no space left on device", "no space left in the cache"),
        ("FATAL: unknown flag: --mksquashfs-args", "apptainer could not build the image: FATAL: unknown flag"),
        ("something else", "apptainer could not build the image: something else"),
        ("", "it said nothing"),
    ],
)
def test_what_apptainer_says_becomes_one_fault(tool, said, wanted):
    assert wanted in refused(tool(f"echo '{said}'; exit 1"))


def test_where_fakeroot_does_not_run_in_the_image_it_is_built_without(tool):
    started = []
    workshop = tool(
        'case "$*" in *--ignore-fakeroot-command*) echo sciflow-step 0; exit 0;; esac\n'
        "echo 'fakeroot: error while starting the `faked'\"'\"' daemon.'; exit 255"
    )
    building.build(workshop, started.append)
    assert started == [0]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_root_without_a_namespace_is_told_what_to_ask_for(tool, tmp_path):
    tool("exit 1", name="unshare")
    assert "root cannot make a user namespace to build in" in refused(tool("exit 0"))


@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_root_whose_namespace_never_comes_is_not_waited_for(tool, monkeypatch):
    monkeypatch.setattr(building, "PATIENCE_S", 0.0)
    tool("exec sleep 60", name="unshare")
    assert "root cannot make a user namespace to build in" in refused(tool("exit 0"))


@pytest.mark.skipif(os.geteuid() != 0, reason="for root alone")
def test_root_has_a_namespace_of_his_own(tool):
    workshop = tool("cat /proc/self/uid_map > seen; readlink /proc/self/ns/user >> seen")
    building.build(workshop, print)
    ids, own = (workshop / "seen").read_text().splitlines()
    assert ids.split() == ["0", "0", str(building.IDS)]
    assert own != str(Path("/proc/self/ns/user").readlink())


def test_without_the_tool_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(building, "ELSEWHERE", "")
    assert "is not on PATH" in refused(tmp_path)


def test_the_version_is_its_numbers(tool):
    tool("echo apptainer version 1.4.5-2")
    assert building.version() == "1.4.5"
    tool("echo what")
    assert building.version() == ""


def test_proxies_are_named_by_their_variables(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("http_proxy", "a")
    monkeypatch.setenv("HTTPS_PROXY", "b")
    assert building.proxies() == {"HTTPS_PROXY": "b", "http_proxy": "a"}


def test_what_is_started_ends_where_something_else_fails(tool):
    def started(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        building.build(tool("echo sciflow-step 0; exec sleep 60"), started)
    assert shutil.which("sleep")
