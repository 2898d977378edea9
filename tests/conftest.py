"""Live tests ask for real parts: absent, they skip aloud; required (SCIFLOW_REQUIRE), their absence is a failure."""

import functools
import os
import pwd
import shutil
import socket
import subprocess

import pytest

from tests import spread

PLAIN_USER = "sci"  # made by tests/testbed/install.sh


def plain_user():
    """Return the words that run a command as a plain user, with that user's home; none where the tests run as one."""
    if os.getuid() != 0:
        return ()
    try:
        home = pwd.getpwnam(PLAIN_USER).pw_dir
    except KeyError:
        return ("false",)
    runuser = shutil.which("runuser") or "/usr/sbin/runuser"
    return (
        runuser,
        "-u",
        PLAIN_USER,
        "--",
        "env",
        "-u",
        "XDG_RUNTIME_DIR",
        "-u",
        "XDG_CONFIG_HOME",
        "-C",
        "/",
        f"HOME={home}",
    )


def _answers(*words):
    try:
        return subprocess.run(words, capture_output=True, timeout=60, check=False).returncode == 0
    except OSError:
        return False


@functools.cache
def missing(part):  # noqa: PLR0911, PLR0912  an answer a part
    """Return what a part of the test bed lacks, or nothing."""
    if part == "apptainer":
        return "" if _answers("apptainer", "--version") else "apptainer is not installed"
    if part == "docker":
        return "" if _answers("docker", "version") else "no Docker engine answers"
    if part == "podman":
        return "" if _answers(*plain_user(), "podman", "unshare", "true") else "Podman does not run as a plain user"
    if part == "registry":
        place = os.environ.get("SCIFLOW_TEST_REGISTRY", "")
        host, _, port = place.partition(":")
        try:
            socket.create_connection((host, int(port or 0)), 5).close()
        except OSError:
            return "no registry answers at SCIFLOW_TEST_REGISTRY"
        return ""
    if part == "slurm":
        return "" if _answers("scontrol", "ping") and shutil.which("sbatch") else "no Slurm answers"
    if part == "slurmdbd":
        there = shutil.which("slurmdbd") and shutil.which("mariadbd")
        return "" if there else "slurmdbd or mariadb-server is not installed"
    if part == "mmdebstrap":
        return (
            ""
            if shutil.which("mmdebstrap") and shutil.which("mksquashfs")
            else "mmdebstrap or mksquashfs is not installed"
        )
    if part == "cron":
        return "" if shutil.which("crontab") else "cron is not installed"
    if part == "faketime":
        return "" if shutil.which("faketime") else "faketime is not installed"
    if part == "cc":
        return "" if shutil.which("cc") else "no C compiler is installed"
    if part == "strace":
        return "" if shutil.which("strace") else "strace is not installed"
    if part == "nix":
        return "" if shutil.which("nix") else "nix is not installed"
    return f"unknown part {part}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return spread.Spread(config, log)


def pytest_runtest_setup(item):
    required = set(filter(None, os.environ.get("SCIFLOW_REQUIRE", "").split(",")))
    for mark in item.iter_markers("live"):
        for part in mark.args:
            lacks = missing(part)
            if lacks and part in required:
                pytest.fail(f"{part} is required here: {lacks}", pytrace=False)
            if lacks:
                pytest.skip(f"{part}: {lacks}")


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """Give each test a configuration folder of its own, so that none touches, or depends on, the user's keys."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.delenv("SCIFLOW_TRUST", raising=False)
    monkeypatch.delenv("SCIFLOW_ENGINE", raising=False)
    return folder
