"""The commands about the cache: what it holds, and room made in it."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciflow import api
from sciflow.cli.group import Grouped, command, sciflow
from sciflow.cli.show import answer, table, talk
from sciflow.runner import names

if TYPE_CHECKING:
    from sciflow.containers.stock import Item

DAY_S = 86400
SHOWN_DIGITS = 12
KILO = 1000


@sciflow.group(cls=Grouped)
def cache() -> None:
    """See what images and other content this machine keeps for its bundles, and make room.

    Example: sciflow cache gc --older 90 --dry-run
    """


@command("ls", of=cache)
@click.option(
    "--for",
    "below",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Say which bundles below this folder name each item.",
)
def ls(below: Path | None, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """List what the cache holds, the last used first: digest, kind, size, days since its last use.

    Example: sciflow cache ls --for bundles
    """
    found = api.cache_ls(below)
    head = ["digest", "kind", "size", "unused", *(["bundles"] if below else [])]
    rows = [head] + [_row(item) + ([" ".join(item.bundles)] if below else []) for item in found]
    size = sum(item.size for item in found)
    answer(
        {"cache": names.cache(), "items": [_told(item) for item in found], "size": size},
        f"{len(found)} items, {_bytes(size)}, in {names.cache()}",
        as_json=as_json,
        lines=table(rows) if found else [],
    )


@command("gc", of=cache)
@click.option(
    "--older",
    type=click.FloatRange(0),
    default=api.UNUSED_DAYS,
    show_default=True,
    metavar="DAYS",
    help="What was not used for so many days.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
def gc(older: float, *, dry_run: bool, as_json: bool, quiet: bool) -> None:
    """Remove what was not used for long and what killed processes left. Runs, pulls and builds may go on meanwhile.

    What is needed again is fetched or built again by its digest.

    Example: sciflow cache gc --older 90
    """
    found = api.cache_gc(older_days=older, dry_run=dry_run)
    say = talk(quiet=quiet)
    for item in found.removed:
        say(f"{'would remove' if dry_run else 'removed'} {_name(item)} {item.kind} {_bytes(item.size)}".rstrip())
    for item, why in found.refused:
        say(f"could not remove `{item.path}`: {why}")
    what = {
        "cache": names.cache(),
        "dry_run": dry_run,
        "removed": [_told(item) for item in found.removed],
        "refused": [{"path": str(item.path), "reason": why} for item, why in found.refused],
        "kept": found.kept,
        "freed": found.freed,
    }
    verb = "would free" if dry_run else "freed"
    last = f"{verb} {_bytes(found.freed)}: {len(found.removed)} items; {found.kept} stay"
    answer(what, last, as_json=as_json)


def _told(item: Item) -> dict[str, Any]:
    return {**dataclasses.asdict(item), "path": str(item.path)}


def _name(item: Item) -> str:
    return f"{item.digest.partition(':')[2][:SHOWN_DIGITS]}" if item.digest else item.path.name


def _row(item: Item) -> list[str]:
    return [_name(item), item.kind, _bytes(item.size), f"{max(time.time() - item.used, 0) / DAY_S:.1f} d"]


def _bytes(count: float) -> str:
    """Write a size for people, in steps of a thousand: `12.3 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < KILO:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= KILO
    return f"{count:.1f} TB"
