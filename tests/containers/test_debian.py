import os
import shutil
import subprocess
from dataclasses import replace

import pytest

from sciflow.containers import cache, debian
from sciflow.errors import SurroundingsError
from tests.containers import images, resolving

RECORD = "Package: {}\nStatus: install ok\nVersion: {}\nArchitecture: amd64\nSHA256: {}\nDescription: about\n SHA256: not this\n"


def test_apt_s_records_become_packages_sorted_by_name():
    found = debian._installed("\n".join(RECORD.format(name, "1:2.0-1", "a" * 64) for name in ("zsh", "bash")))
    assert [(one.name, one.version, one.sha256) for one in found] == [
        ("bash", "1:2.0-1", "a" * 64),
        ("zsh", "1:2.0-1", "a" * 64),
    ]


def test_a_package_without_a_digest_is_named():
    with pytest.raises(SurroundingsError, match="no SHA256 for bash"):
        debian._installed("Package: bash\nVersion: 1\nArchitecture: amd64\n")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("E: Unable to locate package no-such\nE: apt-get failed", "Debian bookworm has no package `no-such`"),
        ("E: Package 'gone' has no installation candidate", "Debian bookworm has no package `gone`"),
        (
            "E: The repository 'x bookwurm Release' does not have a Release file.",
            "the archive of Debian bookworm cannot be read",
        ),
        ("E: Failed to fetch x  Unable to connect to x", "the archive of Debian bookworm cannot be read"),
        ("tar: write: No space left on device", "no space left"),
        ("E: newuidmap failed", "cannot be built by this user"),
        ("E: something else", "mmdebstrap could not build Debian bookworm: E: something else"),
        ("", "it said nothing"),
    ],
)
def test_what_mmdebstrap_says_becomes_one_fault(said, wanted):
    assert wanted in str(debian._refused("bookworm", said))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (
            "apt/sources.list.d/debian.sources",
            "Types: deb\nURIs: http://archive.example/debian\nSuites: bookworm\n\nTypes: deb\nURIs: http://archive.example/debian-security\n",
        ),
        ("apt/sources.list", "deb [signed-by=/k] http://archive.example/debian bookworm main\n"),
        (
            "apt/sources.list",
            "deb http://archive.example/debian-security bookworm-security main\ndeb http://archive.example/debian bookworm main\n",
        ),
    ],
)
def test_a_debian_machine_s_own_archive_is_used(tmp_path, path, text):
    (tmp_path / "os-release").write_text("NAME=Debian\nID=debian\n")
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    assert debian.own_mirror(tmp_path) == "http://archive.example/debian"


@pytest.mark.parametrize("release", ["ID=ubuntu\nID_LIKE=debian\n", None])
def test_another_machine_s_sources_are_not_used(tmp_path, release):
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt/sources.list").write_text("deb http://archive.example/debian jammy main\n")
    if release:
        (tmp_path / "os-release").write_text(release)
    assert not debian.own_mirror(tmp_path)


def test_a_package_that_moved_on_is_named_with_both_versions():
    said = str(debian.moved(images.debian(version="1.0"), images.debian(version="1.1").packages))
    assert "hello 1.0 (now 1.1)" in said
    assert "sciflow compile --update" in said


def test_a_package_of_the_same_version_and_other_bytes_is_told_from_one_that_moved_on():
    was = images.debian(version="1.0")
    now = [replace(one, sha256="1" * 64) for one in was.packages]
    assert "hello 1.0 (now other bytes)" in str(debian.moved(was, now))


def test_the_order_of_packages_and_their_repetition_do_not_matter():
    one, other = (
        debian.build_words("bookworm", names, mode="unshare", tar="x") for names in (["b", "a"], ["a", "b", "a"])
    )
    assert one == other
    assert "--include=a,b" in one


def test_another_platform_s_image_is_not_built_here(own_cache):
    with pytest.raises(SurroundingsError, match="linux/vax cannot be built on"):
        resolving.resolve("debian", "bookworm", platform="linux/vax")


def test_without_mmdebstrap_the_message_says_what_to_install(own_cache, monkeypatch, tmp_path):
    (tmp_path / "mksquashfs").symlink_to(shutil.which("mksquashfs") or pytest.skip("mksquashfs is not installed"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match=r"`mmdebstrap` is not on PATH.*\n.*install mmdebstrap"):
        resolving.resolve("debian", "bookworm")


@pytest.mark.live("mmdebstrap")
def test_an_archive_that_is_down_is_a_fault_of_the_surroundings_and_leaves_nothing(own_cache, monkeypatch):
    monkeypatch.setenv("SCIFLOW_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    with pytest.raises(SurroundingsError, match="the archive of Debian bookworm cannot be read"):
        resolving.resolve("debian", "bookworm")
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.live("mmdebstrap")
def test_two_builds_in_two_time_zones_under_two_umasks_are_the_same_bytes(tmp_path, monkeypatch):
    found = []
    for zone, mask in (("UTC", 0o022), ("Asia/Tokyo", 0o077)):
        monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / zone))
        monkeypatch.setenv("TZ", zone)
        before = os.umask(mask)
        try:
            found.append(resolving.resolve("debian", "bookworm", packages=("hello",)))
        finally:
            os.umask(before)
    assert found[0] == found[1]
    assert {"hello", "bash"} <= {one.name for one in found[0].packages}
    listed = subprocess.run(
        ["unsquashfs", "-l", cache.place(found[0].digest("squashfs"))], capture_output=True, text=True, check=True
    ).stdout
    assert "squashfs-root/usr/bin/hello" in listed
    assert "squashfs-root/etc/hostname" not in listed
    assert resolving.again(found[0], "archive") == cache.place(found[0].digest("archive"))


def test_a_debian_image_lists_its_packages_with_their_digests():
    assert debian.recipe(images.debian())["container/packages.txt"] == f"hello=1.0 amd64 sha256:{'9' * 64}\n"


def test_a_debian_image_s_script_is_one_that_a_shell_reads(tmp_path):
    (tmp_path / "build.sh").write_text(debian.recipe(images.debian())["container/build.sh"])
    assert subprocess.run(["sh", "-n", tmp_path / "build.sh"], check=False).returncode == 0
