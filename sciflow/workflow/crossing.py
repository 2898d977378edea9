"""Groups of parameters that something holds together -> one axis: their combinations, those that are kept.

Work is done column by column. An expression is computed once for each combination of the groups it reads, however many
rows have that combination: `where = "a + c > 50"` over 100 x 100 x 100 values is computed 10,000 times.
"""

from __future__ import annotations

import itertools
import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sciflow.workflow.expression import AbsentError, Expression, ExpressionError
from sciflow.workflow.faults import LISTED, shown
from sciflow.workflow.points import Axis, Coded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sciflow.workflow.spec import Partial, Value

Row: TypeAlias = "dict[str, Value | None]"


class PointError(ValueError):
    """An expression (`source`) has no value at a point: what is wrong, and how many characters into it.

    `use` says what it is for (`derive`, `where`, `when`), `name` which column or parameter it belongs to.
    """

    def __init__(self, use: str, name: str, source: str, error: ExpressionError, at: str) -> None:
        what = {"derive": f"`derive.{name}`", "where": "`where`", "when": f"`{name}.when`"}[use]
        self.text = f"{what} has no value{at}: {error.text}"
        away = "" if use == "when" else "let `where` keep such points away, or "  # a condition is asked before it
        self.hint = error.hint or f"{away}write the expression so that it has one there"
        super().__init__(self.text)
        self.use, self.name, self.source, self.offset = use, name, source, error.column


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Parameters that turn together, and the values of each, turn by turn."""

    names: tuple[str, ...]
    values: tuple[Sequence[Value | None], ...]

    def __len__(self) -> int:
        """Return how often they turn."""
        return len(self.values[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Neighbouring groups, what is derived from them, and what leaves combinations of them out.

    `derived` columns are in an order in which each follows what it reads, and so are the expressions that `origins`
    knows, with the parameters that each comes from.
    """

    groups: tuple[Group, ...]
    derived: tuple[str, ...]
    where: Expression | None
    exclude: tuple[Partial, ...]
    expressions: Mapping[str, Expression]
    origins: Mapping[str, frozenset[str]]


def cross(part: Part) -> Axis:
    """Return the axis of all combinations that are kept, the last group turning fastest, derived columns last.

    Raises PointError where an expression has no value.
    """
    if len(part.groups) == 1 and not (part.derived or part.where or part.exclude):
        return Axis(names=part.groups[0].names, values=part.groups[0].values, turns=len(part.groups[0]))
    rows = _Rows(part)
    values: list[Sequence[Value | None]] = []
    for index, group in enumerate(part.groups):
        codes = rows.codes((index,))
        values += [Coded(column, codes) for column in group.values]
    values += rows.derived()
    names = (*(name for group in part.groups for name in group.names), *part.derived)
    return Axis(names=names, values=tuple(values), turns=rows.count)


