import csv
import os
import stat
import subprocess
import tarfile
import time
import zipfile

import pytest

from sciflow.containers import archive, debian, rootfs, target, unpack, venv
from sciflow.errors import SurroundingsError
from tests import conftest
from tests.containers.wheelwright import TARGET, entry, pinned, wheel

HERE = "./opt/sciflow/venv"
SITE = f"{HERE}/lib/python3.11/site-packages"
COMMAND = {"entry_points.txt": b"[console_scripts]\ntiny = tiny:main\n[other]\nx = y\n"}


def _write(tmp_path, *paths, name="layer"):
    venv.write([(pinned(path), path) for path in paths], TARGET, tmp_path / name)
    return tmp_path / name


def _listed(layer):
    with tarfile.open(layer) as found:
        return {info.name: (info, found.extractfile(info).read() if info.isreg() else info.linkname) for info in found}


def test_the_environment_stands_on_the_image_s_python(tmp_path):
    found = _listed(_write(tmp_path))
    assert found[f"{HERE}/pyvenv.cfg"][1] == (
        b"home = /usr/bin\ninclude-system-site-packages = true\nversion = 3.11.2\n"
    )
    assert {name: what for name, (info, what) in found.items() if info.issym()} == {
        f"{HERE}/bin/python": "/usr/bin/python3.11",
        f"{HERE}/bin/python3": "python",
        f"{HERE}/bin/python3.11": "python",
        f"{HERE}/lib64": "lib",
    }
    assert found[SITE][0].isdir()


def test_folders_above_it_are_left_to_the_image(tmp_path):
    assert next(iter(_listed(_write(tmp_path)))) == HERE


def test_the_programs_of_wheels_are_found_first():
    assert venv.environment((("LANG", "C"), ("PATH", "/opt/bin"))) == (
        ("LANG", "C"),
        ("PATH", "/opt/sciflow/venv/bin:/opt/bin"),
        ("PYTHONPYCACHEPREFIX", "/tmp/sciflow-pycache"),
    )
    assert dict(venv.environment(()))["PATH"] == f"/opt/sciflow/venv/bin:{archive.SEARCH_PATH}"


def test_the_image_s_own_word_on_what_python_compiles_holds():
    assert ("PYTHONPYCACHEPREFIX", "/x") in venv.environment((("PYTHONPYCACHEPREFIX", "/x"),))


def test_modules_programs_and_records_are_laid(tmp_path):
    found = _listed(_write(tmp_path, wheel(tmp_path, more=COMMAND)))
    assert found[f"{SITE}/tiny/__init__.py"][1] == b"version = '1.0'\n"
    assert found[f"{HERE}/bin/tiny"][1].startswith(b"#!/opt/sciflow/venv/bin/python3\n")
    assert found[f"{SITE}/tiny-1.0.dist-info/INSTALLER"][1] == b"sciflow\n"
    rows = list(csv.reader(found[f"{SITE}/tiny-1.0.dist-info/RECORD"][1].decode().splitlines()))
    assert [row[0] for row in rows] == [
        "../../../bin/tiny",
        *(f"tiny-1.0.dist-info/{name}" for name in ("INSTALLER", "METADATA", "RECORD", "WHEEL", "entry_points.txt")),
        "tiny/__init__.py",
    ]


def test_modes_owners_and_times_say_nothing_of_who_made_them(tmp_path):
    files = {"tiny/a.py": b"", entry("tiny/b", stat.S_IFREG | 0o4775): b"", entry("tiny/c", 0o640): b""}
    found = _listed(_write(tmp_path, wheel(tmp_path, files=files, more=COMMAND)))
    assert {(info.uid, info.gid, info.uname, info.gname, info.mtime) for info, _ in found.values()} == {
        (0, 0, "", "", 0)
    }
    assert [found[f"{SITE}/tiny/{name}"][0].mode for name in ("a.py", "b", "c")] == [0o644, 0o755, 0o644]
    assert found[f"{HERE}/bin/tiny"][0].mode == found[SITE][0].mode == 0o755


def test_each_part_of_a_wheel_has_its_folder(tmp_path):
    data = "tiny-1.0.data"
    files = {
        "tiny.py": b"",
        f"{data}/purelib/pure.py": b"",
        f"{data}/platlib/native.py": b"",
        f"{data}/headers/tiny.h": b"",
        f"{data}/data/share/tiny.txt": b"",
        f"{data}/scripts/old": b"#!python -x\nprint()\n",
        f"{data}/scripts/program": b"\x7fELF",
    }
    found = _listed(_write(tmp_path, wheel(tmp_path, files=files, pure="false")))
    assert {
        *(f"{SITE}/{name}.py" for name in ("tiny", "pure", "native")),
        f"{HERE}/include/site/python3.11/tiny/tiny.h",
        f"{HERE}/share/tiny.txt",
    } <= set(found)
    assert found[f"{HERE}/bin/old"][1] == b"#!/opt/sciflow/venv/bin/python3\nprint()\n"
    assert (found[f"{HERE}/bin/program"][1], found[f"{HERE}/bin/program"][0].mode) == (b"\x7fELF", 0o755)


