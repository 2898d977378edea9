"""From drawings to pictures: Vega-Lite, PNG and SVG. The one door to altair and to vl-convert."""

from __future__ import annotations

import functools
import json
import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import altair as alt
import vl_convert

from sciflow.results import charts, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sciflow.results.charts import Drawing, Scale
    from sciflow.results.columns import Plan
    from sciflow.results.table import Tables

# Okabe and Ito (2008), "Color Universal Design": told apart with every kind of colour vision. Their yellow, too faint
# on white, comes last.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
GRADIENT: Final = "viridis"  # even in lightness, so it survives grey print
INK, FAINT, MISSING = "#222222", "#666666", "#ececec"
FONT = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif"

PNG_SCALE = 2
SINGLE = {"width": 440, "height": 290}
PANEL = {"width": 230, "height": 190}
MAX_WRITTEN_COLUMNS = 12
"""The cells of a wider heatmap are too narrow to write their values in."""
MAX_DOTS = 300
"""A line with more values than this is drawn without a dot at each."""
LABELS_THAT_TURN = 60
"""An x axis whose labels have more letters than this together has them written upwards."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A chart that was drawn: its Vega-Lite spec, and where the pictures lie."""

    name: str
    title: str
    subtitle: str
    spec: dict[str, Any]
    png: Path
    svg: Path


def draw(tables: Tables, plan: Plan, folder: Path) -> list[Figure]:
    """Draw the plan's charts, or the main effects where it has none, each as NAME.png (2x), NAME.svg and NAME.vl.json.

    A chart that cannot be drawn is left out; `charts.refusal` says why. The same tables give the same SVG and spec.
    Raises SurroundingsError where the folder cannot be written.
    """
    taken: set[str] = set()
    return [
        _figure(charts.drawing(tables, plan, chart), _file_name(chart["name"], taken), folder)
        for chart in charts.wanted(tables, plan)
        if not charts.refusal(tables, plan, chart)
    ]


def spec(drawing: Drawing) -> dict[str, Any]:
    """Return a drawing as a Vega-Lite spec that carries its data."""
    layers = {"line": _line, "scatter": _scatter, "heatmap": _heatmap, "box": _box, "bar": _bar}[drawing.kind](drawing)
    data = alt.InlineData(values=[dict(row) for row in drawing.rows])
    panels = [field for field in ("column", "row") if field in drawing.scales]
    layered: Any = alt.layer(*layers).properties(**_size(drawing, panelled=bool(panels)))
    if drawing.kind == "heatmap":
        layered = layered.properties(view=alt.ViewBackground(fill=MISSING))
    chart: Any = layered.properties(data=data) if not panels else _panelled(drawing, layered, panels, data)
    words: dict[str, Any] = {"text": textwrap.wrap(drawing.title, 70) or [""]}
    if drawing.subtitle:
        words["subtitle"] = textwrap.wrap(drawing.subtitle, 90)
    chart = chart.properties(title=alt.TitleParams(**words), description=f"{drawing.title}. {drawing.subtitle}".strip())
    made: dict[str, Any] = chart.configure(**_style()).to_dict()
    return made


@functools.cache
def runtime() -> str:
    """Return the JavaScript that draws specs in a page, with all it needs: it sets `vegaEmbed` on the window."""
    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_version()))


def _figure(drawing: Drawing, name: str, folder: Path) -> Figure:
    made = spec(drawing)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    picture = vl_convert.vegalite_to_png(made, vl_version=_version(), scale=PNG_SCALE)
    drawn = _renumbered(vl_convert.vegalite_to_svg(made, vl_version=_version()))
    text = json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    table.put(png, lambda path: path.write_bytes(picture))
    table.put(svg, lambda path: path.write_text(drawn, encoding="utf-8"))
    table.put(folder / f"{name}.vl.json", lambda path: path.write_text(text, encoding="utf-8"))
    return Figure(name=drawing.name, title=drawing.title, subtitle=drawing.subtitle, spec=made, png=png, svg=svg)


