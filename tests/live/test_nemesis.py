"""Seeded schedules of Slurm's mishaps, upon a sweep on a private cluster: the table comes out as if nothing had been.

SCIFLOW_CHAOS says how many seeds are tried (1), SCIFLOW_CHAOS_FIRST from which on (0), SCIFLOW_LONG how many points
the long run has (33; 333 make a thousand steps). Each does something every second or so while the sweep goes on, a
schedule at most for half a minute; then launches are all there is, until it is done. Upstream is purged all along: what
has ended is forgotten after two seconds. A checker reads the history of all attempts.
"""

import contextlib
import os
import random
import signal
import time
from collections import Counter

import pytest

from tests.live import sweep as made

pytestmark = [pytest.mark.live("slurm"), pytest.mark.slow]
SEEDS = int(os.environ.get("SCIFLOW_CHAOS", "1"))
FIRST = int(os.environ.get("SCIFLOW_CHAOS_FIRST", "0"))
LONG = int(os.environ.get("SCIFLOW_LONG", "33"))
POINTS = 13  # of three steps each, and one that gathers
NAP = "sleep 1;"
LONGEST_S = 25.0
SIGNALS = ("TERM", "INT", "USR1", "KILL")
DISK = "16m"
SPLIT_S = 40
NODES = ("n1", "n2")


