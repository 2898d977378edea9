import os
import shutil
import subprocess

import pytest

from sciflow.containers import rootfs, squash, unpack
from sciflow.errors import SurroundingsError

pytestmark = pytest.mark.skipif(not shutil.which("mksquashfs"), reason="mksquashfs is not installed")


def packed(tree, *words):
    target = tree.parent / f"{tree.name}.sqfs"
    subprocess.run(["mksquashfs", tree, target, "-noappend", "-quiet", "-no-progress", *words], check=True)
    return target


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "a/deep/er").mkdir(parents=True)
    (root / "a/small").write_text("small")
    (root / "a/empty").touch()
    (root / "large").write_bytes(os.urandom(300_000))
    (root / "exact").write_bytes(bytes(1 << 18))
    (root / "setgid").write_text("x")
    (root / "setgid").chmod(0o2705)
    (root / "link").symlink_to("a/small")
    os.link(root / "large", root / "a/second")
    os.mkfifo(root / "pipe")
    for number in range(3000):
        (root / "a/deep" / f"file {number}").write_text(str(number))
    for path in sorted(root.rglob("*")):
        os.utime(path, (1_500_000_000, 1_500_000_000), follow_symlinks=False)
    return root


def test_a_tree_is_read_back_as_it_was(tree, tmp_path):
    file = packed(tree, "-all-root", *squash.WORDS)
    root = squash.tree(file)
    rootfs.write(root, [file], tmp_path / "read.tar")
    shutil.rmtree(tree / "nothing", ignore_errors=True)
    subprocess.run(
        ["tar", "--owner=0", "--group=0", "--numeric-owner", "-C", tree, "-cf", tmp_path / "packed.tar", "."],
        check=True,
    )
    written = unpack.tree([tmp_path / "packed.tar"])
    written.mtime = root.mtime
    rootfs.write(written, [tmp_path / "packed.tar"], tmp_path / "written.tar")
    assert (tmp_path / "read.tar").read_bytes() == (tmp_path / "written.tar").read_bytes()
    assert root.children["large"] is root.children["a"].children["second"]
    assert root.children["setgid"].mode == 0o2705
    assert "pipe" not in root.children


def test_packed_lists_are_read_too(tree):
    file = packed(tree, "-noD", "-noF", "-no-sparse")
    assert len(squash.tree(file).children["a"].children["deep"].children) == 3001


def test_files_know_the_layer_they_lie_in(tree):
    assert squash.tree(packed(tree, *squash.WORDS), layer=7).children["large"].layer == 7


@pytest.mark.parametrize("words", [("-noI", "-no-sparse"), ("-noI", "-noD", "-noF")])
def test_files_that_are_packed_are_refused(tree, words):
    (tree / "large").write_bytes(bytes(300_000))
    with pytest.raises(SurroundingsError, match="its files are packed"):
        squash.tree(packed(tree, *words))


def test_another_packer_is_refused(tree):
    with pytest.raises(SurroundingsError, match="of another form"):
        squash.tree(packed(tree, "-comp", "xz"))


@pytest.mark.parametrize("data", [b"", b"no image at all" * 20])
def test_what_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(SurroundingsError, match="neither a SIF nor a squashfs"):
        squash.tree(tmp_path / "x")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_off_is_refused(tree, share):
    file = packed(tree, *squash.WORDS)
    os.truncate(file, int((file.stat().st_size - 4096) * share))
    with pytest.raises(SurroundingsError, match="damaged"):
        squash.tree(file)


def test_folders_deeper_than_any_are_refused(tmp_path):
    (tmp_path / "t" / "/".join("d" for _ in range(squash.MAX_DEPTH + 2))).mkdir(parents=True)
    with pytest.raises(SurroundingsError, match="deeper than any"):
        squash.tree(packed(tmp_path / "t", *squash.WORDS))
