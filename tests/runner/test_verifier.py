"""verify.py, made of the rooms that judge and kept outside the bundle, says what they say; so does the runner."""

import os
import subprocess
import sys

import pytest

from sciflow.bundle import emit
from sciflow.runner import verdict
from tests.runner.conftest import TIMEOUT_S, task


@pytest.fixture
def found(study):
    return study([task("a", "true")], code={"c.py": "pass\n"})


@pytest.fixture
def verifier(tmp_path):
    file = tmp_path / "own" / "verify.py"
    file.parent.mkdir()
    file.write_text(emit.verifier(), encoding="utf-8")
    return file


def verify(verifier, found, *words, python=sys.executable, env=None):
    return subprocess.run(
        [python, "-I", "-S", str(verifier), str(found.path), *words],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=env,
        encoding="utf-8",
    )


def told(found, trust=None):
    """Return what verify.py has to print and to end with: what the functions say."""
    said = verdict.judge(str(found.path), trust, verdict.utc())
    return said.lines()[:-1], said.lines()[-1], said.code


def seen(process):
    return process.stderr.splitlines(), process.stdout.rstrip("\n"), process.returncode


TAMPERED = {
    "nothing": lambda _: None,
    "a byte": lambda path: (path / "plan.json").write_bytes(b"x" + (path / "plan.json").read_bytes()[1:]),
    "an added file": lambda path: (path / "ü\x1b.txt").touch(),
    "a removed file": lambda path: (path / "README.md").unlink(),
    "a renamed file": lambda path: (path / "README.md").rename(path / "code" / "README.md"),
    "a mode": lambda path: (path / "code" / "c.py").chmod(0o755),
    "a link": lambda path: ((path / "points.idx").unlink(), (path / "points.idx").symlink_to("plan.json")),
    "a pipe": lambda path: ((path / "points.idx").unlink(), os.mkfifo(path / "points.idx")),
    "a seal": lambda path: next((path / "seals").iterdir()).write_text("{}"),
    "a manifest": lambda path: (path / "manifest.json").write_text("{}"),
    "a name that is no text": lambda path: (path / os.fsdecode(b"\xff")).touch(),
}


@pytest.mark.parametrize("change", TAMPERED)
def test_verify_says_what_the_functions_say(found, trust, verifier, change):
    file = trust(found.key)
    TAMPERED[change](found.path)
    assert seen(verify(verifier, found, "--trust", file)) == told(found, file)


@pytest.mark.parametrize("change", TAMPERED)
def test_the_runner_refuses_what_verify_refuses(found, change):
    TAMPERED[change](found.path)
    assert found.run(code=told(found)[2] % 6).returncode == (4 if change != "nothing" else 0)


@pytest.mark.parametrize("room", ["names.py", "verdict.py", "work.py", "__init__.py"])
def test_a_changed_room_of_the_runner_is_named_before_it_is_imported(found, room):
    (found.path / "runner" / room).write_text("raise SystemExit('planted')\n")
    words = [sys.executable, "-I", "-S", str(found.path / "runner/__main__.py"), "run"]
    process = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert process.returncode == 4
    assert f"runner/{room}" in process.stderr
    assert "planted" not in process.stderr


@pytest.mark.parametrize("change", ["nothing", "an added file"])
def test_each_python_verifies_alike(found, trust, verifier, interpreter, change):
    file = trust(found.key)
    TAMPERED[change](found.path)
    assert seen(verify(verifier, found, "--trust", file, python=interpreter)) == told(found, file)


def test_each_python_verifies_alike_without_a_locale(study, trust, verifier, interpreter):
    found = study([task("a", "true")], code={"ü.py": "pass\n"})
    file = trust(found.key)
    assert seen(verify(verifier, found, "--trust", file, python=interpreter, env={"LC_ALL": "C"})) == told(found, file)


def test_verify_takes_the_reader_s_own_trust(found, trust, verifier):
    said = verify(verifier, found, env={**os.environ, "SCIFLOW_TRUST": trust(found.key)})
    assert said.stdout.rstrip().endswith("sealed by alice")


def test_verify_asks_no_key_that_the_bundle_brings_along(found, verifier):
    assert verify(verifier, found).returncode == 6


def test_verify_judges_the_folder_it_stands_in_where_none_is_given(found):
    said = subprocess.run(
        [sys.executable, "-I", "-B", str(found.path / "verify.py")], capture_output=True, text=True, check=False
    )
    assert said.returncode == 6


def test_verify_names_a_folder_that_is_not_there(found, verifier, tmp_path):
    said = subprocess.run(
        [sys.executable, "-I", str(verifier), str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stderr) == (3, f"{tmp_path / 'none'}: there is no such folder\n")


def test_verify_names_a_malformed_trust_file(found, verifier, tmp_path):
    (tmp_path / "trust").write_text("x\n")
    said = verify(verifier, found, "--trust", str(tmp_path / "trust"))
    assert (said.returncode, "line 1" in said.stderr) == (3, True)


def test_verify_names_a_missing_trust_file(found, verifier, tmp_path):
    assert verify(verifier, found, "--trust", str(tmp_path / "none")).returncode == 3
