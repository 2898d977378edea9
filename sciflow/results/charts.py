"""From the plan's charts and the table of points to drawings: rows, scales and captions, nothing drawn yet."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sciflow.results import stats, table

if TYPE_CHECKING:
    from sciflow.results.columns import Plan
    from sciflow.results.table import Frame, Tables

Spec: TypeAlias = Mapping[str, Any]
"""One chart as `plan.json` has it."""

MAX_ROWS = 5000
"""More marks than this make a picture no clearer, and a page heavy."""
MAX_LEVELS = 40
"""An axis with more values than this is cut into bins (numbers) or shortened (text)."""
BINS = 30
MAX_COLORS = 8
MAX_PANELS = 12
MAX_AUTOMATIC = 24
DECADES_FOR_LOG = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Scale:
    """How one field of the rows is laid out.

    `number`: on a line, linear or by powers of ten; `levels` are the values to mark, or none. `order` and `name`: one
    place a label, `levels` in their order; an `order` is of numbers.
    """

    title: str
    kind: Literal["number", "order", "name"]
    levels: tuple[Any, ...] = ()
    log: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """A figure before it is drawn.

    `rows` have the fields x, y, and where the drawing has them color, column, row; those that were aggregated n, low,
    high, quarter, three_quarters. A heatmap's measure is the field `value`, all others' is y.
    """

    name: str
    kind: Literal["line", "scatter", "heatmap", "box", "bar"]
    title: str
    subtitle: str
    rows: tuple[Mapping[str, Any], ...]
    scales: Mapping[str, Scale]
    """Field -> scale, for x, y, value, color, column and row."""


def wanted(tables: Tables, plan: Plan) -> list[Spec]:
    """Return the plan's charts; without any, each parameter's main effect on each metric that has a goal.

    Where no metric has a goal the first numeric ones are taken. A main effect is a line, or a bar where the parameter
    has no order.
    """
    return list(plan["charts"]) or list(_main_effects(tables, plan))[:MAX_AUTOMATIC]


def refusal(tables: Tables, plan: Plan, chart: Spec) -> str:
    """Say why a chart cannot be drawn, or nothing when it can."""
    frame = table.done(tables.points)
    if frame.is_empty():
        return "no point is done"
    for name in _named(chart):
        columns = _columns(tables, plan, name)
        if not columns:
            return f"no finished point has `{name}`"
        if len(columns) > 1:
            return f"several tasks give `{name}`: name one of {', '.join(f'`{column}`' for column in columns)}"
    measure = _columns(tables, plan, _measure(chart))[0]
    if table.kind(frame, measure) == "text":
        return f"`{measure}` is text, and a {chart['kind']} measures numbers"
    if frame[measure].drop_nulls().is_empty():
        return f"no finished point has `{measure}`"
    return ""


def drawing(tables: Tables, plan: Plan, chart: Spec) -> Drawing:
    """Aggregate the points for one chart that is not refused, and lay out its scales.

    The parameters that stand on no axis are aggregated over, and the subtitle says so. Box plots show their spread,
    and a scatter every point (thinned to at most MAX_ROWS).
    """
    kind = chart["kind"]
    measure = _columns(tables, plan, _measure(chart))[0]
    fields = {field: _columns(tables, plan, name)[0] for field, name in _fields(chart)}
    frame = table.done(tables.points)
    frame = frame.filter(frame[measure].is_not_null())
    units = _units(plan)
    captions: list[str] = []
    scales: dict[str, Scale] = {}
    for field, column in fields.items():
        measured = column == measure and field in {"y", "value"}
        if not measured:
            frame, caption = _shorten(frame, column, field, kind)
            captions.extend(caption)
        scales[field] = _scale(frame, column, field, kind, _titled(column, units), measured=measured)
    keys = list(dict.fromkeys(column for field, column in fields.items() if column != measure))
    if kind == "scatter":
        thinned, stride = table.thin(frame, MAX_ROWS)
        captions.extend(_thinned(stride, frame.height, "points"))
        rows = list(_rows(thinned, fields, scales))
    else:
        grouped = table.aggregate(frame, keys, measure, chart["aggregate"] or "mean")
        captions[:0] = _aggregated(frame, grouped, keys, plan, chart)
        thinned, stride = table.thin(grouped, MAX_ROWS)
        captions.extend(_thinned(stride, grouped.height, "marks"))
        rows = list(_rows(thinned, {**fields, **_extras(kind, fields, measure)}, scales))
    if kind == "heatmap" and len(rows) < math.prod(len(scale.levels) for scale in scales.values() if scale.levels):
        captions.append("grey: no result")
    if frame.height < plan["points"] and not any("first" in caption for caption in captions):
        captions.append(f"{frame.height} of {plan['points']} points")
    return Drawing(
        name=chart["name"],
        kind=kind,
        title=chart["title"] or _headline(chart),
        subtitle="; ".join(captions),
        rows=tuple(rows),
        scales=scales,
    )


def labels(values: Sequence[Any]) -> list[str]:
    """Write values as short as tells them apart: numbers with four digits, or as many more as it takes."""
    for digits in range(4, 18):
        texts = [_label(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            return texts
    return [str(value) for value in values]


def by_decades(values: Sequence[float]) -> bool:
    """Say whether ascending values are laid out for an axis by powers of ten: over two decades, in even steps."""
    if len(values) < 2 or values[0] <= 0 or math.log10(values[-1] / values[0]) < DECADES_FOR_LOG - 1e-9:  # noqa: PLR2004
        return False
    steps = [math.log(b / a) for a, b in itertools.pairwise(values)]
    # 1, 3, 10, 30 is even enough for people: its steps are 1.10 and 1.20.
    return max(steps) <= 1.5 * min(steps)


def _main_effects(tables: Tables, plan: Plan) -> Iterator[Spec]:
    frame = table.done(tables.points)
    goals = [
        column
        for metric in plan["metrics"]
        if metric["goal"]
        for column in stats.metric_columns(tables, plan, metric["name"])
    ]
    numbers = [name for name in tables.point_metrics if table.kind(frame, name) in {"int", "float"}]
    for metric in goals or numbers[:3]:
        for parameter in plan["parameters"]:
            name = parameter["name"]
            if parameter["derived"] or name not in frame.columns or len(table.distinct(frame, name)) < 2:  # noqa: PLR2004
                continue
            yield {
                "name": f"{metric}-by-{name}",
                "kind": "line" if table.kind(frame, name) in {"int", "float"} else "bar",
                "x": name,
                "y": metric,
                "value": "",
                "color": "",
                "facet": [],
                "aggregate": "mean",
                "title": "",
            }


def _measure(chart: Spec) -> str:
    return str(chart["value"] if chart["kind"] == "heatmap" else chart["y"] or chart["value"])


def _fields(chart: Spec) -> list[tuple[str, str]]:
    """Return (field, name) of all that the chart shows; a heatmap's colour is its value."""
    heatmap = chart["kind"] == "heatmap"
    fields = [("x", chart["x"]), ("y", chart["y"] if heatmap else _measure(chart))]
    fields += [("value", chart["value"])] if heatmap else [("color", chart["color"])] if chart["color"] else []
    return fields + list(zip(("column", "row"), chart["facet"], strict=False))


