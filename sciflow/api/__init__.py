"""The verbs of sciflow, for programs and for the command line: nouns in, nouns out, nothing printed.

What takes long is told to `say`, a function of one line of text. Doors to heavy packages open when a verb needs them.
Every deliberate failure is an error of `sciflow.errors`.
"""

from sciflow.api.caching import UNUSED_DAYS, cache_gc, cache_ls
from sciflow.api.cancelling import Cancelled, cancel
from sciflow.api.carrying import Carried, Say, carry, fetch, silent, wrap
from sciflow.api.cron import EVERY_MIN, Line, cron_install, cron_remove
from sciflow.api.explaining import why
from sciflow.api.following import at_work, follow, has_record, logs, printed, so_far, status
from sciflow.api.judging import Replayed, collect, replay, report, sample, verify
from sciflow.api.locking import Locked, lock, lock_check
from sciflow.api.making import Compiled, compile, compile_all, init, schema  # noqa: A004  the verb's name
from sciflow.api.measuring import Checked, Listing, check, check_all, points, save_points
from sciflow.api.rendering import ARRAY_LIMIT, Rendered, render
from sciflow.api.running import run
from sciflow.api.submitting import Foreseen, foresee, submit
from sciflow.api.surroundings import doctor

__all__ = [
    "ARRAY_LIMIT",
    "EVERY_MIN",
    "UNUSED_DAYS",
    "Cancelled",
    "Carried",
    "Checked",
    "Compiled",
    "Foreseen",
    "Line",
    "Listing",
    "Locked",
    "Rendered",
    "Replayed",
    "Say",
    "at_work",
    "cache_gc",
    "cache_ls",
    "cancel",
    "carry",
    "check",
    "check_all",
    "collect",
    "compile",
    "compile_all",
    "cron_install",
    "cron_remove",
    "doctor",
    "fetch",
    "follow",
    "foresee",
    "has_record",
    "init",
    "lock",
    "lock_check",
    "logs",
    "points",
    "printed",
    "render",
    "replay",
    "report",
    "run",
    "sample",
    "save_points",
    "schema",
    "silent",
    "so_far",
    "status",
    "submit",
    "verify",
    "why",
    "wrap",
]
