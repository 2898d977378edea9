"""The steps of a recipe -> the shell scripts that take them, inside the image that is built. Pure.

A script needs what any image with a shell has: `cp`, `mkdir`, `rm`. Each step has a script of its own, so that a
variable or a folder of one is never another's, and the one that fails is known.
"""

from __future__ import annotations

import posixpath
import shlex
from typing import TYPE_CHECKING

from sciflow.containers.archive import SEARCH_PATH
from sciflow.containers.instructions import Copy, Item, Make, Run, Step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = ".sciflow-build"
STARTED, ENDED = "sciflow-step", "sciflow-ended"

# What a command sees unless the recipe says otherwise. Times of a build would be in what it writes, if it did not know
# better: SOURCE_DATE_EPOCH asks tools to write none, and Python then compiles to files that are checked by hash
# (PEP 552); what it compiles by the way when it imports would still hold them, so it is asked not to.
GIVEN = {
    "HOME": "/root",
    "LANG": "C",
    "PATH": SEARCH_PATH,
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "0",
    "TZ": "UTC",
}
# What Apptainer says about itself and this machine to whatever it starts.
UNSAID = (
    *(f"{tool}_{name}" for tool in ("APPTAINER", "SINGULARITY") for name in ("BIND", "CONTAINER", "ENVIRONMENT")),
    *(f"{tool}_{name}" for tool in ("APPTAINER", "SINGULARITY") for name in ("APPNAME", "COMMAND", "LABELS", "NAME")),
    *("PROMPT_COMMAND", "PS1"),
)

# Apptainer's too; but where it has no range of ids for the user, `fakeroot` is found by it.
LIBRARIES = 'test -n "$FAKEROOTKEY" || unset LD_LIBRARY_PATH'

PUT = """\
put() {
    if [ -d "$2" ]; then set -- "$1" "${2%/}/${1##*/}"; fi
    rm -f "$2"
    cp -p "$1" "$2"
}
"""


def runner(count: int) -> str:
    """Write the script that takes `count` steps, tells which, and empties what this machine lends for the time."""
    return (
        "umask 022\n"
        "empty() { rm -rf /tmp/* /tmp/.[!.]* /tmp/..?* /var/tmp/* /var/tmp/.[!.]* /var/tmp/..?*; }\n"
        f"for step in {' '.join(map(str, range(count)))}; do\n"
        f'    echo "{STARTED} $step"\n'
        f'    /bin/sh "/{FOLDER}/$step.sh" </dev/null || {{ code=$?; echo "{ENDED} $step $code"; empty; exit 1; }}\n'
        "done\n"
        "empty\n"
    )


def script(step: Step, number: int, items: Sequence[Item], proxies: Mapping[str, str]) -> str:
    """Write the script of a step; `proxies` are the variables by which this machine reaches the network."""
    if isinstance(step, Run):
        return _run(step, number, proxies)
    if isinstance(step, Make):
        return f"exec mkdir -p {shlex.quote(step.path)}\n"
    return _copy(step, number, items)


def _run(step: Run, number: int, proxies: Mapping[str, str]) -> str:
    given = {**GIVEN, **proxies, **dict(step.environment)}
    folder = shlex.quote(step.folder)
    words = [*step.words, *([f"/{FOLDER}/{number}.text"] if step.text else [])]
    return (
        f"unset {' '.join(sorted(UNSAID))}\n"
        f"{LIBRARIES}\n"
        + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(given.items()))
        + f"mkdir -p {folder} && cd {folder} || exit\n"
        f"exec {shlex.join(words)}\n"
    )


def _copy(step: Copy, number: int, items: Sequence[Item]) -> str:
    """Write how files come to their place: they replace files, and go into folders that are there."""
    target = shlex.quote(step.target)
    lines = ["set -e", PUT, f"mkdir -p {target if step.target.endswith('/') else shlex.quote(_above(step.target))}"]
    for index, item in enumerate(items):
        staged = f"/{FOLDER}/{number}/{index}"
        if not item.is_folder:
            lines.append(f"put {shlex.quote(f'{staged}/{item.files[0][1]}')} {target}")
            continue
        lines.append(f"into={target}")
        if not step.contents:
            lines.append(f'if [ -d "$into" ]; then into="${{into%/}}"/{shlex.quote(item.name)}; fi')
        folders = {posixpath.dirname(below) for _, below in item.files}
        lines += [f'mkdir -p "$into"/{shlex.quote(folder)}' for folder in sorted({"", *folders})]
        lines += [
            f'put {shlex.quote(f"{staged}/{below}")} "$into"/{shlex.quote(below)}' for _, below in sorted(item.files)
        ]
    return "\n".join(lines) + "\n"


def _above(path: str) -> str:
    return posixpath.dirname(path) or "/"