def _named(chart: Spec) -> list[str]:
    return [name for _, name in _fields(chart)]


def _columns(tables: Tables, plan: Plan, name: str) -> tuple[str, ...]:
    own = [parameter["name"] for parameter in plan["parameters"]]
    return (name,) if name in own and name in tables.points.columns else stats.metric_columns(tables, plan, name)


def _units(plan: Plan) -> dict[str, str]:
    given = {item["name"]: item["unit"] for item in (*plan["metrics"], *plan["parameters"])}
    tasks = [task["name"] for task in plan["tasks"]]
    return {**{f"{task}.{name}": unit for name, unit in given.items() for task in tasks}, **given}


def _titled(column: str, units: Mapping[str, str]) -> str:
    # The unit of a pure number is 1 (ISO 80000-1 §6.5.1): there is nothing to say.
    unit = units.get(column, "")
    return column if unit in {"", "1"} else f"{column} ({unit})"


def _headline(chart: Spec) -> str:
    others = [name for field, name in _fields(chart) if name != _measure(chart) and field in {"x", "y", "color"}]
    return f"{_measure(chart)} by {_listed(others)}" if others else _measure(chart)


def _shorten(frame: Frame, column: str, field: str, kind: str) -> tuple[Frame, list[str]]:
    """Keep the values of one axis to what can be seen; say what was done, where something was."""
    values = table.distinct(frame, column)
    numbers = table.kind(frame, column) in {"int", "float"}
    places = field in {"x", "y"} and kind in {"heatmap", "bar", "box"}
    if numbers and places and len(values) > MAX_LEVELS:
        return table.regroup(frame, column, _bins(values)), [f"{column} in {BINS} bins"]
    if numbers and not (places or field in {"column", "row"}):
        return frame, []
    most = {"color": MAX_COLORS, "column": MAX_PANELS, "row": MAX_PANELS}.get(field, MAX_LEVELS)
    if len(values) <= most:
        return frame, []
    return frame.filter(frame[column].is_in(values[:most])), [f"the first {most} of {len(values)} values of {column}"]


