"""What a run has brought, and whether it holds: tables, report, the verdict on a bundle, the replay of a run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api.carrying import Say, silent
from sciflow.api.running import run
from sciflow.api.whole import replace
from sciflow.errors import BundleError, IncompleteError, SurroundingsError, TrustError, UsageError
from sciflow.runner import names, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.bundle.folder import Bundle
    from sciflow.results.compare import Item, Verdict


def gathered(bundle: Bundle, run_name: str) -> tuple[Any, Mapping[str, Any]]:
    """Return a run's tables, and {"workers", "attempts"}. Raises IncompleteError where it has no records yet."""
    from sciflow.results import table

    settled, more = bundle.settled(run_name)
    if not settled:
        raise IncompleteError(
            f"run `{run_name}` of `{bundle.path}` has no records yet", hint="`sciflow run` makes them"
        )
    return table.build(bundle.plan, bundle.points(), bundle.steps().of, settled), more


def collect(path: Path, run_name: str = names.DEFAULT_RUN) -> Path:
    """Write a run's tables (`results.parquet`, `results.csv`, `steps.parquet`); return the first one's path."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    return kept(gathered(bundle, run_name)[0], bundle, run_name)


def kept(tables: Any, bundle: Bundle, run_name: str) -> Path:
    """Write tables into the folder of their run; return the first one's path."""
    from sciflow.results import table

    return table.write(tables, bundle.run(run_name), provenance={"bundle": bundle.id, "run": run_name})


def report(path: Path, run_name: str = names.DEFAULT_RUN) -> Path:
    """Write a run's report: one page that opens offline, its charts as files beside it; return the page's path."""
    from sciflow.bundle import folder
    from sciflow.results import figures
    from sciflow.results import report as page

    bundle = folder.read(path)
    tables, more = gathered(bundle, run_name)
    run_folder = bundle.run(run_name)
    kept(tables, bundle, run_name)
    drawn = figures.draw(tables, bundle.plan, run_folder / "report")
    workers = [more["workers"][name] for name in sorted(more["workers"])]
    facts = {"id": bundle.id, "image": bundle.plan["image"], "run": run_name, "workers": workers}
    return page.write(tables, bundle.plan, drawn, facts, run_folder)


def verify(path: Path, trust: Path | None = None) -> verdict.Verdict:
    """Return the verdict on a bundle: its id, what does not agree, who sealed it, and the exit code."""
    from sciflow.bundle import verify as verdicts

    return verdicts.judge(path, trust)


def sample(identity: str, points: int, count: int) -> list[int]:
    """Choose points by a hash of the bundle's id, so that no author can choose which of them will be looked at."""
    ranked = sorted(range(points), key=lambda point: hashlib.sha256(f"{identity}/{point}".encode()).digest())
    return sorted(ranked[:count])


@dataclass(frozen=True, kw_only=True, slots=True)
class Replayed:
    """What a replay found: the run it wrote, item by item how it compares, and what differs of the surroundings."""

    run: Path
    items: tuple[Item, ...]
    verdict: Verdict
    surroundings: tuple[str, ...]


def replay(
    path: Path,
    run_name: str = names.DEFAULT_RUN,
    *,
    points: Sequence[int] = (),
    count: int | None = None,
    engine: str | None = None,
    trust: Path | None = None,
    say: Say = silent,
) -> Replayed:
    """Run a verified bundle again, into a new run, and compare every output and metric with an earlier one.

    All of it, or only some `points`, or `count` of them chosen by the bundle's id. The earlier run is not touched.
    Raises BundleError or TrustError before anything is run, IncompleteError where the earlier run has no result.
    """
    from sciflow.bundle import folder
    from sciflow.results import compare

    folder.expect(path)
    found = verify(path, trust)
    if found.code == names.EXIT_CHANGED:
        raise BundleError("\n".join(found.lines()))
    if found.code:
        raise TrustError("\n".join(found.lines()), hint="`sciflow key trust NAME KEY` says whose seals you accept")
    bundle = folder.read(path)
    before, more = bundle.settled(run_name)
    if not any(record["state"] == names.DONE for record in before.values()):
        raise IncompleteError(f"run `{run_name}` has no result to compare with", hint="`sciflow run` makes one")
    steps = bundle.steps()
    for point in points:
        if not 0 <= point < steps.points:
            raise UsageError(f"there are points 0 to {steps.points - 1}, and no {point}")
    if count is not None:
        points = sample(bundle.id, steps.points, count)
    number = 1
    while bundle.run(f"replay-{number}").exists():
        number += 1
    place, code = run(path, f"replay-{number}", engine=engine, now=True, points=points, say=say)
    if code not in (names.EXIT_OK, names.EXIT_INCOMPLETE):
        raise SurroundingsError(f"the replay ended early (code {code}); what it did is in `{place}`")
    after, again = bundle.settled(place.name)
    wanted = set(steps.of_points(points)) if points else set(steps.all())
    items = compare.compare(bundle.plan, steps.of, before, after, chosen=wanted)
    surroundings = _surroundings(more["workers"], again["workers"])
    replayed = Replayed(run=place, items=tuple(items), verdict=compare.verdict(items), surroundings=surroundings)
    replace(
        place / "replay.json",
        json.dumps(
            {
                "bundle": bundle.id,
                "against": run_name,
                "points": list(points) or "all",
                "surroundings": list(surroundings),
                "verdict": str(replayed.verdict),
                "items": [
                    [item.what, item.status, item.a, item.b] for item in items if item.status != compare.IDENTICAL
                ],
            },
            indent=1,
            sort_keys=True,
            default=str,
        )
        + "\n",
    )
    return replayed


def _surroundings(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what differs between the machines of two runs, where it can bear on the numbers."""

    def seen(workers: Mapping[str, Any], *path: str) -> set[str]:
        found = set()
        for worker in workers.values():
            value: Any = worker
            for part in path:
                value = value[part]
            found.add(" ".join(value) if isinstance(value, list) else str(value))
        return found

    lines = []
    for what, path in (
        ("engine", ("box", "engine")),
        ("architecture", ("facts", "machine")),
        ("processor", ("facts", "cpu")),
        ("processor flags", ("facts", "flags")),
        ("kernel", ("facts", "kernel")),
    ):
        old, new = seen(before, *path), seen(after, *path)
        if old != new:
            lines.append(
                f"another {what}"
                + ("" if what == "processor flags" else f": {', '.join(sorted(old))} -> {', '.join(sorted(new))}")
            )
    return tuple(lines)