def test_compiled_files_of_a_wheel_are_left_out(tmp_path):
    files = {"tiny.py": b"", "__pycache__/tiny.cpython-311.pyc": b"planted"}
    assert not [name for name in _listed(_write(tmp_path, wheel(tmp_path, files=files))) if "pycache" in name]


def test_the_same_wheels_are_the_same_bytes(tmp_path, monkeypatch):
    one = wheel(tmp_path / "one", files={"tiny/a.py": b"a", "tiny/b.py": b"b"}, more=COMMAND)
    other = wheel(tmp_path / "one", "other")
    first = _write(tmp_path, one, other)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    before = os.umask(0o077)
    try:
        second = _write(tmp_path / "elsewhere", other, one, name="its name")
    finally:
        os.umask(before)
        monkeypatch.undo()
        time.tzset()
    assert first.read_bytes() == second.read_bytes()


def test_nothing_but_the_layer_is_left(tmp_path):
    with pytest.raises(SurroundingsError):
        _write(tmp_path / "", wheel(tmp_path / "wheels", record="x"))
    assert [path.name for path in tmp_path.iterdir()] == ["wheels"]
    _write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer", "wheels"]


def test_a_file_that_two_wheels_have_alike_is_laid_once(tmp_path):
    one, other = (wheel(tmp_path, name, files={"shared/__init__.py": b"x" * 10}) for name in ("one", "other"))
    assert _listed(_write(tmp_path, one, other))[f"{SITE}/shared/__init__.py"][1] == b"x" * 10


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"shared.py": b"y"}, f"`other-.*whl` and `one-.*whl` both want `{SITE[1:]}/shared.py`, each in its own way"),
        ({entry("shared.py", stat.S_IFREG | 0o755): b"x"}, "both want"),
        ({"folder": b""}, "`other-.*whl` and `one-.*whl` both want"),
        ({"shared.py/deeper.py": b"y"}, f"`other-.*` wants a folder where `one-.*` has `{SITE[1:]}/shared.py`"),
        ({"other-1.0.data/data/pyvenv.cfg": b"home = /x\n"}, "and the environment itself both want"),
        ({"other-1.0.data/scripts/python3": b""}, "and the environment itself both want"),
        ({"other-1.0.data/data/lib64/x": b""}, "wants a folder where the environment itself has"),
    ],
)
def test_wheels_that_are_at_odds_are_both_named(tmp_path, files, words):
    one = wheel(tmp_path, "one", files={"shared.py": b"x", "folder/a.py": b""})
    with pytest.raises(SurroundingsError, match=words):
        _write(tmp_path, one, wheel(tmp_path, "other", files=files))


@pytest.mark.parametrize(
    "name",
    [
        *("../x", "/etc/x", "a/../../x", "a//x", "./x", "a\nb", "a" * 256, "a/" * 201 + "x", "a\\..\\x"),
        *("tiny-1.0.data/data/../../../x", "tiny-1.0.data/scripts/../x"),
    ],
)
def test_a_file_that_leaves_its_place_is_refused(tmp_path, name):
    with pytest.raises(
        SurroundingsError, match=r"the wheel `tiny-1.0-py3-none-any.whl` has a file that leaves its place"
    ):
        _write(tmp_path, wheel(tmp_path, files={name: b"x"}))


@pytest.mark.parametrize("name", ["../x", "/x", "..", "a/../../../x"])
def test_a_program_that_leaves_its_place_is_refused(tmp_path, name):
    text = f"[console_scripts]\n{name} = tiny:main\n".encode()
    with pytest.raises(SurroundingsError, match="has a file that leaves its place"):
        _write(tmp_path, wheel(tmp_path, more={"entry_points.txt": text}))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"files": {entry("link", stat.S_IFLNK | 0o777): b"/etc/passwd"}}, "something else than a plain file: `link`"),
        ({"files": {"a.py": b"", "tiny-1.0.data/other/x": b""}}, "is refused: .*valid .data subdirectory"),
        ({"files": {"other-2.0.dist-info/RECORD": b""}}, "is refused: .*exactly one .dist-info"),
        ({"record": "tiny/__init__.py,,\n"}, "is refused: .*RECORD"),
        ({"record": ""}, "is not mentioned in RECORD"),
        ({"more": {"entry_points.txt": b"nothing"}}, "is refused: "),
        ({"more": {"entry_points.txt": b"[console_scripts]\nx = !\n"}}, "is refused: "),
        ({"more": {"entry_points.txt": b"\xff"}}, "is refused: .*decode"),
        ({"more": {"WHEEL": b"Wheel-Version: 2.0\n"}}, "is refused: .*Wheel-Version"),
    ],
)  # fmt: skip
def test_a_wheel_that_is_none_is_refused(tmp_path, more, words):
    with pytest.raises(SurroundingsError, match=words) as found:
        _write(tmp_path, wheel(tmp_path, **more))
    assert "tiny-1.0-py3-none-any.whl" in str(found.value)