class Nemesis:
    """Whatever goes wrong, by a seed. `did` is what it did, in order."""

    def __init__(self, sweep, seed):
        self.sweep, self.cluster, self.luck = sweep, sweep.cluster, random.Random(seed)
        self.did, self.down, self.since = [], {}, time.monotonic()

    def kinds(self):
        """Return what may happen now, the likely more than once: of the nodes one is down at a time."""
        kinds = 3 * [self.kill_runner] + 2 * [self.cancel_element, self.requeue] + [self.signal_all, self.launch]
        kinds += [*2 * [self.lose_daemon], self.lose_node] if self.down.keys().isdisjoint(NODES) else []
        kinds += [] if "disk" in self.down else [self.fill_disk]
        return [*kinds, self.hide_records, self.crash]

    def strike(self, wanted=()):
        """Let something happen: what is wanted, or else anything."""
        self.mend()
        kinds = self.kinds()
        for kind in [*wanted, *self.luck.sample(kinds, len(kinds))]:
            found = kind()
            if found is not False:  # else there was nothing that it could have happened to
                self.did.append((round(time.monotonic() - self.since, 1), kind.__name__, found))
                return

    def struck(self, kind):
        """Return what has happened of a kind."""
        return [one for one in self.did if one[1] == kind]

    def behind(self, share):
        """Return the kinds that a long run has had too little of, by its share of each that it is to have."""
        if share["splits"] < share["mishaps"] and self.down.keys().isdisjoint(NODES):
            return [self.split]
        return [self.crash] if share["crashes"] < share["mishaps"] else []

    def _for_a_while(self, what, longest, mend):
        """Note what is down, for how long, and how it is mended."""
        self.down[what] = time.monotonic() + self.luck.choice((2, longest)), mend
        return what

    def kill_runner(self):
        """Kill a worker as the kernel would for want of memory."""
        found = sorted(self.sweep.workers())
        return bool(found) and self._kill(self.luck.choice(found))

    @staticmethod
    def _kill(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        return pid

    def _elements(self):
        """Return the elements of the run's arrays that Slurm has, as scancel takes them."""
        told = [line.split() for line in self.sweep.queue("%i %j")]
        return sorted(element for element, name in told if "_" in element and name.startswith("sciflow-chains-"))

    def cancel_element(self):
        found = self._elements()
        return bool(found) and self._ask("scancel", self.luck.choice(found))

    def signal_all(self):
        """Cancel all elements, or give all processes of those that run a signal."""
        if self.luck.random() < 0.3:
            jobs = sorted({element.split("_")[0] for element in self._elements()})
            return bool(jobs) and self._ask("scancel", *jobs)
        found = [element for node in NODES for element in self._on(node)]  # scancel waits for long for others
        return bool(found) and self._ask("scancel", "--full", "--signal=" + self.luck.choice(SIGNALS), *found)

    def requeue(self):
        found = self._elements()
        return bool(found) and self._ask("scontrol", "requeue", self.luck.choice(found))

    def _ask(self, *words):
        return words, self.sweep.plain(*words, check=False).returncode

    def launch(self):
        """Launch once more, while it goes on; or say that it could not be."""
        with contextlib.suppress(AssertionError, ValueError):
            return self.sweep.launch()
        return None

    def lose_daemon(self):
        """Lose a node's daemon: what runs there goes on, and after ten seconds runs elsewhere, too."""
        node = self.luck.choice(NODES)
        self.cluster.kill(node)
        return self._for_a_while(node, 20, lambda: self.cluster.node(node))

    def split(self):
        """Lose a node's daemon, and have Slurm start again on the other node what goes on there; say what lives twice.

        For want of room on the other, what runs there is cancelled.
        """
        before, (node, other) = set(self.sweep.doubled()), self.luck.sample(NODES, 2)
        lost = self._on(node)
        if not lost:
            return False
        self.cluster.kill(node)
        end = time.monotonic() + SPLIT_S
        while time.monotonic() < end and before.issuperset(self.sweep.doubled()):
            self.cluster.resume()
            told = dict(line.split(None, 1) for line in self.sweep.queue("%i %r"))
            if any(told.get(element) in ("Resources", "Priority") for element in lost):
                self._ask("scancel", *self._on(other))
            time.sleep(0.5)
        self.cluster.node(node)
        return sorted(set(self.sweep.doubled()) - before)

    def _on(self, node):
        """Return the elements of the run's arrays that run on a node."""
        told = [line.split() for line in self.sweep.queue("%i %N %j")]
        return [one[0] for one in told if one[1:2] == [node] and one[2].startswith("sciflow-chains-")]

    def lose_node(self):
        node = self.luck.choice(NODES)
        self.cluster.lose(node)
        return self._for_a_while(node, 15, lambda: self.cluster.node(node))

    def fill_disk(self):
        """Leave no room on the disk that the bundle and its runs are on."""
        filler = self.sweep.folder / "filler"
        with filler.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
            while True:
                stream.write(bytes(65536))
        return self._for_a_while("disk", 5, filler.unlink)

    def hide_records(self):
        """Let others not see a worker's records for some time, as a file system of the network may."""
        found = [path for path in sorted(self.sweep.run.glob("segments/*.jsonl")) if path.name not in self.down]
        if not found:
            return False
        path, aside = self.luck.choice(found), self.sweep.folder / "late"
        aside.mkdir(exist_ok=True)
        path.rename(aside / path.name)
        return self._for_a_while(path.name, 6, lambda: (aside / path.name).rename(path))

    def crash(self):
        """Kill the controller; it comes back at once, or after some time."""
        self.cluster.kill("slurmctld")
        time.sleep(self.luck.choice((0, 2)))
        self.cluster.controller()

    def mend(self, *, whole=False):
        """Mend what has been down for its time, or all, as those who run a site do."""
        self.cluster.resume()
        for what, (until, mend) in list(self.down.items()):
            if whole or time.monotonic() > until:
                del self.down[what]
                mend()


def ended(nemesis, wanted):
    """Mend all, launch until all is done, and hold what came out against what must be; tell of it."""
    sweep = nemesis.sweep
    nemesis.mend(whole=True)
    sweep.launch()
    launches = sweep.finish()
    sweep.idle()
    sweep.whole(wanted)
    found = Counter(one["state"] for one in sweep.records())
    print(f"{len(nemesis.did)} mishaps, {launches} more launches, attempts {dict(found)}")


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_whatever_slurm_does_the_table_comes_out_the_same(cluster, seed, tables):
    with made.swept(cluster, points=POINTS, first=NAP, nap=NAP, disk=DISK) as sweep:
        nemesis = Nemesis(sweep, seed)
        sweep.launch()
        end = time.monotonic() + LONGEST_S
        while time.monotonic() < end and Counter(sweep.states().values())["done"] < sweep.steps:
            time.sleep(nemesis.luck.uniform(1, 3))
            nemesis.strike()
        print(nemesis.did)
        ended(nemesis, tables(POINTS))


def test_a_long_run_under_many_faults_split_brains_and_crashes_loses_and_doubles_nothing(cluster, tables):
    """F30. Gates are opened as mishaps come, so it cannot end before there were enough: of 333 points 100, 11 and 11."""
    enough = Counter(mishaps=-(-3 * LONG // 10), splits=-(-LONG // 33), crashes=-(-LONG // 33))
    with made.swept(cluster, points=LONG, held=True, disk="256m") as sweep:
        nemesis = Nemesis(sweep, FIRST)
        sweep.launch()
        sweep.held(1)
        while True:
            splits = {copies for _, _, found in nemesis.struck("split") for copies in found}
            had = Counter(mishaps=len(nemesis.did), splits=len(splits), crashes=len(nemesis.struck("crash")))
            if had >= enough:
                break
            share = {name: had[name] / count for name, count in enough.items()}
            for x in range(int(min(share.values()) * LONG)):
                sweep.open(x)
            nemesis.strike(nemesis.behind(share))
            print(dict(had), nemesis.did[-1:], flush=True)
            time.sleep(nemesis.luck.uniform(1, 3))
        sweep.open()
        print(dict(had))
        ended(nemesis, tables(LONG))
