"""The section [parameters], its shape checked -> parameters, and what is wrong with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sciflow.workflow import axes, draw, tabular
from sciflow.workflow.budget import MAX_VALUES, Budget
from sciflow.workflow.faults import Faults, inside, likely, shown
from sciflow.workflow.spec import Draw, Keys, Kind, Parameter, Value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

EXPRESSION_WORDS = ("and", "or", "not", "in", "true", "false", "True", "False")
PLACEHOLDER_WORDS = ("inputs", "outputs", "point", "seed")
FORMS = (*axes.FORMS, *draw.FORMS, "from")
OWNERS = {"weights": "choice", "column": "from", "columns": "from"}
"""Keys that belong to one of the forms."""
RESULT_COLUMNS = (
    *("task", "step", "state", "code", "signal", "reason", "attempt", "key", "point_id"),
    *("wall_s", "user_s", "system_s", "peak_mib"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tables:
    """Where files of values lie, and what reads those in parquet."""

    folder: Path
    parquet: tabular.Parquet | None = None
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Parameters, the groups of those that came from one file together, and the path of the values of each."""

    parameters: tuple[Parameter, ...]
    groups: tuple[tuple[str, ...], ...]
    paths: dict[str, Keys]


def parameters(table: dict[str, Any], base: Keys, faults: Faults, tables: Tables) -> Found:
    """Return the parameters of a table (which stands at `base`) that can be used, in the order of the file."""
    found: list[Parameter] = []
    groups: list[tuple[str, ...]] = []
    paths: dict[str, Keys] = {}
    for name, written in table.items():
        path = (*base, name)
        entry = written if isinstance(written, dict) else {"values": written}
        if any(_refused(key, entry, path, faults) for key in OWNERS):
            continue
        if "columns" in entry:
            several = _columns(name, entry, path, faults, tables)
            groups.append(tuple(one.name for one in several))
        else:
            one = _one(name, entry, path, faults, tables) if free(name, path, faults) else None
            several = [one] if one else []
        if not tables.budget.hold(sum(len(one.values) for one in several)):
            fault = f"the parameters of this file have more than {MAX_VALUES:,} values up to here"
            faults.key(path, fault, "take fewer values, or compute some of them under `derive`")
            raise faults.all()
        for one in several:
            if one.name in paths:
                faults.key(path, f"the parameter `{one.name}` is made twice", "give one of the two another name")
                continue
            found.append(one)
            paths[one.name] = next(((*path, form) for form in FORMS if form in entry), path)
            paths[one.name] = path if not isinstance(written, dict) else paths[one.name]
    return Found(parameters=tuple(found), groups=tuple(group for group in groups if len(group) > 1), paths=paths)


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


def names(table: dict[str, Any]) -> list[str]:
    """Return the names of the parameters that a table speaks of, also of those that cannot be used."""
    found: list[str] = []
    for name, written in table.items():
        several = written.get("columns") if isinstance(written, dict) else None
        found += [str(one) for one in several] if isinstance(several, list) else [name]
    return found


def written(faults: Faults) -> list[str]:
    """Return the names of all columns that the file speaks of, also those that cannot be used."""
    data = faults.document.data
    given, sweep = data.get("parameters"), data.get("sweep")
    derive = sweep.get("derive") if isinstance(sweep, dict) else None
    return [*(names(given) if isinstance(given, dict) else ()), *(derive if isinstance(derive, dict) else ())]


