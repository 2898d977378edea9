"""From tables, figures and facts to one page: `report.html` opens offline, carries all it needs, and loads nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from sciflow.results import charts, figures, stats, table

if TYPE_CHECKING:
    from pathlib import Path

    from sciflow.results.columns import Plan
    from sciflow.results.figures import Figure
    from sciflow.results.table import Tables

REPORT = "report.html"
MAX_POINTS = 50
MAX_FAILURES = 50
NO_ISOLATION = "none"
HOST_NETWORK = "host"
WORKER_FIRST = (
    "host",
    "engine",
    "isolation",
    "network",
    "machine",
    "cpu",
    "cpus",
    "memory_mib",
    "gpus",
    "kernel",
    "python",
)
WORKER_LEFT_OUT = {"check", "boot", "uid", "flags", "image"}


def write(tables: Tables, plan: Plan, drawn: Sequence[Figure], facts: Mapping[str, Any], folder: Path) -> Path:
    """Write `report.html` into a folder and return its path.

    `facts` says where the run took place (id, engine, isolation, image, workers, started, finished, sealed_by …); what
    is there is shown, what is not is left out. Everything is escaped, and the page's policy lets nothing be loaded and
    only its own scripts run. The same arguments give the same bytes. Raises SurroundingsError where the folder cannot
    be written.
    """
    page = render(tables, plan, drawn, facts)
    # A fact may carry half of a surrogate pair, as JSON can; UTF-8 cannot, so it is shown by its number.
    table.put(folder / REPORT, lambda path: path.write_bytes(page.encode("utf-8", "backslashreplace")))
    return folder / REPORT


def render(tables: Tables, plan: Plan, drawn: Sequence[Figure], facts: Mapping[str, Any]) -> str:
    """Return the page as text; the figures' SVG files are read from where they lie."""
    scripts = [_inert(figures.runtime()), _inert(_part("report.js"))] if drawn else []
    specs = [
        f'<script type="application/json" id="chart-{number}">{_json(figure.spec)}</script>'
        for number, figure in enumerate(drawn)
    ]
    body = [
        _head(plan, facts),
        _verdict(tables),
        _isolation(facts),
        _best(tables, plan),
        _charts(tables, plan, drawn),
        _points(tables, plan),
        _usage(tables, plan),
        _failures(tables, plan),
        _environment(facts),
        _replay(facts),
    ]
    return Template(_part("report.html")).substitute(
        policy=_policy(scripts),
        title=escape(plan["title"] or plan["name"]),
        style=_part("report.css"),
        body="\n".join(part for part in body if part),
        scripts="\n".join([*specs, *(f"<script>{script}</script>" for script in scripts)]),
    )


