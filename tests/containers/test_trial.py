"""The root file system of one block."""

import subprocess
from pathlib import Path

import pytest

from sciflow.containers import trial


def test_it_is_one_block_of_squashfs(tmp_path):
    data = trial.image(tmp_path).read_bytes()
    assert (len(data), data[:4]) == (4096, b"hsqs")


@pytest.mark.live("mmdebstrap")
def test_it_holds_the_folders_that_an_engine_mounts_into(tmp_path):
    found = subprocess.run(["unsquashfs", "-ls", trial.image(tmp_path)], capture_output=True, text=True, check=True)
    listed = {line.removeprefix("squashfs-root") for line in found.stdout.splitlines()}
    assert {"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sys", "/tmp", "/usr", "/var/tmp"} <= listed


def test_only_folders_that_this_host_has_are_mounted_and_none_can_be_written():
    mounts = [word for word in trial.mounts() if word != "--mount"]
    sources = [word.partition("src=")[2].partition(",")[0] for word in mounts]
    assert "/usr" in sources
    assert all(Path(source).is_dir() for source in sources)
    assert all(word.endswith(",ro") for word in mounts)
