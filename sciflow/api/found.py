"""A run's records -> its results as a program or a notebook wants them: tables, the best point, one number, a chart."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from sciflow.api import judging
from sciflow.errors import IncompleteError, UsageError
from sciflow.runner import names
from sciflow.workflow.faults import likely, quoted, shown

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.api.plain import Bundle
    from sciflow.results.stats import Failure
    from sciflow.results.table import Frame, Tables

SHOWN_ROWS = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A figure that was drawn: where its pictures lie."""

    name: str
    title: str
    png: Path
    svg: Path

    def _repr_svg_(self) -> str:
        """Show it in a notebook."""
        return self.svg.read_text(encoding="utf-8")


class Results:
    """What a run has brought. `read` makes it."""

    def __init__(self, bundle: Bundle, run: Path, tables: Tables, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what was collected."""
        self.bundle, self.run = bundle, run
        self._tables, self._workers = tables, workers
        self.ties: tuple[dict[str, Any], ...] = ()
        """The other points that reached the value `find_optimal_parameters` found last, in the order of the sweep."""
        self.started = ""
        """Why the run began when it did, where an Engine began it: `at once`, `in hours`, `max_wait` or `run_now`."""

    @property
    def table(self) -> Frame:
        """One row a point: its number, state, parameters and metrics (a polars frame)."""
        return self._tables.points

    @property
    def steps(self) -> Frame:
        """One row a step: how it ended, what it took, its parameters and metrics (a polars frame)."""
        return self._tables.steps

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that points have."""
        return self._tables.point_metrics

    @property
    def failed(self) -> tuple[Failure, ...]:
        """The steps on record that are not done, those with a cause of their own first."""
        from sciflow.results import stats

        return stats.failures(self._tables, self.bundle.plan, self.steps.height)

    @property
    def degraded(self) -> dict[str, Any]:
        """What ran with less than it asked for: {task: {what: [asked for, given]}}."""
        found: dict[str, Any] = {}
        for worker in self._workers.values():
            for task, short in worker.get("degraded", {}).items():
                found.setdefault(task, {}).update(short)
        return found

    def __repr__(self) -> str:
        """Say what it is, in a line."""
        steps = self.steps.height
        done = int((self.steps["state"] == names.DONE).sum())
        metrics = ", ".join(self.metrics) or "none"
        return (
            f"<Results {self.bundle.name!r} {self.bundle.id[:12]}: {self.table.height} points, "
            f"{done} of {steps} steps done, metrics: {metrics}>"
        )

    def _repr_html_(self) -> str:
        """Show it in a notebook: the first rows of the table."""
        head = "".join(f"<th>{escape(name)}</th>" for name in self.table.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(shown('' if cell is None else cell))}</td>" for cell in row) + "</tr>"
            for row in self.table.head(SHOWN_ROWS).rows()
        )
        more = self.table.height - SHOWN_ROWS
        foot = f"<p>… and {more} more points</p>" if more > 0 else ""
        return f"<p>{escape(repr(self))}</p><table><tr>{head}</tr>{rows}</table>{foot}"

    def find_optimal_parameters(
        self,
        metric: str,
        maximize: bool = True,  # noqa: FBT001, FBT002  a word of the published API
        where: str | Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the swept parameters of the point at which a metric is greatest (or least), as plain Python values.

        Points that are not done, or have no such value, are passed over; of replicates the mean counts; of equals the
        first of the sweep is taken and the others stand in `ties`. `where` limits the points: an expression over
        parameters and metrics, as in a workflow file, or values to agree with. Raises UsageError for an unknown metric,
        IncompleteError where no point has a value.
        """
        from sciflow.results import table

        column = self._column(metric)
        frame = table.done(self.table)
        frame = frame.filter(frame[column].is_not_null())
        if table.kind(frame, column) == "text":
            raise UsageError(f"`{metric}` holds texts, and the best of them is not known", hint=self._known())
        if where is not None:
            frame = self._where(frame, where)
        values = self._means(frame, column)
        if not values:
            limited = " that meets `where`" if where is not None else ""
            raise IncompleteError(
                f"no finished point{limited} has `{metric}`", hint="`results.failed` says what failed"
            )
        best = max(values.values()) if maximize else min(values.values())
        found = [dict(zip(self._swept(), point, strict=True)) for point, value in values.items() if value == best]
        self.ties = tuple(self._plain(point) for point in found[1:])
        return self._plain(found[0])

    def get_metric(self, parameters: Mapping[str, Any], metric: str) -> Any:
        """Return a metric at one point, as a plain Python value.

        Every swept parameter must be named, but replicates, over which the mean is taken; numbers are the same when
        they are equal (1 and 1.0). Raises UsageError where a name is missing or unknown, or no point has these values,
        IncompleteError where the point is not done.
        """
        from sciflow.results import table

        column = self._column(metric)
        columns = self._parameters()
        for name in parameters:
            if name not in columns:
                raise UsageError(f"there is no parameter `{name}`", hint=likely(str(name), columns, what="parameters"))
        missing = [name for name in self._swept() if name not in parameters]
        frame = self._agreeing(self.table, parameters)
        if missing:
            raise UsageError(
                f"{quoted(missing)} {'is' if len(missing) == 1 else 'are'} not given, and {frame.height} points agree "
                "with the rest",
                hint="name the value of every swept parameter",
            )
        if frame.is_empty():
            raise UsageError(f"no point has {self._said(parameters)}", hint=self._closest(parameters))
        done = table.done(frame)
        values = list(self._means(done.filter(done[column].is_not_null()), column).values())
        if not values:
            state = frame.row(0, named=True)["state"] or "without a record"
            raise IncompleteError(f"the point at {self._said(parameters)} is {state}, and has no `{metric}`")
        return values[0]

    def chart(self, name: str) -> Chart:
        """Draw one of the workflow's charts. Raises UsageError where there is none, or nothing to draw."""
        from sciflow.results import charts, figures

        wanted = {spec["name"]: spec for spec in charts.wanted(self._tables, self.bundle.plan)}
        if name not in wanted:
            raise UsageError(f"there is no chart `{name}`", hint=likely(name, wanted, what="charts"))
        why = charts.refusal(self._tables, self.bundle.plan, wanted[name])
        if why:
            raise UsageError(f"chart `{name}` cannot be drawn: {why}")
        plan = {**self.bundle.plan, "charts": [wanted[name]]}
        (figure,) = figures.draw(self._tables, plan, self.run / "report")
        return Chart(name=figure.name, title=figure.title, png=figure.png, svg=figure.svg)

    def write(self) -> Path:
        """Write the tables beside the run's records, and return the first one's path."""
        from sciflow.bundle import folder

        return judging.kept(self._tables, folder.read(self.bundle.path), self.run.name)

    def report(self) -> Path:
        """Write the report, and return the page."""
        return judging.report(self.bundle.path, self.run.name)

    def _parameters(self) -> list[str]:
        return [one["name"] for one in self.bundle.plan["parameters"]]

    def _swept(self) -> list[str]:
        return [one["name"] for one in self.bundle.plan["parameters"] if not (one["derived"] or one["repeats"])]

    def _means(self, frame: Frame, column: str) -> dict[tuple[Any, ...], Any]:
        """Return the mean of a column at each point, replicates aside; what stands alone is its own mean."""
        found: dict[tuple[Any, ...], list[Any]] = {}
        for *point, value in frame.select([*self._swept(), column]).iter_rows():
            found.setdefault(tuple(point), []).append(value)
        return {
            point: values[0] if len(values) == 1 else math.fsum(values) / len(values) for point, values in found.items()
        }

    def _plain(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return a point's values as a program knows them: a structured one stands in the table as JSON."""
        tables = {one["name"] for one in self.bundle.plan["parameters"] if one["kind"] == "table"}
        return {name: json.loads(value) if name in tables and value else value for name, value in point.items()}

    def _known(self) -> str:
        return f"the metrics are {quoted(self.metrics)}" if self.metrics else "no finished point has any metric"

    def _column(self, metric: str) -> str:
        from sciflow.results import stats

        columns = (metric,) if metric in self.metrics else stats.metric_columns(self._tables, self.bundle.plan, metric)
        if not columns:
            if not self.metrics and self.failed:
                raise IncompleteError(f"no finished point has `{metric}`", hint="`results.failed` says what failed")
            raise UsageError(f"there is no metric `{metric}`", hint=self._known())
        if len(columns) > 1:
            raise UsageError(f"several tasks give `{metric}`", hint=f"name one of {quoted(columns)}")
        return columns[0]

    def _where(self, frame: Frame, where: str | Mapping[str, Any]) -> Frame:
        from sciflow.results import table
        from sciflow.workflow import expression

        if isinstance(where, Mapping):
            unknown = [name for name in where if name not in self._parameters()]
            if unknown:
                raise UsageError(
                    f"there is no parameter `{unknown[0]}`", hint=f"the parameters are {quoted(self._swept())}"
                )
            return self._agreeing(frame, where)
        kinds: Any = {name: table.kind(frame, name) for name in (*self._parameters(), *self.metrics)}
        try:
            parsed = expression.parse(where, kinds)
            if parsed.kind != "bool":
                raise UsageError(f"`{where}` is not true or false", hint="compare it: `c > 1`")
            rows = frame.select(parsed.names).to_dicts() if parsed.names else [{}] * frame.height
            kept = [None not in row.values() and bool(parsed.value(row)) for row in rows]
        except expression.ExpressionError as error:
            raise UsageError(f"`{where}`: {error.text}", hint=error.hint) from error
        return frame[[number for number, keep in enumerate(kept) if keep]]

    def _agreeing(self, frame: Frame, parameters: Mapping[str, Any]) -> Frame:
        """Return the rows that have these values; a value of another kind agrees with none."""
        from sciflow.results import table

        for name, value in parameters.items():
            wanted = _comparable(value, table.kind(frame, name))
            if wanted is None and value is not None:
                return frame.clear()
            frame = frame.filter(frame[name].is_null() if value is None else frame[name] == wanted)
        return frame

    def _said(self, parameters: Mapping[str, Any]) -> str:
        return ", ".join(f"`{name}` = {shown(value)}" for name, value in parameters.items())

    def _closest(self, parameters: Mapping[str, Any]) -> str:
        from sciflow.results import table

        for name, value in parameters.items():
            if self._agreeing(self.table, {name: value}).is_empty():
                return f"`{name}` is one of {shown(table.distinct(self.table, name))}"
        return "each of these values occurs, but not together"


def _comparable(value: Any, kind: str) -> Any:
    """Return a value as a column of a kind would hold it, or None where it never would."""
    if isinstance(value, Mapping):
        return str(names.canonical(value)) if kind == "text" else None  # as the points hold a table
    if hasattr(value, "item"):
        value = value.item()
    if kind == "bool" or isinstance(value, bool):
        return value if kind == "bool" and isinstance(value, bool) else None
    if kind == "text" or isinstance(value, str):
        return value if kind == "text" and isinstance(value, str) else None
    if not isinstance(value, (int, float)):
        return None
    if kind == "int":
        return int(value) if value % 1 == 0 else None
    return float(value)


def read(bundle: Bundle, run_name: str = names.DEFAULT_RUN) -> Results:
    """Collect a run's records. Raises IncompleteError where it has none, BundleError where one is torn."""
    from sciflow.bundle import folder

    opened = folder.read(bundle.path)
    tables, more = judging.gathered(opened, run_name)
    return Results(bundle, opened.run(run_name), tables, more["workers"])
