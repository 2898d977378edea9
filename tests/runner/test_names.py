"""Canonical JSON is RFC 8785's, digests are of it, and the cache is where the user wants it."""

import hashlib
import struct

import pytest

from sciflow.runner import names

# RFC 8785, appendix B: IEEE 754 bits in hex, and what ECMAScript writes.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@pytest.mark.parametrize("bits", sorted(NUMBERS))
def test_a_number_is_written_as_ecmascript_does(bits):
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert names.canonical(value) == NUMBERS[bits]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_cannot_be_written(value):
    with pytest.raises(ValueError, match="not a finite number"):
        names.canonical(value)


def test_keys_are_sorted_by_their_utf_16_units():
    # RFC 8785, §3.2.3: its own example.
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    wanted = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]
    written = names.canonical(dict.fromkeys(keys, 0))
    assert [written.index(key if key != "\r" else "\\r") for key in wanted] == sorted(
        written.index(key if key != "\r" else "\\r") for key in wanted
    )


def test_texts_are_escaped_as_little_as_may_be():
    # RFC 8785, §3.2.2.2: its own example.
    assert names.canonical("\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/") == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_truth_and_nothing_have_one_form():
    assert names.canonical([None, True, False]) == "[null,true,false]"


def test_a_large_integer_is_written_whole():
    assert names.canonical(2**63 + 1) == "9223372036854775809"


def test_containers_leave_no_space():
    assert names.canonical({"b": [1, {"c": 2.0}], "a": ()}) == '{"a":[],"b":[1,{"c":2}]}'


def test_a_digest_is_of_the_canonical_form():
    assert names.digest({"b": 1, "a": 2.0}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_a_digest_of_bytes_is_of_the_bytes():
    assert names.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_large_file_is_digested_whole(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * (3 << 20))
    assert names.digest_file(tmp_path / "file") == (hashlib.sha256(b"x" * (3 << 20)).hexdigest(), 3 << 20)


def test_the_cache_is_where_the_user_wants_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path))
    assert names.cache() == str(tmp_path)


def test_the_cache_keeps_to_the_desktop_s_convention(monkeypatch, tmp_path):
    monkeypatch.delenv("SCIFLOW_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert names.cache() == str(tmp_path / "sciflow")


@pytest.mark.parametrize("name", ["main", "two words", "it's", "50%", "$(id);", "größer", "a.b-c"])
def test_a_run_may_have_any_name_that_a_folder_and_a_command_can_have(name):
    assert not names.run_refusal(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".hidden", "a\nb", "a\tb", "a\0b", "\udcff"])
def test_a_run_s_name_that_is_no_plain_word_is_refused(name):
    assert "one plain word" in names.run_refusal(name)


def test_a_run_s_name_that_no_folder_could_have_is_refused():
    assert not names.run_refusal("ü" * 64)
    assert "at most 128 bytes" in names.run_refusal("ü" * 65)
