"""A workflow file -> a Workflow, or all that is wrong with it.

The passes: bytes to values with places (`places`), the schema (`shape`), then what no schema can say, a section at a
time. A part that one pass refuses is left out for the next, so that a fault is told once and hides no other.
"""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.errors import Fault, SurroundingsError, UsageError, WorkflowError
from sciflow.workflow import combine, image, schedule, shape, space, tasks
from sciflow.workflow.code import no_pattern
from sciflow.workflow.faults import Faults, escaped, inside, likely, shown
from sciflow.workflow.places import MAX_BYTES, Document, NotTomlError
from sciflow.workflow.places import parse as parse_toml
from sciflow.workflow.places import read as read_toml
from sciflow.workflow.spec import (
    Chart,
    Code,
    Input,
    Keys,
    Metric,
    Run,
    Source,
    Task,
    Workflow,
)
from sciflow.workflow.sweep import columns as columns_of

if TYPE_CHECKING:
    from sciflow.workflow.tabular import Parquet


MAX_STARS = 4  # each more multiplies the ways through a tree: 12 of them take seconds, 80 for ever


def read(file: Path, parquet: Parquet | None = None) -> Workflow:
    """Return the workflow of a file; `parquet` reads what values it takes from parquet files.

    Raises WorkflowError with all the file's faults at once (one alone if it is not TOML), UsageError if there is no
    such file, SurroundingsError if it cannot be read.
    """
    try:
        with file.open("rb") as stream:
            raw = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UsageError(
            f"there is no file `{escaped(str(file))}`", hint="name a workflow file, or make one: sciflow init"
        ) from None
    except IsADirectoryError:
        raise UsageError(
            f"`{escaped(str(file))}` is a folder", hint=f"name the file: {escaped(str(file / 'workflow.toml'))}"
        ) from None
    except OSError as error:
        reason = (error.strerror or "it cannot be read").lower()
        raise SurroundingsError(
            f"`{escaped(str(file))}`: {reason}", hint="see the permissions of the file and its folders"
        ) from None
    try:
        text, document = read_toml(raw)
    except NotTomlError as error:
        raise _alone(error, file) from None
    return _build(text, document, file, parquet)


