"""The commands: each reads its words, calls one verb of the api, and prints the answer: last, the thing itself."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sciflow import api
from sciflow.cli.group import FOLDER, WORKFLOW_FILE, command, engine_option, run_option, trust_option
from sciflow.cli.show import answer, measured, plain, table, talk
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable


@command()
@click.argument("folder", type=FOLDER, default=Path("study"))
def init(folder: Path, *, as_json: bool, quiet: bool) -> None:
    """Write a small study that runs at once.

    Example: sciflow init study
    """
    made = api.init(folder)
    talk(quiet=quiet)(f"now: cd {made} && sciflow run workflow.toml")
    answer({"folder": str(made)}, str(made), as_json=as_json)


@command()
@click.argument("file", type=WORKFLOW_FILE)
@click.option("--sweep", metavar="NAME", default="", help="Of a workflow with several: only this one.")
@click.option(
    "--points",
    metavar="N|-N|FILE",
    help="Show the first N points, the last N (-N), or write all to a .csv or .parquet FILE.",
)
def check(file: Path, sweep: str, points: str | None, *, as_json: bool, quiet: bool) -> None:
    """Say all that is wrong with a workflow at once, or how large it is.

    Example: sciflow check workflow.toml --points 5
    """
    if points is not None:
        _points(file, sweep, points, as_json=as_json)
        return
    found = api.check_all(file, sweeps=[sweep] if sweep else [])
    say = talk(quiet=quiet)
    for one in found:
        for line in measured(one):
            say(line)
    count, steps = sum(one.points for one in found), sum(sum(one.steps.values()) for one in found)
    sizes = [{**dataclasses.asdict(one), "steps": dict(one.steps)} for one in found]
    answer({"points": count, "steps": steps, "sweeps": sizes}, f"ok: {count} points, {steps} steps", as_json=as_json)


def _points(file: Path, sweep: str, wanted: str, *, as_json: bool) -> None:
    if wanted.lstrip("-").isdecimal():
        number = int(wanted)
        many = {"first": number} if number > 0 else {"last": -number}
        found = api.points(file, sweep=sweep, **many)
        rows = [[plain(cell) for cell in row] for row in found.rows]
        listed = {"columns": list(found.columns), "rows": [list(row) for row in found.rows], "points": found.total}
        answer(listed, f"{found.total} points", as_json=as_json, lines=table([list(found.columns), *rows]))
        return
    count = api.save_points(file, Path(wanted), sweep=sweep)
    answer({"file": wanted, "points": count}, wanted, as_json=as_json)


@command("compile")
@click.argument("file", type=WORKFLOW_FILE)
@click.option(
    "-o", "--output", type=FOLDER, metavar="DIR", help="Where bundles go (default: bundles, beside the file)."
)
@click.option("--sweep", "sweeps", multiple=True, metavar="NAME", help="Only this sweep (may be repeated).")
@click.option("--locked", is_flag=True, help="Use workflow.lock as it stands; fail if it does not fit.")
@click.option("--update", is_flag=True, help="Resolve everything anew, and say what changed.")
@click.option("--offline", is_flag=True, help="Reach for no network.")
@click.option("--fat", is_flag=True, help="Carry the image in the bundle.")
@click.option("--key", metavar="K", help="The key to seal with: a name, or a file.")
def compile_(
    file: Path,
    output: Path | None,
    sweeps: tuple[str, ...],
    *,
    locked: bool,
    update: bool,
    offline: bool,
    fat: bool,
    key: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compile each sweep of a workflow into a sealed bundle; their paths are the last lines.

    Example: sbatch "$(sciflow compile workflow.toml)/launch.sh"
    """
    if locked and update:
        raise click.UsageError("--locked and --update exclude each other.")
    options = {"locked": locked, "update": update, "offline": offline, "fat": fat, "key": key}
    made = _compile(file, into=output, sweeps=sweeps, say=talk(quiet=quiet), **options)
    bundles = [{"bundle": str(one.path), "id": one.id} for one in made]
    answer(
        {**bundles[0], "bundles": bundles, "changes": list(made[0].changes)},
        "\n".join(str(one.path) for one in made),
        as_json=as_json,
    )


def _compile(file: Path, *, say: Callable[[str], None], **options: Any) -> tuple[api.Compiled, ...]:
    made = api.compile_all(file, say=say, **options)
    for change in made[0].changes:
        say(f"lock: {change}")
    if made[0].key_made:
        say("made your first key: `sciflow key ls` shows it")
    return made


