"""From columns to the two tables, and their files: the one door to polars."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import polars as pl

from sciflow.errors import SurroundingsError, UsageError
from sciflow.results import columns
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Frame: TypeAlias = pl.DataFrame
Aggregate: TypeAlias = Literal["mean", "median", "min", "max"]

RESULTS = "results.parquet"
RESULTS_CSV = "results.csv"
STEPS = "steps.parquet"

_TYPES: Mapping[str, type[pl.DataType]] = {
    "bool": pl.Boolean,
    "int": pl.Int64,
    "float": pl.Float64,
    "text": pl.String,
    "table": pl.String,
}
_NARROW: Mapping[str, type[pl.DataType]] = {"point": pl.UInt32, "step": pl.UInt32}

# A spreadsheet takes a cell that begins so for a formula (OWASP, CSV Injection).
_FORMULA = r"^[=+\-@\t\r]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """One row a point, and one row a step.

    `points`: point (u32), state (text: the worst of its steps, null where one has no record), the parameters and
    derived columns typed by kind, then a column a metric: its bare name where only one task gives it, else
    `task.metric`. Gathered tasks are no part of it.
    `steps`: task, step (u32), point (u32: the first that uses it, null for a gathered task), state, code, signal,
    reason, wall_s, user_s, system_s, peak_mib, attempt, key, the parameters it uses, the metrics it gave.
    Only steps that are done give metrics. A name that is taken already gets `parameter.` or `metric.` before it.
    """

    points: Frame
    steps: Frame
    point_metrics: tuple[str, ...]
    """The columns of `points` that are metrics."""
    step_metrics: tuple[str, ...]
    """The columns of `steps` that are metrics."""


def build(
    plan: columns.Plan, points: Iterable[columns.Point], steps: columns.Steps, settled: columns.Settled
) -> Tables:
    """Collect records into tables, ordered by point, and by task in the plan's order then step.

    `points` is read once. A step without a record is a row of nulls after its name. Raises BundleError when the
    points are not as many as the plan says.
    """
    laid = columns.columns(plan, points, steps, settled)
    return Tables(
        points=_frame(laid.points),
        steps=_frame(laid.steps),
        point_metrics=laid.point_metrics,
        step_metrics=laid.step_metrics,
    )


def write(tables: Tables, folder: Path, *, provenance: Mapping[str, str]) -> Path:
    """Write `results.parquet`, `results.csv` and `steps.parquet`; return the path of the first.

    The provenance stands in the metadata of both parquet files. The same tables give the same bytes. In the CSV a text
    that a spreadsheet would run as a formula begins with `'`; the parquet file has it as it is. Each file is whole or
    not there at all. Raises SurroundingsError where the folder cannot be written.
    """
    metadata = dict(sorted(provenance.items()))
    put(folder / RESULTS, lambda path: tables.points.write_parquet(path, metadata=dict(metadata)))
    put(folder / STEPS, lambda path: tables.steps.write_parquet(path, metadata=dict(metadata)))
    put(folder / RESULTS_CSV, lambda path: _tame(tables.points).write_csv(path))
    return folder / RESULTS


def cells(path: Path) -> dict[str, list[Any]]:
    """Return the columns of a parquet file as lists. Raises ValueError with what is wrong with it."""
    try:
        return pl.read_parquet(path, memory_map=False).to_dict(as_series=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise ValueError(str(error).partition("\n")[0]) from error


def save(place: Path, laid: Sequence[tuple[str, str, Sequence[Any]]]) -> None:
    """Write columns (name, kind, values) to a CSV or parquet file, by its ending, whole or not at all.

    Raises SurroundingsError, UsageError.
    """
    frame = _frame([columns.Column(name=name, kind=kind, values=values) for name, kind, values in laid])
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": lambda path: _tame(frame).write_csv(path),
        ".parquet": frame.write_parquet,
    }
    if place.suffix not in writers:
        raise UsageError(f"`{place}` is neither a .csv nor a .parquet file", hint="its ending says what is written")
    put(place, writers[place.suffix])


def put(path: Path, write_to: Callable[[Path], object]) -> None:
    """Write a file beside its place, then rename it: a reader never sees half of it.

    Raises SurroundingsError where the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(descriptor)
        beside = Path(name)
        try:
            write_to(beside)
            beside.chmod(0o644)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise SurroundingsError(
            f"`{path}` cannot be written: {error.strerror or error}", hint="is there space, and may you write there?"
        ) from error


