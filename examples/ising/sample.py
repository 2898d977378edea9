"""Sample the two-dimensional Ising model at one temperature with Wolff's clusters; stop at a checkpoint when asked."""

import signal

asked = []
signal.signal(signal.SIGUSR1, lambda *_: asked.append(True))  # before all else: until here the signal would kill

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from operator import mul  # noqa: E402
from random import Random  # noqa: E402

LATER = 75  # the exit code that says: stopped at a checkpoint, start me again (sysexits.h, EX_TEMPFAIL)
WARM = 5  # a fifth of the sweeps comes first, and is not measured
BINS = 20  # the measured ones are cut into so many; a bin is far longer than energies remember each other


class Lattice:
    """`size` x `size` spins, its edges joined, with the generator that moves them: all that a checkpoint holds."""

    def __init__(self, size, temperature, seed):
        places = range(size * size)
        self.right = [place - place % size + (place + 1) % size for place in places]
        self.below = [(place + size) % len(places) for place in places]
        above, left = [(place - size) % len(places) for place in places], [0] * len(places)
        for place, right in enumerate(self.right):
            left[right] = place
        self.around = list(zip(self.right, self.below, left, above))  # noqa: B905  Python 3.6 is to run it, too
        self.joined = 1 - math.exp(-2 / temperature)  # Wolff, Phys. Rev. Lett. 62, 361 (1989)
        self.generator = Random(seed)  # noqa: S311
        self.spins = [self.generator.choice((-1, 1)) for _ in places]

    def flip(self):
        """Grow one cluster from a place drawn at random and turn it over; return its size."""
        spins, around, joined, draw = self.spins, self.around, self.joined, self.generator.random
        first = int(draw() * len(spins))
        sign, edge, count = spins[first], [first], 1
        spins[first] = -sign
        while edge:
            for place in around[edge.pop()]:
                if spins[place] == sign and draw() < joined:
                    spins[place] = -sign
                    edge.append(place)
                    count += 1
        return count

    def energy(self):
        """Return the energy of all, in units of the coupling: a whole number."""
        at = self.spins.__getitem__
        return -sum(map(mul, self.spins, map(at, self.right))) - sum(map(mul, self.spins, map(at, self.below)))


class Sampling:
    """How far the sampling is: the lattice, and what was measured."""

    def __init__(self, lattice, sweeps):
        self.lattice, self.sweeps, self.warm = lattice, sweeps, sweeps // WARM
        self.swept, self.clusters, self.turned, self.flips = 0, 0, 0, 1
        self.energies, self.magnets = [], []

    def sweep(self):
        """Turn about as many spins as there are; measure once it is warm.

        How many clusters that takes is settled while it warms up. To stop at the first cluster that makes it enough
        would favour what large clusters leave.
        """
        spins = self.lattice.spins
        for _ in range(self.flips):
            self.turned += self.lattice.flip()
        self.clusters += self.flips
        self.swept += 1
        if self.swept <= self.warm:
            self.flips = max(1, round(len(spins) * self.clusters / self.turned))
        else:
            self.energies.append(self.lattice.energy())
            self.magnets.append(abs(sum(spins)))

    def save(self, path):
        """Write all down that goes on from here, whole or not at all."""
        state = {name: value for name, value in vars(self).items() if name != "lattice"}
        state["spins"], state["generator"] = self.lattice.spins, self.lattice.generator.getstate()
        with open(path + ".part", "w", encoding="utf-8") as stream:
            json.dump(state, stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(path + ".part", path)

    def load(self, path):
        """Go on from what was written down."""
        with open(path, encoding="utf-8") as stream:
            state = json.load(stream)
        self.lattice.spins = state.pop("spins")
        version, numbers, following = state.pop("generator")
        self.lattice.generator.setstate((version, tuple(numbers), following))
        vars(self).update(state)


def mean(values):
    """Return the mean of numbers."""
    return math.fsum(values) / len(values)


def error(values):
    """Return the standard error of the mean of what follows each other and is not independent: by the bins' means."""
    length = len(values) // BINS
    bins = [mean(values[place * length : (place + 1) * length]) for place in range(BINS)]
    middle = mean(bins)
    return math.sqrt(math.fsum((one - middle) ** 2 for one in bins) / (BINS - 1) / BINS)


def main():
    """Write the energy of each measured sweep, one a line, and metrics.json: energies are a site's."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("series", help="the file to write")
    words.add_argument("--temperature", type=float, required=True, help="in units of the coupling")
    words.add_argument("--size", type=int, required=True)
    words.add_argument("--sweeps", type=int, required=True)
    words.add_argument("--seed", type=int, required=True)
    chosen = words.parse_args()

    state = os.path.join(os.environ.get("SCIFLOW_CHECKPOINT", "."), "state.json")
    sampling = Sampling(Lattice(chosen.size, chosen.temperature, chosen.seed), chosen.sweeps)
    if os.path.exists(state):
        sampling.load(state)
        print("going on from sweep", sampling.swept)
    while sampling.swept < chosen.sweeps:
        sampling.sweep()  # one in any case, so that each attempt gets further
        if asked:
            break
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # Python gives up its handlers before it ends, and one may still come
    if sampling.swept < chosen.sweeps:
        sampling.save(state)
        sys.exit(LATER)

    sites = chosen.size**2
    with open(chosen.series, "w", encoding="utf-8") as stream:
        stream.writelines("%d\n" % energy for energy in sampling.energies)
    metrics = {
        "energy": mean(sampling.energies) / sites,
        "energy_error": error(sampling.energies) / sites,
        "magnetisation": mean(sampling.magnets) / sites,
        "cluster": sampling.turned / sampling.clusters,
    }
    with open("metrics.json", "w", encoding="utf-8") as stream:
        json.dump(metrics, stream)


if __name__ == "__main__":
    main()
