"""A bundle that stands on a disk: its plan, and its runs with what is on record in them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.errors import BundleError, SurroundingsError, UsageError
from sciflow.runner import names, points, records

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.runner.points import Steps

Settled = Mapping[tuple[str, int], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A compiled sweep. `id` is the SHA-256 of its manifest, in hex; nothing here says that it has been verified."""

    path: Path
    id: str
    plan: Mapping[str, Any]

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield every point's values, in order."""
        yield from points.read(str(self.path), self.plan)

    def steps(self) -> Steps:
        """Return which steps the points call for."""
        return points.Steps(self.plan, points.lines(str(self.path), self.plan))

    def run(self, name: str = names.DEFAULT_RUN) -> Path:
        """Return the folder of a run, which may not exist yet."""
        fault = names.run_refusal(name)
        if fault:
            raise UsageError(fault)
        return self.path / names.RUNS / name

    def settled(self, name: str = names.DEFAULT_RUN) -> tuple[Settled, Mapping[str, Any]]:
        """Return the records that count, by (task, step), and {"workers", "attempts"}.

        Raises BundleError if one is torn.
        """
        run = str(self.run(name))
        with _readable():
            return records.settle(run, records.read(run))  # type: ignore[no-any-return]

    def attempts(self, name: str = names.DEFAULT_RUN) -> list[Mapping[str, Any]]:
        """Return the record of every attempt, in the order of their ends. Raises BundleError if one is torn."""
        with _readable():
            found = [record for record in records.read(str(self.run(name))) if "facts" not in record]
        return sorted(found, key=lambda record: (record["end"], record["attempt"]))


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turn what can be wrong with segments into our errors."""
    try:
        yield
    except records.TornError as error:
        raise BundleError(
            str(error), hint="a segment was changed after it was written; restore it, or remove the run"
        ) from error
    except OSError as error:
        raise SurroundingsError(f"`{error.filename}`: {error.strerror}") from error


def expect(path: Path) -> None:
    """Raise UsageError where there is no bundle at all: somebody has mistyped its name."""
    if not (path / names.MANIFEST).is_file():
        raise UsageError(
            f"`{path}` is not a bundle: it holds no {names.MANIFEST}",
            hint="`sciflow compile workflow.toml` prints the path of the bundle it writes",
        )


def read(path: Path) -> Bundle:
    """Open a bundle. Raises UsageError where there is none, BundleError where its plan or manifest cannot be read."""
    expect(path)
    try:
        identity, _ = names.digest_file(path / names.MANIFEST)
        plan = json.loads((path / names.PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(
            f"`{path / names.PLAN}` cannot be read: {error}", hint="`sciflow verify` says what has changed"
        ) from error
    if not isinstance(plan, dict) or plan.get("format") != names.FORMAT:
        raise BundleError(f"`{path / names.PLAN}` is not a plan in format {names.FORMAT}")
    return Bundle(path=path, id=identity, plan=plan)
