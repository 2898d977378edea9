"""Writing a bundle: the same bytes whoever writes it and wherever, all of it or nothing."""

import hashlib
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sciflow import api
from sciflow.bundle import emit, seal
from sciflow.errors import SurroundingsError
from sciflow.plan import graph, lock
from sciflow.runner import facts, names
from sciflow.workflow import load
from tests import small

LARGE = ("size = [1, 2]", "size = { range = [0, 40000] }")


def content(file):
    workflow = load.read(file)
    pinned = lock.files(workflow, file.parent)
    plan = graph.plan(workflow, workflow.sweeps[0], pinned, [])
    return emit.Content(
        plan=plan, lines=['{"size":1}', '{"size":20}'], texts={"a/b.txt": "é\n"}, lock=pinned, folder=file.parent
    )


def finished(folder):
    return [path for path in folder.glob("*") if not path.name.startswith(".")]


def whole(bundle):
    return not [path for path, _ in api.verify(bundle).faults]


@pytest.fixture
def key(tmp_path):
    return seal.new("author").file


@pytest.mark.parametrize(
    ("shell", "environment"),
    [
        ("umask 077", {}),
        ("umask 000", {}),
        ("cd /", {}),
        (":", {"TZ": "Pacific/Kiritimati"}),
        (":", {"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8"}),
        (":", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        (":", {"PYTHONHASHSEED": "1"}),
        (":", {"PYTHONHASHSEED": "4242"}),
        (":", {"COLUMNS": "40", "NO_COLOR": "1", "USER": "ada", "HOME": "/nonexistent"}),
        (":", {"SOURCE_DATE_EPOCH": "1", "PYTHONOPTIMIZE": "2"}),
    ],
)
def test_the_same_source_gives_the_same_bytes_modes_and_names(tmp_path, key, shell, environment):
    golden = Path(__file__).parent.parent / "golden" / "small"
    here = shutil.copytree(golden, tmp_path / "here", ignore=shutil.ignore_patterns("bundle"))
    there = shutil.copytree(here, tmp_path / "a longer path" / "with ümlaut")
    wanted = api.compile(here / "workflow.toml", key=str(key)).path
    line = f'{shell}; exec "$0" -m sciflow compile "$1" --key "$2" -q'
    made = subprocess.run(
        ["/bin/sh", "-c", line, sys.executable, str(there / "workflow.toml"), str(key)],
        env={**os.environ, "PYTHONPATH": str(Path(api.__file__).parent.parent.parent), **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert small.contents(there / "bundles" / wanted.name) == small.contents(wanted)


def test_compiling_twice_gives_the_same_path_and_keeps_the_runs(tmp_path):
    first = small.compiled(tmp_path)
    (first / "runs" / "main").mkdir(parents=True)
    (first / "runs" / "main" / "kept").write_text("results")
    assert api.compile(tmp_path / "workflow.toml").path == first
    assert (first / "runs" / "main" / "kept").read_text() == "results"


def test_compiling_into_the_study_itself_takes_no_bundle_for_code(tmp_path):
    file = small.write(tmp_path, ('"*.py"', '"**/*.py"'))
    first = api.compile(file, into=tmp_path / "out").path
    assert api.compile(file, into=tmp_path / "out").path == first


def test_a_second_key_adds_a_second_seal(tmp_path):
    seal.new("ada")
    seal.new("bob")
    bundle = small.compiled(tmp_path, key="ada")
    assert api.compile(tmp_path / "workflow.toml", key="bob").path == bundle
    assert (len(list((bundle / "seals").iterdir())), sorted(api.verify(bundle).signers)) == (2, ["ada", "bob"])


def test_another_value_gives_another_bundle_beside_the_first(tmp_path):
    first = small.compiled(tmp_path)
    second = small.compiled(tmp_path, ("[0.5, 1.0]", "[0.5, 2.0]"))
    assert first != second
    assert sorted(finished(tmp_path / "bundles")) == sorted([first, second])


def test_a_fresh_bundle_is_whole_and_sealed_by_its_author(tmp_path):
    found = api.verify(small.compiled(tmp_path))
    assert (found.code, found.signers) == (0, ["default"])


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_compile_that_is_killed_leaves_no_bundle_or_a_whole_one(tmp_path, delay):
    file = small.write(tmp_path, LARGE)
    words = [sys.executable, "-m", "sciflow", "compile", str(file), "-q"]
    compiler = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay)
    compiler.send_signal(signal.SIGKILL)
    compiler.wait()
    assert all(whole(bundle) for bundle in finished(tmp_path / "bundles"))


def test_a_compile_that_is_killed_while_it_writes_is_cleared_away_by_the_next(tmp_path):
    file = small.write(tmp_path, LARGE)
    words = [sys.executable, "-m", "sciflow", "compile", str(file), "-q"]
    compiler = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not list((tmp_path / "bundles").glob(".compiling-*/bundle/points.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.005)
    compiler.send_signal(signal.SIGKILL)
    compiler.wait()
    assert finished(tmp_path / "bundles") == []
    assert list((tmp_path / "bundles").glob(".compiling-*"))
    bundle = api.compile(file).path
    assert list((tmp_path / "bundles").iterdir()) == [bundle]


def test_what_another_living_compiler_writes_is_left_alone(tmp_path, key):
    aside = tmp_path / "bundles" / ".compiling-other"
    aside.mkdir(parents=True)
    (aside / "owner.json").write_text(names.canonical(facts.owner()))
    small.compiled(tmp_path)
    assert aside.is_dir()


def test_a_compile_that_is_interrupted_leaves_nothing(tmp_path):
    file = small.write(tmp_path, LARGE)
    words = [sys.executable, "-m", "sciflow", "compile", str(file), "-q"]
    compiler = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not list((tmp_path / "bundles").glob(".compiling-*/bundle/points.jsonl")) and time.monotonic() < deadline:
        time.sleep(0.005)
    compiler.send_signal(signal.SIGINT)
    said = compiler.communicate(timeout=60)[1]
    assert compiler.returncode == 130
    assert "Traceback" not in said
    assert list((tmp_path / "bundles").iterdir()) == []


def test_code_that_changes_while_it_is_compiled_is_refused(tmp_path, key):
    file = small.write(tmp_path / "study")
    ready = content(file)
    (tmp_path / "study" / "t.py").write_text("other", encoding="utf-8")
    with pytest.raises(SurroundingsError, match=r"t\.py. changed while it was compiled"):
        emit.write(ready, tmp_path / "out", seal.load(str(key)))
    assert list((tmp_path / "out").iterdir()) == []


def test_code_that_goes_away_while_it_is_compiled_is_named(tmp_path, key):
    file = small.write(tmp_path / "study")
    ready = content(file)
    (tmp_path / "study" / "t.py").unlink()
    with pytest.raises(SurroundingsError, match=r"t\.py.: No such file"):
        emit.write(ready, tmp_path / "out", seal.load(str(key)))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_name_that_is_taken_by_something_else_is_named_and_left_alone(tmp_path):
    bundle = small.compiled(tmp_path)
    (bundle / "manifest.json").unlink()
    before = small.contents(bundle)
    with pytest.raises(SurroundingsError, match=f"{bundle.name}. stands where the bundle should go, and is none"):
        api.compile(tmp_path / "workflow.toml")
    assert small.contents(bundle) == before


def test_the_index_says_where_each_points_line_begins(tmp_path, key):
    bundle = emit.write(content(small.write(tmp_path / "study")), tmp_path / "out", seal.load(str(key)))
    assert (bundle / "points.jsonl").read_bytes() == b'{"size":1}\n{"size":20}\n'
    assert (bundle / "points.idx").read_bytes() == struct.pack("<QQ", 0, 11)


def test_texts_are_written_in_utf_8_below_their_folders(tmp_path, key):
    bundle = emit.write(content(small.write(tmp_path / "study")), tmp_path / "out", seal.load(str(key)))
    assert (bundle / "a" / "b.txt").read_bytes() == b"\xc3\xa9\n"


def test_a_program_among_the_code_stays_one(tmp_path, key):
    file = small.write(tmp_path / "study")
    (tmp_path / "study" / "t.py").chmod(0o700)
    bundle = emit.write(content(file), tmp_path / "out", seal.load(str(key)))
    assert (bundle / "code" / "t.py").stat().st_mode & 0o777 == 0o755


def test_the_carried_code_is_another_file_than_the_source(tmp_path, key):
    file = small.write(tmp_path / "study")
    os.link(tmp_path / "study" / "t.py", tmp_path / "second-name")
    bundle = emit.write(content(file), tmp_path / "out", seal.load(str(key)))
    assert (bundle / "code" / "t.py").stat().st_nlink == 1


def test_the_manifest_follows_the_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "a").chmod(0o644)
    assert emit.manifest(tmp_path, "n") == (
        b'{"files":[{"mode":"0644","path":"a","sha256":"'
        + hashlib.sha256(b"x").hexdigest().encode()
        + b'","size":1}],"format":1,"kind":"bundle","name":"n"}'
    )


def test_a_file_where_the_bundles_should_go_is_named(tmp_path, key):
    ready = content(small.write(tmp_path / "study"))
    (tmp_path / "out").write_text("")
    with pytest.raises(SurroundingsError, match=r"out. cannot be written"):
        emit.write(ready, tmp_path / "out", seal.load(str(key)))


def test_a_point_that_cannot_be_made_leaves_nothing(tmp_path, key):
    def lines():
        yield '{"size":1}'
        raise SurroundingsError("no more")

    with pytest.raises(SurroundingsError, match="no more"):
        emit.write(
            replace(content(small.write(tmp_path / "study")), lines=lines()), tmp_path / "out", seal.load(str(key))
        )
    assert list((tmp_path / "out").iterdir()) == []
