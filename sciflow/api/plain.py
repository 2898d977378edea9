"""The plain way, for programs and notebooks: a workflow file and a bundle as things, their verbs those of the api."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.api import cancelling, carrying, explaining, following, judging, making, measuring, running, staging, whole
from sciflow.errors import BundleError, SciflowError, SurroundingsError, UsageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sciflow.api.found import Results
    from sciflow.runner import verdict
    from sciflow.workflow import spec

ENDED: dict[int, tuple[type[SciflowError], str, str]] = {
    names.EXIT_WORDS: (UsageError, "the runner did not understand", ""),
    names.EXIT_SURROUNDINGS: (SurroundingsError, "this machine could not run it", "the runner has said why"),
    names.EXIT_CHANGED: (BundleError, "the bundle is not what was sealed", "the runner has said what changed"),
    names.EXIT_LATER: (
        SurroundingsError,
        "it stopped in good order, or the hours are not open",
        "start it again to go on; `now=True` starts at any hour",
    ),
}


def heed(code: int, place: Path) -> None:
    """Raise what the runner's exit code means; done (0) and incomplete (5) are answers, and raise nothing."""
    if code in (names.EXIT_OK, names.EXIT_INCOMPLETE):
        return
    if code == names.EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    kind, text, hint = ENDED.get(code, (SurroundingsError, f"the runner ended with code {code}", ""))
    raise kind(f"`{place}`: {text}", hint=hint)


class Workflow:
    """A workflow file, read and found sound. `load` makes it."""

    def __init__(self, file: Path, read: spec.Workflow) -> None:
        """Keep what was read."""
        self.file = file
        self._read = read

    @classmethod
    def load(cls, path: str | Path) -> Workflow:
        """Read a workflow file. Raises WorkflowError with all its faults."""
        return cls(Path(path), making.read(Path(path)))

    @property
    def name(self) -> str:
        """What the experiment is called."""
        return self._read.name

    def __repr__(self) -> str:
        """Say what it is, in a line."""
        tasks, parameters = len(self._read.tasks), len(self._read.parameters)
        return f"<Workflow {self.name!r}: {tasks} tasks, {parameters} parameters, {str(self.file)!r}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook: the file."""
        return f"<details><summary>{escape(repr(self))}</summary><pre>{escape(self.to_toml())}</pre></details>"

    @property
    def sweeps(self) -> tuple[str, ...]:
        """The names of its sweeps; the one of a file without named sweeps has an empty name."""
        return tuple(sweep.name for sweep in self._read.sweeps)

    def check(self, sweep: str = "") -> measuring.Checked:
        """Return the size of a sweep: the only one, or the named one. Raises WorkflowError, UsageError."""
        return measuring.check(self.file, sweep=sweep)

    def compile(self, into: str | Path | None = None, **words: Any) -> Bundle:
        """Compile a sweep of it into a folder (`bundles` beside the file, if left out): the only one, or `sweep=NAME`.

        `words` are those of `api.compile`.
        """
        made = making.compile(self.file, into=None if into is None else Path(into), **words)
        return Bundle.of(made, words.get("say", carrying.silent))

    def to_toml(self) -> str:
        """Return it as text, put in order: what stands at its default is left out."""
        from sciflow.workflow import draft

        return draft.write(self._read)

    def write_toml(self, path: str | Path) -> Path:
        """Write that text to a file (or to `workflow.toml` in a folder); return the file. Raises UsageError.

        A file that stands there already is left alone, unless sciflow wrote it.
        """
        place = Path(path) / names.WORKFLOW if Path(path).is_dir() else Path(path)
        text = staging.MARK + self.to_toml()
        staging.free(place, text.encode())
        whole.replace(place, text)
        return place

    def run(self, sweep: str = "", **words: Any) -> Results:
        """Compile a sweep of it (the only one, or the named one) and run it here; `words` are those of `Engine`."""
        from sciflow.api.engine import Engine

        return Engine(**words).execute_parameter_sweep(self, sweep=sweep)


class Bundle:
    """A compiled sweep on the disk. `open` makes it."""

    def __init__(self, path: Path) -> None:
        """Read its plan. Raises UsageError where there is no bundle, BundleError where it cannot be read."""
        from sciflow.bundle import folder

        read = folder.read(path)
        self.path, self.id = path, read.id
        self.plan: Mapping[str, Any] = read.plan

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Open the bundle in a folder."""
        return cls(Path(path))

    @classmethod
    def of(cls, made: making.Compiled, say: carrying.Say) -> Bundle:
        """Open a bundle that was just compiled; a first key that had to be made for it is worth a word."""
        if made.key_made:
            say("made your first key: `sciflow key ls` shows it")
        return cls(made.path)

    @property
    def name(self) -> str:
        """What the experiment is called."""
        return str(self.plan["name"])

    def __repr__(self) -> str:
        """Say what it is, in a line."""
        steps = sum(task["steps"] for task in self.plan["tasks"])
        return f"<Bundle {self.name!r} {self.id[:12]}: {self.plan['points']} points, {steps} steps, {str(self.path)!r}>"

    def _repr_html_(self) -> str:
        """Show it in a notebook: a row a task."""
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>"
            for cells in ((task["name"], task["steps"], ", ".join(task["uses"])) for task in self.plan["tasks"])
        )
        head = "<tr><th>task</th><th>steps</th><th>depends on</th></tr>"
        return f"<p>{escape(repr(self))}</p><table>{head}{rows}</table>"

    def run(self, name: str = names.DEFAULT_RUN, **words: Any) -> Results:
        """Run what remains of it here, and return the results, also of steps that failed; `words` are `api.run`'s."""
        place, code = running.run(self.path, name, **words)
        heed(code, place)
        return self.collect(name)

    def status(self, name: str = names.DEFAULT_RUN) -> dict[str, Any]:
        """Say how far a run is."""
        return following.status(self.path, name)

    def logs(self, step: str | None = None, name: str = names.DEFAULT_RUN, **words: Any) -> list[Mapping[str, Any]]:
        """Return the record of one step (`train/12`), or of each that did not succeed; `words` are `api.logs`'s."""
        return following.logs(self.path, step, name, **words)

    def why(self, step: str, name: str = names.DEFAULT_RUN) -> dict[str, Any]:
        """Say all that is known of a step: its key, what it waits for, its attempts."""
        return explaining.why(self.path, step, name)

    def cancel(self, name: str = names.DEFAULT_RUN, **words: Any) -> cancelling.Cancelled:
        """Stop a run in good order, and wait until it has stopped here; `words` are `api.cancel`'s."""
        return cancelling.cancel(self.path, name, **words)

    def collect(self, name: str = names.DEFAULT_RUN) -> Results:
        """Write a run's tables, and return its results. Raises IncompleteError where it has no records."""
        from sciflow.api import found

        results = found.read(self, name)
        results.write()
        return results

    def report(self, name: str = names.DEFAULT_RUN) -> Path:
        """Write a run's report, and return the page."""
        return judging.report(self.path, name)

    def verify(self, trust: Path | None = None) -> verdict.Verdict:
        """Return the verdict: whether it is what was sealed, and by whom."""
        return judging.verify(self.path, trust)

    def replay(self, name: str = names.DEFAULT_RUN, **words: Any) -> judging.Replayed:
        """Run it again and compare with an earlier run; `words` are those of `api.replay`."""
        return judging.replay(self.path, name, **words)
