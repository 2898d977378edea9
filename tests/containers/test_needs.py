"""What a machine lacks is found by trying it, and said with what to ask for."""

import os
import re
import shutil
from pathlib import Path

import pytest

from sciflow.containers import needs

PROGRAMS = ("user_namespaces", "network_namespaces", "squashfuse", "mksquashfs", "mmdebstrap", "nix")


def program(folder, name, script):
    """Put a program of that name alone on a PATH of its own; return that PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    (folder / name).chmod(0o755)
    return str(folder)


@pytest.mark.parametrize("need", PROGRAMS)
def test_a_program_that_is_absent_is_named_with_what_to_ask_for(need, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = getattr(needs, need)()
    assert (found.works, "not on PATH" in found.advice, found.ask.startswith("please ")) == (False, True, True)


@pytest.mark.parametrize("need", ["user_namespaces", "network_namespaces"])
def test_namespaces_that_are_refused_are_said_in_the_kernel_s_words(need, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", program(tmp_path / "p", "unshare", "echo 'unshare failed: No space left' >&2; exit 1"))
    found = getattr(needs, need)()
    assert (found.works, "No space left" in found.advice, "sysctl user.max_" in found.ask) == (False, True, True)


def test_a_squashfuse_that_mounts_nothing_is_found_out(monkeypatch, tmp_path):
    program(tmp_path / "p", "fusermount3", "exit 0")
    monkeypatch.setenv("PATH", program(tmp_path / "p", "squashfuse", "exit 0"))
    assert not needs.squashfuse().works


def test_a_mksquashfs_that_knows_no_zstd_is_found_out(monkeypatch, tmp_path):
    script = (
        'test "$1" = -version && echo "mksquashfs version 4.3 (2014)" && exit 0; echo "bad compressor zstd" >&2; exit 1'
    )
    monkeypatch.setenv("PATH", program(tmp_path / "p", "mksquashfs", script))
    found = needs.mksquashfs()
    assert (found.works, found.version, "zstd" in found.advice) == (False, "4.3", True)


@pytest.mark.live("nix")
def test_nix_works_here():
    assert needs.nix().works


def test_a_nix_that_evaluates_nothing_does_not_work(monkeypatch, tmp_path):
    script = 'test "$1" = --version && echo "nix (Nix) 2.26.3" && exit 0; echo "error: no" >&2; exit 1'
    monkeypatch.setenv("PATH", program(tmp_path, "nix", script))
    found = needs.nix()
    assert (found.works, found.version, found.advice) == (False, "2.26.3", "it evaluates nothing: error: no")


@pytest.mark.live("mmdebstrap")
def test_mksquashfs_and_mmdebstrap_work_here():
    assert [(found.works, bool(found.version)) for found in (needs.mksquashfs(), needs.mmdebstrap())] == [
        (True, True)
    ] * 2


@pytest.mark.live("apptainer")
def test_namespaces_and_fuse_work_here():
    assert (needs.user_namespaces().works, needs.network_namespaces().works, needs.fuse().works) == (True, True, True)


@pytest.mark.live("apptainer")
def test_squashfuse_mounts_here_and_leaves_nothing_mounted():
    before = Path("/proc/mounts").read_text()
    assert (needs.squashfuse().works, Path("/proc/mounts").read_text()) == (True, before)


def test_a_device_that_is_not_there_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(needs, "FUSE", tmp_path / "fuse")
    assert needs.fuse().advice.startswith(f"`{tmp_path}/fuse`: No such file")


def test_ranges_are_those_of_the_user_by_name_or_number(monkeypatch, tmp_path):
    monkeypatch.setattr(needs, "SUBUID", tmp_path / "subuid")
    (tmp_path / "subuid").write_text(f"ada:100000:65536\nadam:1:1\n{os.getuid()}:300000:10\n")
    assert needs._ranges("ada") == "100000:65536 300000:10"


def test_a_missing_file_of_ranges_gives_none(monkeypatch, tmp_path):
    monkeypatch.setattr(needs, "SUBUID", tmp_path / "subuid")
    assert needs._ranges("ada") == ""


def test_without_a_gpu_nothing_is_asked_for(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = needs.gpus()
    assert (found.works, found.ask) == (False, "")


def test_a_gpu_whose_tool_fails_is_a_matter_for_the_admin(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("PATH", program(tmp_path / "p", "nvidia-smi", "echo 'version mismatch'; exit 18"))
    found = needs.gpus()
    assert (found.works, found.advice, bool(found.ask)) == (False, "2 GPUs are there, but version mismatch", True)


def test_gpus_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    monkeypatch.setenv("PATH", program(tmp_path / "p", "nvidia-smi", "echo 'NVIDIA A100'; echo 'NVIDIA A100'"))
    assert (needs.gpus().works, needs.gpus().version) == (True, "NVIDIA A100, NVIDIA A100")


def test_the_cache_is_told_with_its_file_system_and_its_room(own_cache):
    found = needs.room()
    assert found.works
    assert found.version.startswith(f"{own_cache} (")
    told = float(re.search(r"([0-9.]+) GB left", found.version).group(1))
    assert told == pytest.approx(shutil.disk_usage(own_cache).free / 1e9, rel=0.2, abs=1)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "file"))
    found = needs.room()
    assert (found.works, "SCIFLOW_CACHE" in found.advice) == (False, True)


def test_little_room_is_said(own_cache, monkeypatch):
    monkeypatch.setattr(needs, "ROOMY_BYTES", 1e30)
    assert "`sciflow cache gc`" in needs.room().advice


def test_the_file_system_of_memory_is_tmpfs():
    assert needs.file_system(Path("/dev/shm")) == "tmpfs"


def test_every_need_is_tried():
    assert [name for name, _ in needs.needs()][:3] == ["user namespaces", "network namespaces", "subordinate ids"]
