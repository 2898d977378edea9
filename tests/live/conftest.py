"""Real parts, used as a plain user would: a folder of that user's own, its commands, and a small study in a Debian image."""

import functools
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import records
from tests.live import sweep
from tests.live.cluster import MISHAPS, PREEMPTING, Cluster

PLAIN_USER = "sci"  # made by tests/testbed/install.sh; used when the tests themselves run as root
SCRIPT = """\
import json, sys
x, k = float(sys.argv[1]), sys.argv[2]
if x == 0.75 and k == sys.argv[4]:
    sys.exit("this point is meant to fail")
with open(sys.argv[3], "w") as stream:
    print("x", repr(x), "k", k, file=stream)
with open("metrics.json", "w") as stream:
    json.dump({"y": x * x + ord(k)}, stream)
"""
WORKFLOW = """\
format = 1

[workflow]
name = "small"
{image}
[code]
include = ["train.py"]

[parameters]
x = {{ linspace = [0, 1, 5] }}
k = ["a", "b"]

[tasks.prepare]
run = ["sh", "-c", "echo prepared > data.txt"]
outputs = {{ data = "data.txt" }}
resources = {{ memory = "100 MB", time = "1m" }}

[tasks.train]
needs = ["prepare"]
shell = "test -s {{prepare.data}} && exec python3 train.py {{x}} {{k}} {{outputs.model}} {fails}"
outputs = {{ model = "model.txt" }}
metrics = "metrics.json"
resources = {{ memory = "100 MB", time = "1m" }}

[tasks.after]
needs = ["train"]
shell = "cat {{train.model}} > copy.txt"
outputs = {{ copy = "copy.txt" }}
resources = {{ memory = "100 MB", time = "1m" }}

[tasks.summary]
gather = "train"
shell = "wc -l < {{train.records}} > count.txt"
outputs = {{ count = "count.txt" }}
resources = {{ memory = "100 MB", time = "1m" }}
"""
IMAGE = '\n[image]\ndebian = "bookworm"\npackages = ["python3"]\n'
STEPS = 1 + 10 + 10 + 1


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A plain user with a folder, whose name has a space and a comma; `run` gives a command to that user."""

    folder: Path
    prefix: tuple[str, ...]
    settings: dict[str, str]

    def run(self, *words, cwd=None, **more):
        settings = {**os.environ, **self.settings}
        return subprocess.run(
            [*self.prefix, *map(str, words)],
            cwd=cwd or self.folder,
            env=settings,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **more,
        )

    def give(self, path):
        """Make a tree that root wrote the plain user's."""
        if self.prefix:
            entry = pwd.getpwnam(PLAIN_USER)
            for place in [path, *path.rglob("*")]:
                os.chown(place, entry.pw_uid, entry.pw_gid, follow_symlinks=False)


@pytest.fixture(scope="session")
def image_cache():
    """Return a cache that all live tests share: the image is built once. SCIFLOW_TEST_CACHE keeps it between sessions."""
    kept = os.environ.get("SCIFLOW_TEST_CACHE")
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="sciflow-cache-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    yield folder
    if not kept:
        shutil.rmtree(folder)


@pytest.fixture
def cache(image_cache, monkeypatch):
    monkeypatch.setenv("SCIFLOW_CACHE", str(image_cache))
    return image_cache


@pytest.fixture
def plain(cache):
    folder = Path(tempfile.mkdtemp(prefix="sciflow live, "))
    prefix = ()
    if os.getuid() == 0:
        prefix = (shutil.which("runuser") or "/usr/sbin/runuser", "-u", PLAIN_USER, "--")
    user = Plain(
        folder=folder, prefix=prefix, settings={"SCIFLOW_CACHE": str(cache), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    )
    user.give(folder)
    yield user
    shutil.rmtree(folder)


@pytest.fixture
def cluster():
    """Give a cluster of the test's own: a new one each time, for what a crash has left in one can meet the next jobs."""
    if os.getuid():
        pytest.skip("only root starts a cluster of its own")
    with Cluster(more=MISHAPS, partition=PREEMPTING) as found:
        yield found


@pytest.fixture(scope="session")
def tables():
    """Give what returns the table of a sweep of so many points that nothing has disturbed."""
    return functools.cache(sweep.undisturbed)


def compiled(folder, *, image=IMAGE, fails="none"):
    """Write the study into a folder and compile it; return the bundle's path."""
    study = folder / "study"
    study.mkdir(exist_ok=True)
    (study / "train.py").write_text(SCRIPT)
    (study / "workflow.toml").write_text(WORKFLOW.format(image=image, fails=fails))
    pinned = Path(os.environ["SCIFLOW_CACHE"]) / "workflow.lock"
    if image and pinned.exists():  # the image is resolved and built once, for all tests
        shutil.copy(pinned, study)
    elif image:
        api.compile(study / "workflow.toml", into=folder / "my bundles")
        shutil.copy(study / "workflow.lock", pinned)
    return api.compile(study / "workflow.toml", into=folder / "my bundles").path


def settled(bundle, run="main"):
    """Return what `records.settle` finds in a run: {(task, step): the record that counts}, and all that it knows besides."""
    folder = str(bundle / "runs" / run)
    return records.settle(folder, records.read(folder))


def table(bundle, run="main"):
    """Return the text of a run's table: parameters, states and metrics, point by point."""
    return (api.collect(bundle, run).parent / "results.csv").read_text()
