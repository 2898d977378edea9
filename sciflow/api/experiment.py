"""An experiment said in Python -> the document of a workflow file, and from there on the way that every file goes."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.api import carrying, making, measuring, portable, spoken, staging
from sciflow.errors import UsageError
from sciflow.workflow import draft
from sciflow.workflow.faults import likely

if TYPE_CHECKING:
    from sciflow.api.found import Results
    from sciflow.api.plain import Bundle

SWEEP = ("zip", "derive", "where", "exclude", "include", "sample", "blocks", "parameters")
METRIC = ("goal", "unit", "require", "tolerance")
IMAGE = (
    *("debian", "packages", "nix", "files", "definition", "dockerfile", "file"),
    *("python", "environment", "labels"),
)
IMAGE_FILES = {"definition", "dockerfile", "file", "python"}
BUNDLES = Path("bundles")


class ExperimentalWorkflow:
    """An experiment in the making: say what belongs to it, in any order, then `check`, `compile` or `run` it.

    It builds the document of a workflow file (`to_toml`) and nothing else; nothing is written before it is asked for.
    Every method raises UsageError, naming what was said, as soon as that can be known; the rest is checked as every
    workflow file is, with all faults at once (WorkflowError), at their places in what `to_toml` returns.
    """

    def __init__(
        self, name: str, *, title: str = "", max_failures: int | None = None, keep_going: bool | None = None
    ) -> None:
        """Name the experiment; bundles and pages bear the name.

        After `max_failures` steps that failed for good a run starts nothing new; `keep_going=False` says after one.
        """
        self.name = spoken.name(name, "an experiment")
        self._title = title
        self._sections: dict[str, Any] = {key: {} for key in ("image", "inputs", "parameters", "sweep", "schedule")}
        self._sections |= {"tasks": {}, "metrics": {}, "charts": [], "sweeps": {}}
        run = {"max_failures": max_failures, "keep_going": keep_going}
        self._sections["run"] = {
            key: spoken.plain(value, f"`{key}`") for key, value in run.items() if value is not None
        }
        self._functions: dict[str, portable.Function | str] = {}
        self._given: dict[str, portable.Signature] = {}
        self._files: dict[str, Path] = {}
        self._code: set[str] = set()

    def __repr__(self) -> str:
        """Say what it is, in a line."""
        tasks, parameters = len(self._sections["tasks"]), len(self._sections["parameters"])
        return f"<ExperimentalWorkflow {self.name!r}: {tasks} tasks, {parameters} parameters>"

    def _repr_html_(self) -> str:
        """Show it in a notebook: the file it stands for."""
        return f"<details><summary>{escape(repr(self))}</summary><pre>{escape(self.to_toml())}</pre></details>"

    def add_task(
        self,
        name: str,
        task: Callable[..., Any] | str | None = None,
        *,
        command: Sequence[str] | str | None = None,
        depends_on: Sequence[str] = (),
        gather: str = "",
        outputs: Mapping[str, str] | None = None,
        metrics: str = "",
        parameters: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        retry: Mapping[str, Any] | None = None,
        checkpoint: Mapping[str, Any] | None = None,
        isolate: str = "",
        envelope: str = "",
        blas: str = "",
    ) -> None:
        """Add a task: a function, `"module:function"`, or a `command` (a list of words, or a text for the shell).

        A function gets by the names of its arguments: parameters, the results of the tasks it depends on, `inputs`,
        `outputs`, `seed`, `point`. `depends_on` may name tasks that come later. `parameters` says what it depends on,
        where that is not what it names.

        `retry`, `checkpoint`, `isolate`, `envelope` and `blas` say how its steps are tried, in the words of the file:
        `retry={"times": 2, "grow_memory": 2.0}`, `checkpoint={"path": "ckpt"}`, `isolate="step"`, `envelope="off"`.
        """
        spoken.name(name, "a task")
        if name in self._sections["tasks"]:
            raise UsageError(f"there is a task `{name}` already", hint="each task has a name of its own")
        if (task is None) == (command is None):
            raise UsageError(f"task `{name}` wants either a function or a `command`")
        table: dict[str, Any] = {}
        if isinstance(task, str):
            self._given[name] = portable.named(name, task)[1]
        elif task is not None:
            portable.accept(name, task)
            self._given[name] = portable.signature(task)
        elif isinstance(command, str):
            table["shell"] = command
        else:
            table["run"] = [str(word) for word in command or ()]
        if task is not None:
            self._functions[name] = task
        if isinstance(depends_on, str):
            raise UsageError(f"task `{name}`: `depends_on` is a text", hint=f'write a list: `["{depends_on}"]`')
        more: dict[str, Any] = {"needs": list(depends_on), "gather": gather, "metrics": metrics}
        more |= {"outputs": dict(outputs or {}), "environment": dict(environment or {})}
        more |= {"retry": retry, "checkpoint": checkpoint, "isolate": isolate, "envelope": envelope, "blas": blas}
        table |= {key: spoken.plain(value, f"task `{name}`, `{key}`") for key, value in more.items() if value}
        if parameters is not None:
            table["parameters"] = list(parameters)
        self._sections["tasks"][name] = table

    def add_parameter_space(self, space: Mapping[str, Any]) -> None:
        """Add parameters: lists of values, single values, or tables as the file has them (`{"uniform": [0, 1]}`).

        All combinations are meant; the last parameter turns fastest. A second call adds more.
        """
        if not isinstance(space, Mapping):
            raise UsageError(f"a parameter space is a dict, not a {type(space).__name__}")
        made = {}
        for name, value in space.items():
            spoken.name(name, "a parameter", spoken.PARAMETER)
            if name in self._sections["parameters"]:
                raise UsageError(f"there is a parameter `{name}` already", hint="say all its values in one place")
            made[name], dropped = spoken.parameter(name, value)
            if isinstance(made[name], dict) and isinstance(made[name].get("from"), str):
                made[name]["from"] = self._carried(made[name]["from"], f"parameter `{name}`", f"designs/{name}")
            if dropped:
                warnings.warn(f"parameter `{name}`: {dropped} values stood there twice", stacklevel=2)
        self._sections["parameters"] |= made

    def set_sweep(self, **keys: Any) -> None:
        """Say how parameters become points: `zip`, `derive`, `where`, `exclude`, `include`, `sample`, `blocks`."""
        found = spoken.keys(keys, SWEEP, "a sweep")
        self._sections["sweep"] |= {key: spoken.plain(value, f"the sweep's `{key}`") for key, value in found.items()}

    def add_sweep(self, name: str, **keys: Any) -> None:
        """Add a named sweep, which gets a bundle of its own and takes over what `set_sweep` says."""
        spoken.name(name, "a sweep")
        found = spoken.keys(keys, SWEEP, f"the sweep `{name}`")
        self._sections["sweeps"][name] = {key: spoken.plain(value, f"`{key}`") for key, value in found.items()}

    def set_resource_requirements(self, requirements: Mapping[str, Mapping[str, Any]]) -> None:
        """Say what a step of a task may use: {task: {cpu_cores, memory_gb, gpu, max_runtime_hours}}."""
        for task, table in requirements.items():
            self._task(task)["resources"] = spoken.resources(task, table)

    def set_scheduling_policy(self, policy: str, words: Mapping[str, Any] | None = None) -> None:
        """Say when it may start: `"immediate"`, or `"off_peak"` with {preferred_hours, weekend_preferred, …}.

        The hours are those of `timezone`, UTC where it is left out, so that the same program means the same anywhere.
        """
        self._sections["schedule"] = spoken.schedule(policy, words or {})

    def add_visualization(self, name: str, words: Mapping[str, Any]) -> None:
        """Add a chart: {type, x_axis, y_axis, value, color_by, facet_by, aggregate, title}."""
        spoken.name(name, "a visualization")
        if any(chart["name"] == name for chart in self._sections["charts"]):
            raise UsageError(f"there is a visualization `{name}` already", hint="each has files of its name")
        self._sections["charts"].append(spoken.chart(name, words))

    def add_metric(self, name: str, **words: Any) -> None:
        """Describe a metric before the run: `goal` (maximize, minimize), `unit`, `require` (`> 0.5`), `tolerance`."""
        if name in self._sections["metrics"]:
            raise UsageError(f"the metric `{name}` is described already")
        found = spoken.keys(words, METRIC, f"the metric `{name}`")
        self._sections["metrics"][name] = {key: spoken.plain(value, f"`{key}`") for key, value in found.items()}

    def set_image(self, source: str = "", *, context: Sequence[str | Path] = (), **words: Any) -> None:
        """Name the image all tasks run in: `"docker://…"`, `"oci-archive:tools.tar"`, or one source by its key.

        `words` are the keys of `[image]`: `debian` with `packages`, `nix` with `files`, `definition`, `dockerfile`, or
        `file`; and what is laid over it: `python` (requirements or `pylock.toml`), `environment`, `labels`. `context`
        are the files and folders that a definition, a Dockerfile or a flake reads beside itself.
        """
        made = dict(spoken.keys(words, IMAGE, "the image"))
        kind, _, path = source.partition(":")
        if kind in {"oci-archive", "docker-archive"}:
            source = f"{kind}:{self._carried(path, 'the image', 'images')}"
        for key in IMAGE_FILES & made.keys():
            made[key] = self._carried(made[key], "the image", "images")
        for file in context:
            self._carried(file, "the image's context", ".")
        found = {"from": source, **{key: spoken.plain(value, f"`{key}`") for key, value in made.items()}}
        self._sections["image"] = {key: value for key, value in found.items() if value}

    def add_input(self, name: str, path: str | Path = "", *, url: str = "", sha256: str = "") -> None:
        """Add a file or folder that tasks read: `inputs["name"]` in a function, `{inputs.name}` in a command.

        Or a file from a `url`, which is fetched once; `sha256` (hex) says which bytes are wanted.
        """
        spoken.name(name, "an input")
        if name in self._sections["inputs"]:
            raise UsageError(f"there is an input `{name}` already")
        if bool(url) == bool(path):
            raise UsageError(f"the input `{name}` wants a path or a url")
        here = {"path": self._carried(path, f"input `{name}`", f"inputs/{name}")} if path else {"url": url}
        self._sections["inputs"][name] = {**here, **({"sha256": sha256} if sha256 else {})}

    def add_code(self, *paths: str | Path) -> None:
        """Add files that commands call; steps find them in their working folder. Functions bring their own."""
        for path in paths:
            self._code.add(self._carried(path, "code", "."))

    def _task(self, name: str) -> dict[str, Any]:
        tasks: dict[str, dict[str, Any]] = self._sections["tasks"]
        if name not in tasks:
            raise UsageError(f"there is no task `{name}`", hint=likely(str(name), tasks, what="tasks"))
        return tasks[name]

    def _carried(self, path: str | Path, what: str, aside: str) -> str:
        """Return the path under which a file will stand beside the workflow; below this folder it keeps its own."""
        given, source = Path(path), Path(path).absolute()
        if not source.exists():
            raise UsageError(f"{what}: there is no file or folder `{path}`", hint="paths start from the current folder")
        below = not given.is_absolute() and ".." not in given.parts and given.parts
        kept = (given if below else Path(aside) / source.name).as_posix()
        if self._files.setdefault(kept, source) != source:
            raise UsageError(f"{what}: `{path}` and `{self._files[kept]}` would both be `{kept}`")
        return kept

    def _columns(self) -> list[str]:
        columns: list[str] = []
        for name, value in self._sections["parameters"].items():
            columns += value["columns"] if isinstance(value, dict) and "columns" in value else [name]
        return [*columns, *self._sections["sweep"].get("derive", {})]

    def _uses(self, name: str, columns: Sequence[str]) -> list[str]:
        """Return the columns that a function's steps depend on: those it names, and all where it tells points apart."""
        given = self._given[name]
        # As `{point}` and `{seed}` in a command, these differ from point to point.
        all_of_them = given.open or any(one in given.arguments and one not in columns for one in ("seed", "point"))
        return [one for one in columns if all_of_them or one in given.arguments]

    def _made(self) -> staging.Made:
        """Return the workflow's file and all that travels with it."""
        sections = copy.deepcopy(self._sections)
        columns = self._columns()
        carried = portable.carry(self._functions, generated=f"{self.name.replace('-', '_')}_functions")
        for name, reference in carried.names.items():
            table = sections["tasks"][name]
            head: dict[str, Any] = {"python": reference}
            if "gather" not in table and "parameters" not in table:
                head["parameters"] = self._uses(name, columns)
            sections["tasks"][name] = {**head, **table}
        for chart in sections["charts"]:
            for metric in spoken.measured(chart, columns):
                sections["metrics"].setdefault(metric, {})
        if any(isinstance(value, dict) for value in sections["parameters"].values()):
            # TOML writes tables after plain values, so one among lists would change its place in the order of the axes.
            sections["parameters"] = {
                name: value if isinstance(value, dict) else {"values": value}
                for name, value in sections["parameters"].items()
            }
        include = sorted({*carried.copied, *carried.written, *self._code})
        metrics = sections.pop("metrics")
        document = {
            "format": 1,
            "workflow": {"name": self.name, **({"title": self._title} if self._title else {})},
            **({"code": {"include": include}} if include else {}),
            **{key: value for key, value in sections.items() if value},
            **({"results": {"metrics": metrics}} if metrics else {}),
        }
        text = staging.MARK + draft.toml(document)
        return staging.Made(text=text, written=carried.written, copied={**carried.copied, **self._files})

    def to_toml(self) -> str:
        """Return the workflow's file as text."""
        return self._made().text

    def write_toml(self, folder: str | Path = ".") -> Path:
        """Write `workflow.toml` into a folder, with the code and the inputs it needs; return the file."""
        return staging.write(self._made(), Path(folder))

    def check(self, sweep: str = "") -> measuring.Checked:
        """Check it whole, and return the size of a sweep: the only one, or the named one.

        Raises WorkflowError with all faults.
        """
        with staging.staged(self._made()) as file:
            return measuring.check(file, sweep=sweep)

    def compile(self, into: str | Path = BUNDLES, **words: Any) -> Bundle:
        """Compile a sweep of it into a bundle below a folder: the only one, or `sweep=NAME`.

        It is what `sciflow compile` does; `words` are those of `api.compile`.

        What was pinned of an image is kept in `NAME.lock` beside the bundles.
        """
        from sciflow.api.plain import Bundle
        from sciflow.runner import names

        place = Path(into)
        kept = place / f"{self.name}.lock"
        with staging.staged(self._made()) as file:
            pinned = bool(self._sections["image"])
            if pinned and kept.is_file():
                shutil.copyfile(kept, file.with_name(names.LOCK))
            made = making.compile(file, into=place, **words)
            if pinned:
                shutil.copyfile(file.with_name(names.LOCK), kept)
        return Bundle.of(made, words.get("say", carrying.silent))

    def run(self, sweep: str = "", **words: Any) -> Results:
        """Compile a sweep of it (the only one, or the named one) and run it here; `words` are those of `Engine`."""
        from sciflow.api.engine import Engine

        return Engine(**words).execute_parameter_sweep(self, sweep=sweep)
