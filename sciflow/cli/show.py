"""How answers look: text for people, one JSON object for programs; and how talk and refusals look."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, TextIO

import click

from sciflow.errors import SciflowError, WorkflowError
from sciflow.runner import progress, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sciflow.api import Checked


def safe(text: str) -> str:
    """Escape what a terminal could act on, line by line."""
    return "\n".join(tree.shown(line) for line in text.split("\n"))


def answer(found: Mapping[str, Any], last: str, *, as_json: bool, lines: Sequence[str] = ()) -> None:
    """Print an answer on stdout: one JSON object, or some lines and then the thing itself."""
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, sort_keys=True, default=str))
        return
    for line in [*lines, last]:
        click.echo(safe(line))


def refused(error: SciflowError, *, as_json: bool) -> None:
    """Say an error on stderr; for programs, the same as an object on stdout."""
    if as_json:
        faults = [
            {"file": fault.file, "line": fault.line, "column": fault.column, "text": fault.text, "hint": fault.hint}
            for fault in (error.faults if isinstance(error, WorkflowError) else ())
        ]
        click.echo(json.dumps({"error": str(error), "code": error.exit_code, "faults": faults}, ensure_ascii=False))
    prefix = "" if isinstance(error, WorkflowError) else "error: "
    click.echo(safe(prefix + str(error)), err=True)
    if isinstance(error, WorkflowError) and len(error.faults) > 1:
        click.echo(f"{len(error.faults)} faults", err=True)


def talk(*, quiet: bool) -> Callable[[str], None]:
    """Return the function that tells of progress on stderr, or one that keeps silent."""
    return (lambda _: None) if quiet else (lambda text: click.echo(safe(text), err=True))


def plain(cell: Any) -> str:
    """Write a value as a cell of a table: nothing where there is none, truth as TOML does."""
    if cell is None:
        return ""
    return str(cell).lower() if isinstance(cell, bool) else str(cell)


def measured(size: Checked) -> list[str]:
    """Say how large a sweep is, in lines."""
    lines = [f"{size.name}: {size.points:,} points"]
    lines += [f"  {task}: {count:,} steps" for task, count in size.steps.items()]
    lines.append(
        f"  cpu-hours at most {size.cpu_hours:,.1f}, gpu-hours {size.gpu_hours:,.1f}, "
        f"longest path {size.longest_path_s:,} s"
    )
    lines.append(f"  largest step {size.peak_memory_mib:,} MiB, {size.jobs:,} jobs, {size.files:,} output files")
    image = "" if size.image_bytes is None else f", image {size.image_bytes / 1e6:,.1f} MB"
    lines.append(f"  inputs {size.input_bytes / 1e6:,.1f} MB{image}")
    return lines + [f"  warning: {warning}" for warning in size.warnings]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows out in columns, two spaces apart; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def clock(instant: float) -> str:
    """Write an instant (Unix seconds) for people."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(instant))


def on_terminal(stream: TextIO) -> bool:
    """Say whether a person is watching a stream, on a terminal that can move its cursor."""
    return bool(progress.watched(stream))
