"""One block of a sweep, as the file asks for it -> a Block, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.workflow import axes, expression, grid, sequences, space, sweep
from sciflow.workflow.axes import SPOKEN
from sciflow.workflow.budget import MAX_DRAWN
from sciflow.workflow.faults import Faults, likely, shown
from sciflow.workflow.spec import Block, Derived, Keys, Kind, Parameter, Partial, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """One block as the file asks for it: its keys, inherited ones too, and where each of them stands."""

    table: Mapping[str, Any]
    paths: Mapping[str, Keys]
    parameters: tuple[Parameter, ...]
    """All of them, as they stand in this block."""
    own: tuple[str, ...]
    """The names of those that the block changes."""
    groups: tuple[tuple[str, ...], ...]
    places: Mapping[str, Keys]
    """Where the values of each parameter stand."""


def build(asked: Asked, base: Sequence[Parameter], derive: Sequence[Derived], faults: Faults) -> Block:
    """Return a block without what is wrong with it; `base` are the workflow's parameters."""
    groups = _zip(asked, faults)
    _doubled(asked, groups, faults)
    _whens(asked, groups, faults)
    return Block(
        parameters=tuple(
            new for new, old in zip(asked.parameters, base, strict=True) if new.name in asked.own and new != old
        ),
        zip=groups,
        where=_where(asked, derive, faults),
        exclude=_partials(asked, "exclude", faults),
        include=_partials(asked, "include", faults),
        sample=_sample(asked, faults),
    )


def _zip(asked: Asked, faults: Faults) -> tuple[tuple[str, ...], ...]:
    by_name = {one.name: one for one in asked.parameters}
    known = space.names(faults.document.data.get("parameters", {}))
    seen = {name for group in asked.groups for name in group}
    sound = list(asked.groups)
    for index, group in enumerate(asked.table.get("zip", ())):
        path: Keys = (*asked.paths["zip"], index)
        usable = True
        for place, name in enumerate(group):
            at = (*path, place)
            if name in seen:
                faults.value(at, f"`{shown(name)}` is in two groups of `zip`", "make them one group")
            elif name not in known:
                hint = likely(name, known, what="parameters")
                faults.value(at, f"`zip` names `{shown(name)}`, and there is no such parameter", hint)
            elif name in by_name and by_name[name].draw:
                faults.value(at, f"`{name}` is drawn, and turns with all that is", "leave it out of `zip`")
            usable = usable and name not in seen and name in by_name and by_name[name].draw is None
            seen.add(name)
        if usable and len({len(by_name[name].values) for name in group}) > 1:
            counts = ", ".join(f"`{name}` has {len(by_name[name].values):,}" for name in group)
            changed = next((asked.places[name] for name in group if name in asked.own), path)
            faults.value(changed, f"zipped parameters differ in length: {counts}", "values are taken pair by pair")
        elif usable:
            sound.append(tuple(group))
    return tuple(sound)


def _doubled(asked: Asked, groups: Sequence[Sequence[str]], faults: Faults) -> None:
    """Refuse a value, or a row of zipped values, that stands twice: its points would."""
    by_name = {one.name: one for one in asked.parameters}
    together = {name for group in groups for name in group}
    for one in asked.parameters:
        path = asked.places.get(one.name, ())
        if one.name not in together and not one.draw and (index := axes.doubled(one.values)) is not None:
            at = (*path, index) if isinstance(faults.written(path), list) else path
            where = f"in row {index + 1}" if path[-1:] == ("from",) else "here"
            fault = f"parameter `{one.name}`: `{shown(one.values[index])}` stands {where} for the second time"
            faults.value(at, fault, "each value stands once, unless others turn with it (`zip`)")
    for group in groups:
        rows = list(zip(*(by_name[name].values for name in group), strict=True))
        if len(set(rows)) < len(rows):
            twice = rows[axes.doubled(rows) or 0]
            row = ", ".join(f"`{name} = {shown(value)}`" for name, value in zip(group, twice, strict=True))
            faults.value(
                asked.places.get(group[0], ()), f"zipped values stand twice: {row}", "leave one of the two out"
            )


def _whens(asked: Asked, groups: Sequence[Sequence[str]], faults: Faults) -> None:
    """Check conditions: what they read, and that it has been settled when they are asked."""
    kinds = {one.name: one.kind for one in asked.parameters}
    conditional = [one for one in asked.parameters if one.when]
    if not conditional:
        return
    turning = [name for names in grid.together(asked.parameters, groups) for name in names]
    place = {name: index for index, name in enumerate(turning)}
    given = set(space.names(faults.document.data["parameters"]))
    derived = {name for name in space.written(faults) if name not in given}
    for one in conditional:
        path = when_of(one, asked, faults)
        try:
            reads = expression.names(one.when)
            if found := [name for name in reads if name in derived]:
                fault = f"`{one.name}.when` reads the derived column `{found[0]}`"
                faults.value(path, fault, "a condition reads parameters: write what the column is made of")
                continue
            if blind(reads, kinds, faults):
                continue
            kind = expression.parse(one.when, kinds).kind
        except expression.ExpressionError as error:
            faults.value(path, f"`{one.name}.when`: {error.text}", error.hint, offset=error.column)
            continue
        if kind != "bool":
            faults.value(path, f"`{one.name}.when` gives {SPOKEN[kind]}, not true or false", "compare it: `c > 1`")
        late = [name for name in reads if place[name] >= place[one.name]]
        if late:
            fault = f"`{one.name}.when` reads `{late[0]}`, which is settled only after `{one.name}`"
            itself = late[0] == one.name
            faults.value(path, fault, "it cannot decide on itself" if itself else f"write `{late[0]}` above it")