def parse(text: str, *, file: Path, parquet: Parquet | None = None) -> Workflow:
    """Return the workflow of a text, as `read` does; inputs are looked up in the folder of `file`."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _alone(NotTomlError(0, 0, f"the text has more than {MAX_BYTES:,} bytes"), file)
    try:
        document = parse_toml(text)
    except NotTomlError as error:
        raise _alone(error, file) from None
    return _build(text, document, file, parquet)


def _alone(error: NotTomlError, file: Path) -> WorkflowError:
    fault = Fault(file=escaped(str(file)), line=error.line, column=error.column, text=error.text, hint=error.hint)
    return WorkflowError([fault])


def _build(text: str, document: Document, file: Path, parquet: Parquet | None) -> Workflow:
    faults = Faults(str(file), document)
    data = shape.check(document.data, faults)
    # Whoever asks "is there such a name?" looks here, so only tables may stay.
    for section in ("inputs", "parameters", "tasks", "sweep"):
        if not isinstance(document.data.get(section, {}), dict):
            document.data[section] = {}
    document.data.setdefault("tasks", {})
    document.data.setdefault("parameters", {})
    space_of = combine.combine(data, faults, space.Tables(folder=file.parent, parquet=parquet))
    code = _code(data.get("code", {}), faults)
    all_tasks = tasks.build(data, file.parent, faults)
    metrics = _metrics(data, all_tasks, faults)
    workflow = Workflow(
        name=data.get("workflow", {}).get("name", ""),
        title=data.get("workflow", {}).get("title", ""),
        image=image.read(data.get("image"), faults),
        code=code,
        inputs=_inputs(data.get("inputs", {}), file.parent, faults),
        parameters=space_of.parameters,
        derive=space_of.derive,
        sweeps=space_of.sweeps,
        tasks=all_tasks,
        run=_run(data.get("run", {}), faults),
        metrics=metrics,
        schedule=schedule.read(data.get("schedule", {}), all_tasks, faults),
        slurm=tuple(data.get("slurm", {}).items()),
        charts=_charts(data, space_of, faults),
        source=Source(file=file, text=text, places={**document.values, **document.keys}),
    )
    if faults.found:
        raise faults.all()
    return workflow


def _code(table: dict[str, list[str]], faults: Faults) -> Code:
    for key, patterns in table.items():
        for index, pattern in enumerate(patterns):
            path: Keys = ("code", key, index)
            inside(pattern, path, "this pattern", faults, folder="the workflow's folder")
            if (stars := pattern.split("/").count("**")) > MAX_STARS:
                fault = f"`{shown(pattern)}` has `**` {stars} times, and may have it {MAX_STARS} times"
                faults.value(path, fault, "once crosses any number of folders")
            if no_pattern(pattern):
                fault = f"`{shown(pattern)}` is no pattern: `**` stands alone between slashes"
                faults.value(path, fault, "as in `**/*.py`")
    if table.get("exclude") and not table.get("include"):
        faults.key(
            ("code", "exclude"),
            "`exclude` takes files from `include`, and nothing is included",
            'say `include = ["*.py"]`',
        )
    return Code(include=tuple(table.get("include", ())), exclude=tuple(table.get("exclude", ())))


def _inputs(tables: dict[str, Any], folder: Path, faults: Faults) -> tuple[Input, ...]:
    found = []
    for name, table in tables.items():
        if "url" in table:
            found.append(_from_elsewhere(name, table, faults))
            continue
        if "sha256" in table:
            fault = f"input `{name}` has a digest, and no `url`"
            faults.key(("inputs", name, "sha256"), fault, "leave it out: the lock pins what stands in the folder")
        place = table.get("path", "")
        if place and inside(place, ("inputs", name, "path"), f"input `{name}`", faults, folder="the workflow's folder"):
            found.append(Input(name=name, path=place))
            _there(name, place, folder, faults)
    return tuple(found)


def _from_elsewhere(name: str, table: dict[str, str], faults: Faults) -> Input:
    key: Keys = ("inputs", name, "url")
    try:
        parts = urllib.parse.urlsplit(table["url"])
    except ValueError:  # brackets that hold no address
        parts = urllib.parse.urlsplit("")
    file = urllib.parse.unquote(parts.path.rpartition("/")[2])
    if not parts.hostname or file in {"", ".", ".."} or "/" in file or "\\" in file or not file.isprintable():
        fault = f"input `{name}`: the address does not end with a file's name: `{shown(table['url'])}`"
        faults.value(key, fault, "such as `https://data.example/table.csv`")
    elif parts.username or parts.password:
        fault = f"input `{name}`: the address holds a login, which every bundle would show"
        faults.value(key, fault, "put it into `~/.netrc`, and leave it out here")
    return Input(name=name, path=file, url=table["url"], sha256=table.get("sha256", ""))


def _there(name: str, place: str, folder: Path, faults: Faults) -> None:
    path: Keys = ("inputs", name, "path")
    step = folder
    for part in Path(place).parts:
        step /= part
        if step.is_symlink():
            fault = f"input `{name}` is, or lies behind, a link: `{shown(step.relative_to(folder))}`"
            faults.value(path, fault, "a bundle carries files, not links: name the file itself, or copy it here")
            return
    if not step.exists():
        fault = f"input `{name}`: there is no file or folder `{shown(place)}`"
        faults.value(path, fault, "paths are relative to the workflow's folder")
    elif not (step.is_file() or step.is_dir()):
        faults.value(path, f"input `{name}` is neither a file nor a folder: `{shown(place)}`")


def _metrics(data: dict[str, Any], all_tasks: tuple[Task, ...], faults: Faults) -> tuple[Metric, ...]:
    tables = data.get("results", {}).get("metrics", {})
    base: Keys = ("results", "metrics")
    columns = space.written(faults)
    if tables and not any(task.metrics for task in all_tasks):
        faults.key(
            base,
            "metrics are described, and no task has any",
            'say `metrics = "metrics.json"` in the task that writes them',
        )
    for name in tables:
        if name in columns:
            faults.key((*base, name), f"the metric `{name}` has the name of a parameter", "rename one of the two")
        elif name == "point" or name in space.RESULT_COLUMNS:
            fault = f"the metric `{name}` has the name of a column that every table of results has"
            faults.key((*base, name), fault, "give it another name")
    return tuple(
        Metric(
            name=name,
            goal=table.get("goal", ""),
            unit=table.get("unit", ""),
            require=table.get("require", ""),
            tolerance=float(table.get("tolerance", 0.0)),
        )
        for name, table in tables.items()
    )


def _run(table: dict[str, Any], faults: Faults) -> Run:
    stops = not table.get("keep_going", True)
    if stops and "max_failures" in table:
        fault = "`keep_going = false` stops at the first failure, and `max_failures` says when, too"
        faults.key(("run", "max_failures"), fault, "leave out one of the two")
    return Run(max_failures=1 if stops else table.get("max_failures", 0))


NUMERIC = ("int", "float", "bool")


def _charts(data: dict[str, Any], space_of: combine.Combined, faults: Faults) -> tuple[Chart, ...]:
    kinds = {one.name: str(one.kind) for one in columns_of(space_of.parameters, space_of.derive)}
    columns = space.written(faults)
    results = faults.document.data.get("results", {})
    metrics = (
        list(results.get("metrics", {}))
        if isinstance(results, dict) and isinstance(results.get("metrics", {}), dict)
        else []
    )
    charts: list[Chart] = []
    for index, table in enumerate(data.get("charts", [])):
        path: Keys = ("charts", index)
        if not {"name", "kind", "x", "y"} <= set(table):
            continue
        chart = Chart(**{**table, "facet": tuple(table.get("facet", ()))})
        if any(chart.name == other.name for other in charts):
            faults.value((*path, "name"), f"two charts are called `{chart.name}`", "each has files of its name")
        axes = [((*path, key), getattr(chart, key)) for key in ("x", "y", "value", "color") if getattr(chart, key)]
        axes += [((*path, "facet", number), name) for number, name in enumerate(chart.facet)]
        for key, name in axes:
            if name not in columns and name not in metrics:
                hint = (
                    likely(name, [*columns, *metrics], what="columns")
                    + "; a metric is made known under [results.metrics]"
                )
                faults.value(key, f"chart `{chart.name}`: there is no column `{shown(name)}`", hint)
            elif "facet" in key and name in metrics:
                faults.value(key, f"chart `{chart.name}`: panels are made by parameters, and `{name}` is a metric")
        _chart_kind(chart, path, kinds, metrics, faults)
        charts.append(chart)
    return tuple(charts)


def _chart_kind(chart: Chart, path: Keys, kinds: dict[str, str], metrics: list[str], faults: Faults) -> None:
    """Check that the columns are of the kinds that the drawing needs."""
    if chart.kind == "heatmap":
        if not chart.value:
            faults.key(path, f"chart `{chart.name}`: a heatmap has no `value`", "say which column its colour shows")
        for key, name in (("x", chart.x), ("y", chart.y)):
            if name in metrics:
                fault = f"chart `{chart.name}`: the axes of a heatmap are parameters, and `{name}` is a metric"
                faults.value((*path, key), fault, "a scatter draws one metric over another")
    elif chart.value:
        faults.key(
            (*path, "value"),
            f"chart `{chart.name}`: `value` is for heatmaps, and this is a {chart.kind}",
            "use `y` or `color`",
        )
    key, name = ("value", chart.value) if chart.kind == "heatmap" else ("y", chart.y)
    if kinds.get(name) in ("text", "table"):
        fault = f"chart `{chart.name}`: `{key}` wants a column of numbers, and `{name}` holds {kinds[name]}s"
        faults.value((*path, key), fault, "put it on `x`, `color` or `facet`")
