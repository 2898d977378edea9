"""The commands about what a workflow runs in: its lock, its image, the engines of this machine."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import click

from sciflow import api
from sciflow.cli.group import FOLDER, WORKFLOW_FILE, command, engine_option
from sciflow.cli.show import answer, table, talk
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@command()
@click.argument("file", type=WORKFLOW_FILE)
@click.argument("names_", metavar="[NAME]...", nargs=-1)
@click.option(
    "--update", is_flag=True, help="Ask anew for all that is pinned, or for the pieces named; say what changed."
)
@click.option("--check", "again", is_flag=True, help="Build the pinned image once more, and say which files differ.")
@click.option("--offline", is_flag=True, help="Reach for no network.")
def lock(
    file: Path, names_: tuple[str, ...], *, update: bool, again: bool, offline: bool, as_json: bool, quiet: bool
) -> int:
    """Pin what a workflow depends on in workflow.lock, beside it, or renew what is pinned; nothing is compiled.

    NAME is `image`, `python` (all wheels), a wheel, or an input that has a url. What is pinned and still fits stays.

    Example: sciflow lock workflow.toml --update numpy
    """
    if names_ and not update:
        raise click.UsageError("pieces are named to be asked for anew: that is `--update`.")
    if again and update:
        raise click.UsageError("--check and --update exclude each other.")
    say = talk(quiet=quiet)
    if again:
        return _check(file, as_json=as_json, say=say)
    found = api.lock(file, update=names_ or update, offline=offline, say=say)
    answer(
        {"lock": str(found.path), "changes": list(found.changes)},
        str(found.path),
        as_json=as_json,
        lines=found.changes,
    )
    return names.EXIT_OK


def _check(file: Path, *, as_json: bool, say: Callable[[str], None]) -> int:
    found = api.lock_check(file, say=say)
    what = {"locked": found.locked, "built": found.built, "differences": list(found.differences)}
    differ = "1 file differs" if len(found.differences) == 1 else f"{len(found.differences)} files differ"
    last = "it is built the same again" if found.agrees else differ
    answer(what, f"{last}: {found.built}", as_json=as_json, lines=found.differences)
    return names.EXIT_OK if found.agrees else names.EXIT_NO


@command()
@click.argument("bundle", type=FOLDER)
@engine_option
@click.option(
    "--here", is_flag=True, help="Only onto this machine, for its first engine that works; not into the bundle."
)
@click.option("--sif", type=WORKFLOW_FILE, metavar="FILE", help="Write the image into this file, as a SIF.")
def fetch(bundle: Path, engine: str | None, sif: Path | None, *, here: bool, as_json: bool, quiet: bool) -> None:
    """Make a thin bundle fat: it then carries its image, checked against the lock, and runs without a network.

    Its id stays the same. An image that only an engine itself can hold is fetched onto this machine.

    Example: sciflow fetch bundles/digits-0123456789ab
    """
    say = talk(quiet=quiet)
    if sif:
        answer({"bundle": str(bundle), "sif": str(api.wrap(bundle, sif, say=say))}, str(sif), as_json=as_json)
        return
    carried = () if here else api.carry(bundle, engine=engine, say=say)
    if carried:
        what = [{**dataclasses.asdict(one), "engines": list(one.engines)} for one in carried]
        answer({"bundle": str(bundle), "carried": what, "engine": None}, str(bundle), as_json=as_json)
        return
    ready = api.fetch(bundle, engine=engine, say=say)
    answer({"bundle": str(bundle), "carried": [], "engine": ready}, f"ready for {ready}", as_json=as_json)


@command()
def doctor(*, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Try each engine on this machine and what it needs, and say what to do, or to ask for, where it does not work.

    Example: sciflow doctor
    """
    found = api.doctor()
    rows = [["part", "", "version", "advice"]] + [
        [part["part"], "works" if part["works"] else "no", part["version"], part["advice"]] for part in found
    ]
    asks = [f"to ask the admin for {part['part']}: {part['ask']}" for part in found if part["ask"]]
    working = [part["part"] for part in found if part["works"] and part["kind"] == "engine"]
    last = f"works here: {', '.join(working) or 'nothing'}"
    answer({"parts": found}, last, as_json=as_json, lines=[*table(rows), *asks])
