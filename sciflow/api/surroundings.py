"""The doctor: what of a machine works for sciflow, each part by trying it, and what to ask for where it does not."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciflow.containers.box import Probe

SLURM = ("sbatch", "squeue", "scontrol", "sinfo")
CRON_DAEMONS = ("cron", "crond", "systemd-cron", "fcron", "anacron")


def doctor() -> list[dict[str, Any]]:
    """Try every engine, what engines and builds need, and the schedulers.

    Returns [{"part", "kind": "engine" | "need" | "scheduler", "works", "version", "advice", "ask"}]; `ask` is one line
    for whoever looks after the machine, or empty.
    """
    from sciflow import containers
    from sciflow.containers import needs

    parts = [
        *(("engine", name, probe) for name, probe in containers.probes()),
        *(("need", name, probe) for name, probe in needs.needs()),
        ("scheduler", "slurm", slurm()),
        ("scheduler", "cron", cron()),
    ]
    return [{"part": name, "kind": kind, **dataclasses.asdict(probe)} for kind, name, probe in parts]


def slurm() -> Probe:
    """Look for Slurm's commands, and have the controller answer."""
    from sciflow.containers.box import Probe, answer

    lacking = [name for name in SLURM if shutil.which(name) is None]
    if lacking:
        return Probe(
            works=False,
            advice=f"`{'`, `'.join(lacking)}` not on PATH; only a cluster's login node has them",
            ask="please install Slurm's client commands (package `slurm-client`)" if len(lacking) < len(SLURM) else "",
        )
    known, version = answer(["sinfo", "--version"])
    version = version.rpartition(" ")[2] if known else ""
    works, said = answer(["sinfo", "--noheader", "--format=%R"])
    if not works:
        return Probe(
            works=False,
            version=version,
            advice=f"the controller does not answer: {(said.splitlines() or ['it said nothing'])[-1]}",
            ask="please start `slurmctld`, or give this machine the cluster's slurm.conf and munge key",
        )
    partitions = ", ".join(sorted(set(said.split())))
    return Probe(works=bool(partitions), version=version, advice=f"partitions: {partitions or 'none'}")


def cron() -> Probe:
    """Ask whether this user may have a crontab, and whether a daemon reads it."""
    from sciflow.containers.box import Probe, answer

    works, said = answer(["crontab", "-l"])
    if not works and "no crontab for" not in said:
        return Probe(works=False, advice=said, ask="please install cron and allow this user in `/etc/cron.allow`")
    if not _runs(CRON_DAEMONS):
        return Probe(works=False, advice="no cron daemon runs on this machine", ask="please start cron")
    return Probe(works=True)


def _runs(programs: tuple[str, ...]) -> bool:
    """Say whether a process of one of these names runs (proc(5), comm)."""
    for place in Path("/proc").glob("[0-9]*/comm"):
        try:
            if place.read_text(encoding="utf-8", errors="replace").strip() in programs:
                return True
        except OSError:
            continue  # it ended meanwhile
    return False