def _version() -> str | None:
    """Return the Vega-Lite that altair writes for, as vl-convert calls it; None, its newest, where it lacks that."""
    major, minor = alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2]
    return f"v{major}.{minor}" if f"{major}.{minor}" in vl_convert.get_vegalite_versions() else None


def _renumbered(svg: str) -> str:
    """Count clips and gradients from 0: the renderer goes on counting from one picture to the next."""
    found: dict[str, str] = {}

    def again(match: re.Match[str]) -> str:
        return found.setdefault(match[0], f"{match[1]}{len(found)}")

    return re.sub(r"(?<=[\"#])((?:clip|gradient_|pattern_))\d+(?=[\")])", again, svg)


def _file_name(name: str, taken: set[str]) -> str:
    # A metric's name, which a program chose, is part of an automatic chart's name: it may hold anything.
    plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "chart"
    plain = plain.encode("utf-8")[:200].decode("utf-8", "ignore")
    free, count = plain, 1
    while free.casefold() in taken:
        count += 1
        free = f"{plain}-{count}"
    taken.add(free.casefold())
    return free


def _line(drawing: Drawing) -> list[Any]:
    base = _base(drawing).encode(x=_position(drawing, "x"), y=_position(drawing, "y"), **_color(drawing))
    ribbon = base.mark_area(opacity=0.16, line=False).encode(y=_position(drawing, "low", "y"), y2="high:Q")
    shaped = base.encode(**_shape(drawing))
    dots = shaped.mark_point(filled=True, size=46, opacity=1)
    lines = [*([ribbon] if _aggregated(drawing) else []), base.mark_line(strokeWidth=2)]
    return [*lines, dots] if len(drawing.rows) <= MAX_DOTS else lines


def _scatter(drawing: Drawing) -> list[Any]:
    base = _base(drawing).encode(
        x=_position(drawing, "x"), y=_position(drawing, "y"), **_color(drawing), **_shape(drawing)
    )
    crowd = len(drawing.rows)
    return [base.mark_point(filled=True, size=50 if crowd < 300 else 18, opacity=0.75 if crowd < 300 else 0.45)]  # noqa: PLR2004


def _heatmap(drawing: Drawing) -> list[Any]:
    title = drawing.scales["value"].title
    base = _base(drawing).encode(x=_position(drawing, "x"), y=_position(drawing, "y"))
    legend = alt.Legend(title=textwrap.wrap(title, 24), gradientLength=160, format=".3~g")
    scale = alt.Scale(scheme=GRADIENT, zero=False, nice=False)
    cells = base.mark_rect(stroke="white", strokeWidth=1).encode(color=alt.Color("value:Q", scale=scale, legend=legend))
    if len(drawing.scales["x"].levels) > MAX_WRITTEN_COLUMNS:
        return [cells]
    values = [row["value"] for row in drawing.rows]
    # Viridis is light above the middle of its range, where black reads better than white.
    middle = min(values) + 0.55 * (max(values) - min(values))
    ink = alt.condition(f"datum.value > {middle!r}", alt.value("black"), alt.value("white"))
    return [cells, base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=_short(values)), color=ink)]


def _box(drawing: Drawing) -> list[Any]:
    base = _base(drawing).encode(x=_position(drawing, "x"), **_color(drawing))
    dodged = _dodge(drawing)
    width = {} if dodged else {"width": alt.RelativeBandSize(band=0.5)}
    quarter = _position(drawing, "quarter", "y")
    # The box is translucent, so that its median is seen; white beneath it keeps the whisker from showing through.
    white = base.mark_bar(**width).encode(y=quarter, y2="three_quarters:Q", color=alt.value("white"), **dodged)
    boxes = base.mark_bar(fillOpacity=0.55, strokeWidth=1.2, stroke=INK, **width).encode(
        y=quarter, y2="three_quarters:Q", **dodged
    )
    middles = base.mark_tick(thickness=2, color=INK, **width).encode(
        y=_position(drawing, "y"), color=alt.value(INK), **dodged
    )
    return [_span(drawing, base, strokeWidth=1.4), white, boxes, middles]