def test_content_that_its_record_does_not_say_is_refused(tmp_path):
    path = wheel(tmp_path, files={"tiny.py": b"good"})
    with zipfile.ZipFile(path) as packed:
        record = packed.read("tiny-1.0.dist-info/RECORD").decode()
    path = wheel(tmp_path, files={"tiny.py": b"evil"}, record=record)
    with pytest.raises(SurroundingsError, match=r"hash / size of tiny.py didn't match RECORD"):
        _write(tmp_path, path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    (tmp_path / "tiny-1.0-py3-none-any.whl").write_bytes(b"<html>")
    with pytest.raises(SurroundingsError, match=r"the wheel `tiny-.*` is refused: File is not a zip file"):
        _write(tmp_path, tmp_path / "tiny-1.0-py3-none-any.whl")


def test_a_damaged_archive_is_refused(tmp_path):
    path = wheel(tmp_path, files={"tiny.py": os.urandom(1000)})
    data = bytearray(path.read_bytes())
    data[100] ^= 255
    path.write_bytes(data)
    with pytest.raises(SurroundingsError, match=r"is refused: .*CRC"):
        _write(tmp_path, path)


def test_two_files_of_one_name_are_refused(tmp_path):
    path = wheel(tmp_path)
    with zipfile.ZipFile(path, "a") as packed, pytest.warns(UserWarning, match="Duplicate"):
        packed.writestr("tiny/__init__.py", b"other")
    with pytest.raises(SurroundingsError, match=r"has two files of one name: `tiny/__init__.py`"):
        _write(tmp_path, path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(venv.inflate, "ALWAYS_ALLOWED", 1000)
    path = wheel(tmp_path, files={"tiny.bin": bytes(1 << 20)})
    with pytest.raises(SurroundingsError, match=f"is a bomb: {path.stat().st_size} bytes grow to 1048"):
        _write(tmp_path, path)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(venv, "MAX_FILES", 12)
    one, other = wheel(tmp_path), wheel(tmp_path, "other")
    with pytest.raises(SurroundingsError, match="brings the environment to more than 12 files"):
        _write(tmp_path, one, other)


def test_what_is_read_whole_is_small(tmp_path, monkeypatch):
    monkeypatch.setattr(venv, "MAX_SMALL", 500)
    path = wheel(tmp_path, more={"licence": bytes(501)})
    with pytest.raises(SurroundingsError, match=r"has too large a `tiny-1.0.dist-info/licence`: 501 bytes"):
        _write(tmp_path, path)
    path = wheel(tmp_path, files={"tiny-1.0.data/scripts/x": b"#!python\n" + bytes(500)})
    with pytest.raises(SurroundingsError, match="has a script of more than 500 bytes: `x`"):
        _write(tmp_path, path)


SAYS = b"import attr, sys\n\n\ndef main():\n    print(sys.prefix, attr.__name__, __file__)\n"


@pytest.mark.slow
@pytest.mark.live("apptainer", "mmdebstrap")
def test_in_a_box_programs_of_wheels_run_and_debian_s_own_modules_are_seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("box")
    for above in (folder, *folder.parents[:3]):
        if above.owner() == folder.owner():
            above.chmod(above.stat().st_mode | 0o055)
    base = debian._built("bookworm", ["python3", "python3-attr"], folder)
    path = wheel(folder, files={"tiny/__init__.py": SAYS}, more=COMMAND)
    root = unpack.tree([base])
    found = target.find(root, [base], {}, platform="linux/amd64")
    assert str(found) == "Python 3.11.2 on x86_64 with glibc 2.36"
    layers = [base, folder / "layer"]
    venv.write([(pinned(path), path)], found, layers[1])
    rootfs.write(unpack.tree(layers), layers, folder / "tar")
    archive.squashfs(folder / "tar", folder / "image.sqfs")
    (folder / "image.sqfs").chmod(0o444)
    words = ["apptainer", "--quiet", "exec", "--containall", "--cleanenv", "--no-home", str(folder / "image.sqfs")]
    said = subprocess.run(
        [*conftest.plain_user(), *words, "env", f"PATH={dict(venv.environment(()))['PATH']}", "tiny"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.stdout.split() == ["/opt/sciflow/venv", "attr", f"{SITE[1:]}/tiny/__init__.py"], said.stderr
