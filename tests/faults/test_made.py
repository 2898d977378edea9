"""F2: killed at any call of the system, compile, seal and verify leave a whole bundle or none, and work the next time.

SCIFLOW_FAULT_POINTS says at how many points each is tried.
"""

import collections
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sciflow import api
from tests import small
from tests.faults import scene as made

pytestmark = pytest.mark.live("strace")
MANY = made.POINTS or 5
VERBS = ("compile", "seal", "verify")


@dataclass(frozen=True, slots=True)
class Bench:
    """A study's folder and, beside it, the keys of who compiles it."""

    root: Path

    @property
    def study(self):
        return self.root / "study"

    def clear(self):
        for path in (self.study, self.root / "config"):
            shutil.rmtree(path, ignore_errors=True)
        small.write(self.study)

    def bundles(self):
        return sorted(self.study.glob("bundles/small-*"))

    def words(self, verb):
        if verb == "verify":
            return ["verify", *self.bundles(), "-q"]
        return ["compile", "workflow.toml", "-q", *(["--key", "bob"] if verb == "seal" else [])]

    def sciflow(self, verb, *through):
        settings = {"XDG_CONFIG_HOME": str(self.root / "config"), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [*through, sys.executable, "-m", "sciflow", *self.words(verb)],
            cwd=self.study,
            env={**settings, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=made.RUN_S,
        )

    def ready(self, verb):
        """Do what comes before a verb."""
        self.clear()
        if verb != "compile":
            assert self.sciflow("compile").returncode == 0
        if verb == "seal":
            assert subprocess.run(
                [sys.executable, "-m", "sciflow", "key", "new", "bob"],
                env={"XDG_CONFIG_HOME": str(self.root / "config"), "PYTHONPATH": str(Path(__file__).parents[2])},
                check=True,
                capture_output=True,
            )

    def left(self):
        """Return what stands: the bytes of what does not depend on a key, and the names of all; keys are random."""
        found = {}
        for path, (what, mode) in small.contents(self.root).items():
            if path.startswith("config/sciflow/keys/."):
                continue  # part of a key, which nobody but its owner can read, has no owner to be found by
            keyed = path.startswith("config") or "/seals/" in path
            found[re.sub("[0-9a-f]{16,}", "…", path)] = None if keyed else what, mode
        return found


@pytest.fixture(scope="module")
def benches(tmp_path_factory):
    return [Bench(tmp_path_factory.mktemp("bench")) for _ in range(made.AT_ONCE)]


def points(bench, verb, log):
    """Return {name of a call: [(name, which), …]}: those from the verb's own work on, its reading of what it is given."""
    bench.ready(verb)
    bench.sciflow(verb)  # else Python's writing of what it has compiled would be counted, and never be met again
    bench.ready(verb)
    done = bench.sciflow(verb, "strace", "-qq", "-o", str(log))
    assert done.returncode == 0, done.stderr
    counts, found = collections.Counter(), {}
    begun, mark = False, "manifest.json" if verb == "verify" else "workflow.toml"
    for line in log.read_text(errors="replace").splitlines()[1:]:
        begun = begun or mark in line
        match = re.match(r"(\w+)\(", line)
        if match:
            counts[match.group(1)] += 1
            if begun:
                found.setdefault(match.group(1), []).append((match.group(1), counts[match.group(1)]))
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_killed_leaves_a_whole_bundle_or_none_and_the_next_ends_as_undisturbed(benches, verb, tmp_path):
    """F2."""
    chosen = made.spread(points(benches[0], verb, tmp_path / "log"), MANY)
    wanted, hit = benches[0].left(), []

    def act(bench, point):
        bench.ready(verb)
        name, which = point
        log = bench.root / "kill.log"
        inject = ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={which}"]
        done = bench.sciflow(verb, "strace", "-qq", "-o", str(log), *inject)
        hit.append(done.returncode == -signal.SIGKILL)
        log.unlink()
        found = [f"not whole: {path}" for path in bench.bundles() if api.verify(path).code == 4]
        if verb != "compile" and len(bench.bundles()) != 1:
            found.append("the bundle is gone")
        again = bench.sciflow(verb)
        if again.returncode:
            found.append(f"the next ends with {again.returncode}: {again.stderr}")
        left = bench.left()
        return found + [
            f"{path} is not as it should be" for path in {*left, *wanted} if left.get(path) != wanted.get(path)
        ]

    found = made.each(benches, chosen, act)
    print(f"{verb}: {len(chosen)} tried, {sum(hit)} killed")
    assert found == []
    assert sum(hit) > len(hit) / 2  # no two runs are alike to the last call


@pytest.mark.parametrize("verb", ["compile", "seal"])
def test_where_there_are_no_hard_links_keys_and_bundles_are_made_all_the_same(benches, verb):
    """F28: a key gets its name by an exclusive open instead, and nobody is told of a difference that makes none."""
    benches[0].ready(verb)
    done = benches[0].sciflow(verb, "strace", "-f", "-qq", "-o", "/dev/null", "-e", "inject=link,linkat:error=EPERM")
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_mode & 0o777 for path in benches[0].root.glob("config/sciflow/keys/*")} == {0o600}
    assert benches[0].sciflow("verify").returncode == 0
