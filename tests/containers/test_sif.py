"""A SIF around a squashfs: the same bytes for everyone, read by the real tools."""

import subprocess

import pytest

from sciflow.containers import archive, sif, trial
from sciflow.containers.image import own_platform
from sciflow.errors import SurroundingsError

OWN = own_platform().partition("/")[2]


@pytest.fixture
def squashfs(tmp_path):
    return trial.image(tmp_path)


def test_a_sif_is_the_same_bytes_whoever_writes_it_and_when(squashfs, tmp_path):
    for name in ("a", "b"):
        sif.wrap(squashfs, tmp_path / name, architecture="amd64")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_root_file_system_is_found_again(squashfs, tmp_path):
    sif.wrap(squashfs, tmp_path / "a.sif", architecture="amd64")
    start, size = sif.root(tmp_path / "a.sif")
    assert (tmp_path / "a.sif").read_bytes()[start : start + size] == squashfs.read_bytes()


def test_an_architecture_that_sif_cannot_say_is_named(squashfs, tmp_path):
    with pytest.raises(SurroundingsError, match="no word for the architecture vax"):
        sif.wrap(squashfs, tmp_path / "a.sif", architecture="vax")
    assert not (tmp_path / "a.sif").exists()


@pytest.mark.parametrize("size", [10, 3000, 4096, 4500])
def test_a_sif_that_was_cut_off_is_named(squashfs, tmp_path, size):
    sif.wrap(squashfs, tmp_path / "a.sif", architecture="amd64")
    (tmp_path / "a.sif").write_bytes((tmp_path / "a.sif").read_bytes()[:size])
    with pytest.raises(SurroundingsError, match=r"`a\.sif` is a SIF that ends too early"):
        sif.root(tmp_path / "a.sif")


def test_a_sif_without_a_root_file_system_is_named(squashfs, tmp_path):
    sif.wrap(squashfs, tmp_path / "a.sif", architecture="amd64")
    data = bytearray((tmp_path / "a.sif").read_bytes())
    data[sif.DESCRIPTORS_AT + 4] = 0
    (tmp_path / "a.sif").write_bytes(data)
    with pytest.raises(SurroundingsError, match="a SIF without a squashfs to run in"):
        sif.root(tmp_path / "a.sif")


@pytest.mark.live("apptainer")
def test_apptainer_lists_and_runs_it(tiny_tar, tmp_path):
    archive.squashfs(tiny_tar, tmp_path / "tiny.sqfs")
    sif.wrap(tmp_path / "tiny.sqfs", tmp_path / "tiny.sif", architecture=OWN)
    listed = subprocess.run(
        ["apptainer", "sif", "list", tmp_path / "tiny.sif"], capture_output=True, text=True, check=True
    ).stdout
    assert f"FS (Squashfs/*System/{OWN})" in listed
    words = ["apptainer", "--quiet", "exec", "--no-privs", tmp_path / "tiny.sif", "/bin/cat", "/etc/group"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.startswith("root:x:0:\n")


@pytest.mark.live("apptainer")
def test_the_root_file_system_of_apptainer_s_own_sif_is_found(squashfs, tmp_path):
    target = tmp_path / "own.sif"
    subprocess.run(["apptainer", "sif", "new", target], capture_output=True, check=True)
    words = ["apptainer", "sif", "add", "--datatype", "4", "--parttype", "2", "--partfs", "1", "--partarch", "2"]
    subprocess.run([*words, "--groupid", "1", target, squashfs], capture_output=True, check=True)
    start, size = sif.root(target)
    assert target.read_bytes()[start : start + size] == squashfs.read_bytes()
