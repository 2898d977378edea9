"""The verbs of sciflow, for programs and for the command line: nouns in, nouns out, nothing printed.

What takes long is told to `say`, a function of one line of text. Doors to heavy packages open when a verb needs them.
Every deliberate failure is an error of `sciflow.errors`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.errors import BundleError, IncompleteError, SurroundingsError, TrustError, UsageError
from sciflow.runner import box, names, rounds, verdict

if TYPE_CHECKING:
    from sciflow.bundle.folder import Bundle
    from sciflow.plan.lock import Lock
    from sciflow.results.compare import Item, Verdict
    from sciflow.workflow.spec import Workflow

Say = Callable[[str], None]


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """The size of a workflow: points, steps of each task, and what they may use by their declared limits."""

    name: str
    points: int
    steps: Mapping[str, int]
    cpu_hours: float
    gpu_hours: float
    longest_path_s: int
    peak_memory_mib: int
    """Of the largest single step."""
    input_bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A bundle that was written, what changed in the lock for it, and whether a first key had to be made."""

    path: Path
    id: str
    changes: tuple[str, ...]
    key_made: bool


def check(file: Path) -> Checked:
    """Read a workflow whole and measure it; nothing is resolved, built or written. Raises WorkflowError."""
    from sciflow.plan import graph, lock
    from sciflow.runner import order
    from sciflow.workflow import load

    workflow = load.read(file)
    pinned = lock.files(workflow, file.parent)
    plan, _ = graph.plan(workflow, pinned, [])
    tasks = plan["tasks"]
    hours = {
        what: sum(task["steps"] * task["resources"][what] * task["resources"]["time_s"] for task in tasks) / 3600
        for what in ("cpus", "gpus")
    }
    return Checked(
        name=workflow.name,
        points=plan["points"],
        steps={task["name"]: task["steps"] for task in tasks},
        cpu_hours=hours["cpus"],
        gpu_hours=hours["gpus"],
        longest_path_s=max(order.rank(tasks).values()),
        peak_memory_mib=max(task["resources"]["memory_mib"] for task in tasks),
        input_bytes=sum(found.size for entry in pinned.inputs for found in entry.files),
    )


def _locked(
    workflow: Workflow, file: Path, *, update: bool, locked: bool, offline: bool, say: Say
) -> tuple[Lock, tuple[str, ...]]:
    """Return the lock that fits, and what changed; the lock file is written where it did not say so already."""
    from sciflow.plan import lock

    place = file.with_name(names.LOCK)
    try:
        old = lock.read(place)
    except SurroundingsError:
        if not update:
            raise
        old = None
    if locked and old is None:
        raise SurroundingsError(
            f"`{place}` does not exist, and --locked resolves nothing", hint="compile once without --locked"
        )
    new = lock.resolve(workflow, file.parent, old, update=update, offline=offline or locked, progress=say)
    changes = tuple(lock.differences(old or lock.Lock(), new))
    if locked and changes:
        raise SurroundingsError(
            f"`{place}` no longer fits:\n  " + "\n  ".join(changes), hint="compile without --locked to write it anew"
        )
    if old is None or changes:
        _replace(place, lock.text(new))
    return new, changes if old else ()


