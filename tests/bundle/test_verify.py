"""The verdict on a bundle: every change is named, and all who judge it say the same."""

import os
import shutil
import subprocess
import sys

import pytest

from sciflow.bundle import seal, verify
from sciflow.errors import SurroundingsError
from tests import small


def flip(file):
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def names(name, lines):
    """Say whether a file is named by the faults; a manifest that is changed in one of its digests is so by its seal."""
    told = [f"{name}:", *(["is over another manifest"] if name == "manifest.json" else [])]
    return any(what in line for what in told for line in lines)


def said(*words, **environment):
    settings = {**os.environ, **environment}
    return subprocess.run(words, env=settings, capture_output=True, text=True, timeout=60, check=False)


def a_stranger(bundle, copy):
    """Judge with a copy of verify.py from outside the bundle, with the standard library alone."""
    return said(sys.executable, "-I", "-S", str(copy), str(bundle))


def a_runner(bundle):
    return said(sys.executable, "-I", "-S", "-B", str(bundle / "runner" / "__main__.py"), "status")


@pytest.fixture
def bundle(tmp_path):
    return small.compiled(tmp_path / "study")


@pytest.fixture
def copy(bundle, tmp_path):
    return shutil.copyfile(bundle / "verify.py", tmp_path / "verify.py")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Make one bundle for all flips of this file; each is undone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))
        yield small.compiled(tmp_path_factory.mktemp("shared"))


def test_all_three_find_a_fresh_bundle_whole(bundle, copy):
    assert (verify.judge(bundle).code, a_stranger(bundle, copy).returncode, a_runner(bundle).returncode) == (0, 0, 0)


def test_the_command_and_the_travelling_copy_say_the_same_words(bundle, copy):
    assert a_stranger(bundle, copy).stdout.splitlines() == verify.judge(bundle).lines()


@pytest.mark.slow
def test_every_flipped_byte_is_named_by_all_three(shared, tmp_path):
    copy = shutil.copyfile(shared / "verify.py", tmp_path / "verify.py")
    files = [path for path in sorted(shared.rglob("*")) if path.is_file() and "runs" not in path.parts]
    missed = []
    for file in files:
        kept, name = file.read_bytes(), file.relative_to(shared).as_posix()
        flip(file)
        found = verify.judge(shared)
        by_hand = a_stranger(shared, copy)
        if not names(name, found.lines()) or found.code != 4:
            missed.append(f"sciflow verify: {name}")
        if not names(name, by_hand.stderr.splitlines()) or by_hand.returncode != 4:
            missed.append(f"verify.py: {name}")
        if not name.startswith("runner/"):  # a runner that was changed cannot be asked; it is judged by the others
            running = a_runner(shared)
            if name not in running.stderr or running.returncode != 4:
                missed.append(f"runner: {name}")
        file.write_bytes(kept)
    assert len(files) > 20
    assert missed == []


def test_the_first_and_the_last_byte_count_too(bundle):
    for at in (0, -1):
        data = bytearray((bundle / "code" / "t.py").read_bytes())
        data[at] ^= 1
        (bundle / "code" / "t.py").write_bytes(bytes(data))
        assert verify.judge(bundle).faults[0][0] == "code/t.py"


def add(bundle):
    (bundle / "code" / "extra.py").write_text("")
    return "code/extra.py"


def plant(bundle):
    (bundle / "runner" / "__pycache__").mkdir()
    (bundle / "runner" / "__pycache__" / "names.cpython-311.pyc").write_text("")
    return "runner/__pycache__/names.cpython-311.pyc"


def add_folder(bundle):
    (bundle / "code" / "empty").mkdir()
    return "code/empty"


def remove(bundle):
    (bundle / "code" / "t.py").unlink()
    return "code/t.py"


def rename(bundle):
    (bundle / "code" / "t.py").rename(bundle / "code" / "u.py")
    return "code/u.py"


def link(bundle):
    (bundle / "code" / "t.py").rename(bundle.parent / "t.py")
    (bundle / "code" / "t.py").symlink_to(bundle.parent / "t.py")
    return "code/t.py"


def link_a_folder(bundle):
    (bundle / "code").rename(bundle.parent / "code")
    (bundle / "code").symlink_to(bundle.parent / "code")
    return "code"


def hard_link(bundle):
    os.link(bundle / "code" / "t.py", bundle.parent / "second")
    return "code/t.py"


def mode(bundle):
    (bundle / "code" / "t.py").chmod(0o755)
    return "code/t.py"


def pipe(bundle):
    (bundle / "code" / "t.py").unlink()
    os.mkfifo(bundle / "code" / "t.py")
    return "code/t.py"


