"""What a worker has to give: cores, memory and named GPUs, handed out to steps and taken back."""


def spread(needs):
    """Say whether a step that needs this is several ranks, which `srun` starts."""
    return "ranks" in needs


class Grants(object):
    """A capacity (`cpus`, `memory_mib`, `gpus`: a list of names, or how many) and what of it is free."""

    def __init__(self, capacity):
        gpus = capacity["gpus"]
        self._names = [str(number) for number in range(gpus)] if isinstance(gpus, int) else list(gpus)
        self._whole = {"cpus": capacity["cpus"], "memory_mib": capacity["memory_mib"], "gpus": len(self._names)}
        self._gpus = list(range(len(self._names)))  # the places of those that are free, ascending
        self.free = dict(self._whole)

    def fits(self, needs):
        """Say whether as much is free."""
        return all(needs[what] <= self.free[what] for what in self.free)

    def take(self, needs):
        """Return a grant, or None where less is free: {"cpus", "memory_mib", "gpus": [names, the first there are]}.

        The names are those that `CUDA_VISIBLE_DEVICES` has: a step that is given them by it sees these and no others.
        """
        if not self.fits(needs):
            return None
        for what in self.free:
            self.free[what] -= needs[what]
        given, self._gpus = self._gpus[: needs["gpus"]], self._gpus[needs["gpus"] :]
        return {
            "cpus": needs["cpus"],
            "memory_mib": needs["memory_mib"],
            "gpus": [self._names[place] for place in given],
        }

    def give_back(self, grant):
        """Make what was granted free again. Raises ValueError where it is not out."""
        back = dict(grant, gpus=len(grant["gpus"]))
        places = [self._names.index(name) for name in grant["gpus"]]
        if set(places) & set(self._gpus) or any(
            self.free[what] + back[what] > self._whole[what] for what in self._whole
        ):
            raise ValueError("%s is given back, and was not out" % grant)
        for what in self._whole:
            self.free[what] += back[what]
        self._gpus = sorted(self._gpus + places)
