"""A lock killed at any moment: the cache stays right, the same lock comes out afterwards, and nobody goes on working.

SCIFLOW_KILLS says how often each kind is killed (3 times); the moments are the same each time.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.containers import flakes, layering
from tests.live import broken, family

BEGUN_S = 100.0  # until a build is under way: of a Debian image, indexes and packages are fetched before
KILLS = int(os.environ.get("SCIFLOW_KILLS", "3"))
PATIENCE_S = 20.0  # until the last process of a killed one has ended: mmdebstrap clears away first


def from_registry(bed):
    layers = [
        layering.layer(layering.member(f"etc/{name}", data=random.Random(name).randbytes(4 << 20))) for name in "ab"
    ]
    broken.put(bed, *layers)
    return broken.pulled(bed)


def from_definition(bed):
    return broken.definition(bed, "%post\n    mkdir -p /opt/made\n    sleep 1\n    echo 1 >/opt/made/one\n")


def from_wheels(bed):
    for number in range(20):
        name = f"tiny{number}"
        data = broken.wheelwright.wheel(bed.folder.parent / "wheels", name=name).read_bytes()
        bed.registry.served[f"/files/{name}-1.0-py3-none-any.whl"] = data
    packages = "".join(
        f'[[packages]]\nname = "tiny{number}"\nversion = "1.0"\nwheels = [{{ url = "{bed.web}/files/{file}", '
        f'hashes = {{ sha256 = "{broken.wheelwright.digest(bed.registry.served[f"/files/{file}"])}" }} }}]\n'
        for number in range(20)
        for file in [f"tiny{number}-1.0-py3-none-any.whl"]
    )
    return broken.with_python(bed, "pylock.toml", f'lock-version = "1.0"\ncreated-by = "hand"\n{packages}')


def from_flake(bed):
    flakes.example(bed.folder / "flake")
    return broken.source('nix = "flake#default"\nfiles = ["build.sh", "bin/busybox"]')


KINDS = [
    pytest.param(make, id=make.__name__.removeprefix("from_"), marks=pytest.mark.live(*parts))
    for make, parts in {
        from_registry: (),
        from_definition: ("apptainer",),
        from_wheels: (),
        from_flake: ("nix",),
    }.items()
]


@pytest.fixture
def bed(tmp_path):
    with broken.bed(tmp_path) as bed, family.adopting():
        yield bed


def write(bed, make):
    (bed.folder / "workflow.toml").write_text(broken.HEAD + make(bed) + broken.TAIL)


def begun(bed, **more):
    """Begin to lock, in a process of its own."""
    settings = {**os.environ, **bed.settings}
    return subprocess.Popen(
        [sys.executable, "-m", "sciflow", "lock", "workflow.toml"],
        cwd=bed.folder,
        env={name: value for name, value in settings.items() if value is not None},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        **more,
    )


def undisturbed(bed):
    """Lock once; return the lock's text and how long it took, in seconds. Nothing of it stays."""
    start = time.monotonic()
    done = bed.sciflow("lock", "workflow.toml")
    took = time.monotonic() - start
    assert done.returncode == 0, done.stderr
    text = (bed.folder / "workflow.lock").read_text()
    shutil.rmtree(bed.cache)
    (bed.folder / "workflow.lock").unlink()
    return text, took


def killed(bed, after_s):
    """Begin to lock, and kill it after so many seconds; say whether it still went on then."""
    known = set(family.descendants())
    process = begun(bed, stderr=subprocess.DEVNULL)
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.kill()
    process.wait()
    took, left = family.outlived(PATIENCE_S, known)
    assert not left, f"still there {took:.1f} s after the kill at {after_s:.2f} s: {left}"
    return process.returncode == -signal.SIGKILL, took


def unfinished(bed):
    """Return the names of what `cache ls` calls unfinished."""
    found = json.loads(bed.sciflow("cache", "ls", "--json").stdout)["items"]
    return sorted(Path(item["path"]).name for item in found if item["kind"] == "unfinished")


def begun_work(bed):
    """Return the workshops in which somebody has worked; who is killed before that leaves one without his name."""
    return list((bed.cache / "making").glob("*/work"))


@pytest.mark.parametrize("make", KINDS)
def test_a_lock_killed_at_any_moment_leaves_a_right_cache_and_comes_out_the_same(bed, make):
    write(bed, make)
    wanted, whole_s = undisturbed(bed)
    moments = random.Random(make.__name__)
    hits, leftovers, longest = 0, 0, 0.0
    for number in range(KILLS):
        hit, took = killed(bed, moments.uniform(0, whole_s))
        hits, longest = hits + hit, max(longest, took)
        assert broken.spoilt(bed.cache) == []
        left = broken.unfinished(bed.cache)
        leftovers += bool(left)
        assert unfinished(bed) == left
        done = bed.sciflow("cache", "gc")
        assert done.returncode == 0, done.stderr
        assert begun_work(bed) == []
        done = bed.sciflow("lock", "workflow.toml")
        assert done.returncode == 0, done.stderr
        assert (bed.folder / "workflow.lock").read_text() == wanted, number
        assert begun_work(bed) == []
        shutil.rmtree(bed.cache)
        (bed.folder / "workflow.lock").unlink()
    print(
        f"{make.__name__}: {KILLS} goes of {whole_s:.1f} s, {hits} killed, {leftovers} left something; last process after {longest:.1f} s"
    )
    assert hits


def slow_definition(bed):
    return broken.definition(bed, "%post\n    echo begun\n    sleep 300 & setsid sleep 300 & wait\n")


def slow_flake(bed):
    flakes.example(bed.folder / "flake")
    script = bed.folder / "flake/build.sh"
    script.write_text("echo begun\n$builder sleep 300\n")
    return broken.source('nix = "flake#default"\nfiles = ["build.sh", "bin/busybox"]')


def slow_debian(_):
    return broken.source('debian = "bookworm"\npackages = ["python3"]')


SLOW = [
    pytest.param(slow_definition, "Apptainer runtime parent", marks=pytest.mark.live("apptainer"), id="definition"),
    pytest.param(slow_flake, "busybox sleep 300", marks=pytest.mark.live("nix"), id="flake"),
    pytest.param(slow_debian, "dpkg-deb", marks=pytest.mark.live("mmdebstrap"), id="debian"),
]


@pytest.mark.parametrize(("make", "sign"), SLOW)
def test_what_builds_for_a_killed_lock_ends_with_it(bed, make, sign):
    write(bed, make)
    known = set(family.descendants())
    process = begun(bed, stderr=subprocess.DEVNULL)
    end = time.monotonic() + BEGUN_S
    while process.poll() is None and not any(sign in words for words in family.descendants(known).values()):
        assert time.monotonic() < end, "it does not begin to build"
        time.sleep(0.05)
    ended_by_itself = process.poll()
    process.kill()
    process.wait()
    took, left = family.outlived(PATIENCE_S, known)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (ended_by_itself, left) == (None, {})
    print(f"{make.__name__}: the last process ended after {took:.1f} s")
