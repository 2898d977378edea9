"""Render `launch.sh`: the same file starts a sweep here (`./launch.sh`) and on Slurm (`sbatch launch.sh`). Pure."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from sciflow.runner import names, rounds
from sciflow.runner.options import defaults

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SAFE = re.compile(r"[A-Za-z0-9._@:,+=/\[\]&|*()-]+")
"""What an `#SBATCH` option may hold; the workflow's schema refuses the rest: this is the second lock on that door."""

BODY = """\
# sciflow: start what remains of this bundle. Here: ./launch.sh [--engine E] [-j N] [--run NAME] [--now]
# On Slurm: sbatch launch.sh   (harmless at any time: only what is missing is submitted)
set -eu
here=$(dirname -- "$0")
if [ ! -f "$here/manifest.json" ]; then
    # sbatch runs a spooled copy of this file, so $0 does not say where the bundle is; Slurm knows what was typed.
    typed=${SCIFLOW_BUNDLE:+$SCIFLOW_BUNDLE/launch.sh}
    if [ -z "$typed" ]; then
        typed=$(scontrol show job -o "$SLURM_JOB_ID" | head -n 1 | sed -n 's/.* Command=\\(.*\\) WorkDir=.*/\\1/p')
    fi
    # Words after the file's name stand in the same field.
    while [ -n "$typed" ] && [ ! -f "$typed" ] && [ "$typed" != "${typed% *}" ]; do typed=${typed% *}; done
    here=$(dirname -- "$typed")
    if [ ! -f "$here/manifest.json" ]; then
        echo "sciflow: Slurm does not say where this bundle is; tell it:" >&2
        echo "  sbatch --export=ALL,SCIFLOW_BUNDLE=/path/of/bundle launch.sh" >&2
        exit 3
    fi
    set -- round "$@"
else
    set -- run "$@"
fi
here=$(cd -- "$here" && pwd -P)
if [ -z "${SCIFLOW_PYTHON:-}" ]; then
    # Some systems keep theirs for themselves, off PATH.
    for SCIFLOW_PYTHON in python3 /usr/bin/python3 /usr/libexec/platform-python; do
        if command -v "$SCIFLOW_PYTHON" >/dev/null 2>&1; then break; fi
    done
fi
fit() {
    "$1" -I -S -B -c 'import sys; sys.exit(sys.version_info < (3, 6))' >/dev/null 2>&1
}
@BORROW@if ! fit "$SCIFLOW_PYTHON"; then
    echo "sciflow: there is no python3 (3.6 or newer) here: load a module that brings one, or name one:" >&2
    echo "  SCIFLOW_PYTHON=/path/of/python3 ./launch.sh" >&2
    exit 3
fi
export SCIFLOW_PYTHON
# exec: a shell with a child in the foreground would not pass signals on. -I -B: the user's Python does not join in.
exec "$SCIFLOW_PYTHON" -I -B "$here/runner/__main__.py" "$@"
"""


REASONS = {
    "Priority": "its turn: others of higher priority come first",
    "Resources": "a node that has enough free",
    "Dependency": "jobs that come before it",
    "DependencyNeverSatisfied": "a job that ended otherwise than it needs: it will never start",
    "BeginTime": "the time at which it may begin",
    "JobArrayTaskLimit": "others of its array: only so many run at once",
    "JobHeldUser": "you: it is held (`scontrol release` lets it go)",
    "JobHeldAdmin": "the administrators, who hold it",
    "PartitionDown": "its partition, which is down",
    "PartitionInactive": "its partition, which is closed",
    "PartitionNodeLimit": "nothing: its partition has not as many nodes; it will never start",
    "PartitionTimeLimit": "nothing: its partition allows no job as long; it will never start",
    "PartitionConfig": "nothing: its partition has no such node; it will never start",
    "BadConstraints": "nothing: no node is as it asks; it will never start",
    "launch failed requeued held": "nothing: a node refused it, after a crash of Slurm's; launching again mends it",
    "NodeDown": "a node that is down",
    "ReqNodeNotAvail": "nodes that are away, or kept for maintenance",
    "Reservation": "its reservation to begin",
    "Licenses": "a licence that is free",
    "QOSNotAllowed": "nothing: its quality of service is not allowed in its partition",
    "AccountNotAllowed": "nothing: its account is not allowed in its partition",
    "None": "the scheduler, which has not looked at it yet",
}
"""What squeue(1) gives as a reason, as what a job waits for."""

BOUNDS = re.compile("^(QOS|Assoc)(Grp|Max)")


def said(reason: str) -> str:
    """Say in plain words what a waiting job waits for."""
    name = reason.partition(",")[0].strip("() ")
    known = REASONS.get(name) or ("a bound of your account on how much runs at once" if BOUNDS.match(name) else "")
    return f"{known} ({reason})" if known else reason


