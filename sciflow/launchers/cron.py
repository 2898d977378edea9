"""Render the line by which cron, or Slurm's scrontab, calls a bundle's launcher every few minutes. Pure.

Every few minutes, not at the opening: so a machine that was off, a run that was killed and a night of 9 or 11 hours
need no word of their own. A call that has nothing to do ends at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sciflow.errors import UsageError
from sciflow.runner import names, rounds, step

if TYPE_CHECKING:
    from collections.abc import Mapping

CRON, SCRON = "crontab", "scrontab"
EVERY = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)
"""Minutes between two calls: what divides an hour, since a cron's step begins anew with each."""
LONGEST = 990  # bytes: Debian's cron takes no command of 1,000 (`command too long`)
LOG = "cron.log"


def line(
    *,
    bundle: str,
    run: str,
    mark: str,
    engine: str,
    every: int,
    settings: Mapping[str, str],
    table: str = CRON,
) -> str:
    """Return the line, with its end, that runs what remains of a run; its output goes to the run's log of cron.

    `settings` are variables of the environment, which cron's own has not. Raises UsageError for what no line can say.
    """
    if every not in EVERY:
        raise UsageError(f"cron cannot call every {every} minutes alike", hint=f"one of {', '.join(map(str, EVERY))}")
    _refuse(bundle, "the bundle's path", "move the bundle to a plainer path", table)
    _refuse(run, "the run's name", "name the run by a plain word", table)
    for name, value in settings.items():
        _refuse(value, f"`{name}`", f"set `{name}` to something plainer for this command", table)
    words = ["env", *(f"{name}={value}" for name, value in sorted(settings.items())), f"./{names.LAUNCHER}"]
    words += ["--quiet", f"--cron={table}", f"--run={run}", f"--engine={engine}"]
    # A bundle that was moved away must not fill the user's mail: then there is nothing to call.
    logs = f"{names.RUNS}/{run}/{names.LOGS}"
    command = f"cd {_quoted(bundle)} 2>/dev/null && mkdir -p {_quoted(logs)} && "
    command += f"exec {' '.join(map(_quoted, words))} >>{_quoted(f'{logs}/{LOG}')} 2>&1 # {mark}"
    if table == CRON:
        command = command.replace("%", "\\%")  # crontab(5): else it ends the command
    if len(command.encode("utf-8")) > LONGEST:
        size = len(settings.get("PATH", ""))
        hint = f"cron takes {LONGEST} bytes: move the bundle to a shorter path, or shorten PATH (it has {size})"
        raise UsageError("the line for cron would be too long", hint=hint)
    # scrontab(1) does not take a step of one.
    return f"{'*' if every == 1 else f'*/{every}'} * * * * {command}\n"


def entry(plan: Mapping[str, Any], text: str, mark: str) -> str:
    """Return what stands in scrontab: the line, and before it what its job asks for. Any step fits it."""
    wants = [task["resources"] for task in plan["tasks"]]
    options = [
        f"--job-name=sciflow-{plan['name']}",
        f"--comment={mark}",
        "--ntasks=1",
        f"--cpus-per-task={max(want['cpus'] for want in wants)}",
        f"--mem={max(want['memory_mib'] for want in wants) + rounds.ROUND_MIB}M",
        "--output=/dev/null",
    ]
    gpus = max(want["gpus"] for want in wants)
    options += [f"--gres=gpu:{gpus}"] if gpus else []
    options += [f"--{name.replace('_', '-')}={value}" for name, value in sorted(plan["slurm"].items())]
    return "".join(f"#SCRON {option}\n" for option in options) + text


def _refuse(text: str, what: str, hint: str, table: str) -> None:
    """Raise UsageError for a text that a line cannot say: crons differ in what a backslash means there."""
    bad = {"\\": "a backslash"} | ({"%": "`%`"} if table == SCRON else {})
    found = next((name for sign, name in bad.items() if sign in text), "")
    if not found and any(char < " " or char == "\x7f" for char in text):
        found = "a control character"
    if not found and any("\ud800" <= char <= "\udfff" for char in text):  # as Python reads such bytes of a path
        found = "bytes that are no UTF-8"
    if found:
        raise UsageError(f"{what} holds {found}, and a line of {table} cannot", hint=hint)


PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=-+,@%")


def _quoted(word: str) -> str:
    return word if word and set(word) <= PLAIN else str(step.quoted(word))
