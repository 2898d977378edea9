"""The points of a sweep: columns, and the axes whose combinations, in order, they are.

A plain grid of a million points is a few short axes. What holds parameters together (a condition, a derived column, a
sample) makes one longer axis of them; the rest stays as it is. So memory grows with what is written, not with the grid.
"""

from __future__ import annotations

import itertools
import json
import math
import operator
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.runner import names as form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sciflow.workflow.spec import Kind, Value

Point: TypeAlias = "tuple[Value | None, ...]"


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the table of points; in an `optional` one some points have no value.

    One that `repeats` only numbers points that are otherwise the same.
    """

    name: str
    kind: Kind
    unit: str = ""
    derived: bool = False
    optional: bool = False
    repeats: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """Columns that turn together: one sequence of values a name, each `turns` long; no row stands twice."""

    names: tuple[str, ...]
    values: tuple[Sequence[Value | None], ...]
    turns: int

    def __len__(self) -> int:
        """Return how often it turns."""
        return self.turns

    def rows(self) -> Iterator[Point]:
        """Yield the values of each turn, in the order of the names."""
        return zip(*self.values, strict=True) if self.values else itertools.repeat((), self.turns)

    def lines(self) -> Iterator[str]:
        """Yield each turn as a JSON object in canonical form (RFC 8785)."""
        # Names are ASCII, so their order is that of the standard's UTF-16 units.
        columns = sorted(zip(self.names, self.values, strict=True))
        for parts in zip(*(_written(name, values) for name, values in columns), strict=True):
            yield "{" + ",".join(parts) + "}"

    def distinct(self, wanted: Sequence[str]) -> int:
        """Return how many different rows some of its columns have."""
        chosen = [values for name, values in zip(self.names, self.values, strict=True) if name in wanted]
        if len(chosen) == 1 and isinstance(chosen[0], Coded):
            return chosen[0].distinct()
        if not chosen or len(chosen) == len(self.names):
            return len(self) if chosen else 1
        return len(set(zip(*chosen, strict=True)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Points(Sequence[Point]):
    """All points in order, the last axis turning fastest; the values of each in the order of the columns.

    `doubles` points were left out, as they had stood before.
    """

    columns: tuple[Column, ...]
    axes: tuple[Axis, ...]
    doubles: int = 0

    def __len__(self) -> int:
        """Return how many there are; without parameters there is one."""
        return math.prod(len(axis) for axis in self.axes)

    def __iter__(self) -> Iterator[Point]:
        """Yield every point, in memory that does not grow."""
        order = self._order()
        # itertools.product keeps what it is given: only the inner axes, the outermost is read as it goes.
        first, *inner = self.axes or (Axis(names=(), values=(), turns=1),)
        rest = [list(axis.rows()) for axis in inner]
        for head in first.rows():
            for tail in itertools.product(*rest):
                yield order((*head, *itertools.chain.from_iterable(tail)))

    def __getitem__(self, number: Any) -> Any:
        """Return one point, or several for a slice."""
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        rest = range(len(self))[number]
        found: list[Value | None] = []
        for axis in reversed(self.axes):
            rest, turn = divmod(rest, len(axis))
            found[:0] = [values[turn] for values in axis.values]
        return self._order()(tuple(found))

    def _order(self) -> Any:
        """Return what puts the values of the axes into the order of the columns."""
        given = [name for axis in self.axes for name in axis.names]
        wanted = [column.name for column in self.columns]
        if given == wanted:
            return tuple
        return operator.itemgetter(*(given.index(name) for name in wanted))  # they differ, so there are two at least


class Coded(Sequence["Value | None"]):
    """A column of few different values: the values, and a number a row that says which."""

    def __init__(self, values: Sequence[Value | None], codes: array[int]) -> None:
        self.known, self.codes = values, codes

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.codes)

    def __iter__(self) -> Iterator[Value | None]:
        """Yield the value of each row."""
        return map(self.known.__getitem__, self.codes)

    def __getitem__(self, row: Any) -> Any:
        """Return the value of a row."""
        return self.known[self.codes[row]]

    def distinct(self) -> int:
        """Return how many different values the rows have."""
        return len({self.known[code] for code in set(self.codes)})


def packed(columns: Sequence[Column], rows: Iterable[Point]) -> Axis:
    """Return an axis of these columns; numbers take eight bytes a row, all else four."""
    typecodes = {"int": "q", "float": "d"}
    values: list[Any] = []
    adding: list[Callable[[Any], object]] = []
    for one in columns:
        plain = array(typecodes[one.kind]) if one.kind in typecodes and not one.optional else None
        values.append(_Coding() if plain is None else plain)
        adding.append(values[-1].append)
    turns = 0
    for turns, row in enumerate(rows, 1):  # noqa: B007  the count is what is wanted after the last
        for add, value in zip(adding, row, strict=True):
            add(value)
    found = tuple(one.coded() if isinstance(one, _Coding) else one for one in values)
    return Axis(names=tuple(one.name for one in columns), values=found, turns=turns)


class _Coding:
    """A Coded column that is still being written."""

    def __init__(self) -> None:
        self.known: dict[Value | None, int] = {}
        self.codes = array("I")

    def append(self, value: Value | None) -> None:
        self.codes.append(self.known.setdefault(value, len(self.known)))

    def coded(self) -> Coded:
        return Coded(list(self.known), self.codes)


def _written(name: str, values: Sequence[Value | None]) -> Iterator[str]:
    """Yield `"name":value` for each value of a column."""
    head = json.dumps(name) + ":"
    if isinstance(values, Coded):
        return map([head + form.canonical(value) for value in values.known].__getitem__, values.codes)
    return (head + form.canonical(value) for value in values)
