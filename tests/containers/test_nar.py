import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciflow.containers import nar
from sciflow.errors import SurroundingsError
from tests.containers import flakes, layering
from tests.containers.flakes import entries, file, folder, link, words

TREE = folder(bin=folder(sh=file(b"#!", executable=True)), lib=link("bin"), note=file(b"hello"))


def read(data, *, offset=0, size=None, limit=100, layer=0):
    return nar.read(
        io.BytesIO(data),
        offset=offset,
        size=len(data) - offset if size is None else size,
        name="x",
        limit=limit,
        layer=layer,
    )


def refused(node, match):
    with pytest.raises(SurroundingsError, match=match):
        read(flakes.nar(node))


def test_a_tree_has_nix_s_own_modes_times_and_owners():
    root = read(flakes.nar(TREE)).root
    shell, note, lib = root.children["bin"].children["sh"], root.children["note"], root.children["lib"]
    assert [(one.kind, one.mode) for one in (root, shell, note, lib)] == [
        ("folder", 0o555),
        ("file", 0o555),
        ("file", 0o444),
        ("symlink", 0o777),
    ]
    assert {(one.mtime, one.uid, one.gid) for one in (root, shell, note, lib)} == {(1, 0, 0)}
    assert lib.target == "bin"


def test_a_file_s_bytes_stay_where_they_are():
    data = b"before it" + flakes.nar(TREE) + b"after"
    note = read(data, offset=9, size=len(data) - 14, layer=3).root.children["note"]
    assert (data[note.offset : note.offset + note.size], note.layer) == (b"hello", 3)


def test_the_digest_is_that_of_the_whole_archive_and_nodes_are_counted():
    data = flakes.nar(TREE)
    found = read(data)
    assert (found.sha256, found.entries) == (layering.digest(data).removeprefix("sha256:"), 5)


def test_a_store_path_may_be_one_file_or_one_link():
    assert read(flakes.nar(file(b"x" * (1 << 21)))).root.size == 1 << 21
    assert read(flakes.nar(link("/nix/store/x"))).root.target == "/nix/store/x"


def test_a_name_that_is_no_utf_8_is_kept():
    assert list(read(flakes.nar(entries((b"\xff", file())))).root.children) == ["\udcff"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(name):
    refused(entries((name, file())), "of a name that none can have")


def test_a_name_that_is_too_long_is_refused():
    refused(entries(("x" * 256, file())), "a word of 256 bytes")


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a")])
def test_a_name_twice_or_out_of_order_is_refused(names):
    refused(entries(*((name, file()) for name in names)), "twice, or not in order")


@pytest.mark.parametrize("target", ["", "a\0b"])
def test_a_link_to_what_cannot_be_is_refused(target):
    refused(link(target), "a path that cannot be")


def test_a_link_longer_than_any_path_is_refused():
    refused(link("x" * 4001), "a word of 4001 bytes")


def test_a_file_that_says_it_is_longer_than_the_archive_is_refused():
    refused(words("(", "type", "regular", "contents", 1 << 60) + b"abc", "longer than it is")


def test_a_word_that_says_it_is_longer_than_any_is_refused():
    refused(words(1 << 40), "a word of 1099511627776 bytes")


def test_bytes_where_zeros_belong_are_refused():
    refused(words("(", "type", "regular", "contents", 1) + b"xyzzyabc" + words(")"), "only zeros")


@pytest.mark.parametrize(
    ("node", "fault"),
    [
        (words("["), r"b'\[' stands where b'\(' is wanted"),
        (words("(", "type", "device"), "b'device' stands where b'directory' is wanted"),
        (words("(", "type", "regular", ")"), r"b'\)' stands where b'contents' is wanted"),
        (words("(", "type", "regular", "executable", "x"), "b'x' stands where b'' is wanted"),
        (words("(", "type", "directory", "file"), r"b'file' stands where b'\)' is wanted"),
    ],
)
def test_words_that_nix_does_not_write_are_refused(node, fault):
    refused(node, fault)


def test_another_format_is_refused():
    with pytest.raises(SurroundingsError, match="where b'nix-archive-1' is wanted"):
        read(words("nix-archive-2") + TREE)


def test_something_after_the_end_is_refused():
    refused(TREE + bytes(8), "goes on after its end")


def test_folders_deeper_than_any_are_refused():
    node = file()
    for _ in range(201):
        node = entries(("x", node))
    refused(node, "deeper folders")


def test_more_nodes_than_allowed_are_refused():
    with pytest.raises(SurroundingsError, match="brings more files"):
        read(flakes.nar(TREE), limit=4)


@given(st.integers(0, len(flakes.nar(TREE)) - 1))
def test_an_archive_that_is_cut_anywhere_is_refused(length):
    with pytest.raises(SurroundingsError, match="image is refused"):
        read(flakes.nar(TREE)[:length])


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_anything_but_a_tree_or_a_refusal(data):
    with contextlib.suppress(SurroundingsError):
        read(flakes.words("nix-archive-1", "(", "type") + data)