@command()
@click.argument("target", type=click.Path(path_type=Path))
@run_option
@engine_option
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Cores to use (default: all there are).")
@click.option("--now", is_flag=True, help="Start now, whatever the schedule says.")
@click.option("--failed", is_flag=True, help="Run again what has failed.")
@click.option("--sweep", metavar="NAME", help="Of a workflow file with several: the one to run.")
@click.option("--degrade", is_flag=True, help="Run also what asks for more than is here, with what is here.")
@click.option(
    "--point",
    "points",
    type=click.IntRange(0),
    multiple=True,
    metavar="I",
    help="Only what this point needs (may be repeated).",
)
@click.option(
    "--task", "tasks", multiple=True, metavar="NAME", help="Only this task, and what it needs (may be repeated)."
)
@click.option(
    "--step", "steps", multiple=True, metavar="STEP", help="Only this step, like train/12, and what it needs."
)
@click.option(
    "--max-failures", type=click.IntRange(0), metavar="N", help="Start no more when N steps have failed (0: never)."
)
@click.option(
    "--keep-going/--stop-at-failure", default=None, help="As --max-failures 0, or 1, whatever the workflow says."
)
def run(
    target: Path,
    run_name: str,
    *,
    engine: str | None,
    jobs: int | None,
    points: tuple[int, ...],
    tasks: tuple[str, ...],
    steps: tuple[str, ...],
    max_failures: int | None,
    keep_going: bool | None,
    sweep: str | None,
    now: bool,
    failed: bool,
    degrade: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run what remains of a bundle here (or of a workflow file, compiled first); the run's folder is the last line.

    Example: sciflow run bundles/digits-0123456789ab -j 4
    """
    if keep_going is not None and max_failures is not None:
        raise click.UsageError("--max-failures excludes --keep-going and --stop-at-failure.")
    if keep_going is not None:
        max_failures = 0 if keep_going else 1
    say = talk(quiet=quiet)
    bundle = target
    if target.is_file():
        (made,) = _compile(target, sweeps=[sweep] if sweep else [], alone=True, say=say)
        bundle = made.path
    how: dict[str, Any] = {"engine": engine, "jobs": jobs, "now": now, "degrade": degrade, "quiet": quiet, "say": say}
    what: dict[str, Any] = {"points": points, "tasks": tasks, "steps": steps, "failed": failed}
    place, code = api.run(bundle, run_name, max_failures=max_failures, **what, **how)
    answer({"run": str(place), "bundle": str(bundle), "code": code}, str(place), as_json=as_json)
    return code


@command()
@click.argument("bundle", type=FOLDER)
@run_option
def collect(bundle: Path, run_name: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Write a run's table (results.parquet, results.csv, steps.parquet); the first one's path is the last line.

    Example: sciflow collect bundles/digits-0123456789ab
    """
    place = api.collect(bundle, run_name)
    answer({"table": str(place)}, str(place), as_json=as_json)


@command()
@click.argument("bundle", type=FOLDER)
@run_option
def report(bundle: Path, run_name: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Write a run's report, one page that opens offline, with its charts as PNG and SVG beside it.

    Example: sciflow report bundles/digits-0123456789ab
    """
    place = api.report(bundle, run_name)
    answer({"report": str(place)}, str(place), as_json=as_json)


@command()
@click.argument("bundle", type=FOLDER)
@trust_option
def verify(bundle: Path, trust: Path | None, *, as_json: bool, quiet: bool) -> int:  # noqa: ARG001
    """Say whether a bundle is what was sealed, and by whom; every file that does not agree is named.

    Example: sciflow verify bundles/digits-0123456789ab
    """
    found = api.verify(bundle, trust)
    *lines, last = found.lines()
    what = {
        "id": found.id,
        "files": found.files,
        "code": found.code,
        "faults": [list(fault) for fault in found.faults],
        "signers": found.signers,
    }
    answer(what, last, as_json=as_json, lines=lines)
    return int(found.code)


@command()
@click.argument("bundle", type=FOLDER)
@run_option
@click.option(
    "--sample", "count", type=click.IntRange(1), metavar="N", help="Only N points, chosen by the bundle's id."
)
@click.option(
    "--point", "points", type=click.IntRange(0), multiple=True, metavar="I", help="Only this point (may be repeated)."
)
@engine_option
@trust_option
def replay(
    bundle: Path,
    run_name: str,
    *,
    count: int | None,
    points: tuple[int, ...],
    engine: str | None,
    trust: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run a verified bundle again, into a new run, and compare every output and metric. Code 1 where they differ.

    Example: sciflow replay bundles/digits-0123456789ab --sample 5
    """
    if count and points:
        raise click.UsageError("--sample and --point exclude each other.")
    found = api.replay(bundle, run_name, points=points, count=count, engine=engine, trust=trust, say=talk(quiet=quiet))
    lines = [
        f"{item.what}: {item.status} ({item.a} -> {item.b})"
        for item in found.items
        if item.status in ("different", "missing")
    ]
    lines += list(found.surroundings)
    what = {
        "run": str(found.run),
        "reproduced": found.verdict.agrees,
        "identical": found.verdict.identical,
        "within": found.verdict.within,
        "different": found.verdict.different,
        "missing": found.verdict.missing,
        "surroundings": list(found.surroundings),
    }
    answer(
        what,
        f"{'reproduced' if found.verdict.agrees else 'not reproduced'}: {found.verdict}",
        as_json=as_json,
        lines=lines,
    )
    return names.EXIT_OK if found.verdict.agrees else names.EXIT_NO


@command()
@click.argument("name", default="workflow-1")
def schema(name: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Print a published JSON Schema: workflow-1, lock-1, manifest-1, plan-1, record-1.

    Example: sciflow schema > workflow-1.json
    """
    click.echo(api.schema(name), nl=False)