def _bar(drawing: Drawing) -> list[Any]:
    base = _base(drawing).encode(x=_position(drawing, "x"))
    dodged = _dodge(drawing)
    width = {} if dodged else {"width": alt.RelativeBandSize(band=0.6)}
    bars = base.mark_bar(**width).encode(y=_position(drawing, "y", zero=True), **_color(drawing), **dodged)
    return [bars, *([_span(drawing, base, color=INK, strokeWidth=1.2)] if _aggregated(drawing) else [])]


def _span(drawing: Drawing, base: Any, **mark: Any) -> Any:
    """Draw a rule from the least to the greatest value, in the middle of its band."""
    low = _position(drawing, "low", "y", zero=drawing.kind == "bar")
    return base.mark_rule(**mark).encode(y=low, y2="high:Q", **_dodge(drawing, bandPosition=0.5))


def _base(drawing: Drawing) -> Any:
    measure = drawing.scales["value" if drawing.kind == "heatmap" else "y"]
    tips = [
        alt.Tooltip(f"{field}:{'Q' if scale.kind == 'number' else 'N'}", title=scale.title, **_tip(scale, measure))
        for field, scale in drawing.scales.items()
    ]
    tips += [alt.Tooltip("n:Q", title="n")] if _aggregated(drawing) else []
    return alt.Chart().mark_point().encode(tooltip=tips)


def _tip(scale: Scale, measure: Scale) -> dict[str, Any]:
    return {"format": ".6~g"} if scale.kind == "number" or scale is measure else {}


def _position(drawing: Drawing, field: str, channel: str = "", *, zero: bool = False) -> Any:
    """Lay out a field on an axis; `channel` is the axis it shares where it is not its own."""
    channel = channel or field
    scale = drawing.scales[channel]
    make = alt.X if channel == "x" else alt.Y
    title = textwrap.wrap(scale.title, 50)
    if scale.kind == "number":
        # Room at both ends keeps the outermost marks, and their labels, off the frame.
        room: dict[str, Any] = {"padding": 12, "nice": False} if channel == "x" else {}
        axis = alt.Axis(title=title, format=".4~g", labelOverlap=True, labelFlush=False, **_ticks(scale))
        span = alt.Scale(type="log", **{"nice": False, **room}) if scale.log else alt.Scale(zero=zero, **room)
        return make(f"{field}:Q", axis=axis, scale=span)
    order = charts.labels(scale.levels)
    # A heatmap's numbers rise to the right and upwards, as on every other axis.
    order = order[::-1] if channel == "y" and scale.kind == "order" else order
    turned = channel == "x" and sum(map(len, order)) > LABELS_THAT_TURN
    grid = alt.Axis(title=title, grid=False, labelLimit=160, labelAngle=-90 if turned else 0, labelOverlap=True)
    return make(f"{field}:O", axis=grid, sort=order)


def _ticks(scale: Scale) -> dict[str, Any]:
    return {"values": list(scale.levels)} if scale.levels else {"tickCount": 6}


def _color(drawing: Drawing) -> dict[str, Any]:
    if "color" not in drawing.scales:
        return {}
    scale = drawing.scales["color"]
    title = textwrap.wrap(scale.title, 24)
    if scale.kind == "number":
        span = alt.Scale(scheme=GRADIENT, type="log" if scale.log else "linear")
        return {"color": alt.Color("color:Q", scale=span, legend=alt.Legend(title=title, format=".3~g"))}
    order = charts.labels(scale.levels)
    shades = alt.Scale(domain=order, range=list(PALETTE[: len(order)]))
    return {"color": alt.Color("color:N", scale=shades, legend=alt.Legend(title=title, symbolOpacity=1))}


