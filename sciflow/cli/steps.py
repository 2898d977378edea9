"""The commands that look at single steps: logs, why."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003  part of what click reads
from typing import TYPE_CHECKING, Any

import click

from sciflow import api
from sciflow.cli.group import FOLDER, command, run_option
from sciflow.cli.show import answer, clock, plain, safe
from sciflow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.bundle.workers import Attempt, Worker

FIRST = 12  # digits of a digest that are enough for people


@command()
@click.argument("bundle", type=FOLDER)
@click.argument("step", required=False)
@run_option
@click.option("--stream", type=click.Choice(["stdout", "stderr"]), help="Only this one (default: both).")
@click.option("--all-attempts", is_flag=True, help="Each attempt, not only the one that counts.")
@click.option("--follow", is_flag=True, help="Of a step at work: go on until it ends.")
@click.option("--raw", is_flag=True, help="What was printed, byte by byte and nothing else, into a file or a pipe.")
def logs(
    bundle: Path,
    step: str | None,
    run_name: str,
    *,
    stream: str | None,
    all_attempts: bool,
    follow: bool,
    raw: bool,
    as_json: bool,
    quiet: bool,  # noqa: ARG001
) -> None:
    """Show what a step printed, and how it ended; without a step, every one that did not succeed.

    Example: sciflow logs bundles/digits-0123456789ab train/12 --follow
    """
    streams = (stream,) if stream else ("stdout", "stderr")
    if (follow or raw) and step is None:
        raise click.UsageError("--follow and --raw are of one step: name it, like train/12.")
    if (follow and (as_json or all_attempts)) or (raw and as_json):
        raise click.UsageError("--follow goes with neither --json nor --all-attempts, and --raw not with --json.")
    if raw and sys.stdout.isatty():
        raise click.UsageError("--raw gives what a terminal could act on: send it into a file or a pipe.")
    if follow and step is not None:
        _followed(bundle, step, run_name, streams, raw=raw)
        return
    at_work = [] if step is None else api.at_work(bundle, step, run_name)
    # Of a step at work the attempts before are shown only where each is wanted.
    wanted = not at_work or (all_attempts and api.has_record(bundle, str(step), run_name))
    found = api.logs(bundle, step, run_name, all_attempts=all_attempts) if wanted else []
    if raw:
        for record in found:
            for name in streams:
                _out(api.printed(bundle, record, name, run_name))
        for worker, attempt in at_work:
            for name in streams:
                _out(api.so_far(worker, attempt, name) or b"")
        return
    lines = []
    for record in found:
        whole = step is not None  # of many steps the ends must do
        texts = [
            api.printed(bundle, record, name, run_name) if whole else record[name].encode("utf-8") for name in streams
        ]
        lines += _shown(record, texts)
    running = [_running(worker, attempt, streams) for worker, attempt in at_work]
    lines += [line for told in running for line in _at_work(told, streams)]
    told = (
        f"{len(found) + len(running)} steps shown"
        if step is None or not all_attempts
        else f"{len(found)} attempts shown"
    )
    answer({"records": found, "running": running}, told, as_json=as_json, lines=lines)


def _shown(record: Mapping[str, Any], texts: Sequence[bytes]) -> list[str]:
    why = f" ({record['reason']})" if record["reason"] else ""
    head = (
        f"== {record['task']}/{record['step']}: {record['state']}{why}, {record['wall_s']:.2f} s, "
        f"worker {record['worker']}"
    )
    return [head, *(line for text in texts for line in _lines(text))]


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _running(worker: Worker, attempt: Attempt, streams: Sequence[str]) -> dict[str, Any]:
    printed = {name: api.so_far(worker, attempt, name) for name in streams}
    return {
        "task": attempt.task,
        "step": attempt.step,
        "attempt": attempt.attempt,
        "worker": worker.name,
        "host": worker.host,
        "start": attempt.start,
        **{name: None if data is None else data.decode("utf-8", "replace") for name, data in printed.items()},
    }


def _at_work(told: Mapping[str, Any], streams: Sequence[str]) -> list[str]:
    since = f"running since {clock(told['start'])} on {told['host']}, worker {told['worker']}"
    lines = [line for name in streams for line in (told[name] or "").splitlines()]
    if all(told[name] is None for name in streams):
        lines.append("what it has printed is out of reach from here; it stands on record when the step ends")
    return [f"== {told['task']}/{told['step']}: {since}", *lines]


def _followed(bundle: Path, step: str, run_name: str, streams: Sequence[str], *, raw: bool) -> None:
    """Give what a step prints as it comes: bytes as they are, or whole lines that are safe to look at."""
    rest = dict.fromkeys(streams, b"")
    for name, data in api.follow(bundle, step, run_name, streams):
        if raw:
            _out(data)
            continue
        *whole, rest[name] = (rest[name] + data).split(b"\n")
        for line in whole:
            click.echo(safe(line.decode("utf-8", "replace")))
    for data in rest.values():
        if data:
            click.echo(safe(data.decode("utf-8", "replace")))
    if raw:
        return
    try:
        (record,) = api.logs(bundle, step, run_name)
    except UsageError:
        click.echo(f"{step} has no end on record yet", err=True)
        return
    click.echo(safe(_shown(record, ())[0]))


def _out(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


@command()
@click.argument("bundle", type=FOLDER)
@click.argument("step")
@run_option
def why(bundle: Path, step: str, run_name: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Say why a step is where it is: its values and key, what it needs and waits for, its attempts, why more than one.

    Example: sciflow why bundles/digits-0123456789ab train/12
    """
    found = api.why(bundle, step, run_name)
    answer(found, f"{found['task']}/{found['step']}: {found['state']}", as_json=as_json, lines=_reasons(found))