def _part(name: str) -> str:
    return resources.files("sciflow.results").joinpath(name).read_text(encoding="utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """Allow the page's own scripts by their digests, its styles, and pictures that it carries; nothing else."""
    digests = [base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(value: Any) -> str:
    # In a script element `</script` ends it and `<!--` begins a comment, even inside a JSON string.
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _inert(script: str) -> str:
    """Write `</script` so that it means the same in JavaScript's strings and ends nothing."""
    return script.replace("</script", "<\\/script").replace("</SCRIPT", "<\\/SCRIPT").replace("<!--", "<\\!--")


def _head(plan: Plan, facts: Mapping[str, Any]) -> str:
    identity = [f"<p class='faint'>{escape(plan['name'])}"]
    if facts.get("id"):
        identity.append(f" · bundle <span class='id'>{escape(str(facts['id']))}</span>")
    return f"<h1>{escape(plan['title'] or plan['name'])}</h1>\n{''.join(identity)}</p>"


def _verdict(tables: Tables) -> str:
    how = stats.progress(tables)
    words = [f"<strong>{how.done:,} of {how.steps:,} steps done</strong>"]
    words += [f"{count:,} {escape(state)}" for state, count in how.states.items() if state != "done"]
    words += [f"{how.missing:,} without a record"] if how.missing else []
    finished = table.done(tables.points).height
    words.append(f"{finished:,} of {tables.points.height:,} points complete")
    return f"<p class='verdict{'' if how.done == how.steps else ' bad'}'>{'; '.join(words)}.</p>"


def _isolation(facts: Mapping[str, Any]) -> str:
    """Warn where steps ran on the bare host, or a container shared the host's network."""
    places = [{"isolation": facts.get("isolation"), "network": facts.get("network")}, *_workers(facts)]
    bare = [place.get("isolation") == NO_ISOLATION for place in places if place.get("isolation")]
    if any(bare):
        words = "Nothing was isolated." if all(bare) else "Not all steps were isolated."
        return (
            f"<p class='warning'><strong>{words}</strong> Steps ran straight on the host: its programs and libraries "
            "are part of these results, and no container pins them.</p>"
        )
    if any(place.get("network") == HOST_NETWORK for place in places):
        return "<p class='warning'><strong>The network was open.</strong> Steps could reach the host's network.</p>"
    return ""


def _best(tables: Tables, plan: Plan) -> str:
    cards = []
    for best in stats.best(tables, plan):
        goal = "highest" if best.goal == "maximize" else "lowest"
        lines = [
            f"<div><div class='faint'>{goal} {escape(best.metric)}, of {best.of:,} points</div>",
            f"<div class='value'>{_quantity(best.value, best.unit)}</div>",
            f"<div>point {best.point}: {_assignments(best.parameters)}</div>",
        ]
        if best.require:
            lines.append(
                _required(
                    best.require, holds=bool(best.holds), more=f"; {best.meeting:,} of {best.of:,} points meet it"
                )
            )
        cards.append("".join(lines) + "</div>")
    for item in stats.gathered(tables, plan):
        lines = [
            f"<div><div class='faint'>{escape(item.metric)}, over all points ({escape(item.task)})</div>",
            f"<div class='value'>{_quantity(item.value, item.unit)}</div>",
        ]
        if item.require:
            lines.append(_required(item.require, holds=bool(item.holds)))
        cards.append("".join(lines) + "</div>")
    given = {*tables.point_metrics, *tables.step_metrics}
    lost = [
        metric["name"]
        for metric in plan["metrics"]
        if metric["name"] not in given and not stats.metric_columns(tables, plan, metric["name"])
    ]
    notes = [f"<p class='bad'>No finished step gave <code>{escape(name)}</code>.</p>" for name in lost]
    return "\n".join(["<h2>Best</h2>", f"<div class='best'>{''.join(cards)}</div>", *notes]) if cards or notes else ""


def _required(require: str, *, holds: bool, more: str = "") -> str:
    word = "holds" if holds else "does not hold"
    return f"<div class='{'good' if holds else 'bad'}'>required {escape(require)}: {word}{more}</div>"


def _charts(tables: Tables, plan: Plan, drawn: Sequence[Figure]) -> str:
    shown = []
    for number, figure in enumerate(drawn):
        picture = base64.b64encode(figure.svg.read_bytes()).decode("ascii")
        words = escape(f"{figure.title}. {figure.subtitle}".strip())
        shown.append(
            f"<figure data-chart='chart-{number}'><div class='chart'></div>"
            f"<img alt='{words}' src='data:image/svg+xml;base64,{picture}'></figure>"
        )
    notes = [
        f"<p class='bad'>The chart <code>{escape(chart['name'])}</code> is left out: {escape(reason)}.</p>"
        for chart in charts.wanted(tables, plan)
        if (reason := charts.refusal(tables, plan, chart))
    ]
    return "\n".join(["<h2>Charts</h2>", *shown, *notes]) if shown or notes else ""


def _points(tables: Tables, plan: Plan) -> str:
    shown = tables.points.head(MAX_POINTS)
    units = {item["name"]: item["unit"] for item in (*plan["metrics"], *plan["parameters"])}
    heads = [f"{name} ({units[name]})" if units.get(name, "1") not in {"", "1"} else name for name in shown.columns]
    numbers = [table.kind(shown, name) in {"int", "float"} for name in shown.columns]
    more = (
        "" if shown.height == tables.points.height else f"The first {MAX_POINTS} of {tables.points.height:,} points. "
    )
    files = f"<code>{table.RESULTS_CSV}</code> and <code>{table.RESULTS}</code>"
    where = f"<p class='small faint'>{more}All of them, in full precision, are in {files}.</p>"
    return f"<h2>Results</h2>\n{_grid(heads, shown.rows(), numbers)}\n{where}"


def _usage(tables: Tables, plan: Plan) -> str:
    heads = ["task", "steps", "recorded", "median wall", "longest wall", "CPU, all", "peak memory"]
    rows = [
        (
            item.task,
            item.steps,
            item.recorded,
            _duration(item.wall_median_s),
            _duration(item.wall_max_s),
            _duration(item.cpu_s),
            "" if item.peak_mib is None else f"{item.peak_mib:,.0f} MiB",
        )
        for item in stats.usage(tables, plan)
    ]
    return f"<h2>Time and memory</h2>\n{_grid(heads, rows, [False] + [True] * 6)}"


def _failures(tables: Tables, plan: Plan) -> str:
    how = stats.progress(tables)
    wrong = how.steps - how.done - how.missing
    if not wrong:
        return ""
    rows = [
        (
            f"{item.task}/{item.step}",
            item.state,
            f"signal {item.signal}" if item.signal else "" if item.code is None else f"code {item.code}",
            item.reason,
            ", ".join(f"{name} = {_shown(value)}" for name, value in item.parameters.items()),
        )
        for item in stats.failures(tables, plan, MAX_FAILURES)
    ]
    more = f"<p class='small faint'>The first {MAX_FAILURES} of {wrong:,}; all are in <code>{table.STEPS}</code>.</p>"
    heads = ["step", "state", "ended with", "reason", "values"]
    grid = _grid(heads, rows, [False] * 5, wide={3, 4})
    return f"<h2>Steps that were not done</h2>\n{grid}" + (more if wrong > len(rows) else "")


def _environment(facts: Mapping[str, Any]) -> str:
    workers = _workers(facts)
    seen = {key: sorted({str(worker[key]) for worker in workers if worker.get(key)}) for key in ("engine", "isolation")}
    shown = {**seen, **{key: value for key, value in facts.items() if key not in {"workers", "id"}}}
    if workers and all(worker.get("isolation") == NO_ISOLATION for worker in workers):
        shown["image, not used here"] = shown.pop("image", None)
    envelopes = [worker["envelope"] for worker in facts.get("workers") or [] if worker.get("envelope")]
    tasks = [variables for envelope in envelopes for variables in envelope.values()]
    common = dict(set.intersection(*(set(variables.items()) for variables in tasks))) if tasks else {}
    shown["environment of the steps"] = dict(sorted(common.items()))
    shown = {key: value for key, value in shown.items() if value not in (None, "", [], {})}
    parts = [f"<h2>Environment</h2>\n{_pairs(shown)}"] if shown or workers else []
    if workers:
        heads = list(dict.fromkeys(key for worker in workers for key in worker))
        rows = [[_told(head, worker.get(head)) for head in heads] for worker in workers[:MAX_POINTS]]
        count = f"{len(workers):,} worker{'s' if len(workers) > 1 else ''}"
        more = f", the first {MAX_POINTS} of them" if len(workers) > MAX_POINTS else ""
        titles = [head.replace("_mib", " (MiB)").replace("_", " ") for head in heads]
        parts.append(f"<p class='faint'>{count}{more}</p>\n{_grid(titles, rows, [False] * len(heads))}")
    return "\n".join(parts)


def _workers(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what is known of each worker, flat: the parts of `facts` and `box` by their own names, others prefixed.

    Left out is what fills a page and tells a reader little: processor flags, ids of one boot, empty parts.
    """
    found = []
    for worker in facts.get("workers") or []:
        flat: dict[str, Any] = {}
        for key, value in worker.items():
            inner = value if isinstance(value, Mapping) else {key: value}
            prefix = "" if key in {"facts", "box"} or inner is not value else f"{key} "
            flat.update({prefix + str(name): item for name, item in inner.items()} if key != "envelope" else {})
        known = [key for key in WORKER_FIRST if key in flat] + [key for key in flat if key not in WORKER_FIRST]
        found.append(
            {key: flat[key] for key in known if key not in WORKER_LEFT_OUT and flat[key] not in (None, "", [], {})}
        )
    return found


def _replay(facts: Mapping[str, Any]) -> str:
    trust = f"It was sealed by {escape(_plain(facts['sealed_by']))}. " if facts.get("sealed_by") else ""
    return (
        "<h2>Verify and replay</h2>\n"
        f"<p>{trust}The bundle that made this page carries all it takes to make it again. In its folder:</p>\n"
        "<pre>sciflow verify .      # is every byte what was sealed, and by whom?\n"
        "sciflow replay .      # run it again, and compare every output and metric\n"
        "./launch.sh           # go on where it left off, without sciflow</pre>\n"
        "<p>Without sciflow, <code>python3 -I verify.py</code>, from a copy that you trust, says the same as "
        "<code>sciflow verify</code>.</p>"
    )


def _grid(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], numbers: Sequence[bool], wide: Collection[int] = ()
) -> str:
    kinds = [
        " class='number'" if number else " class='wide'" if at in wide else "" for at, number in enumerate(numbers)
    ]
    top = "".join(f"<th{kind}>{escape(head)}</th>" for kind, head in zip(kinds, heads, strict=True))
    body = "\n".join(
        "<tr>"
        + "".join(f"<td{kind}>{escape(_shown(value))}</td>" for kind, value in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<div class='scroll'><table><thead><tr>{top}</tr></thead>\n<tbody>{body}</tbody></table></div>"


def _pairs(facts: Mapping[str, Any]) -> str:
    rows = []
    for key, value in facts.items():
        word = str(key).replace("_", " ")
        text = _told(str(key), value)
        rows.append(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(item) for item in value)
    return _shown(value)


def _told(key: str, value: Any) -> str:
    """Write a fact; seconds since 1970 as a moment, in UTC."""
    if key in {"start", "started", "finished"} and isinstance(value, int | float) and math.isfinite(value):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return _plain(value)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:  # noqa: PLR2004
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def _assignments(parameters: Mapping[str, Any]) -> str:
    return (
        ", ".join(f"<code>{escape(name)} = {escape(_shown(value))}</code>" for name, value in parameters.items())
        or "the only one"
    )


def _quantity(value: Any, unit: str) -> str:
    return escape(_shown(value) + ("" if unit in {"", "1"} else f" {unit}"))


def _shown(value: Any) -> str:
    """Write a value for reading: six digits of a fraction, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
