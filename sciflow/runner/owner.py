"""Whose a folder below `work/` is: a worker claims one, gives it up, and clears those of workers that were killed.

A folder is held by the `owner.json` in it, which comes first and goes last, each by one call, and on the disk too.
One without it belongs to nobody, or to a worker that is just about to claim it: that one finds its folder gone, and
makes it anew.
"""

import json
import os

from . import facts, names, records, step

OWNER = "owner.json"
PART = ".owner.json"


def claim(folder):
    """Make a worker's folder, and say in it whose it is."""
    while True:
        part = os.path.join(folder, PART)
        try:
            os.makedirs(folder, exist_ok=True)
            with names.about(part), open(part, "w", encoding="utf-8") as stream:
                json.dump(facts.owner(), stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.rename(part, os.path.join(folder, OWNER))
            records.sync_folder(folder)
        except FileNotFoundError:
            continue  # a worker that clears up has taken it away, or what it was to stand in
        except FileExistsError:
            if os.path.lexists(folder) and not os.path.isdir(folder):
                raise
            continue  # likewise, just when makedirs had found it there, and looked what it is
        return


def give_up(folder):
    """Remove a worker's folder, and the one it stands in if it is the last. One that cannot be removed stays."""
    remove(folder)
    _remove_empty(os.path.dirname(folder))


def remove(folder):
    """Remove a folder that was claimed: its owner is the last that goes. Raises OSError."""
    for name in os.listdir(folder):
        if name != OWNER:
            step.clear(os.path.join(folder, name))
    records.sync_folder(folder)
    if os.listdir(folder) == [OWNER]:  # else whoever comes next is to try again
        step.clear(os.path.join(folder, OWNER))
    _remove_empty(folder)


def below(above):
    """Return the names in a folder of workers' folders, which goes with the last of them: none where it is gone."""
    try:
        return os.listdir(above)
    except FileNotFoundError:
        return []


def clear_left(run):
    """Remove the folders of workers of this machine that were killed; what they published is elsewhere."""
    above = os.path.join(run, names.WORK)
    clear_below(above)
    _remove_empty(above)


def clear_below(above, prefix=""):
    """Remove the folders below one, with names that begin so, whose owners on this machine were killed."""
    for name in below(above):
        if not name.startswith(prefix):
            continue
        folder = os.path.join(above, name)
        try:
            with open(os.path.join(folder, OWNER), encoding="utf-8") as stream:
                left = facts.gone(json.load(stream))
        except FileNotFoundError:
            step.clear(os.path.join(folder, PART))
            _remove_empty(folder)
            continue
        except (OSError, ValueError):
            continue  # another user's
        if left:
            try:
                remove(folder)
            except FileNotFoundError:
                pass  # another worker clears up, too


def _remove_empty(folder):
    try:
        os.rmdir(folder)
    except OSError:
        pass  # it is not there, or others are still at work in it
