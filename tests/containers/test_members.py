import io
import struct
import tarfile

import pytest

from sciflow.containers import members
from sciflow.errors import SurroundingsError
from tests.containers import layering


def _read(data):
    return list(members.read(io.BytesIO(data), "layer 1"))


def _header(name=b"a", size=b"00000000000\0", kind=b"0", magic=b"ustar\x0000"):
    """Write a header as no tool of ours does, with a true checksum."""
    found = bytearray(512)
    for at, value in ((0, name), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, size)):
        found[at : at + len(value)] = value
    found[136:148], found[148:156], found[156:157], found[257:265] = b"00000000000\0", b" " * 8, kind, magic
    found[148:156] = b"%06o\0 " % sum(found)
    return bytes(found)


def _pax(records, *, kind=b"x"):
    body = b"".join(records)
    size = b"%011o\0" % len(body)
    return _header(name=b"pax", size=size, kind=kind) + body.ljust(-(-len(body) // 512) * 512, b"\0")


def _record(key, value):
    length = len(key) + len(value) + 3
    while len(str(length)) + len(key) + len(value) + 3 != length:
        length = len(str(length)) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


END = bytes(1024)


def test_a_member_has_its_path_in_names_and_its_bytes_in_place():
    data = layering.layer(layering.member("./usr//bin/a", data=b"words", mode=0o4755, uid=7, gid=8, mtime=1.75))
    (found,) = _read(data)
    assert data[found.offset : found.offset + found.size] == b"words"
    assert (found.path, found.mode, found.uid, found.gid, found.mtime) == (("usr", "bin", "a"), 0o4755, 7, 8, 1)


def test_a_leading_slash_means_the_image_s_root():
    assert _read(layering.layer("/etc/a"))[0].path == ("etc", "a")


def test_a_name_that_is_no_utf_8_keeps_its_bytes():
    (found,) = _read(_header(name=b"caf\xe9") + END)
    assert found.path[0].encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/..", "a/.."])
def test_a_path_that_leaves_is_refused(name):
    with pytest.raises(SurroundingsError, match=r"the image is refused: `.*` leaves it"):
        _read(layering.layer(name))


@pytest.mark.parametrize("target", ["../evil", "/../etc/passwd", "a/../../b"])
def test_a_hard_link_that_leaves_is_refused(target):
    with pytest.raises(SurroundingsError, match="`b` is a hard link that leaves the image's root"):
        _read(layering.layer(layering.link("b", target)))


def test_a_name_is_shown_escaped():
    with pytest.raises(SurroundingsError, match=r"`a\\x1b\[31m/\.\./\.\./b` leaves it"):
        _read(layering.layer("a\x1b[31m/../../b"))


def test_a_name_with_nul_is_refused():
    with pytest.raises(SurroundingsError, match=r"`a\\x00b` has a NUL in its name"):
        _read(_pax([_record(b"path", b"a\0b")]) + _header() + END)


def test_a_link_with_nul_in_its_target_is_refused():
    with pytest.raises(SurroundingsError, match="`a` has a NUL in its target"):
        _read(_pax([_record(b"linkpath", b"a\0b")]) + _header(kind=b"1") + END)


@pytest.mark.parametrize("target", ["", "x" * 5000])
def test_a_symlink_that_cannot_be_is_refused(target):
    with pytest.raises(SurroundingsError, match="`a` is a symlink to a path that cannot be"):
        _read(layering.layer(layering.symlink("a", target)))


@pytest.mark.parametrize("name", ["x" * 256, "/".join("x" * 300), "/".join(["x" * 250] * 20)])
def test_a_name_that_no_file_system_holds_is_refused(name):
    with pytest.raises(SurroundingsError, match="longer or deeper than any file's"):
        _read(layering.layer(name))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_are_told_from_files(kind):
    assert _read(layering.layer(layering.member("null", kind)))[0].kind == "device"


@pytest.mark.parametrize("kind", [b"V", b"M", b"D", b"Z"])
def test_a_member_of_a_kind_that_no_image_has_is_refused(kind):
    with pytest.raises(SurroundingsError, match="`a` is of a kind that no image has"):
        _read(_header(kind=kind) + END)


def test_a_sparse_file_is_refused():
    with pytest.raises(SurroundingsError, match="`a` is a sparse file"):
        _read(_pax([_record(b"GNU.sparse.map", b"0,1"), _record(b"GNU.sparse.size", b"99999999999")]) + _header() + END)


NEGATIVE = struct.pack(">B", 0xFF) + (-1024).to_bytes(11, "big", signed=True)


def test_a_negative_size_is_refused_and_does_not_turn_in_circles():
    with pytest.raises(SurroundingsError, match="cannot be: -1024"):
        _read(_header() + _header(name=b"b", size=NEGATIVE) + END)


def test_a_negative_size_in_an_extended_header_is_refused():
    with pytest.raises(SurroundingsError, match="cannot be: -4096"):
        _read(_pax([_record(b"size", b"-4096")]) + _header() + END)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("size", [NEGATIVE, b"%011o\0" % (5 << 30)])
def test_a_header_is_never_read_into_memory_whatever_size_it_claims(kind, size):
    with pytest.raises(SurroundingsError, match=r"has a header of -?[0-9]+ bytes"):
        _read(_header(size=size, kind=kind) + END)


def test_a_row_of_digits_that_would_take_patterns_hours_is_refused():
    with pytest.raises(SurroundingsError, match="made to keep a reader busy"):
        _read(_pax([b"1" * 500_000]) + _header() + END)


def test_records_for_all_members_that_grow_and_grow_are_refused():
    data = _pax([_record(b"k%d" % number, b"v") for number in range(100)], kind=b"g")
    with pytest.raises(SurroundingsError, match="made to keep a reader busy"):
        _read(data + _header() + END)


def test_headers_about_headers_without_end_are_refused():
    with pytest.raises(SurroundingsError, match="layer 1` is no tar that can be read: RecursionError"):
        _read(_pax([_record(b"comment", b"x")]) * 5000 + _header() + END)


@pytest.mark.parametrize("told", [b"nan", b"inf", b"-inf", b"1e400", b"-5"])
def test_a_time_that_is_none_is_0_or_the_last(told):
    assert _read(_pax([_record(b"mtime", told)]) + _header() + END)[0].mtime in (0, members.MAX_TIME)


def test_an_owner_that_cannot_be_is_refused():
    with pytest.raises(SurroundingsError, match="`a` has a size or an owner that cannot be"):
        _read(_pax([_record(b"uid", b"99999999999")]) + _header() + END)


def test_a_damaged_header_is_not_taken_for_the_end():
    data = bytearray(layering.layer("a", "b"))
    data[1024] ^= 1
    with pytest.raises(SurroundingsError, match="is damaged: there is no header at its byte 1024"):
        _read(bytes(data))


def test_a_tar_that_was_cut_off_is_refused():
    with pytest.raises(SurroundingsError, match="no tar that can be read"):
        _read(layering.layer(layering.member("a", data=b"x" * 5000))[:2000])


@pytest.mark.parametrize("data", [b"", b"no tar at all" * 100])
def test_what_is_no_tar_is_refused(data):
    with pytest.raises(SurroundingsError, match="`layer 1` is"):
        _read(data)
