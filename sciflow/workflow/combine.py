"""The sections [parameters], [sweep] and [sweeps] -> parameters, derived columns, sweeps with points, and faults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.workflow import axes, expression, grid, space, sweep
from sciflow.workflow.axes import MAX_POINTS, SPOKEN
from sciflow.workflow.block import Asked, add, blind, build, when_of
from sciflow.workflow.budget import MAX_OPERATIONS, MAX_VALUES, Budget
from sciflow.workflow.faults import Faults, likely, shown
from sciflow.workflow.order import order
from sciflow.workflow.spec import Derived, Keys, Kind, Parameter, Sweep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sciflow.workflow.space import Found, Tables

MAX_BLOCKED = 20_000  # parameters of all blocks, each of which is looked at
MAX_INCLUDED = 10_000  # each is a grid of its own
INHERITED = ("zip", "where", "exclude", "include", "sample")


@dataclass(frozen=True, kw_only=True, slots=True)
class Combined:
    """What the two sections come to."""

    parameters: tuple[Parameter, ...]
    derive: tuple[Derived, ...]
    sweeps: tuple[Sweep, ...]


def combine(data: dict[str, Any], faults: Faults, tables: Tables) -> Combined:
    """Return parameters, derived columns and sweeps, without what is wrong with them; the points are made."""
    found = space.parameters(data.get("parameters", {}), ("parameters",), faults, tables)
    common = data.get("sweep", {})
    layered = {
        name: list(_layers(base, table, common)) for name, base, table in _sweeps(common, data.get("sweeps", {}))
    }
    blocks = sum(map(len, layered.values()))
    if blocks * len(found.parameters) > MAX_BLOCKED:
        fault = f"the sweeps have {blocks:,} blocks of {len(found.parameters):,} parameters each"
        faults.key(("sweep",), fault, f"take fewer: the one number times the other may be {MAX_BLOCKED:,}")
        raise faults.all()
    asked = {name: [_asked(one, found, faults, tables) for one in layers] for name, layers in layered.items()}
    every = [one for blocks in asked.values() for one in blocks]
    if sum(len(one.table.get("include", ())) for one in every) > MAX_INCLUDED:
        fault = f"the sweeps and their blocks include more than {MAX_INCLUDED:,} partial points"
        faults.key(("sweep",), fault, "leave out more parameters in each, or write blocks")
        raise faults.all()
    held = 0
    for one in every:
        held += sum(len(each.values) for each in one.parameters)
    if held > MAX_VALUES * 5:
        fault = f"the sweeps and their blocks turn {held:,} values, and may {MAX_VALUES * 5:,}"
        faults.key(("parameters",), fault, "take fewer blocks, or fewer values in each")
        raise faults.all()
    _idle(every, faults)
    kinds = _kinds(found.parameters, every, faults)
    base = tuple(_in_kind(one, kinds) for one in found.parameters)
    derive = _derive(common.get("derive", {}), base, faults)
    sweeps = []
    for name, those in asked.items():
        theirs = [
            dataclasses.replace(one, parameters=tuple(_in_kind(each, kinds) for each in one.parameters))
            for one in those
        ]
        made = Sweep(name=name, blocks=tuple(build(one, base, derive, faults) for one in theirs))
        sweeps.append((made, theirs))
    combined = Combined(parameters=base, derive=derive, sweeps=tuple(made for made, _ in sweeps))
    if any(faults.has((section,)) for section in ("parameters", "sweep", "sweeps")):
        return combined
    return dataclasses.replace(
        combined, sweeps=tuple(_filled(made, theirs, combined, tables.budget, faults) for made, theirs in sweeps)
    )


def _idle(every: Sequence[Asked], faults: Faults) -> None:
    """Refuse a sample that draws nothing in any of the blocks that take it over."""
    draws = {one.paths["sample"]: False for one in every if "sample" in one.paths}
    for one in every:
        if "sample" in one.paths and any(each.draw for each in one.parameters):
            draws[one.paths["sample"]] = True
    for path in [path for path, drawn in draws.items() if not drawn and not faults.has(("parameters",))]:
        hint = "write one as `uniform`, `loguniform`, `normal`, `integer` or `choice`"
        faults.key(path, "`sample` draws parameters, and none is drawn", hint)


def _sweeps(common: dict[str, Any], named: dict[str, Any]) -> Iterator[tuple[str, Keys, dict[str, Any]]]:
    """Yield name, path and own keys of each sweep; [sweep] itself is one only where none has a name."""
    if not named:
        yield "", ("sweep",), common
    for name, table in named.items():
        yield name, ("sweeps", name), table


def _layers(base: Keys, own: dict[str, Any], common: dict[str, Any]) -> Iterator[list[tuple[Keys, dict[str, Any]]]]:
    """Yield, for each block of a sweep, the tables that say something of it and their paths, the innermost last."""
    layers: list[tuple[Keys, dict[str, Any]]] = [(("sweep",), common)] if common is not own else []
    layers.append((base, own))
    where = next((layer for layer in reversed(layers) if "blocks" in layer[1]), None)
    if where is None:
        yield layers
        return
    for index, block in enumerate(where[1]["blocks"]):
        yield [*layers, ((*where[0], "blocks", index), block)]


def _asked(layers: Sequence[tuple[Keys, dict[str, Any]]], found: Found, faults: Faults, tables: Tables) -> Asked:
    table: dict[str, Any] = {}
    paths: dict[str, Keys] = {}
    instead: dict[str, Parameter] = {}
    places = dict(found.paths)
    groups = list(found.groups)
    known = space.names(faults.document.data.get("parameters", {}))
    for base, layer in layers:
        for key in INHERITED:
            if key in layer:
                table[key], paths[key] = layer[key], (*base, key)
        given: dict[str, Any] = {}
        for name, written in layer.get("parameters", {}).items():
            strange = [one for one in space.names({name: written}) if one not in known]
            for stranger in strange:
                hint = likely(stranger, known, what="parameters")
                fault = f"`{shown(stranger)}` is given other values, and there is no such parameter"
                faults.key((*base, "parameters", name), fault, hint)
            given |= {} if strange else {name: written}
        made = space.parameters(given, (*base, "parameters"), faults, tables)
        instead |= {one.name: one for one in made.parameters}
        places |= made.paths
        groups = [group for group in groups if not set(group) & set(instead)] + list(made.groups)
    for one in found.parameters:  # what the new values say nothing of stays
        if one.name in instead:
            new = instead[one.name]
            instead[one.name] = dataclasses.replace(new, unit=new.unit or one.unit, when=new.when or one.when)
    return Asked(
        table=table,
        paths=paths,
        parameters=tuple(instead.get(one.name, one) for one in found.parameters),
        own=tuple(instead),
        groups=tuple(groups),
        places=places,
    )


def _kinds(parameters: Sequence[Parameter], every: Sequence[Asked], faults: Faults) -> dict[str, Kind]:
    """Return the kind of each parameter: one that holds its values in every block, and those that are included."""
    kinds: dict[str, Kind] = {one.name: one.kind for one in parameters}
    for block in every:
        for one in block.parameters:
            _join(kinds, one.name, one.kind, block.places.get(one.name, ()), faults)
        for index, partial in enumerate(block.table.get("include", ())):
            for name, value in partial.items():
                if name in kinds:
                    _join(kinds, name, axes.KINDS[type(value)], (*block.paths["include"], index, name), faults)
    return kinds


def _join(kinds: dict[str, Kind], name: str, kind: Kind, path: Keys, faults: Faults) -> None:
    joined = space.joined([kinds[name], kind])
    if joined is None:
        fault = (
            f"parameter `{name}`: {SPOKEN[kind]} stands here, and elsewhere its values are each {SPOKEN[kinds[name]]}"
        )
        faults.value(path, fault, "the values of a parameter are of one kind")
    else:
        kinds[name] = joined


def _in_kind(parameter: Parameter, kinds: Mapping[str, Kind]) -> Parameter:
    kind = kinds[parameter.name]
    if kind == parameter.kind or space.joined([kind, parameter.kind]) is None:
        return parameter
    return dataclasses.replace(parameter, kind=kind, values=space.as_kind(parameter, kind))


def _derive(texts: dict[str, str], found: tuple[Parameter, ...], faults: Faults) -> tuple[Derived, ...]:
    """Return the derived columns that can be computed, in the order of the file."""
    base: Keys = ("sweep", "derive")
    parameters = space.names(faults.document.data.get("parameters", {}))
    needs: dict[str, Sequence[str]] = {}
    for name, text in texts.items():
        if name in parameters:
            faults.key((*base, name), f"`{shown(name)}` is a parameter already", "give the derived column another name")
        elif space.free(name, (*base, name), faults):
            try:
                needs[name] = expression.names(text)
            except expression.ExpressionError as error:
                add(error, (*base, name), faults)
    placed, circles = order(needs)
    circular = {name for circle in circles for name in circle}
    for circle in circles:
        shape = " -> ".join((*circle, circle[0]))
        faults.key(
            (*base, circle[0]), f"derived columns go in a circle: {shape}", "let one of them name only parameters"
        )
    kinds: dict[str, Kind] = {one.name: one.kind for one in found}
    for name in placed:
        if name not in circular and not blind(needs[name], kinds, faults):
            try:
                kinds[name] = expression.parse(texts[name], kinds).kind
            except expression.ExpressionError as error:
                add(error, (*base, name), faults)
    return tuple(Derived(name=name, expression=text) for name, text in texts.items() if name in needs and name in kinds)


def _filled(made: Sweep, asked: Sequence[Asked], whole: Combined, budget: Budget, faults: Faults) -> Sweep:
    """Return a sweep with its points, unless they cannot be made."""
    base: Keys = ("sweeps", made.name) if made.name else ("parameters",)
    cost = sweep.cost(whole.parameters, whole.derive, made)
    if not budget.compute(cost):
        fault = f"conditions, derived columns and samples take about {cost:,} operations, and may {MAX_OPERATIONS:,}"
        faults.key(base, fault, "take fewer points; of the operations powers, `exp` and `log` cost most")
        raise faults.all()
    try:
        size = sweep.size(whole.parameters, whole.derive, made)
        if size > MAX_POINTS:
            what = f"the sweep `{made.name}`" if made.name else "the sweep"
            fault = f"{what} has {size:,} points before `where`, and may have {MAX_POINTS:,}"
            faults.key(base, fault, "take fewer values, or let parameters turn together with `sweep.zip`")
            return made
        points = sweep.make(whole.parameters, whole.derive, made)
    except grid.PointError as error:
        faults.value(_place(error, asked, faults), error.text, error.hint, offset=error.offset)
        return made
    if not len(points):
        path = next((one.paths[key] for one in asked for key in ("where", "exclude") if key in one.paths), base)
        fault = f"`{path[-1]}` refuses every point: the sweep is empty"
        faults.value(path, fault, "see that some point meets it")
    return dataclasses.replace(made, points=points)


def _place(error: grid.PointError, asked: Sequence[Asked], faults: Faults) -> Keys:
    """Return where an expression stands that has no value at a point."""
    for one in asked:
        if error.use == "where" and one.table.get("where") == error.source:
            return one.paths["where"]
        for each in one.parameters:
            if error.use == "when" and (each.name, each.when) == (error.name, error.source):
                return when_of(each, one, faults)
    return ("sweep", "derive", error.name)
