"""A small root file system for the live tests of this room: busybox, made into what each engine takes."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow.containers import archive, cache
from sciflow.containers.image import PinnedImage, own_platform
from tests.containers import serving

APPLETS = (
    "sh",
    "cat",
    "id",
    "touch",
    "pwd",
    "env",
    "ls",
    "df",
    "sleep",
    "setsid",
    "grep",
    "wc",
    "mkdir",
    "test",
    "tail",
    "awk",
)


@pytest.fixture(scope="session")
def tiny_tar(tmp_path_factory):
    """Return a tar of a root file system with a static busybox in it."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("no busybox to make an image of")
    tree = tmp_path_factory.mktemp("tiny") / "tree"
    for name in ("bin", "etc", "tmp", "var/tmp", "proc", "dev", "sys", "root", "home"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin/busybox")
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\n")
    tar = tree.parent / "tiny.tar"
    words = [
        "tar",
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "-C",
        str(tree),
        "-cf",
        str(tar),
        ".",
    ]
    subprocess.run(words, check=True)
    return tar


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Give the test a cache of its own."""
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "the cache, too"))
    return Path(cache.root())


@pytest.fixture
def tiny_image(tiny_tar, own_cache):
    """Pin the small root file system as a Debian image would be, its files in the test's cache."""
    with cache.workshop() as workshop:
        config = archive.docker_archive(tiny_tar, workshop / "archive", architecture=own_platform().partition("/")[2])
        archive.squashfs(tiny_tar, workshop / "squashfs")
        digests = {"config": config, "tree": "sha256:" + "0" * 64}
        digests |= {name: cache.keep(workshop / name) for name in ("archive", "squashfs")}
    return PinnedImage(
        source="debian", reference="tiny", platform=own_platform(), digests=tuple(sorted(digests.items()))
    )


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Serve a small registry on this machine, to somebody without logins."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    with serving.serving() as server:
        yield server