BORROW = """\
cache=${SCIFLOW_CACHE:-${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/sciflow}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
borrowed=$cache/python/@HEX@
# enter WORD...: run a program in the image, shut in as steps are, with one folder of this host's.
enter() {
    none=$made/none
    work=$made/work
@ENTER@
    return 1
}
# borrow: copy the image's own python3 out of it, for a host that has none. What is said says why that cannot be.
borrow() {
    case $cache in *[,\\"]*) echo "the cache's path has a comma or a quote in it"; return 1 ;; esac
    image=$here/carried/sha256/@HEX@
    [ -f "$image" ] || image=$cache/sha256/@HEX@
    [ -f "$image" ] || { echo "the image is neither carried by the bundle nor in the cache"; return 1; }
    command -v sha256sum >/dev/null || { echo "there is no sha256sum to check the image with"; return 1; }
    # What is run is what was sealed; the runner, once there is a Python for it, looks at all the rest.
    case $(sha256sum <"$image") in @HEX@*) ;; *) echo "the image is not what its name says"; return 1 ;; esac
    mkdir -p "$cache/python" && made=$(mktemp -d "$cache/python/.making-XXXXXX") || return 1
    trap 'rm -rf "$made"' EXIT
    trap 'exit 75' HUP INT TERM
    mkdir "$made/none" "$made/work" && cp "$here/runner/borrow.py" "$made/work" || return 1
    enter python3 -I -B /sciflow/work/borrow.py /sciflow/work/python </dev/null 2>&1 || return 1
    fit "$made/work/python/bin/python3" || { echo "the image's python3 does not run on this host"; return 1; }
    printf '%s\\n' "sha256:@HEX@" >"$made/work/python/image"
    # Another may have been quicker.
    mv -T "$made/work/python" "$borrowed" 2>/dev/null || fit "$borrowed/bin/python3"
}
if ! fit "$SCIFLOW_PYTHON"; then
    if fit "$borrowed/bin/python3" || why=$(borrow); then
        SCIFLOW_PYTHON=$borrowed/bin/python3
        touch -c "$borrowed/image" 2>/dev/null || : # its last use, for `sciflow cache gc`
    else
        printf 'sciflow: the python3 of the image cannot be borrowed: %s\\n' "$why" >&2
    fi
fi
"""
"""For a host without python3, and an image that is a file: what copies the image's own (`runner/borrow.py`)."""
FILLED = {"path": "$PATH", "work": "$work", "image": "$image", "uid": "$(id -u)", "gid": "$(id -g)"}
"""What an engine's words are filled with there, by the shell; every other folder is an empty one."""


def _shell(word: str | list[str]) -> str:
    """Write one of an engine's words for a shell. Of several fields, none has in it what CSV would have to quote."""
    text = ",".join(word) if isinstance(word, list) else word
    parts = re.split(r"\{([a-z_]+)\}", text)
    quoted = [
        f'"{FILLED.get(part, "$none")}"' if number % 2 else shlex.quote(part) if part else ""
        for number, part in enumerate(parts)
    ]
    return "".join(quoted)


def _borrow(boxes: Sequence[Mapping[str, Any]]) -> str:
    """Write the functions that borrow the Python of an image, by any engine whose image is one file; else nothing."""
    found = [box for box in boxes if "file" in (box["image"] or {})]
    if not found:
        return ""
    lines = []
    for box in found:
        there = "".join(f"command -v {shlex.quote(program)} >/dev/null && " for program in box["needs"])
        for words in filter(None, (box["enter"], box["enter_shared_network"])):
            told = " ".join(_shell(word) for word in words if word != "{gpus}")
            lines.append(f'    {there}{told} "$@" && return 0')
    digest = found[0]["image"]["file"].split(":")[1]
    return BORROW.replace("@HEX@", digest).replace("@ENTER@", "\n".join(lines))


def render(plan: Mapping[str, Any]) -> dict[str, str]:
    """Return the launcher's files, by path in the bundle.

    The job that `sbatch launch.sh` starts only plans a round, so it asks for little. The workflow's `[slurm]` values
    are its defaults; sbatch lets the command line overrule them, and each round passes on what its own job was given.
    """
    options = [
        f"--job-name=sciflow-{plan['name']}",
        "--ntasks=1",
        "--cpus-per-task=1",
        f"--mem={rounds.ROUND_MIB}M",
        f"--time={rounds.ROUND_MINUTES}",
        "--open-mode=append",
    ]
    options += [f"--{name.replace('_', '-')}={value}" for name, value in sorted(defaults(plan).items())]
    unsafe = [option for option in options if not SAFE.fullmatch(option)]
    if unsafe:
        raise ValueError(f"not fit for a batch script: {unsafe}")
    head = "".join(f"#SBATCH {option}\n" for option in options)
    return {names.LAUNCHER: f"#!/bin/sh\n{head}{BODY.replace('@BORROW@', _borrow(plan['boxes']))}"}
