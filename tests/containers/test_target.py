import pytest

from sciflow.containers import target
from sciflow.errors import SurroundingsError
from tests.containers import wheelwright
from tests.containers.wheelwright import file, link, program


def _find(root, *, platform="linux/amd64", layers=(), **environment):
    return target.find(root, layers, environment, platform=platform)


def test_debian_s_python_is_found_behind_its_links():
    assert _find(wheelwright.debian()) == wheelwright.TARGET


def test_the_words_for_people_say_python_architecture_and_c_library():
    assert str(wheelwright.TARGET) == "Python 3.11.2 on x86_64 with glibc 2.36"


def test_files_are_read_from_the_layers(tmp_path):
    data = program()
    (tmp_path / "layer").write_bytes(b"before" + data + b"after")
    node = file(b"")
    node.data, node.layer, node.offset, node.size = None, 0, 6, len(data)
    assert _find(wheelwright.debian(**{"/usr/bin/python3.11": node}), layers=[tmp_path / "layer"]) == wheelwright.TARGET


def test_the_first_python_on_path_is_taken():
    other = {
        "/opt/bin/python3": file(program(says=b"\0cpython-312-x\x003.12.7+\0")),
        "/usr/local/bin/python3": file(b"", 0o644),
    }
    found = _find(wheelwright.debian(**other), PATH="relative:/nowhere:/usr/local/bin:/opt/bin:/usr/bin")
    assert (found.python, found.version, found.minor) == ("/opt/bin/python3", "3.12.7", 12)


def test_the_version_is_also_read_from_python_s_library():
    shared = {"/usr/bin/python3.11": file(program(says=b"")), "/usr/lib/libpython3.11.so.1.0": file(b"\x003.11.9\0")}
    assert _find(wheelwright.debian(**shared)).version == "3.11.9"


def test_a_version_that_is_the_end_of_another_text_is_found():
    says = b"\0lib/13.11.4\0/versions/3.11.7\0"
    assert _find(wheelwright.debian(**{"/usr/bin/python3.11": file(program(says=says))})).version == "3.11.7"


def test_a_version_that_nothing_tells_is_the_least():
    assert _find(wheelwright.debian(**{"/usr/bin/python3.11": file(program(says=b""))})).version == "3.11.0"


def _alpine(loader=b"musl libc\0\x001.2.5\0"):
    return wheelwright.tree(
        {
            "/usr/bin/python3": link("python3.12"),
            "/usr/bin/python3.12": file(program("/lib/ld-musl-aarch64.so.1", says=b"\x003.12.1\0")),
            "/lib/ld-musl-aarch64.so.1": file(loader),
        }
    )


def test_musl_s_version_is_that_of_its_loader():
    found = _find(_alpine(), platform="linux/arm64")
    assert str(found) == "Python 3.12.1 on aarch64 with musl 1.2"
    assert found.platforms == (*(f"musllinux_1_{minor}_aarch64" for minor in (2, 1, 0)), "linux_aarch64")


def test_a_musl_that_does_not_say_its_version_is_a_recent_one():
    assert _find(_alpine(b"")).level == (1, 2)


def test_wheels_for_older_glibcs_fit_down_to_the_first():
    platforms = wheelwright.TARGET.platforms
    assert platforms[0] == "manylinux_2_36_x86_64"
    assert platforms[-2:] == ("manylinux1_x86_64", "linux_x86_64")
    assert {"manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"} <= set(platforms)


def test_programs_of_the_other_byte_order_are_read():
    files = {
        "/usr/bin/python3.11": file(program("/lib/ld64.so.1", order=">")),
        "/lib": None,
        "/lib/ld64.so.1": file(b""),
    }
    root = wheelwright.debian(**files)
    root.children["lib"].children["libc.so.6"] = file(wheelwright.GLIBC)
    assert _find(root, platform="linux/s390x").architecture == "s390x"


def test_links_to_other_folders_are_followed_inside_the_root():
    files = {
        "/usr/bin/python3": link("/etc/alternatives/python3"),
        "/etc/alternatives/python3": link("/bin/python3.11"),
    }
    assert _find(wheelwright.debian(**files)).python == "/usr/bin/python3.11"


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {"/usr/bin/python3": None},
            r"the image has no `python3` on its PATH \(/usr/local/sbin:.*\n.*add it to the image",
        ),
        ({"/usr/bin/python3": link("gone")}, "the image has no `python3`"),
        ({"/usr/bin/python3": link("python3")}, "the image has no `python3`"),
        ({"/usr/bin/python3": link("../../../bin/x/python3.11/")}, "the image has no `python3`"),
        ({"/usr/bin/python3": link("pypy3"), "/usr/bin/pypy3": file(program())}, "`/usr/bin/pypy3` is no CPython"),
        ({"/usr/bin/python3.11": file(b"#!/bin/sh\n")}, "`/usr/bin/python3.11` is no CPython"),
        ({"/usr/bin/python3": file(program(says=b""))}, "`/usr/bin/python3` is no CPython"),
        (
            {"/usr/bin/python3": link("python3.13t"), "/usr/bin/python3.13t": file(program())},
            "is a free-threaded Python",
        ),
        (
            {"/usr/bin/python3.11": file(program(says=b"cpython-311d-x"))},
            "of another kind: its modules are for `cp311d`",
        ),
        ({"/usr/bin/python3": link("python3.7"), "/usr/bin/python3.7": file(program())}, "older than Python 3.8"),
        ({"/usr/bin/python3.11": file(program(kind=1))}, r"no C library that wheels are built for \(loader: `none`\)"),
        ({"/usr/bin/python3.11": file(program(bits=1))}, "loader: `none`"),
        ({"/usr/bin/python3.11": file(program()[:100])}, "loader: `none`"),
        ({"/usr/bin/python3.11": file(program("/lib/ld-uClibc.so.0"))}, "loader: `/lib/ld-uClibc.so.0`"),
        (
            {"/usr/lib/x86_64-linux-gnu/libc.so.6": file(b"")},
            "version of the image's glibc is not told by `/usr/lib/x86",
        ),
        ({"/opt/sciflow/venv/pyvenv.cfg": file(b"")}, "the image has a `/opt/sciflow/venv` already"),
    ],
)
def test_a_python_that_no_wheels_are_laid_for_is_refused_in_words(files, words):
    with pytest.raises(SurroundingsError, match=words):
        _find(wheelwright.debian(**files))
