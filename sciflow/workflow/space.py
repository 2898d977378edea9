"""The sections [parameters] and [sweep], their shape checked -> parameters and sweep, and what is wrong with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from sciflow.workflow import axes, expression, sweep
from sciflow.workflow.axes import MAX_POINTS
from sciflow.workflow.faults import Faults, likely, shown
from sciflow.workflow.order import order
from sciflow.workflow.spec import Derived, Keys, Kind, Parameter, Sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

EXPRESSION_WORDS = ("and", "or", "not", "in", "true", "false", "True", "False")
PLACEHOLDER_WORDS = ("inputs", "outputs", "point", "seed")
RESULT_COLUMNS = (
    *("task", "step", "state", "code", "signal", "reason", "attempt", "key"),
    *("wall_s", "user_s", "system_s", "peak_mib"),
)


def parameters(data: dict[str, Any], faults: Faults) -> tuple[Parameter, ...]:
    """Return the parameters that can be used, in the order of the file."""
    found = []
    for name, written in data.get("parameters", {}).items():
        path: Keys = ("parameters", name)
        fit = free(name, path, faults)
        table = written if isinstance(written, dict) else {"values": written}
        form = next((form for form in axes.FORMS if form in table), "")
        if not form:
            continue  # what is wrong with it has been told
        where = (*path, form) if isinstance(written, dict) else path
        try:
            kind, values = axes.values(form, table[form])
        except axes.AxisError as error:
            at = where if error.index is None else (*where, error.index)
            faults.value(at, f"parameter `{shown(name)}`: {error.text}", error.hint)
            continue
        if fit:
            found.append(Parameter(name=name, kind=kind, values=values, unit=table.get("unit", "")))
    return tuple(found)


def free(name: str, path: Keys, faults: Faults) -> bool:
    """Say whether a column may have this name; add the fault if not."""
    for words, use in (
        (EXPRESSION_WORDS, "a word of expressions"),
        (PLACEHOLDER_WORDS, "a placeholder of its own"),
        (RESULT_COLUMNS, "a column that every table of results has"),
    ):
        if name in words:
            faults.key(path, f"the name `{name}` is taken: it is {use}", f"call it `{name}_1`, say")
            return False
    return True


def combine(data: dict[str, Any], found: tuple[Parameter, ...], faults: Faults) -> Sweep:
    """Return the sweep over the parameters found, without what is wrong with it."""
    table = data.get("sweep", {})
    groups = _zip(table.get("zip", []), found, faults)
    size = math.prod(len(axis.turns) for axis in sweep.axes(found, Sweep(zip=groups)))
    if size > MAX_POINTS:
        fault = f"the sweep has {size:,} points before `where`, and may have {MAX_POINTS:,}"
        faults.key(("parameters",), fault, "take fewer values, or let parameters turn together with `sweep.zip`")
    derive = _derive(table.get("derive", {}), found, faults)
    made = Sweep(zip=groups, derive=derive, where=table.get("where", ""))
    if _where(made, found, faults) and size <= MAX_POINTS:
        _try(made, found, faults)
    return made


def _zip(groups: list[list[str]], found: tuple[Parameter, ...], faults: Faults) -> tuple[tuple[str, ...], ...]:
    lengths = {one.name: len(one.values) for one in found}
    known = faults.document.data.get("parameters", {})
    seen: set[str] = set()
    sound = []
    for index, group in enumerate(groups):
        path: Keys = ("sweep", "zip", index)
        usable = True
        for place, name in enumerate(group):
            if name in seen:
                faults.value((*path, place), f"`{shown(name)}` is in two groups of `zip`", "make them one group")
            elif name not in known:
                hint = likely(name, known, what="parameters")
                faults.value((*path, place), f"`zip` names `{shown(name)}`, and there is no such parameter", hint)
            usable = usable and name not in seen and name in lengths
            seen.add(name)
        if usable and len({lengths[name] for name in group}) > 1:
            counts = ", ".join(f"`{name}` has {lengths[name]:,}" for name in group)
            faults.value(path, f"zipped parameters differ in length: {counts}", "values are taken pair by pair")
        elif usable:
            sound.append(tuple(group))
    return tuple(sound)


def _derive(texts: dict[str, str], found: tuple[Parameter, ...], faults: Faults) -> tuple[Derived, ...]:
    """Return the derived columns that can be computed, in the order of the file."""
    base: Keys = ("sweep", "derive")
    parameters = faults.document.data.get("parameters", {})
    needs: dict[str, Sequence[str]] = {}
    for name, text in texts.items():
        if name in parameters:
            faults.key((*base, name), f"`{shown(name)}` is a parameter already", "give the derived column another name")
        elif free(name, (*base, name), faults):
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
        if name not in circular and not _blind(needs[name], kinds, faults):
            try:
                kinds[name] = expression.parse(texts[name], kinds).kind
            except expression.ExpressionError as error:
                add(error, (*base, name), faults)
    return tuple(Derived(name=name, expression=text) for name, text in texts.items() if name in needs and name in kinds)


def _blind(names: Sequence[str], kinds: dict[str, Kind], faults: Faults) -> bool:
    """Say whether an expression reads a column whose own fault has been told: nothing can be said of it then."""
    return any(name not in kinds and name in written(faults) for name in names)


def written(faults: Faults) -> list[str]:
    """Return the names of all columns that the file speaks of, also those that cannot be used."""
    data = faults.document.data
    tables = [data.get("parameters"), data["sweep"].get("derive") if isinstance(data.get("sweep"), dict) else None]
    return [name for table in tables if isinstance(table, dict) for name in table]


def _where(made: Sweep, found: tuple[Parameter, ...], faults: Faults) -> bool:
    """Check the text of `where`; say whether it can be computed."""
    if not made.where:
        return True
    kinds: dict[str, Kind] = {one.name: one.kind for one in found}
    kinds |= {name: one.kind for name, one in sweep.derivations(found, made.derive).items()}
    try:
        if _blind(expression.names(made.where), kinds, faults):
            return False
        kind = expression.parse(made.where, kinds).kind
    except expression.ExpressionError as error:
        add(error, ("sweep", "where"), faults)
        return False
    if kind != "bool":
        faults.value(("sweep", "where"), f"`where` gives {axes.SPOKEN[kind]}, not true or false", "compare it: `c > 1`")
    return kind == "bool"


def _try(made: Sweep, found: tuple[Parameter, ...], faults: Faults) -> None:
    """Compute every expression at every point that it depends on."""
    for name in ("", *(one.name for one in made.derive)):
        path: Keys = ("sweep", "derive", name) if name else ("sweep", "where")
        try:
            if not sweep.trial(found, made, name):
                faults.value(path, "`where` refuses every point: the sweep is empty", "see that some point meets it")
                return
        except sweep.PointError as error:
            at: Keys = ("sweep", "derive", error.column) if error.column else ("sweep", "where")
            faults.value(at, error.text, error.hint, offset=error.offset)
            if not name:
                return


def add(error: expression.ExpressionError, path: Keys, faults: Faults) -> None:
    """Add a fault inside an expression, at its own place in the text."""
    faults.value(path, f"`{quoted_path(path)}`: {error.text}", error.hint, offset=error.column)


def quoted_path(path: Keys) -> str:
    """Write the path of a key below its section: `derive.budget`."""
    return ".".join(shown(step) for step in path[1:])
