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
from sciflow.workflow.faults import shown
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
        self.hint = error.hint or "let `where` keep such points away, or write the expression so that it has one there"
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
    values += [rows.derived(name) for name in part.derived]
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
            self._keep(self._used(names), self._not_excluded(names))
        if part.where:
            reads = self._reads(part.where.names)
            self._keep(self._used(reads), self._where(part.where, reads))

    def codes(self, used: tuple[int, ...]) -> array[int]:
        """Return, for each row that is kept, its place among the combinations of some groups."""
        places = array("I", [0])
        stride = 1
        for index in reversed(range(len(self.sizes))):
            size = self.sizes[index]
            if index in used:
                places = array("I", [turn * stride + place for turn in range(size) for place in places])
                stride *= size
            else:
                places *= size
        return places if self.kept is None else array("I", itertools.compress(places, self.kept))

    def derived(self, name: str) -> Coded:
        """Return a derived column; it is computed where a row that is kept has need of it."""
        reads = self._reads([name])
        used = self._used(reads)
        codes = self.codes(used)
        needed = self._needed(used, codes)
        columns = self._columns([name])
        values: list[Value | None] = []
        for needs, row in zip(needed, self._combinations(used, reads), strict=True):
            if needs:
                for column in columns:
                    row[column] = computed("derive", column, self.part.expressions[column], row)
            values.append(row[name] if needs else None)
        return Coded(values, codes)

    def _needed(self, used: tuple[int, ...], codes: array[int]) -> bytearray:
        """Return, for each combination of some groups, whether a row that is kept has it."""
        needed = bytearray(math.prod(self.sizes[index] for index in used))
        for code in codes:
            needed[code] = True
        return needed

    def _keep(self, used: tuple[int, ...], table: bytes) -> None:
        """Keep, of the rows that still are, those whose place in the table says so."""
        so_far, self.kept = self.kept, None
        found = bytes(map(table.__getitem__, self.codes(used)))
        self.kept = found if so_far is None else bytes(map(min, so_far, found))
        self.count = sum(self.kept)

    def _not_excluded(self, names: tuple[str, ...]) -> bytes:
        partials = [dict(partial) for partial in self.part.exclude if {name for name, _ in partial} == set(names)]
        refused = {tuple(partial[name] for name in names) for partial in partials}
        rows = self._combinations(self._used(names), names)
        return bytes(tuple(row[name] for name in names) not in refused for row in rows)

    def _where(self, where: Expression, reads: Sequence[str]) -> bytes:
        # Only what `where` reads is computed before it: it may keep away points at which all else has no value.
        columns = self._columns(where.names)
        used = self._used(reads)
        needed = itertools.repeat(1) if self.kept is None else self._needed(used, self.codes(used))
        found = bytearray()
        for needs, row in zip(needed, self._combinations(used, reads), strict=False):
            for name in columns if needs else ():
                row[name] = computed("derive", name, self.part.expressions[name], row)
            found.append(bool(needs and computed("where", "", where, row)))
        return bytes(found)

    def _columns(self, names: Sequence[str]) -> list[str]:
        """Return the derived columns among these and all those they read, in an order in which they can be computed."""
        found: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name in self.part.expressions and name not in found:
                found.add(name)
                todo += self.part.expressions[name].names
        return [name for name in self.part.expressions if name in found]

    def _reads(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return the parameters that columns come from."""
        return tuple(sorted({origin for name in names for origin in self.part.origins[name]}))

    def _used(self, names: Sequence[str]) -> tuple[int, ...]:
        """Return the groups that these parameters are in."""
        return tuple(index for index, group in enumerate(self.part.groups) if set(group.names) & set(names))

    def _combinations(self, used: tuple[int, ...], wanted: Sequence[str]) -> Iterator[Row]:
        """Yield the wanted values of each combination of some groups, in order."""
        held = [
            [(name, values) for name, values in zip(group.names, group.values, strict=True) if name in wanted]
            for group in (self.part.groups[index] for index in used)
        ]
        names = [name for columns in held for name, _ in columns]
        turns = [zip(*(values for _, values in columns), strict=True) for columns in held]
        for combination in itertools.product(*turns):
            yield dict(zip(names, itertools.chain.from_iterable(combination), strict=True))


def computed(use: str, name: str, one: Expression, row: Row) -> Value | None:
    """Return an expression's value at a row. Raises PointError; what comes of a value that is not there is None."""
    try:
        return one.value(row)
    except ExpressionError as error:
        if isinstance(error, AbsentError) and use != "where":
            return None
        at = ", ".join(f"`{column} = {shown(row[column])}`" for column in one.names if row[column] is not None)
        raise PointError(use, name, one.text, error, f" at {at}" if at else "") from None
