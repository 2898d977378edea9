"""From a workflow to a bundle: read it, compile it; and what stands before that: a first study, the schemas."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path  # noqa: TC003  part of the signatures that programs look at
from typing import TYPE_CHECKING, Any

from sciflow.api import locking
from sciflow.api.carrying import Say, carry, silent
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.bundle.emit import Content
    from sciflow.plan.lock import Lock
    from sciflow.workflow.spec import Sweep, Workflow


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A bundle that was written, what changed in the lock for it, and whether a first key had to be made."""

    path: Path
    id: str
    changes: tuple[str, ...]
    key_made: bool


def read(file: Path) -> Workflow:
    """Return the workflow of a file. Raises WorkflowError with all its faults."""
    from sciflow.workflow import load

    def parquet(path: Path) -> Mapping[str, Sequence[Any]]:
        from sciflow.results import table  # only a workflow that has such a file pays for the package

        return table.cells(path)

    return load.read(file, parquet)


def compile(  # noqa: A001  the verb's name, in a namespace of its own
    file: Path, *, sweep: str = "", **options: Any
) -> Compiled:
    """Compile one sweep of a workflow file: the only one, or the named one. `options` are those of `compile_all`."""
    (made,) = compile_all(file, sweeps=[sweep] if sweep else [], alone=True, **options)
    return made


def compile_all(
    file: Path,
    *,
    sweeps: Sequence[str] = (),
    alone: bool = False,
    into: Path | None = None,
    update: bool = False,
    locked: bool = False,
    offline: bool = False,
    fat: bool = False,
    key: str | None = None,
    say: Say = silent,
) -> tuple[Compiled, ...]:
    """Compile the sweeps of a workflow file (all, or those named), each into a bundle below `into`.

    `into` is `bundles` beside the file, if left out. `alone`: refuse more than one sweep. `update`: resolve everything
    anew. `locked`: use the lock as it stands or fail. `offline`: reach for no network. `fat`: carry the image along.
    `key`: a private key's name or file.

    Raises WorkflowError, UsageError, SurroundingsError.
    """
    from sciflow.bundle import emit, seal
    from sciflow.containers import image
    from sciflow.plan import lock

    workflow = read(file)
    wanted = chosen(workflow, sweeps, alone=alone)
    signer, made = seal.own(key)
    pinned, changes = locking.pin(workflow, file, update=update, locked=locked, offline=offline, say=say)
    lock.gather(pinned, offline=offline, progress=say)
    if pinned.image and pinned.image.source in image.RUNNING and not fat:
        say("the image was built by commands, which may give others elsewhere: `--fat` carries it along")
    found = []
    for sweep in wanted:
        content = _content(workflow, sweep, pinned, file.parent)
        steps = sum(task["steps"] for task in content.plan["tasks"])
        say(f"{content.plan['name']}: {content.plan['points']} points, {steps} steps")
        path = emit.write(content, into or file.parent / "bundles", signer)
        if fat:
            carry(path, say=say)
        identity = names.digest_file(path / names.MANIFEST)[0]
        found.append(Compiled(path=path, id=identity, changes=changes, key_made=made))
    return tuple(found)


def chosen(workflow: Workflow, wanted: Sequence[str], *, alone: bool) -> list[Sweep]:
    """Return the sweeps of these names, or all. Raises UsageError, also where one is wanted (`alone`) of several."""
    known = {sweep.name: sweep for sweep in workflow.sweeps}
    listed = ", ".join(f"`{name}`" for name in known if name)
    hint = f"its sweeps are {listed}" if listed else "it has one, without a name"
    for name in wanted:
        if name not in known:
            raise UsageError(f"`{workflow.name}` has no sweep `{name}`", hint=hint)
    found = [known[name] for name in wanted or known]
    if alone and len(found) > 1:
        raise UsageError(f"`{workflow.name}` has several sweeps, and one is wanted: say which", hint=hint)
    return found


def _content(workflow: Workflow, sweep: Sweep, pinned: Lock, folder: Path) -> Content:
    from sciflow import containers
    from sciflow.bundle import readme
    from sciflow.bundle.emit import Content
    from sciflow.launchers import slurm
    from sciflow.plan import graph, lockfile
    from sciflow.workflow.sweep import points

    plan = graph.plan(workflow, sweep, pinned, containers.boxes(pinned.image))
    texts = {
        names.WORKFLOW: workflow.source.text if workflow.source else "",
        # Where the code stood in git is told by the seal: the same code has the same id at every commit.
        names.LOCK: lockfile.text(replace(pinned, commit=None)),
        "README.md": readme.page(plan),
        **slurm.render(plan),
        **containers.recipes(pinned.image),
    }
    lines = (line for axis in points(workflow, sweep).axes for line in axis.lines())
    return Content(plan=plan, lines=lines, texts=texts, lock=pinned, folder=folder)


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
