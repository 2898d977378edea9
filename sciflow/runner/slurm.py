"""The door to Slurm: ask it, read what the site allows, see what it still has of ours, hand jobs in.

What it says is never a proof that a step has run; that is in the records. It is asked what it would take, and told.
"""

import os
import pwd
import re
import subprocess
import time

TRIES = 5  # while the controller is busy or away
PAUSE_S = 2
LOOK_S = 10  # for what a site may not have: its accounting
DEFAULT_ARRAY = 1001  # Slurm's own default of MaxArraySize: indices 0 to 1000
DEFAULT_JOBS = 10000  # and of MaxJobCount
AWAY = "(?i)unable to contact|timed out|temporarily|connection refused"  # what is said while the controller is
MARK = "sciflow:"
SUBMIT_LIMITS = ("MaxSubmit", "GrpSubmit"), ("MaxSubmitPU", "MaxSubmitPA", "GrpSubmit")  # an association's; a QOS's


class SlurmError(Exception):
    """Slurm cannot be asked or does not accept; the text says what it said."""


class FullError(SlurmError):
    """Slurm takes no more jobs of this user for now."""


def ask(words, stdin="", tries=1, wait_s=None, more=()):
    """Run a command with a clean Slurm environment, in UTC; return its output. Raises SlurmError, FullError.

    `more` are variables that its environment has beside.
    """
    # SLURM_* and SBATCH_* of the job that submits would become options of the jobs it submits. sbatch reads --begin in
    # its own time zone (sbatch(1)), so that zone is set.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not re.match("^(SLURM|SBATCH|SQUEUE|SCONTROL|SINFO)_", name)
    }
    kept.update(more, TZ="UTC")
    for left in range(tries, 0, -1):
        try:
            found = subprocess.run(
                words,
                input=stdin.encode("utf-8", "surrogateescape"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=kept,
                check=False,
                timeout=wait_s,
            )
        except OSError as error:
            raise SlurmError("`%s`: %s" % (words[0], error.strerror))
        except subprocess.TimeoutExpired:
            raise SlurmError("`%s` has not answered in %d s" % (words[0], wait_s))
        if not found.returncode:
            return found.stdout.decode("utf-8", "replace")
        said = found.stderr.decode("utf-8", "replace").strip()
        if left > 1 and re.search(AWAY + "|try again", said):
            time.sleep(PAUSE_S)
            continue
        break
    # sbatch(1) gives every refusal the same code; only the words tell one from another.
    full = re.search("(?i)accounting/QOS policy|submit limit|SubmitJob.*Limit|temporarily unable to accept", said)
    raise (FullError if full else SlurmError)("`%s` said: %s" % (words[0], said))


def _pairs(text):
    """Read one line of `scontrol --oneliner show`."""
    return dict(word.partition("=")[::2] for word in text.split() if "=" in word)


def minutes(text):
    """Read a time limit of Slurm's (sbatch(1), --time) as whole minutes; None where there is none."""
    match = re.match(r"^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$", text)
    if not match:
        return None  # UNLIMITED, NONE
    days, first, second, third = [int(part or 0) for part in match.groups()]
    if match.group(1) is not None:
        return (days * 24 + first) * 60 + second
    if match.group(4) is not None:
        return first * 60 + second
    return first  # minutes, or minutes:seconds


def site(partition=None, qos=None, most=None):
    """Return what bounds a round here, as far as Slurm tells.

    {"array": elements an array, "jobs": in the whole queue, "user": of one user or None, "all", "mine": how many there
    are now, "partition", "minutes": the longest job or None, "whole": jobs get whole nodes, "nodes", "widest": how many
    one job may have, "cpus" of a node, "largest": as below}. `most` is the user's own bound of jobs at once.
    """
    config = _config(ask(["scontrol", "show", "config"], tries=TRIES))
    found = {
        "array": int(config.get("MaxArraySize") or DEFAULT_ARRAY),
        "jobs": int(config.get("MaxJobCount") or DEFAULT_JOBS),
        "all": len(ask(["squeue", "--noheader", "--array", "--format=%i"], tries=TRIES).splitlines()),
        "mine": len(ask(["squeue", "--noheader", "--array", "--me", "--format=%i"], tries=TRIES).splitlines()),
    }
    limits = [most] if most else []
    limits += submit_limits(qos) if config.get("AccountingStorageType", "").endswith("slurmdbd") else []
    found["user"] = min(limits) if limits else None
    found.update(_partitions(ask(["scontrol", "--oneliner", "show", "partition"], tries=TRIES), partition))
    return dict(found, largest=largest(found["partition"]))


def largest(partition):
    """Return {"cpus", "memory_mib"} of the largest node of some partitions: the most of each; {} if Slurm says nothing.

    sbatch takes some requests that no node can ever meet, and lets them wait for ever.
    """
    try:
        text = ask(["sinfo", "--noheader", "--exact", "--partition=" + partition, "--format=%c|%m"], wait_s=LOOK_S)
    except SlurmError:
        return {}  # it only refuses sooner what would wait for ever
    told = [line.split("|") for line in text.splitlines()]
    sizes = [(int(cpus), int(memory)) for cpus, memory in told if cpus.isdigit() and memory.isdigit()]
    return {"cpus": max(one for one, _ in sizes), "memory_mib": max(one for _, one in sizes)} if sizes else {}


def _config(text):
    lines = [line.partition("=") for line in text.splitlines()]
    return {name.strip(): value.strip() for name, _, value in lines}


def _partitions(text, wanted):
    """Return what holds in the partitions that a job may go to: of several the least."""
    chosen, there = set((wanted or "").split(",")), [_pairs(line) for line in text.splitlines() if line.strip()]
    told = [one for one in there if (one.get("PartitionName") in chosen if wanted else one.get("Default") == "YES")]
    limits = [minutes(one.get("MaxTime", "")) for one in told]
    counts = [(int(one.get("TotalNodes") or 0), int(one.get("TotalCPUs") or 0)) for one in told]
    return {
        "partition": ",".join(one["PartitionName"] for one in told),
        "minutes": min([limit for limit in limits if limit] or [0]) or None,
        "whole": any(one.get("OverSubscribe") == "EXCLUSIVE" for one in told),
        "nodes": min([nodes for nodes, _ in counts] or [0]),
        "widest": max([_widest(one) for one in told] or [0]),
        "cpus": min([cpus // nodes for nodes, cpus in counts if nodes] or [0]),
    }


def _widest(told):
    """Return how many nodes one job may have of a partition, of which Slurm told this."""
    there, most = int(told.get("TotalNodes") or 0), told.get("MaxNodes", "")  # or UNLIMITED
    return min(there, int(most)) if most.isdigit() else there


def idle(partition=None):
    """Return how many nodes, of a partition or of all, have nothing to do."""
    words = ["--partition=" + partition] if partition else []
    told = ask(["sinfo", "--noheader", "--states=idle", "--format=%D"] + words, tries=TRIES)
    return sum(int(count) for count in told.split() if count.isdigit())


def submit_limits(qos=None):
    """Return each bound of how many jobs this user may have submitted at once that Slurm's accounting tells of."""
    try:
        user = "user=" + pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = "user=%d" % os.getuid()
    found = []
    for words, fields in (
        (["assoc", "where", user], SUBMIT_LIMITS[0]),
        (["qos"] + ([qos] if qos else []), SUBMIT_LIMITS[1]),
    ):
        try:
            text = ask(["sacctmgr", "-nP", "show"] + words + ["format=" + ",".join(fields)], wait_s=LOOK_S)
        except SlurmError:
            continue  # it only bounds what is asked for; a refusal is heeded too
        found += [int(value) for line in text.splitlines() for value in line.split("|") if value.isdigit()]
    return [value for value in found if value]


def queue():
    """Return what Slurm has of this user's jobs: {mark: [(job id, state, reason), …]}, an entry an array's element.

    A mark is a job's comment: an id alone is not enough, since Slurm gives them again.
    """
    found = {}
    text = ask(["squeue", "--noheader", "--array", "--me", "--format=%F|%T|%r|%k"], tries=TRIES)
    for line in text.split("\n"):
        told = re.match(r"^(\d+)\|(.*?)\|(.*?)\|(.*)$", line)
        if told:  # a comment that is not ours may have lines of its own
            found.setdefault(told.group(4), []).append((int(told.group(1)), told.group(2), told.group(3)))
    return found


def steps(job, name):
    """Return the ids of a job's steps of this name (srun --job-name) that have not ended on all their nodes."""
    words = ["squeue", "--noheader", "--steps", "--jobs=%s" % job, "--format=%i|%j"]
    told = [line.partition("|") for line in ask(words, tries=TRIES, wait_s=LOOK_S).splitlines()]
    return [one for one, _, called in told if called.strip() == name]


def signal_step(one, number):
    """Signal all processes of a step, on all its nodes. Raises SlurmError."""
    ask(["scancel", "--signal=%d" % number, one], tries=TRIES, wait_s=LOOK_S)


def log(path):
    """Return sbatch's option for where a job's output goes, so that it is just that file.

    In a name with a backslash Slurm takes each for an escape and no `%` for a placeholder (sbatch(1)).
    """
    return "--output=" + (path.replace("\\", "\\\\") if "\\" in path else path.replace("%", "%%"))


def ranked(needs):
    """Return the options of sbatch and srun for a step of several ranks: as even on its nodes as they come out."""
    return [
        "--nodes=%d" % needs["nodes"],
        "--ntasks=%d" % needs["ranks"],
        "--ntasks-per-node=%d" % -(-needs["ranks"] // needs["nodes"]),
        "--cpus-per-task=%d" % needs["cpus"],
    ]


def shape(needs, limits):
    """Return sbatch's options for what an element needs, as `packing.plan_round` says."""
    if "ranks" in needs:  # memory by the core, since the ranks of a step may not come out even on its nodes
        options, own = ranked(needs), ["--mem-per-cpu=%dM" % -(-needs["memory_mib"] // needs["cpus"])]
    else:
        options, own = ["--ntasks=1"], ["--cpus-per-task=%d" % needs["cpus"], "--mem=%dM" % needs["memory_mib"]]
    # A whole node is charged for whole: the worker fills it.
    options += ["--exclusive", "--mem=0"] if limits.get("whole") else own
    if needs["gpus"]:
        options.append("--gres=gpu:%d" % needs["gpus"])
    # B: only the batch shell, which the worker has taken the place of; without it only srun's steps are told.
    return options + ["--time=%d" % needs["minutes"], "--signal=B:USR1@%d" % needs["lead_s"]]
