"""Which tests stay together where several processes run them: those of a file, and all that share a part of the bed."""

import functools
import re
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

# Services of which there is one. Some files start a Slurm of their own, and say so by naming the class.
SHARED = {"docker", "nix", "podman", "registry", "slurm"}
OWN = re.compile(r"\bcluster\b", re.IGNORECASE)


@functools.cache
def together(path):
    """Return a name that the files have in common whose tests one process is to run."""
    text = Path(path).read_text()
    named = set(re.findall(r'"(\w+)"', text)) if "mark.live(" in text else set()
    return "bed" if named & SHARED - ({"slurm"} if OWN.search(text) else set()) else path


class Spread(LoadScopeScheduling):
    """Hands out files, and what shares a part of the bed as if it were one."""

    def _split_scope(self, nodeid):
        return together(nodeid.partition("::")[0])
