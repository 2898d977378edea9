"""Two trees are told apart file by file, and in what."""

import pytest

from sciflow.containers import alike, archive
from sciflow.errors import SurroundingsError
from tests.containers import layering
from tests.containers.layering import folder, member, symlink


def tar(path, *members):
    path.write_bytes(layering.layer(*members))
    return path


ONE = (folder("etc"), member("etc/a", data=b"1"), symlink("etc/l", "a"))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ((folder("etc"), member("etc/a", data=b"2"), symlink("etc/l", "a")), ["./etc/a: content "]),
        ((folder("etc"), member("etc/a", data=b"12"), symlink("etc/l", "a")), ["./etc/a: size 1 -> 2, content "]),
        (
            (folder("etc"), member("etc/a", data=b"1", mode=0o600), symlink("etc/l", "a")),
            ["./etc/a: mode 0644 -> 0600"],
        ),
        (
            (folder("etc"), member("etc/a", data=b"1", mtime=5, uid=3), symlink("etc/l", "a")),
            ["./etc/a: owner 0:0 -> 3:0, time 0 -> 5"],
        ),
        ((folder("etc"), member("etc/a", data=b"1"), symlink("etc/l", "b\x1b")), ["./etc/l: target a -> b\\x1b"]),
        ((folder("etc"), symlink("etc/l", "a")), ["./etc/a: only in the first"]),
        ((*ONE, member("etc/b")), ["./etc/b: only in the second"]),
        (ONE, []),
    ],
)
def test_what_differs_is_said_by_path(tmp_path, members, said):
    found = list(alike.differences(tar(tmp_path / "one", *ONE), tar(tmp_path / "two", *members)))
    assert len(found) == len(said)
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True))


def test_the_tree_inside_an_archive_for_docker_is_taken_out(tmp_path):
    tree = tar(tmp_path / "tree", *ONE)
    archive.docker_archive(tree, tmp_path / "archive", architecture="amd64")
    alike.layer(tmp_path / "archive", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == tree.read_bytes()


def test_an_archive_without_a_layer_is_named(tmp_path):
    with pytest.raises(SurroundingsError, match="holds no layer"):
        alike.layer(tar(tmp_path / "archive", "a"), tmp_path / "again")


def test_two_trees_are_alike_by_their_digests():
    assert alike.Likeness(locked="sha256:1", built="sha256:1").agrees
    assert not alike.Likeness(locked="sha256:1", built="sha256:2", differences=("x",)).agrees