def done(frame: Frame) -> Frame:
    """Return the rows whose state is done."""
    return frame.filter(pl.col("state") == names.DONE)


def kind(frame: Frame, name: str) -> str:
    """Return what a column holds: `bool`, `int`, `float` or `text`."""
    dtype = frame.schema[name]
    return next((word for word, wide in _TYPES.items() if dtype == wide), "int")


def distinct(frame: Frame, name: str) -> list[Any]:
    """Return the values of a column, each once, nulls left out: numbers ascending, others as they first appear."""
    values = frame.get_column(name).drop_nulls().unique(maintain_order=True)
    return (values.sort() if values.dtype.is_numeric() else values).to_list()


def varying(frame: Frame, by: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return those of the other columns that take more than one value within a group of equal `by`."""
    if not others or frame.is_empty():
        return []
    counts = frame.group_by(by).agg(pl.col(others).n_unique()) if by else frame.select(pl.col(others).n_unique())
    return [name for name in others if counts.get_column(name).max() != 1]


def aggregate(frame: Frame, by: Sequence[str], value: str, how: Aggregate) -> Frame:
    """Return one row a group of equal `by`, ordered by it: `by`, then value, n, low, high, quarter and three_quarters.

    `value` is the mean, median, least or greatest of the group's values, `low` and `high` its ends, the quarters its
    quantiles (linear between neighbours, R type 7). True counts as 1, false as 0; a row without a value not at all.
    """
    source = pl.col(value).cast(pl.Float64)
    verbs: Mapping[str, Callable[[], pl.Expr]] = {
        "mean": source.mean,
        "median": source.median,
        "min": source.min,
        "max": source.max,
    }
    return (
        frame.filter(source.is_not_null())
        .group_by(by, maintain_order=True)
        .agg(
            verbs[how]().alias("\0value"),
            pl.len().alias("\0n"),
            source.min().alias("\0low"),
            source.max().alias("\0high"),
            source.quantile(0.25, "linear").alias("\0quarter"),
            source.quantile(0.75, "linear").alias("\0three_quarters"),
        )
        .sort(by, maintain_order=True)
    )


AGGREGATED = ("\0value", "\0n", "\0low", "\0high", "\0quarter", "\0three_quarters")
"""The columns that `aggregate` adds; the leading NUL keeps them apart from every parameter."""


def thin(frame: Frame, limit: int) -> tuple[Frame, int]:
    """Return every k-th row, with the least k that leaves at most `limit` rows, and that k."""
    stride = max(1, -(-frame.height // limit))
    return frame.gather_every(stride), stride


def regroup(frame: Frame, name: str, values: Mapping[Any, float]) -> Frame:
    """Return the frame with each value of a column replaced by the one given for it (the middle of its bin)."""
    return frame.with_columns(pl.col(name).cast(pl.Float64).replace_strict(dict(values), return_dtype=pl.Float64))


def _frame(laid: Sequence[columns.Column]) -> Frame:
    # The type is always given: left to guess, polars looks at the first 100 rows and cuts 1.5 down to 1 after them.
    return pl.DataFrame(
        [pl.Series(column.name, column.values, dtype=_NARROW.get(column.name, _TYPES[column.kind])) for column in laid]
    )


def _tame(frame: Frame) -> Frame:
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    cells = [
        pl.when(pl.col(name).str.contains(_FORMULA))
        .then(pl.concat_str(pl.lit("'"), pl.col(name)))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ]
    heads = {name: f"'{name}" for name in frame.columns if name.startswith(("=", "+", "-", "@", "\t", "\r"))}
    return frame.with_columns(cells).rename(heads)