def when_of(one: Parameter, asked: Asked, faults: Faults) -> Keys:
    """Return where the condition of a parameter stands: in the block, or where the parameter first does."""
    base = asked.places.get(one.name, ("parameters", one.name))
    told = ((*base, "when"), (*base[:-1], "when"), ("parameters", one.name, "when"))
    return next((at for at in told if faults.written(at) == one.when), base)


def _sample(asked: Asked, faults: Faults) -> Sample | None:
    drawn = [one.name for one in asked.parameters if one.draw]
    table = asked.table.get("sample")
    if table is None:
        for name in drawn if not _told("sample", faults) else ():
            hint = 'say how often: `sample = { method = "random", points = 100 }` under [sweep]'
            place = asked.places.get(name, ("parameters", name))
            place = place[:-1] if place[-2:-1] == (name,) else place
            faults.key(place, f"parameter `{name}` is drawn, and nothing says how often", hint)
        return None
    if not {"method", "points"} <= table.keys():
        return None  # that they are not there has been told
    path = asked.paths["sample"]
    if not drawn and not faults.has(("parameters",)):
        hint = "write one as `uniform`, `loguniform`, `normal`, `integer` or `choice`"
        faults.key(path, "`sample` draws parameters, and none is drawn", hint)
    if (values := len(drawn) * table["points"]) > MAX_DRAWN:
        fault = f"`sample` draws {values:,} values, and may draw {MAX_DRAWN:,}"
        faults.value((*path, "points"), fault, "draw fewer points, or fewer parameters")
    most = sequences.MAX_DIMENSIONS.get(table["method"], len(drawn))
    if len(drawn) > most:
        fault = f"`{table['method']}` draws at most {most} parameters together, and these are {len(drawn)}"
        faults.value((*path, "method"), fault, "`latin-hypercube` draws any number")
    return Sample(method=table["method"], points=table["points"], seed=table.get("seed", 0))


def _told(key: str, faults: Faults) -> bool:
    """Say whether a sweep's or a block's own word on this has been refused, so that it is missing here."""
    return any(where[0] in ("sweep", "sweeps") and where[-1] == key for where, _ in faults.found if where)


def _partials(asked: Asked, key: str, faults: Faults) -> tuple[Partial, ...]:
    by_name = {one.name: one for one in asked.parameters}
    values = {
        name: set(by_name[name].values)
        for name in {one for partial in asked.table.get(key, ()) for one in partial} & by_name.keys()
    }
    known = space.names(faults.document.data.get("parameters", {}))
    sound = []
    for index, partial in enumerate(asked.table.get(key, ())):
        found = []
        for name, value in partial.items():
            path = (*asked.paths[key], index, name)
            if name not in known:
                hint = likely(name, known, what="parameters")
                faults.key(path, f"`{key}` names `{shown(name)}`, and there is no such parameter", hint)
            elif name in by_name:
                one = by_name[name]
                if space.joined([one.kind, axes.KINDS[type(value)]]) != one.kind:
                    if key == "include":
                        continue  # told where kinds are joined
                    here = SPOKEN[axes.KINDS[type(value)]]
                    fault = f"`{key}`: {here} stands here, and each value of `{name}` is {SPOKEN[one.kind]}"
                    faults.value(path, fault, "the values of a parameter are of one kind")
                    continue
                held = axes.of_kind(one.kind, value)
                if key == "exclude" and held not in values[name] and not (one.draw and one.draw.form != "choice"):
                    hint = likely(str(value), [str(other) for other in one.values[:1000]], what="values")
                    faults.value(path, f"`exclude`: `{name}` is never `{shown(value)}`", hint)
                found.append((name, held))
        order = list(by_name)
        sound.append(tuple(sorted(found, key=lambda pair: order.index(pair[0]))))
    return tuple(sound)


def _where(asked: Asked, derive: Sequence[Derived], faults: Faults) -> str:
    """Return the text of `where` if it can be computed."""
    text: str = asked.table.get("where", "")
    if not text:
        return ""
    path = asked.paths["where"]
    kinds = {one.name: one.kind for one in sweep.columns(asked.parameters, derive)}
    try:
        if blind(expression.names(text), kinds, faults):
            return ""
        kind = expression.parse(text, kinds).kind
    except expression.ExpressionError as error:
        add(error, path, faults)
        return ""
    if kind != "bool":
        faults.value(path, f"`where` gives {SPOKEN[kind]}, not true or false", "compare it: `c > 1`")
        return ""
    return text


def blind(names: Sequence[str], kinds: Mapping[str, Kind], faults: Faults) -> bool:
    """Say whether an expression reads a column whose own fault has been told: nothing can be said of it then."""
    return any(name not in kinds and name in space.written(faults) for name in names)


def add(error: expression.ExpressionError, path: Keys, faults: Faults) -> None:
    """Add a fault inside an expression, at its own place in the text."""
    spoken = ".".join(shown(step) for step in path if not isinstance(step, int) and step not in ("sweep", "blocks"))
    faults.value(path, f"`{spoken}`: {error.text}", error.hint, offset=error.column)