def carried(bundle):
    (bundle / "carried" / "sha256").mkdir(parents=True)
    (bundle / "carried" / "sha256" / ("0" * 64)).write_text("no")
    return "carried/sha256/" + "0" * 64


def no_manifest(bundle):
    (bundle / "manifest.json").unlink()
    return "manifest.json"


@pytest.mark.parametrize(
    "change",
    [add, plant, add_folder, remove, rename, link, link_a_folder, hard_link, mode, pipe, carried, no_manifest],
    ids=lambda change: change.__name__,
)
def test_a_change_is_named_by_all_three(bundle, copy, change):
    name = change(bundle)
    found = verify.judge(bundle)
    assert (found.code, name in [path for path, _ in found.faults]) == (4, True)
    by_hand = a_stranger(bundle, copy)
    assert (by_hand.returncode, name in by_hand.stderr) == (4, True)
    running = a_runner(bundle)
    assert (running.returncode, name in running.stderr) == (4, True)


def test_what_runs_leave_is_no_fault(bundle):
    (bundle / "runs" / "main").mkdir(parents=True)
    (bundle / "runs" / "main" / "anything").write_text("")
    assert verify.judge(bundle).code == 0


def test_what_a_fat_bundle_carries_by_its_digest_is_no_fault(bundle):
    (bundle / "carried" / "sha256").mkdir(parents=True)
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    (bundle / "carried" / "sha256" / digest).write_text("x")
    assert verify.judge(bundle).code == 0


def test_a_bundle_without_its_seal_is_untrusted(bundle):
    shutil.rmtree(bundle / "seals")
    assert (verify.judge(bundle).code, verify.judge(bundle).lines()[-1].split(":")[0]) == (6, "untrusted")


def test_a_bundle_sealed_by_a_stranger_is_untrusted_and_the_stranger_named(bundle, tmp_path, monkeypatch):
    stranger = seal.load().fingerprint
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    seal.new("ada")
    found = verify.judge(bundle)
    assert (found.code, stranger in "\n".join(found.lines())) == (6, True)


def test_a_file_of_trusted_keys_can_be_given(bundle, tmp_path, monkeypatch):
    line = seal.load().line
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "another"))
    (tmp_path / "allowed").write_text(f'ada namespaces="sciflow-bundle@v1" {line}\n')
    assert verify.judge(bundle, tmp_path / "allowed").signers == ["ada"]


def test_a_key_that_is_trusted_for_something_else_does_not_count(bundle, tmp_path):
    (tmp_path / "allowed").write_text(f'ada namespaces="git" {seal.load().line}\n')
    assert verify.judge(bundle, tmp_path / "allowed").code == 6


def test_a_key_that_has_expired_does_not_count(bundle, tmp_path):
    options = 'namespaces="sciflow-bundle@v1",valid-before="20200101"'
    (tmp_path / "allowed").write_text(f"ada {options} {seal.load().line}\n")
    assert verify.judge(bundle, tmp_path / "allowed").code == 6


def test_a_seal_of_another_bundle_is_a_fault(tmp_path):
    one = small.compiled(tmp_path)
    other = small.compiled(tmp_path, ("[0.5, 1.0]", "[0.5, 2.0]"))
    (moved,) = (other / "seals").iterdir()
    shutil.copyfile(moved, one / "seals" / moved.name)
    assert "is over another manifest" in verify.judge(one).faults[1][1]


@pytest.mark.parametrize("data", [b"no line of this kind\n", b"\xff\xfe\n", b'ada namespaces="x" ssh-ed25519 A\n'])
def test_a_file_of_trusted_keys_that_cannot_be_read_is_named(bundle, tmp_path, data):
    (tmp_path / "allowed").write_bytes(data)
    with pytest.raises(SurroundingsError, match="allowed"):
        verify.judge(bundle, tmp_path / "allowed")


def test_an_empty_file_of_trusted_keys_trusts_nobody(bundle, tmp_path):
    (tmp_path / "allowed").write_bytes(b"")
    assert verify.judge(bundle, tmp_path / "allowed").code == 6


def test_a_file_of_trusted_keys_that_is_not_there_is_named(bundle, tmp_path):
    with pytest.raises(SurroundingsError, match=r"allowed.: No such file"):
        verify.judge(bundle, tmp_path / "allowed")


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SurroundingsError, match="nowhere"):
        verify.judge(tmp_path / "nowhere")


def test_an_empty_folder_is_no_bundle(tmp_path):
    assert verify.judge(tmp_path).faults == [("manifest.json", "is missing")]
