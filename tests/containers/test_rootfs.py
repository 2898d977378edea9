import itertools
import os
import tarfile
import time

import pytest

from sciflow.containers import rootfs, unpack
from sciflow.containers.rootfs import Node
from sciflow.errors import SurroundingsError
from tests.containers import layering, wheelwright
from tests.containers.layering import folder, link, member, symlink


def _written(tmp_path, *members, name="a"):
    (tmp_path / "layer").write_bytes(layering.layer(*members))
    rootfs.write(unpack.tree([tmp_path / "layer"]), [tmp_path / "layer"], tmp_path / name)
    return tmp_path / name


def _listed(path):
    with tarfile.open(path, encoding="utf-8", errors="surrogateescape") as found:
        return {info.name: info for info in found}


def test_names_are_sorted_and_folders_come_before_what_is_in_them(tmp_path):
    assert list(_listed(_written(tmp_path, "b/y", "a-", "b/x", "a/z"))) == [
        *(".", "./a", "./a/z", "./a-", "./b", "./b/x", "./b/y"),
    ]


def test_owners_modes_and_times_are_those_of_the_layer(tmp_path):
    found = _listed(_written(tmp_path, member("a", uid=5, gid=6, mode=0o6755, mtime=1_700_000_000.5)))["./a"]
    assert (found.uid, found.gid, found.mode, found.mtime) == (5, 6, 0o6755, 1_700_000_000)


def test_the_order_of_a_layer_s_members_changes_nothing(tmp_path):
    members = [folder("d"), symlink("d/s", "x"), "d/a", "b"]
    one, other = _written(tmp_path, *members), _written(tmp_path, *reversed(members), name="b")
    assert one.read_bytes() == other.read_bytes()


def test_clock_zone_and_umask_change_nothing(tmp_path, monkeypatch):
    one = _written(tmp_path, "a").read_bytes()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    before = os.umask(0o077)
    try:
        other = _written(tmp_path, "a", name="b").read_bytes()
    finally:
        os.umask(before)
    assert one == other


def test_the_second_name_of_a_file_is_a_hard_link_to_the_first_in_order(tmp_path):
    found = _listed(_written(tmp_path, member("z", data=b"words"), link("a", "z")))
    assert (found["./a"].isreg(), found["./a"].size, found["./z"].linkname) == (True, 5, "./a")


def test_a_long_name_and_one_that_is_no_utf_8_come_through(tmp_path):
    names = ["x" * 200 + "/" + "y" * 200, "caf\udce9"]
    root = Node()
    for name in names:
        first, _, second = name.partition("/")
        root.children[first] = Node(kind="file", data=b"") if not second else Node(children={second: Node()})
    rootfs.write(root, [], tmp_path / "a")
    assert {f"./{name}" for name in names} <= set(_listed(tmp_path / "a"))


def test_bytes_come_from_the_layer_and_from_memory(tmp_path):
    (tmp_path / "layer").write_bytes(b"..words..")
    root = Node()
    root.children["a"] = Node(kind="file", layer=0, offset=2, size=5)
    root.children["b"] = Node(kind="file", data=b"more", size=4)
    rootfs.write(root, [tmp_path / "layer"], tmp_path / "tar")
    with tarfile.open(tmp_path / "tar") as found:
        assert [found.extractfile(name).read() for name in ("./a", "./b")] == [b"words", b"more"]


def test_a_path_that_no_file_system_holds_is_refused(tmp_path):
    root = deepest = Node()
    for _ in range(30):
        deepest.children["x" * 200] = deepest = Node()
    with pytest.raises(SurroundingsError, match="has a path longer than any file's"):
        rootfs.write(root, [], tmp_path / "a")


def test_links_are_followed_inside_the_root():
    root = Node()
    root.children = {
        "a": Node(kind="symlink", target="../../b/./c"),
        "b": Node(children={"c": Node(kind="file", size=7)}),
        "in": Node(kind="symlink", target="b"),
    }
    assert [rootfs.reach(root, path)[1].size for path in ("a", "in/c", "in/../b/c", "/b//c")] == list(
        itertools.repeat(7, 4)
    )
    assert rootfs.reach(root, "a/c") is None


def test_a_path_that_climbs_stays_inside_the_root():
    root = wheelwright.debian()
    assert rootfs.reach(root, "/../../usr/./bin/../bin/python3")[0] == "/usr/bin/python3.11"
    assert rootfs.reach(root, "/") == ("/", root)
    assert rootfs.reach(root, "/usr/bin/python3.11/x") is None