def _shape(drawing: Drawing) -> dict[str, Any]:
    """Say by shape what colour says, for print in grey."""
    scale = drawing.scales.get("color")
    if scale is None or scale.kind == "number":
        return {}
    order = charts.labels(scale.levels)
    shapes = alt.Scale(domain=order, range=list(SHAPES[: len(order)]))
    return {
        "shape": alt.Shape(
            "color:N", scale=shapes, legend=alt.Legend(title=textwrap.wrap(scale.title, 24), symbolOpacity=1)
        )
    }


def _dodge(drawing: Drawing, **where: Any) -> dict[str, Any]:
    scale = drawing.scales.get("color")
    if scale is None or scale.kind == "number" or scale.title == drawing.scales["x"].title:
        return {}
    apart = alt.Scale(paddingInner=0.3 if drawing.kind == "box" else 0.08)
    return {"xOffset": alt.XOffset("color:N", sort=charts.labels(scale.levels), scale=apart, **where)}


def _panelled(drawing: Drawing, layered: Any, panels: Sequence[str], data: alt.InlineData) -> Any:
    headers: dict[str, Any] = {}
    for field in panels:
        scale = drawing.scales[field]
        order = [f"{scale.title} = {text}" for text in charts.labels(scale.levels)]
        headers[field] = {"field": field, "type": "nominal", "sort": order, "title": None}
    if "row" in headers:
        return layered.facet(data=data, column=alt.Column(**headers["column"]), row=alt.Row(**headers["row"]))
    return layered.facet(data=data, facet=alt.Facet(**headers["column"]), columns=3)


def _size(drawing: Drawing, *, panelled: bool) -> dict[str, Any]:
    room = PANEL if panelled else SINGLE
    if drawing.kind == "heatmap":
        return {
            "width": _step(drawing.scales["x"], 52, room["width"]),
            "height": _step(drawing.scales["y"], 38, room["height"]),
        }
    if drawing.scales["x"].kind != "number":
        return {"width": max(room["width"], 14 * len(drawing.scales["x"].levels)), "height": room["height"]}
    return dict(room)


def _step(scale: Scale, most: int, room: int) -> Any:
    """Return the size of a cell: as large as fits the room, neither tiny nor huge."""
    return alt.Step(max(14, min(most, 2 * room // max(1, len(scale.levels)))))


def _aggregated(drawing: Drawing) -> bool:
    return any(row.get("n", 1) > 1 for row in drawing.rows)


def _short(values: Sequence[float]) -> str:
    """Return the d3 format that tells the values of a heatmap apart in a few letters."""
    span, most = max(values) - min(values), max(map(abs, values))
    if most >= 10**4:
        return ".3~s"
    if all(float(value).is_integer() for value in values):
        return "d"
    return ".3g" if span == 0 or span > 0.01 * most else ".4g"


def _style() -> dict[str, Any]:
    words = {"font": FONT, "labelColor": INK, "titleColor": INK, "labelFontSize": 11, "titleFontSize": 12}
    return {
        "background": "white",
        "font": FONT,
        "padding": 12,
        "title": {
            "anchor": "start",
            "frame": "group",
            "fontSize": 14,
            "fontWeight": 600,
            "color": INK,
            "subtitleColor": FAINT,
            "subtitleFontSize": 11,
            "subtitlePadding": 4,
            "offset": 12,
        },
        "axis": {
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 8,
            "labelColor": INK,
            "titleColor": INK,
            "gridColor": "#e6e6e6",
            "domainColor": FAINT,
            "tickColor": FAINT,
        },
        "legend": {
            **{key: value for key, value in words.items() if key != "font"},
            "titleFontWeight": "normal",
            "symbolSize": 80,
        },
        "header": {"labelFontSize": 12, "labelColor": INK},
        "mark": {"color": PALETTE[0]},
        "view": {"stroke": None},
    }
