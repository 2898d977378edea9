"""Render one round for PBS Pro: a script of `qsub` lines that wait for each other. Pure.

Written by PBS Professional's manuals (qsub(1B)); no PBS has run it. Rounds after it are rendered anew: a bundle's own
launcher plans them through Slurm only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sciflow.launchers.scheduler import Planned

INDEX = '"${PBS_ARRAY_INDEX:-0}"'  # unset in a job that is no array


def render(planned: Planned) -> str:
    """Return the script. Its own words go to each `qsub`: the queue, the account."""
    # A job that has ended is forgotten, and one that waits for it refused: so the first are held until all are in.
    text = planned.head("PBS Pro", "qsub", "qdel", "-q QUEUE -A ACCOUNT")
    for place, array in enumerate(planned.arrays):
        text += f'a{place}=$(qsub "$@" {" ".join(_options(planned, array))} {planned.script(place, INDEX)})\n'
        text += f'jobs="$jobs $a{place}"\n'
    text += "trap - EXIT\n"
    text += "".join(f'qrls "$a{place}"\n' for place, array in enumerate(planned.arrays) if not array["after"])
    return text + "".join(f'echo "$a{place}"\n' for place in range(len(planned.arrays)))


def _options(planned: Planned, array: Mapping[str, Any]) -> list[str]:
    needs = array["needs"]
    hours, minutes = divmod(needs["minutes"], 60)
    gpus = f":ngpus={needs['gpus']}" if needs["gpus"] else ""
    found = [f"-N {planned.job(array)}", "-j oe -o /dev/null -r y"]
    found.append(f"-l select=1:ncpus={needs['cpus']}:mem={needs['memory_mib']}mb{gpus}")
    found.append(f"-l walltime={hours:02d}:{minutes:02d}:00")
    if array["elements"] > 1:  # an array of one is refused
        found.append(f"-J 0-{array['elements'] - 1}" + (f"%{planned.most}" if planned.most else ""))
    if planned.begins is not None:  # it is read in the zone of the machine that submits
        found.append(f'-a "$(date -d @{planned.begins} +%Y%m%d%H%M.%S)"')
    if array["after"]:
        return [*found, '-W "depend=afterany:' + ":".join(f"$a{other}" for other in array["after"]) + '"']
    return [*found, "-h"]