def _reasons(found: Mapping[str, Any]) -> list[str]:
    values = ", ".join(f"{name} = {plain(value)}" for name, value in found["values"].items())
    lines = [f"values: {values or 'none, it depends on no parameter'} (point {found['point']})"]
    lines += _key(found["key"], found["key_of"])
    for need in found["needs"]:
        states = ", ".join(f"{count} {state}" for state, count in sorted(need["states"].items()))
        numbers = need.get("all", ())
        which = f"{need['task']}/{numbers[0]}" if len(numbers) == 1 else f"{need['steps']} steps of {need['task']}"
        lines.append(f"needs {which}: {states}")
    lines += [f"waits for {what}" for what in found["waits_for"]]
    for number, one in enumerate(found["attempts"], 1):
        reason = f" ({one['reason']})" if one["reason"] else ""
        counts = ", the one that counts" if one["counts"] and len(found["attempts"]) > 1 else ""
        spent = f"{clock(one['start'])}, {one['wall_s']:.2f} s on {one['host']}"
        lines.append(f"attempt {number}: {one['state']}{reason}, {spent}{counts}")
    return lines + [str(told) for told in found["again"]]


def _key(key: str, of: Mapping[str, Any]) -> list[str]:
    """Say what a key is the digest of."""
    parts = [f"task {of['task'][:FIRST]}", "its values", f"code {of['code'][:FIRST]}"]
    parts += [f"image {str(of['image']).removeprefix('sha256:')[:FIRST]}"] if of["image"] else []
    parts += [f"input {name} {sha[:FIRST]}" for name, sha in of["inputs"].items()]
    lines = [f"key: {key}", f"  of {', '.join(parts)}"]
    some = [f"{name} {upstream[:FIRST]}" for name, upstream in list(of["upstream"].items())[:3]]
    more = f" and {of['upstream_steps'] - len(some)} more" if of["upstream_steps"] > len(some) else ""
    return lines + ([f"  and the keys of {', '.join(some)}{more}"] if some else [])