def _one(name: str, entry: dict[str, Any], path: Keys, faults: Faults, tables: Tables) -> Parameter | None:
    form = _form(entry)
    if not form or not _belong(entry, form, path, faults):
        return None  # what is wrong with it has been told
    unit, when = entry.get("unit", ""), entry.get("when", "")
    if form == "from":
        column = entry.get("column", name)
        cells = _cells([column], entry, path, faults, tables)
        if cells is None or not _has(column, cells, entry, (*path, "column"), faults):
            return None
        return _listed(name, cells[column], entry, path, faults)
    try:
        if form in draw.FORMS:
            return _drawn(name, form, entry)
        kind, values = axes.values(form, entry[form])
    except axes.AxisError as error:
        key = "weights" if isinstance(error, WeightsError) else form
        at = (*path, key) if isinstance(faults.written(path), dict) else path
        at = at if error.index is None else (*at, error.index)
        faults.value(at, f"parameter `{shown(name)}`: {error.text}", error.hint)
        return None
    return Parameter(name=name, kind=kind, values=values, unit=unit, when=when, repeats=form == "replicates")


def _form(entry: dict[str, Any]) -> str:
    """Return the form that a parameter is written in; nothing where it has none, or another key is wrong with it."""
    return next((form for form in FORMS if form in entry), "")


def _refused(key: str, entry: dict[str, Any], path: Keys, faults: Faults) -> bool:
    """Say whether the file has this key and it has been left out for a fault of its own."""
    written = faults.written(path)
    return isinstance(written, dict) and key in written and key not in entry


class WeightsError(axes.AxisError):
    """The weights of a choice cannot be used."""


def _belong(entry: dict[str, Any], form: str, path: Keys, faults: Faults) -> bool:
    """Say whether each key belongs to the form that is used; add the fault if not."""
    strange = [key for key, owner in OWNERS.items() if key in entry and form != owner]
    for key in strange:
        faults.key((*path, key), f"`{key}` belongs to `{OWNERS[key]}`, and this is `{form}`", f"leave `{key}` out")
    return not strange


def _drawn(name: str, form: str, entry: dict[str, Any]) -> Parameter:
    """Return a parameter that is drawn. Raises axes.AxisError."""
    written = entry[form]
    unit, when = entry.get("unit", ""), entry.get("when", "")
    if form == "choice":
        kind, values = axes.listed(written)
        if (index := axes.doubled(values)) is not None:
            fault = f"`{shown(values[index])}` stands here for the second time"
            raise axes.AxisError(fault, "give it a larger weight: `weights = [2, 1]`", index=index)
        draws = Draw(form="choice", weights=_weights(entry.get("weights", ()), len(values)))
        return Parameter(name=name, kind=kind, values=values, unit=unit, when=when, draw=draws)
    first, second = written
    if form == "normal":
        if second <= 0:
            raise axes.AxisError(f"its standard deviation is {second}", "write one above 0", index=1)
    elif first >= second:
        raise axes.AxisError(f"it reaches from {first} to {second}", "write the lower end first", index=1)
    if form == "loguniform" and first <= 0:
        raise axes.AxisError(f"it begins at {first}, which has no logarithm", "write a lower end above 0", index=0)
    if form == "integer":
        if type(first) is not int or type(second) is not int:
            raise axes.AxisError("its ends are not whole numbers", "write `integer = [1, 6]`, or `uniform`")
        return Parameter(
            name=name, kind="int", unit=unit, when=when, draw=Draw(form="integer", numbers=(first, second))
        )
    numbers = (float(first), float(second))
    if not math.isfinite(abs(numbers[0]) + draw.FURTHEST * abs(numbers[1])):
        raise axes.AxisError("its values may be too large for a number", "bring them closer to 0")
    return Parameter(name=name, kind="float", unit=unit, when=when, draw=Draw(form=form, numbers=numbers))  # type: ignore[arg-type]  # one of FORMS


def _weights(written: Sequence[float], count: int) -> tuple[float, ...]:
    """Return the weights of so many choices. Raises WeightsError."""
    weights = tuple(float(weight) for weight in written)
    if weights and len(weights) != count:
        raise WeightsError(
            f"its choices are {count:,}, and its weights {len(weights):,}", "give each choice one weight"
        )
    if weights and not any(weights):
        raise WeightsError("its weights are all 0", "give what may be drawn a weight above 0")
    if not math.isfinite(sum(weights)):
        raise WeightsError("its weights add up to more than a number holds", "write smaller ones: only ratios matter")
    return weights


