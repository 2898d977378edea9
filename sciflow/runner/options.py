"""The options of sbatch that a run's jobs are given: the workflow's defaults, what this job has, the launch's word."""

import os
import re
import shlex

from . import slurm

OVERRIDES = "SCIFLOW_SBATCH"
MOST = "SCIFLOW_MAX_JOBS"
OWN = ("max_jobs", "max_running")  # what of a workflow's [slurm] is no option of sbatch
RESERVED = (
    "array",
    "begin",
    "comment",
    "cpus-per-task",
    "dependency",
    "error",
    "gres",
    "help",
    "input",
    "job-name",
    "kill-on-invalid-dep",
    "mem",
    "mem-per-cpu",
    "mem-per-gpu",
    "no-requeue",
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "open-mode",
    "output",
    "parsable",
    "quiet",
    "requeue",
    "signal",
    "test-only",
    "time",
    "usage",
    "version",
    "wait",
    "wrap",
)


def overrides(last=None):
    """Return the options of sbatch that this launch was given, or else those of the round before. Raises SlurmError.

    They stand in SCIFLOW_SBATCH, quoted as in a shell: `--constraint=skylake --mail-type=END`.
    """
    text = os.environ.get(OVERRIDES)
    if text is None:
        return list(last["overrides"]) if last else []
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise slurm.SlurmError("%s: %s: `%s`" % (OVERRIDES, error, text))
    for word in found:
        fault = refusal(word)
        if fault:
            raise slurm.SlurmError("%s: %s" % (OVERRIDES, fault))
    return found


def refusal(word):
    """Say why a launch may not be given an option of sbatch, or nothing."""
    match = re.match(r"^--([a-z][a-z0-9-]*)(=.*)?$", word, re.DOTALL)
    if not match:
        return "`%s` is not of the form --option or --option=value" % word
    # sbatch takes the beginning of an option's name for the whole.
    meant = [name for name in RESERVED if name.startswith(match.group(1))]
    if meant:
        return "--%s is what each round decides itself" % (match.group(1) if match.group(1) in meant else meant[0])
    return ""


def defaults(plan):
    """Return the options of sbatch that a workflow gives its jobs, as {name: value}."""
    return {name: value for name, value in plan["slurm"].items() if name not in OWN}


def common(plan, more=()):
    """Return the options every job of a round gets: the workflow's defaults, overruled by what this job was given."""
    chosen = defaults(plan)
    for option, variable in (
        ("partition", "SLURM_JOB_PARTITION"),
        ("account", "SLURM_JOB_ACCOUNT"),
        ("qos", "SLURM_JOB_QOS"),
        ("reservation", "SLURM_JOB_RESERVATION"),
    ):
        if os.environ.get(variable):
            chosen[option] = os.environ[variable]
    given = dict((word[2:].partition("=")[0].replace("-", "_"), word) for word in more)
    kept = ["--%s=%s" % (name.replace("_", "-"), value) for name, value in sorted(chosen.items()) if name not in given]
    return kept + list(more)


def chosen(options, name):
    """Return the value that a list of options gives one, or None."""
    found = [word.partition("=")[2] for word in options if word.startswith("--%s=" % name)]
    return found[-1] if found else None


def most_jobs(plan):
    """Return how many jobs of a run may be in the queue at once by the launch's or the workflow's own word, or None."""
    text = os.environ.get(MOST)
    if text and not re.match("^[0-9]{1,9}$", text):
        raise slurm.SlurmError("%s: a whole number is wanted, not `%s`" % (MOST, text))
    return int(text or plan["slurm"].get("max_jobs") or 0) or None
