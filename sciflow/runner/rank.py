"""One rank of a step, on its node: enter a box of its own, and become the step's command in it.

Arguments: a file that `crew` has written, and the attempt it is to be of. What Slurm and the library of the program say
of this rank (who it is, where the others are) stands in this process's environment, and is what gets in of it.
"""

import json
import os
import re
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # under -I it is not there
import lane  # noqa: E402

del sys.path[0]

OWN = re.compile("^(SLURMD?|PMI[X2]?)_")  # what tells a rank of itself; PMI: how MPI libraries ask for it
# Ranks in boxes of their own may share memory, and may not look into each other's. MPI libraries find that out only by
# failing, so they are told: UCX (of MPICH, of Open MPI), Open MPI 4, and PMIx, which looks for files of the host's.
APART = {
    "UCX_POSIX_USE_PROC_LINK": "n",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    "PMIX_MCA_gds": "hash",
}
SEEN_S = 60  # by when a shared file system shows on one node what was written on another
LOOK_S = 0.1
# In a box it is the shell that takes on the settings: it is what every image has.
INSIDE = (
    'umask 022; cd "$1" && : > "$2" || exit 127; shift 2; '
    'while [ "$1" != -- ]; do export "$1"; shift; done; shift; exec "$@"'
)


def told(path, attempt):
    """Return what stands in the file for this attempt: the last one's may be seen for a while. Raises OSError."""
    until = time.monotonic() + SEEN_S
    while True:
        try:
            with open(path, encoding="utf-8") as stream:
                found = json.load(stream)
            if found["attempt"] == attempt:
                return found
        except (OSError, ValueError):
            pass
        if time.monotonic() > until:
            raise OSError(2, "it is not seen on this node", path)
        time.sleep(LOOK_S)


def start(found, environ):
    """Return (words, environment, folder, mark) of what this process is to become; a box has the mark left inside."""
    begun = "%s/%s" % (found["begun"], environ["SLURM_PROCID"])
    own = {name: value for name, value in environ.items() if OWN.match(name)}
    mine = dict(own, **found["settings"])
    if not found["enter"]:
        return found["words"], dict(mine, PATH=mine.get("PATH", found["path"])), found["folder"], begun
    pairs = ["%s=%s" % pair for pair in sorted(dict(APART, **mine).items())]
    inside = ["/bin/sh", "-c", INSIDE, "rank", found["folder"], begun] + pairs + ["--"] + found["words"]
    return found["enter"] + inside, dict(environ), "/", os.devnull


def main(path, attempt):
    """Become the command. Returns only where that cannot be: the exit code."""
    try:
        words, environment, folder, mark = start(told(path, attempt), os.environ)
        os.chdir(folder)
        open(mark, "w").close()
    except OSError as error:
        sys.stderr.write("sciflow: %s: %s\n" % (error.filename, error.strerror))
        return 127
    os.umask(0o022)
    for number in lane.RESET:  # Python ignores SIGPIPE, and a step must not inherit that
        signal.signal(number, signal.SIG_DFL)
    return lane.execute(words, environment)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
