"""When a run was first launched: from then on its `max_wait` counts, however often it is started again."""

import json
import os

from . import names


def first(run):
    """Return the UTC second at which a run was first launched, or None where that was not noted."""
    try:
        with open(os.path.join(run, names.LAUNCHED), encoding="utf-8") as stream:
            return int(json.load(stream)["time"])
    except FileNotFoundError:
        return None


def note(run, now):
    """Note that a run is launched, unless it was before; return when it was first."""
    found = first(run)
    if found is not None:
        return found
    os.makedirs(run, exist_ok=True)
    part = os.path.join(run, ".%s.%s" % (names.LAUNCHED, names.token()))
    with names.about(part), open(part, "w", encoding="utf-8") as stream:
        json.dump({"time": int(now)}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(part, os.path.join(run, names.LAUNCHED))  # it fails where another was first
    except FileExistsError:
        pass
    finally:
        os.unlink(part)
    return first(run)
