"""A fat bundle on a machine without any network: run, verified, replayed. A thin one there: what it lacks, to the digest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import verdict
from tests.containers import serving
from tests.live.conftest import PLAIN_USER
from tests.live.test_images import WORKFLOW, image

pytestmark = [
    pytest.mark.live("apptainer"),
    pytest.mark.skipif(os.getuid() != 0, reason="only root makes a network namespace for another user"),
]


@pytest.fixture
def bundles(plain, tmp_path, monkeypatch):
    """Give a thin and a fat bundle, moved to where neither their registry nor a cache is left."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    (plain.folder / "study").mkdir()
    file = plain.folder / "study" / "workflow.toml"
    with serving.serving() as registry:
        serving.put(registry, "a/b", "1", *image("one"))
        file.write_text(WORKFLOW.format(place=registry.name))
        thin = api.compile(file, into=plain.folder / "thin").path
        fat = api.compile(file, into=plain.folder / "fat", fat=True).path
    shutil.rmtree(plain.folder / "study")
    plain.give(plain.folder)
    return thin, fat


@pytest.fixture
def alone(plain):
    """Run words in a network namespace that has no interface but one that is down: as a plain user, if that is said."""

    def run(*words, plainly=True):
        user = [shutil.which("runuser") or "/usr/sbin/runuser", "-u", PLAIN_USER, "--"]
        by = ["unshare", "--net", *(user if plainly else [])]
        settings = {"SCIFLOW_CACHE": str(plain.folder / "cache"), "HOME": str(plain.folder), "LC_ALL": "C.UTF-8"}
        return subprocess.run(
            [*by, *map(str, words)],
            cwd=plain.folder,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_there_is_no_network_in_there(alone):
    found = alone("cat", "/proc/net/dev", "/proc/net/route")
    assert [line.split(":")[0].strip() for line in found.stdout.splitlines() if ":" in line] == ["lo"]


def test_a_fat_bundle_runs_there_is_verified_and_replayed(bundles, alone, plain):
    _, fat = bundles
    ran = alone(fat / "launch.sh")
    assert ran.returncode == 0, ran.stderr
    signers = plain.folder / "allowed_signers"
    signers.write_text(Path(verdict.default_trust()).read_text())
    judged = alone("python3", "-I", fat / "verify.py", "--trust", signers)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    said = [path.read_text() for path in sorted((fat / "runs" / "main").rglob("said.txt"))]
    assert said == ["1 one\n", "2 one\n"]
    api.collect(fat)
    # The interpreter of these tests may stand where a plain user cannot read.
    replayed = alone(sys.executable, "-m", "sciflow", "replay", fat, "--trust", signers, plainly=False)
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    assert replayed.stdout.splitlines()[-1].startswith("reproduced")


def test_a_thin_bundle_says_there_what_it_lacks(bundles, alone):
    thin, _ = bundles
    (entry,) = [box for box in plan_of(thin)["boxes"] if box["engine"] == "apptainer"]
    digest = entry["image"]["file"]
    ran = alone(thin / "launch.sh", "--engine", "apptainer")
    assert ran.returncode == 3
    for words in (digest, "carried/sha256", "run `sciflow fetch` on this bundle where there is a network"):
        assert words in ran.stderr


def plan_of(bundle):
    from sciflow.bundle import folder

    return folder.read(bundle).plan
