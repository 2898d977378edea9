"""Render one round for LSF: a script of `bsub` lines that wait for each other. Pure.

Written by IBM Spectrum LSF's manuals (bsub(1)); no LSF has run it. Rounds after it are rendered anew: a bundle's own
launcher plans them through Slurm only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sciflow.launchers.scheduler import Planned

INDEX = '"$((LSB_JOBINDEX - 1))"'  # LSF counts from 1
ANSWER = "submitted() { sed -n 's/^Job <\\([0-9][0-9]*\\)>.*/\\1/p'; }\n"


def render(planned: Planned) -> str:
    """Return the script. Its own words go to each `bsub`: the queue, the project."""
    text = planned.head("LSF", "bsub", "bkill", "-q QUEUE -P PROJECT") + ANSWER
    for place, array in enumerate(planned.arrays):
        options = " ".join(_options(planned, array))
        text += f'a{place}=$(bsub "$@" {options} {planned.script(place, INDEX)})\n'
        text += f'a{place}=$(echo "$a{place}" | submitted)\ntest -n "$a{place}"\njobs="$jobs $a{place}"\n'
    return text + "trap - EXIT\n" + "".join(f'echo "$a{place}"\n' for place in range(len(planned.arrays)))


def _options(planned: Planned, array: Mapping[str, Any]) -> list[str]:
    needs = array["needs"]
    most = f"%{planned.most}" if planned.most else ""
    found = [f'-J "{planned.job(array)}[1-{array["elements"]}]{most}"', "-o /dev/null -r"]
    found.append(f'-n {needs["cpus"]} -R "span[hosts=1] rusage[mem={needs["memory_mib"]}MB]" -W {needs["minutes"]}')
    if needs["gpus"]:
        found.append(f'-gpu "num={needs["gpus"]}"')
    if planned.begins is not None:  # it is read in the zone of the machine that submits
        found.append(f'-b "$(date -d @{planned.begins} +%Y:%m:%d:%H:%M)"')
    if array["after"]:
        found.append('-w "' + " && ".join(f"ended($a{other})" for other in array["after"]) + '"')
    return found