class _Rows:
    """The combinations of a part's groups, each a row. A place is the number of a combination of some of the groups."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.sizes = [len(group) for group in part.groups]
        self.count = math.prod(self.sizes)
        self.kept: bytes | None = None  # of each row, whether it is; nothing: all are
        for names in dict.fromkeys(tuple(sorted(name for name, _ in partial)) for partial in part.exclude):
            self._keep(used(part, names), self._not_excluded(names))
        if part.where:
            groups = used(part, part.where.names)
            self._keep(groups, self._where(part.where, groups))

    def codes(self, groups: tuple[int, ...]) -> array[int]:
        """Return, for each row that is kept, its place among the combinations of some groups."""
        places = array("I", [0])
        stride = 1
        for index in reversed(range(len(self.sizes))):
            size = self.sizes[index]
            if index in groups:
                places = array("I", [turn * stride + place for turn in range(size) for place in places])
                stride *= size
            else:
                places *= size
        return places if self.kept is None else array("I", itertools.compress(places, self.kept))

    def derived(self) -> list[Coded]:
        """Return the derived columns; they are computed where a row that is kept has need of them.

        Those that read the same groups are computed together.
        """
        alike: dict[tuple[int, ...], list[str]] = {}
        for name in self.part.derived:
            alike.setdefault(used(self.part, [name]), []).append(name)
        found: dict[str, Coded] = {}
        for groups, names in alike.items():
            codes = self.codes(groups)
            columns = needs(self.part, names)
            values: dict[str, list[Value | None]] = {name: [] for name in names}
            for needed, row in self._needed(groups, codes):
                if needed:
                    self._derive(columns, row)
                for name, column in values.items():
                    column.append(row[name] if needed else None)
            found |= {name: Coded(column, codes) for name, column in values.items()}
        return [found[name] for name in self.part.derived]

    def _keep(self, groups: tuple[int, ...], table: bytes) -> None:
        """Keep, of the rows that still are, those whose place in the table says so."""
        so_far, self.kept = self.kept, None
        found = bytes(map(table.__getitem__, self.codes(groups)))
        self.kept = found if so_far is None else bytes(map(min, so_far, found))
        self.count = sum(self.kept)

    def _not_excluded(self, names: tuple[str, ...]) -> bytes:
        partials = [dict(partial) for partial in self.part.exclude if {name for name, _ in partial} == set(names)]
        refused = {tuple(partial[name] for name in names) for partial in partials}
        rows = self._combinations(used(self.part, names))
        return bytes(tuple(row[name] for name in names) not in refused for row in rows)

    def _where(self, where: Expression, groups: tuple[int, ...]) -> bytes:
        # Only what `where` reads is computed before it: it may keep away points at which all else has no value, as
        # `exclude` may keep away those at which it has none itself.
        columns = needs(self.part, where.names)
        found = bytearray()
        for needed, row in self._needed(groups, self.codes(groups)):
            if needed:
                self._derive(columns, row)
            found.append(needed and bool(computed("where", "", where, row)))
        return bytes(found)

    def _derive(self, columns: Sequence[str], row: Row) -> None:
        for name in columns:
            row[name] = computed("derive", name, self.part.expressions[name], row)

    def _needed(self, groups: tuple[int, ...], codes: array[int]) -> Iterator[tuple[int, Row]]:
        """Yield, for each combination of some groups, whether a row that is kept has it, and its values."""
        needed = bytearray(math.prod(self.sizes[index] for index in groups))
        for code in codes:
            needed[code] = True
        return zip(needed, self._combinations(groups), strict=True)

    def _combinations(self, groups: tuple[int, ...]) -> Iterator[Row]:
        """Yield the values of each combination of some groups, in order."""
        held = [self.part.groups[index] for index in groups]
        names = [name for group in held for name in group.names]
        for combination in itertools.product(*(zip(*group.values, strict=True) for group in held)):
            yield dict(zip(names, itertools.chain.from_iterable(combination), strict=True))


def used(part: Part, names: Sequence[str]) -> tuple[int, ...]:
    """Return the groups of a part that columns come from."""
    origins = {origin for name in names for origin in part.origins[name]}
    return tuple(index for index, group in enumerate(part.groups) if not origins.isdisjoint(group.names))


def needs(part: Part, names: Sequence[str]) -> list[str]:
    """Return the derived columns among these and all those they read, in an order in which they can be computed."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in part.expressions and name not in found:
            found.add(name)
            todo += part.expressions[name].names
    return [name for name in part.expressions if name in found]


def cost(part: Part) -> int:
    """Return about how many operations `cross` takes."""
    sizes = [len(group) for group in part.groups]
    alike: dict[tuple[int, ...], set[str]] = {}
    for name in part.derived:
        alike.setdefault(used(part, [name]), set()).update(needs(part, [name]))
    spent = sum(
        math.prod(sizes[index] for index in groups) * sum(part.expressions[name].cost for name in names)
        for groups, names in alike.items()
    )
    if part.where:
        each = part.where.cost + sum(part.expressions[name].cost for name in needs(part, part.where.names))
        spent += math.prod(sizes[index] for index in used(part, part.where.names)) * each
    excluded = len({tuple(sorted(name for name, _ in partial)) for partial in part.exclude})
    columns = len(alike) + len(part.groups) if spent or excluded else 0
    return spent + math.prod(sizes) * (excluded + columns)


def computed(use: str, name: str, one: Expression, row: Row) -> Value | None:
    """Return an expression's value at a row. Raises PointError; what comes of a value that is not there is None."""
    try:
        return one.value(row)
    except ExpressionError as error:
        if isinstance(error, AbsentError) and use != "where":
            return None
        there = [name for name in one.names if row[name] is not None] or [name for name in row if row[name] is not None]
        at = ", ".join(f"`{column} = {shown(row[column])}`" for column in there[:LISTED])
        raise PointError(use, name, one.text, error, f" at {at}" if at else "") from None
