"""A step that is several ranks: the words by which `srun` starts them on their nodes, and their end.

`srun` is what a lane on the host runs in the place of the command; each rank then enters a box of its own (`rank`). Its
word is not enough to end them: told to terminate it kills at once, and if it is killed itself its ranks live on. So
signals go to them by Slurm, which knows a step by the name that `srun` gave it: the attempt's.
"""

import os
import re
import signal
import sys
import time

from . import box, grants, names, slurm

HOST = {"engine": "host", "isolation": "none", "enter": ["env", "-i", "PATH={path}"], "paths": None}
TOLD = "rank.json"  # beside a place: what each rank of the attempt in it is told
GONE_S = 60  # how long ranks that were killed may take to end
LOOK_S = 0.5
SLURMS = re.compile("^SLURMD?_")
FIRST = re.compile(r"^srun: error: (\S+): tasks? (\S+?): (.*)$", re.MULTILINE)
REFUSED = re.compile(r"^srun: error: ((?:\S+: )?tasks? \S+ launch failed: .*)$", re.MULTILINE)
SEEN_S = 5  # by when a shared file system shows what other nodes wrote
BYTES = 1 << 16  # of what srun said, to look for it
MEMORY = "Out Of Memory"  # as srun has it


def spread(tasks):
    """Return those tasks whose steps are several ranks."""
    return [task for task in tasks if grants.spread(task["resources"])]


def refusal(tasks, environ=None):
    """Say why steps of some tasks that are several ranks cannot be started here, or nothing.

    `environ` is what Slurm told a job that was submitted for one of them; None: this is no such job.
    """
    for task in spread(tasks):
        needs, there = task["resources"], {}
        what = "a step of `%s` is %d ranks on %d nodes" % (task["name"], needs["ranks"], needs["nodes"])
        if environ is None:
            return what + ", which Slurm alone starts: submit it there (`sciflow submit`, or `sbatch launch.sh`)"
        for key, name in (("nodes", "SLURM_JOB_NUM_NODES"), ("ranks", "SLURM_NTASKS")):
            there[key] = int(environ[name]) if environ.get(name, "").isdigit() else 1
        if there["nodes"] < needs["nodes"] or there["ranks"] < needs["ranks"]:
            return "%s, and this job was given %d on %d: it cannot run in it" % (what, there["ranks"], there["nodes"])
    return ""


def boxes(found, tasks, wanted=None):
    """Return those boxes that can start the steps of some tasks. Raises BoxError where the wanted one cannot."""
    several = spread(tasks)
    if not several:
        return found
    for one in found:
        if one["engine"] == wanted and "enter_rank" not in one:
            raise box.BoxError(
                "a step of `%s` is several ranks, and those cannot be started in `%s`; wanted: one of %s"
                % (several[0]["name"], wanted, ", ".join(other["engine"] for other in found if "enter_rank" in other))
            )
    return [one for one in found if "enter_rank" in one]


def isolated(found):
    """Return what the boxes of ranks isolate, where this is what that of a worker does.

    They have an element alone, so that nothing else of its worker's is in any other box.
    """
    host = os.uname().nodename
    more = {"loop": "python", "orphans": "ended", "memory": "not watched"}  # of the lane in which srun runs
    return dict(found, network="host", tmp="shared", hostname=host, **more)


def words(needs, attempt, rank, told):
    """Return the words that start the ranks of an attempt; `rank` is the program of each, `told` the file it reads."""
    found = ["srun"] + slurm.ranked(needs) + ["--job-name=" + attempt, "--input=none", "--kill-on-bad-exit=1"]
    found += ["--mpi=" + needs["mpi"]] if needs["mpi"] else []
    return found + [sys.executable, "-I", "-S", "-B", rank, told, attempt]


def settings(environ, path):
    """Return what srun's own environment is: where programs are found, and what Slurm told of the job."""
    return dict({name: value for name, value in environ.items() if SLURMS.match(name)}, PATH=path)


def send(attempt, number):
    """Signal all ranks of an attempt, on all their nodes. Raises SlurmError."""
    for one in slurm.steps(os.environ["SLURM_JOB_ID"], attempt):
        slurm.signal_step(one, number)


def end(attempt):
    """End what is left of an attempt, on all its nodes. Raises BoxError where that cannot be had."""
    job, until = os.environ["SLURM_JOB_ID"], time.monotonic() + GONE_S
    try:
        while True:
            left = slurm.steps(job, attempt)
            if not left:
                return
            for one in left:
                slurm.signal_step(one, signal.SIGKILL)
            if time.monotonic() > until:
                raise box.BoxError("the ranks of an attempt (step %s of Slurm's) do not end" % ", ".join(left))
            time.sleep(LOOK_S)
    except slurm.SlurmError as error:
        raise box.BoxError("whether the ranks of an attempt have ended is not to be had: %s" % error)


def first(log):
    """Return (rank, node, what) of the first rank that srun told of as not ended well, or None.

    Its exit code is of no use: the others are ended then, and the greatest of all codes is what it ends with.
    """
    found = FIRST.search(_said(log))
    if not found:
        return None
    node, which, what = found.groups()
    return int(re.match("[0-9]*", which).group(0) or 0), node, what


def _said(log):
    """Return the beginning and the end of what was said: srun's own words stand among those of its ranks."""
    with open(log, "rb") as stream:
        head = stream.read(BYTES)
        stream.seek(max(len(head), os.path.getsize(log) - BYTES))
        return (head + b"\n" + stream.read()).decode("utf-8", "replace")


def reason(log):
    """Return (state, reason) of a step whose ranks did not all end well; (None, "") where srun did not say why."""
    found = first(log)
    if found is None:
        return None, ""
    return names.MEMORY if MEMORY in found[2] else names.FAILED, "rank %d on %s: %s" % found


def unstarted(folder, count, end, log):
    """Say why a step is to be taken as not started, or nothing. `folder` is where each of `count` ranks left its mark.

    That is not for srun's exit code to say: it is 0 where it could start no rank at all (seen with Slurm 22.05).
    """
    refused = REFUSED.search(_said(log))
    if refused:
        return refused.group(1)
    if not end.code and not end.signal:
        return "" if _all(folder, count) else "its ranks have not all begun, and nothing was said"
    found = first(log)
    if found is None or os.path.exists(os.path.join(folder, str(found[0]))):
        return ""
    return "its box was not entered by rank %d on %s: %s" % found


def _all(folder, count):
    """Say whether all ranks have left their mark. Each is looked for by its name: a list of them may be an old one."""
    until = time.monotonic() + SEEN_S
    for number in range(count):
        while not os.path.exists(os.path.join(folder, str(number))):
            if time.monotonic() > until:
                return False
            time.sleep(LOOK_S)
    return True