def _columns(name: str, entry: dict[str, Any], path: Keys, faults: Faults, tables: Tables) -> list[Parameter]:
    """Return the parameters that several columns of a file are."""
    form = _form(entry)
    if not form or not _belong(entry, form, path, faults):
        return []
    for key in ("column", "unit"):
        if key in entry:
            faults.key((*path, key), f"`{key}` is said of one column, and `{shown(name)}` is several", "leave it out")
    cells = _cells(entry["columns"], entry, path, faults, tables)
    found = []
    for index, column in enumerate(dict.fromkeys(entry["columns"]) if cells is not None else ()):
        at = (*path, "columns", index)
        if cells is not None and _has(column, cells, entry, at, faults) and _fits(column, at, faults):
            found.append(_listed(column, cells[column], entry, path, faults))
    return [one for one in found if one]


def _fits(name: str, path: Keys, faults: Faults) -> bool:
    if not name.isidentifier() or not name.isascii():
        hint = "a parameter's name is letters, digits and `_`: read this column alone, with `column`"
        faults.value(path, f"the column `{shown(name)}` cannot name a parameter", hint)
        return False
    return free(name, path, faults)


def _cells(
    wanted: Sequence[str], entry: dict[str, Any], path: Keys, faults: Faults, tables: Tables
) -> dict[str, list[Any]] | None:
    at = (*path, "from")
    if not inside(entry["from"], at, "this file", faults, folder="the workflow's folder"):
        return None
    try:
        return tabular.read(tables.folder / entry["from"], tables.parquet, wanted)
    except tabular.TabularError as error:
        faults.value(at, f"`{shown(entry['from'])}`: {error.text}", error.hint)
        return None


def _has(column: str, cells: dict[str, list[Any]], entry: dict[str, Any], path: Keys, faults: Faults) -> bool:
    if column not in cells:
        fault = f"`{shown(entry['from'])}` has no column `{shown(column)}`"
        faults.value(path, fault, likely(column, cells, what="columns") + "; the first line of a file names them")
    return column in cells


def _listed(name: str, cells: Sequence[Any], entry: dict[str, Any], path: Keys, faults: Faults) -> Parameter | None:
    """Return a parameter of a column's cells."""
    at, file = (*path, "from"), f"`{shown(entry['from'])}`"
    if not cells:
        faults.value(at, f"{file} has no rows", "write a line of values under the line of names")
        return None
    for row, cell in enumerate(cells, 1):
        if fault := _unfit(cell):
            hint = "a cell holds a number, a text, or true or false"
            faults.value(at, f"{file}: row {row:,} of column `{shown(name)}` {fault}", hint)
            return None
    kind, values = axes.listed(cells)
    return Parameter(name=name, kind=kind, values=values, unit=entry.get("unit", ""), when=entry.get("when", ""))


def _unfit(cell: Any) -> str:
    """Say why no parameter can have this value, or nothing if one can."""
    if cell is None or cell == "":
        return "is empty"
    if isinstance(cell, str):
        return "" if cell.isprintable() else f"holds a character that cannot be seen: `{shown(cell)}`"
    if type(cell) not in (bool, int, float):
        return "is neither a number nor a text"
    if not math.isfinite(cell):
        return f"is {cell}"
    return "" if -(2**63) <= cell < 2**63 or isinstance(cell, float) else "is a whole number beyond 64 bits"


def joined(kinds: Sequence[Kind]) -> Kind | None:
    """Return the kind that holds values of all these kinds, if there is one: fractions hold whole numbers."""
    found = set(kinds)
    if len(found) == 1:
        return kinds[0]
    return "float" if found == {"int", "float"} else None


def as_kind(parameter: Parameter, kind: Kind) -> tuple[Value, ...]:
    """Return a parameter's values as another kind holds them."""
    return tuple(axes.of_kind(kind, value) for value in parameter.values)