def _replace(place: Path, text: str) -> None:
    """Write a file whole or not at all."""
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        part.replace(place)
    except OSError as error:
        raise SurroundingsError(f"`{place}` cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)


def compile(  # noqa: A001  the verb's name, in a namespace of its own
    file: Path,
    *,
    into: Path | None = None,
    update: bool = False,
    locked: bool = False,
    offline: bool = False,
    fat: bool = False,
    key: str | None = None,
    say: Say = silent,
) -> Compiled:
    """Compile a workflow file into a bundle below `into` (`bundles` beside the file, if left out).

    `locked`: use the lock as it stands or fail. `update`: resolve everything anew. `offline`: reach for no network.
    `fat`: carry the image along. `key`: a private key's name or file. Raises WorkflowError, SurroundingsError.
    """
    from sciflow import containers
    from sciflow.bundle import emit, readme, seal
    from sciflow.launchers import slurm
    from sciflow.plan import graph, lock
    from sciflow.workflow import load, sweep

    workflow = load.read(file)
    graph.uses(workflow)  # its faults are the file's, and come before anything is resolved
    signer, made = seal.own(key)
    pinned, changes = _locked(workflow, file, update=update, locked=locked, offline=offline, say=say)
    plan, _ = graph.plan(workflow, pinned, containers.boxes(pinned.image))
    columns = [column.name for column in sweep.columns(workflow)]
    texts = {
        names.WORKFLOW: workflow.source.text if workflow.source else "",
        names.LOCK: lock.text(pinned),
        "README.md": readme.page(plan),
        **slurm.render(plan),
        **containers.recipes(pinned.image),
    }
    say(f"{plan['points']} points, {sum(task['steps'] for task in plan['tasks'])} steps")
    content = emit.Content(
        plan=plan,
        rows=(dict(zip(columns, row, strict=True)) for row in sweep.points(workflow)),
        texts=texts,
        lock=pinned,
        folder=file.parent,
    )
    path = emit.write(content, into or file.parent / "bundles", signer)
    if fat:
        carry(path, say=say)
    return Compiled(path=path, id=names.digest_file(path / names.MANIFEST)[0], changes=changes, key_made=made)


def _image(bundle: Bundle, engine: str, say: Say) -> None:
    """Make the bundle's image present in the cache for an engine, unless the bundle carries it."""
    from sciflow import containers
    from sciflow.plan import lock

    pinned = lock.read(bundle.path / names.LOCK)
    chosen = next((entry for entry in bundle.plan["boxes"] if entry["engine"] == engine), None)
    if pinned is None or pinned.image is None or chosen is None or chosen["image"] is None:
        return
    needed = [chosen["image"][what] for what in ("file", "archive") if what in chosen["image"]]
    if not needed or any(box.content(str(bundle.path), digest) is None for digest in needed):
        containers.fetch(pinned.image, engine=engine, progress=say)


def carry(path: Path, *, say: Say = silent) -> None:
    """Make a thin bundle fat: what its boxes name by digest is put into `carried/`. The id stays the same."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    for entry in bundle.plan["boxes"]:
        digests = [entry["image"][what] for what in ("file", "archive") if what in (entry["image"] or {})]
        if not digests:
            continue
        _image(bundle, entry["engine"], say)
        for digest in digests:
            source = box.content(str(path), digest)
            if source is None:
                raise SurroundingsError(f"`{digest}` is not in the cache, though it was just fetched")
            target = path / names.CARRIED / "sha256" / digest.removeprefix("sha256:")
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(f".{os.getpid()}.part")
            shutil.copyfile(source, part)
            part.chmod(0o644)
            part.replace(target)


def fetch(path: Path, *, engine: str | None = None, say: Say = silent) -> str:
    """Make a bundle's image present on this machine, for one engine or the first that works; return its name."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    chosen = _engine(bundle, engine)
    _image(bundle, chosen, say)
    return chosen


def _engine(bundle: Bundle, engine: str | None) -> str:
    try:
        return str(box.choose(bundle.plan["boxes"], engine or os.environ.get("SCIFLOW_ENGINE"))["engine"])
    except box.BoxError as error:
        raise SurroundingsError(str(error), hint="`sciflow doctor` says which engines work here") from error


def _refuse_changed(path: Path) -> None:
    """Raise BundleError, naming what changed, unless a bundle is what was sealed. Who sealed it is not asked."""
    from sciflow.bundle import folder
    from sciflow.bundle import verify as verdicts

    folder.expect(path)
    found = verdicts.judge(path)
    if found.code == names.EXIT_CHANGED:
        raise BundleError(
            "\n".join(found.lines()), hint="copy the bundle again from where it is whole, or compile it anew"
        )


def run(
    path: Path,
    run_name: str = names.DEFAULT_RUN,
    *,
    engine: str | None = None,
    jobs: int | None = None,
    now: bool = False,
    failed: bool = False,
    points: Sequence[int] = (),
    say: Say = silent,
) -> tuple[Path, int]:
    """Run what remains of a bundle here; return the run's folder and the runner's exit code (0 done, 5 incomplete, …).

    The runner of the bundle itself does the work, in a process of its own; it talks on standard error.
    """
    from sciflow.bundle import folder

    _refuse_changed(path)
    bundle = folder.read(path)
    place = bundle.run(run_name)
    chosen = _engine(bundle, engine)
    _image(bundle, chosen, say)
    words = [
        sys.executable,
        "-I",
        "-B",
        str(path / names.RUNNER / "__main__.py"),
        "run",
        "--run",
        run_name,
        "--engine",
        chosen,
    ]
    words += [*(["-j", str(jobs)] if jobs else []), *(["--now"] if now else []), *(["--failed"] if failed else [])]
    words += [word for point in points for word in ("--point", str(point))]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    while True:
        try:
            return place, process.wait()
        except KeyboardInterrupt:
            continue  # the runner had the same signal, and ends its steps in order


def submit(path: Path, *, say: Say = silent) -> int:
    """Submit a bundle to Slurm, as `sbatch launch.sh` does; return the job's id."""
    from sciflow.bundle import folder

    _refuse_changed(path)
    bundle = folder.read(path)
    _image(bundle, _engine(bundle, None), say)
    logs = bundle.run() / names.LOGS
    logs.mkdir(parents=True, exist_ok=True)
    try:
        answer = rounds.ask(
            [
                "sbatch",
                "--parsable",
                f"--output={str(logs).replace('%', '%%')}/launch-%j.log",
                str(path.resolve() / names.LAUNCHER),
            ],
            tries=rounds.SBATCH_TRIES,
        )
    except rounds.SlurmError as error:
        raise SurroundingsError(str(error)) from error
    return int(answer.strip().split(";")[0])


def status(path: Path, run_name: str = names.DEFAULT_RUN) -> dict[str, Any]:
    """Count what is on record: {"steps", "tasks": {task: {"steps", state: n}}, "rounds", "jobs"}.

    `jobs` are those of the last round that Slurm still has.
    """
    from sciflow.bundle import folder
    from sciflow.runner import records

    bundle = folder.read(path)
    bundle.settled(run_name)  # raises what is torn, in words
    found: dict[str, Any] = {"run": run_name, **records.counts(bundle.plan, str(bundle.run(run_name)))}
    past = rounds.rounds(str(bundle.run(run_name)))
    found["rounds"] = len(past)
    found["jobs"] = []
    if past and shutil.which("squeue"):
        try:
            found["jobs"] = rounds.live([job["id"] for job in past[-1][1]["jobs"] if job["id"]])
        except rounds.SlurmError as error:
            found["jobs_unknown"] = str(error)  # records are the truth; that the queue is out of reach is worth a word
    return found


def logs(path: Path, step: str | None = None, run_name: str = names.DEFAULT_RUN) -> list[Mapping[str, Any]]:
    """Return the record of one step (`train/12`), or of every step that did not succeed. Raises UsageError."""
    from sciflow.bundle import folder

    bundle = folder.read(path)
    settled, _ = bundle.settled(run_name)
    if step is None:
        return [record for _, record in sorted(settled.items()) if record["state"] not in (names.DONE, names.SKIPPED)]
    task, _, number = step.partition("/")
    record = settled.get((task, int(number))) if number.isdecimal() else None
    if record is None:
        known = ", ".join(f"{entry['name']}/0…{entry['steps'] - 1}" for entry in bundle.plan["tasks"])
        raise UsageError(f"run `{run_name}` has no record of a step `{step}`", hint=f"the steps are {known}")
    return [record]


def _tables(bundle: Bundle, run_name: str) -> tuple[Any, Mapping[str, Any]]:
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
    from sciflow.results import table

    bundle = folder.read(path)
    tables, _ = _tables(bundle, run_name)
    return table.write(tables, bundle.run(run_name), provenance={"bundle": bundle.id, "run": run_name})


def report(path: Path, run_name: str = names.DEFAULT_RUN) -> Path:
    """Write a run's report: one page that opens offline, its charts as files beside it; return the page's path."""
    from sciflow.bundle import folder
    from sciflow.results import figures, table
    from sciflow.results import report as page

    bundle = folder.read(path)
    tables, more = _tables(bundle, run_name)
    run_folder = bundle.run(run_name)
    table.write(tables, run_folder, provenance={"bundle": bundle.id, "run": run_name})
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
    _replace(
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


def init(folder: Path) -> Path:
    """Write a small study that runs at once into a folder that is empty or new; return it. Raises UsageError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            f"`{folder}` is there already and is not empty", hint="name a new folder: `sciflow init study`"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for entry in sorted(resources.files("sciflow").joinpath("starter").iterdir(), key=lambda entry: entry.name):
            if entry.is_file():
                (folder / entry.name).write_bytes(entry.read_bytes())
        (folder / "schemas").mkdir(exist_ok=True)
        (folder / "schemas" / "workflow-1.json").write_text(schema(), encoding="utf-8")
    except OSError as error:
        raise SurroundingsError(f"`{folder}`: {error.strerror}") from error
    return folder


def schema(name: str = "workflow-1") -> str:
    """Return one of the published JSON Schemas, as text: workflow-1, lock-1, manifest-1, plan-1, record-1."""
    file = resources.files("sciflow").joinpath("schemas", f"{name}.json")
    if not file.is_file():
        raise UsageError(
            f"there is no schema `{name}`", hint="the schemas are workflow-1, lock-1, manifest-1, plan-1, record-1"
        )
    return file.read_text(encoding="utf-8")


def doctor() -> list[dict[str, Any]]:
    """Try every engine and tool on this machine: [{"part", "works", "version", "advice"}]."""
    from sciflow import containers

    return [
        {"part": name, "works": probe.works, "version": probe.version, "advice": probe.advice}
        for name, probe in containers.probes()
    ]