def _bins(values: Sequence[float]) -> dict[float, float]:
    """Map ascending values to the middles of bins of equal width (of equal ratio for values that span decades)."""
    log = by_decades(values)
    forth: Callable[[float], float] = math.log if log else float
    back: Callable[[float], float] = math.exp if log else float
    low, high = forth(values[0]), forth(values[-1])
    width = (high - low) / BINS
    return {value: back(low + width * (min(BINS - 1, int((forth(value) - low) / width)) + 0.5)) for value in values}


def _scale(frame: Frame, column: str, field: str, kind: str, title: str, *, measured: bool) -> Scale:
    if measured:
        return Scale(title=title, kind="number")
    values = table.distinct(frame, column)
    if table.kind(frame, column) in {"bool", "text"}:
        return Scale(title=title, kind="name", levels=tuple(values))
    places = (field in {"x", "y"} and kind in {"heatmap", "bar", "box"}) or field in {"column", "row"}
    if places or (field == "color" and len(values) <= MAX_COLORS):
        return Scale(title=title, kind="order", levels=tuple(values))
    few = len(values) <= MAX_COLORS
    return Scale(title=title, kind="number", levels=tuple(values) if few else (), log=by_decades(values))


def _rows(frame: Frame, fields: Mapping[str, str], scales: Mapping[str, Scale]) -> Iterator[Mapping[str, Any]]:
    """Give the rows by field, with the labels of all that has levels instead of its values."""
    named = {}
    for field, scale in scales.items():
        if scale.kind != "number":
            texts = labels(scale.levels)
            prefix = f"{scale.title} = " if field in {"column", "row"} else ""
            named[field] = {value: prefix + text for value, text in zip(scale.levels, texts, strict=True)}
    for row in frame.to_dicts():
        yield {
            field: named[field].get(row[column]) if field in named else row[column] for field, column in fields.items()
        }


def _extras(kind: str, fields: Mapping[str, str], measure: str) -> dict[str, str]:
    """Map the fields that hold what was aggregated to the aggregate's columns."""
    own = {("value" if kind == "heatmap" else "y"): table.AGGREGATED[0]}
    own.update({name.lstrip("\0"): name for name in table.AGGREGATED[1:]})
    return own if measure in fields.values() else {}


def _aggregated(frame: Frame, grouped: Frame, keys: Sequence[str], plan: Plan, chart: Spec) -> list[str]:
    counts = grouped["\0n"]
    least, most = counts.min(), counts.max()
    n = f"n = {least!s}" if least == most else f"n = {least!s} to {most!s}"
    if most == 1:
        return []
    free = [item["name"] for item in plan["parameters"] if not item["derived"] and item["name"] not in keys]
    varying = table.varying(frame, keys, [name for name in free if name in frame.columns])
    # Nothing varies where the points of a bin are taken together: its own caption says that.
    over = f" over {_listed(varying)}" if varying else ""
    if chart["kind"] == "box":
        return [f"spread{over} ({n}); boxes: quartiles, whiskers: least and greatest"]
    how = chart["aggregate"] or "mean"
    span = {"line": "; band: least to greatest", "bar": "; lines: least to greatest"}
    return [f"{how}{over} ({n})" + (span.get(chart["kind"], "") if how in {"mean", "median"} else "")]


def _thinned(stride: int, count: int, what: str) -> list[str]:
    return [] if stride == 1 else [f"one in {stride} of {count:,} {what}"]


def _listed(words: Iterable[str]) -> str:
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _label(value: Any, digits: int) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return textwrap.shorten(value, 4 * digits + 20, placeholder="…") or value
    if isinstance(value, int):
        return str(value)
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa
