import tarfile

import pytest

from sciflow.containers import rootfs, unpack
from sciflow.errors import SurroundingsError
from tests.containers import layering
from tests.containers.layering import folder, link, member, symlink


@pytest.fixture
def unpacked(tmp_path):
    """Unpack layers; return what is at each path: a file's bytes, a link's text, nothing for a folder."""

    def unpack_(*layers, **more):
        paths = []
        for number, members in enumerate(layers):
            paths.append(tmp_path / f"{number}.tar")
            paths[-1].write_bytes(layering.layer(*members))
        root = unpack.tree(paths, **more)
        found = {}
        for path, node in rootfs.walk(root):
            data = None
            if node.kind == "file":
                data = paths[node.layer].read_bytes()[node.offset : node.offset + node.size].decode()
            found[path.removeprefix("./")] = node.target or data
        return found

    return unpack_


def test_a_file_of_an_upper_layer_hides_that_of_a_lower_one(unpacked):
    assert unpacked([member("a", data=b"old"), "b"], [member("a", data=b"new")]) == {".": None, "a": "new", "b": "b"}


def test_a_folder_that_no_member_names_is_made(unpacked):
    assert unpacked(["usr/bin/a"]) == {".": None, "usr": None, "usr/bin": None, "usr/bin/a": "usr/bin/a"}


def test_a_folder_over_a_folder_keeps_what_is_in_it(unpacked):
    assert "d/a" in unpacked([folder("d"), "d/a"], [folder("d", mode=0o700)])


@pytest.mark.parametrize("over", [member("d"), symlink("d", "elsewhere")])
def test_what_is_no_folder_takes_the_place_of_a_folder_and_all_in_it(unpacked, over):
    assert "d/a" not in unpacked(["d/a"], [over])


@pytest.mark.parametrize("under", [member("d"), symlink("d", "e")])
def test_a_folder_takes_the_place_of_what_is_none(unpacked, under):
    found = unpacked([folder("e"), under], [folder("d"), "d/a"])
    assert (found["d"], found["d/a"], "e/a" in found) == (None, "d/a", False)


def test_the_last_of_two_members_of_one_name_counts(unpacked):
    assert unpacked([member("a", data=b"1"), symlink("a", "x"), member("a", data=b"2")])["a"] == "2"


def test_a_whiteout_hides_a_file_and_itself(unpacked):
    assert unpacked(["a", "b"], [".wh.a"]) == {".": None, "b": "b"}


def test_a_whiteout_hides_a_folder_and_all_in_it(unpacked):
    assert unpacked(["d/a/b"], ["d/.wh.a"]) == {".": None, "d": None}


def test_a_whiteout_of_what_is_not_there_does_nothing(unpacked):
    assert unpacked(["a"], ["x/y/.wh.z", ".wh.q"]) == {".": None, "a": "a"}


@pytest.mark.parametrize("members", [[".wh.a", "a"], ["a", ".wh.a"]])
def test_a_whiteout_never_hides_what_its_own_layer_has(unpacked, members):
    assert unpacked([member("a", data=b"old")], members)["a"] == "a"


@pytest.mark.parametrize("members", [["d/.wh..wh..opq", "d/new"], ["d/new", "d/.wh..wh..opq"]])
def test_an_opaque_folder_has_only_what_its_own_layer_gives_it(unpacked, members):
    assert unpacked(["d/old", "d/e/old"], members) == {".": None, "d": None, "d/new": "d/new"}


def test_what_aufs_kept_for_itself_is_left_out(unpacked):
    assert unpacked([".wh..wh.aufs", ".wh..wh.plnk/1.2", "a"]) == {".": None, "a": "a"}


@pytest.mark.parametrize("name", [".wh.", "d/.wh..", "d/.wh..."])
def test_a_whiteout_of_no_name_is_refused(unpacked, name):
    with pytest.raises(SurroundingsError, match="hides what is no file's name"):
        unpacked(["d/a"], [name])


def test_a_folder_with_the_name_of_a_whiteout_is_refused(unpacked):
    with pytest.raises(SurroundingsError, match=r"`.wh.d/a` lies in a folder whose name is kept for whiteouts"):
        unpacked([".wh.d/a"])


def test_a_hard_link_is_the_same_file(unpacked):
    assert unpacked(["a", link("d/b", "a")])["d/b"] == "a"


def test_a_hard_link_may_mean_a_file_of_a_lower_layer(unpacked):
    assert unpacked(["a"], [link("b", "/a"), member("a", data=b"new")]) == {".": None, "a": "new", "b": "a"}


@pytest.mark.parametrize("target", ["nothing", "d", "etc/passwd", "a/b"])
def test_a_hard_link_to_what_is_no_file_of_the_image_is_refused(unpacked, target):
    with pytest.raises(SurroundingsError, match=f"`b` is a hard link to `{target}`, and there is no such file"):
        unpacked(["a", folder("d"), link("b", target)])


def test_a_symlink_out_of_the_root_stays_a_text(unpacked):
    assert unpacked([symlink("a", "../../../etc/passwd")])["a"] == "../../../etc/passwd"


@pytest.mark.parametrize("target", ["/etc", "../../../../etc", "/../../etc"])
def test_a_file_behind_a_symlink_that_leaves_lands_inside_the_root(unpacked, target):
    found = unpacked([folder("d"), symlink("d/out", target), member("d/out/passwd", data=b"mine")])
    assert found["etc/passwd"] == "mine"


def test_a_file_behind_a_base_s_symlink_lands_where_the_base_means(unpacked):
    found = unpacked([folder("usr/lib"), symlink("lib", "usr/lib")], ["lib/new"])
    assert (found["lib"], found["usr/lib/new"]) == ("usr/lib", "lib/new")


def test_a_file_over_a_symlink_replaces_the_link_and_does_not_write_through_it(unpacked):
    found = unpacked([member("target", data=b"old"), symlink("a", "target"), member("a", data=b"new")])
    assert (found["target"], found["a"]) == ("old", "new")


def test_symlinks_in_a_circle_are_refused(unpacked):
    with pytest.raises(SurroundingsError, match="`a/x` lies behind links in a circle"):
        unpacked([symlink("a", "b"), symlink("b", "a"), "a/x"])


def test_symlinks_that_grow_as_they_are_followed_are_refused(unpacked):
    with pytest.raises(SurroundingsError, match="lies behind links in a circle, or deeper"):
        unpacked([symlink("a", "x/" * 150 + "b"), symlink("x", "."), symlink("b", "a"), "a/x"])


def test_a_file_below_a_file_is_refused(unpacked):
    with pytest.raises(SurroundingsError, match="`a/b` lies below a file"):
        unpacked(["a"], ["a/b"])


def test_a_root_that_is_no_folder_is_refused(unpacked):
    with pytest.raises(SurroundingsError, match="`/` is no folder"):
        unpacked([symlink("./", "/etc")])


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_left_out_and_still_hide_what_was_below(unpacked, kind):
    assert unpacked(["dev/null", "a"], [member("dev/null", kind)]) == {".": None, "dev": None, "a": "a"}


def test_more_files_than_any_image_has_are_refused(unpacked):
    with pytest.raises(SurroundingsError, match="`layer 2` brings the image to more than 3 files"):
        unpacked(["a", "b"], ["c", "d"], limits=unpack.Limits(entries=3))


def test_a_refusal_says_what_to_do(unpacked):
    with pytest.raises(SurroundingsError, match=r"hint: .*do not trust the image"):
        unpacked(["../a"])
