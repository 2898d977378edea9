"""What a step keeps for its next attempt: a folder that survives it.

Each attempt has its own, `checkpoints/<task>/<step>/<attempt>`, and begins with what the last one left: so two copies
of a step that run at once, as after a lost node, do not write into one folder. It is the last one's very folder where
that attempt is known to have ended, else a copy.
"""

import os
import shutil

from . import names, step

PART = ".part-"  # how a copy is called until it is whole
TRIES = 10  # at a folder that others are at, too


def folder(run, task, number):
    """Return the folder in which the attempts at a step have theirs."""
    return os.path.join(run, names.CHECKPOINTS, task, "%06d" % number)


def begin(run, task, number, attempt, ended):
    """Make an attempt's folder from the last one's; `ended` are attempts that are known to have. Return its path."""
    mine = os.path.join(folder(run, task, number), attempt)
    for _ in range(TRIES - 1):
        try:
            return _begin(mine, ended)
        except (FileNotFoundError, shutil.Error):
            # Another copy of the step took what was looked at, cleared it, or works in what was being copied.
            step.clear(_part(mine))
    return _begin(mine, ended)


def _part(mine):
    return os.path.join(os.path.dirname(mine), PART + os.path.basename(mine))


def _begin(mine, ended):
    os.makedirs(os.path.dirname(mine), exist_ok=True)
    whole = [entry for entry in os.scandir(os.path.dirname(mine)) if not entry.name.startswith(PART)]
    others = sorted(whole, key=lambda entry: (entry.name in ended, entry.stat().st_mtime))
    if not others:
        os.mkdir(mine)
    elif others[-1].name in ended:
        os.rename(others[-1].path, mine)
    else:
        shutil.copytree(others[-1].path, _part(mine), symlinks=True)
        os.rename(_part(mine), mine)  # a copy that was not finished must not be what the next attempt begins with
    return mine


def marks(path):
    """Return what tells a checkpoint from a later one: its files, their sizes and times."""
    found = []
    for where, _, files in os.walk(path):
        for name in files:
            facts = os.lstat(os.path.join(where, name))
            found.append((os.path.join(where, name), facts.st_size, facts.st_mtime, facts.st_ino))
    return sorted(found)


def done(run, task, number):
    """Remove what a step that has succeeded kept."""
    step.clear(folder(run, task, number))


def clear_done(run, plan, standing):
    """Remove what steps kept that have succeeded, where their worker was killed before it could."""
    for task in plan["tasks"]:
        above = os.path.join(run, names.CHECKPOINTS, task["name"])
        for name in os.listdir(above) if task.get("checkpoint") and os.path.isdir(above) else ():
            if name.isdigit() and int(name) < task["steps"] and standing.state(task["name"], int(name)) == names.DONE:
                step.clear(os.path.join(above, name))
