"""Parameters and what the sweep says of them -> columns, and the points in order, one at a time."""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.errors import Fault, WorkflowError
from sciflow.workflow import expression
from sciflow.workflow.faults import shown
from sciflow.workflow.order import order
from sciflow.workflow.spec import Derived, Kind, Parameter, Sweep, Value, Workflow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Point: TypeAlias = tuple[Value, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of the table of points."""

    name: str
    kind: Kind
    unit: str = ""
    derived: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """Parameters that turn together: their names, and their values at each turn."""

    names: tuple[str, ...]
    turns: tuple[Point, ...]


class PointError(ValueError):
    """An expression has no value at a point: the column it makes (nothing: `where`), and what is wrong."""

    def __init__(self, column: str, text: str, hint: str, offset: int) -> None:
        super().__init__(text)
        self.column, self.text, self.hint, self.offset = column, text, hint, offset


def columns(workflow: Workflow) -> tuple[Column, ...]:
    """Return the parameters in the order of the file, then the derived columns, each after those it is made from."""
    plain = [Column(name=one.name, kind=one.kind, unit=one.unit) for one in workflow.parameters]
    derived = [
        Column(name=name, kind=made.kind, derived=True)
        for name, made in derivations(workflow.parameters, workflow.sweep.derive).items()
    ]
    return (*plain, *derived)


def size(workflow: Workflow) -> int:
    """Return how many points there are before `where` has refused any; without parameters there is one."""
    return math.prod(len(axis.turns) for axis in axes(workflow.parameters, workflow.sweep))


def points(workflow: Workflow) -> Iterator[Point]:
    """Yield the points in order, the values of each in the order of `columns`, in bounded memory.

    The last parameter turns fastest; a zipped group turns as one, at the place of its first member. Raises
    WorkflowError, naming the point, where an expression has no value.
    """
    try:
        yield from _points(workflow.parameters, workflow.sweep, wanted=None)
    except PointError as error:
        file = str(workflow.source.file) if workflow.source else workflow.name
        raise WorkflowError([Fault(file=file, text=error.text, hint=error.hint)]) from None


def axes(parameters: Sequence[Parameter], sweep: Sweep) -> tuple[Axis, ...]:
    """Return the axes in the order in which they turn, the slowest first."""
    group_of = {name: group for group in sweep.zip for name in group}
    by_name = {one.name: one for one in parameters}
    groups = dict.fromkeys(group_of.get(one.name, (one.name,)) for one in parameters)
    return tuple(
        Axis(names=group, turns=tuple(zip(*(by_name[name].values for name in group), strict=True))) for group in groups
    )


def derivations(parameters: Sequence[Parameter], derive: Sequence[Derived]) -> dict[str, expression.Expression]:
    """Return the expressions of the derived columns, each after those it reads. Raises expression.ExpressionError."""
    texts = {one.name: one.expression for one in derive}
    kinds: dict[str, Kind] = {one.name: one.kind for one in parameters}
    made = {}
    for name in order({name: expression.names(text) for name, text in texts.items()})[0]:
        made[name] = expression.parse(texts[name], kinds)
        kinds[name] = made[name].kind
    return made


def trial(parameters: Sequence[Parameter], sweep: Sweep, name: str) -> bool:
    """Say whether any point is kept, having computed `where` and the derived column `name` at every point that is.

    Only the axes that the two depend on are turned, so this is quick however large the sweep. Raises PointError.
    """
    if name:
        # Where a column has a value at all points, it has one at those that `where` keeps: fewer axes are turned.
        try:
            _exhaust(_points(parameters, Sweep(zip=sweep.zip, derive=sweep.derive), wanted=name))
        except PointError:
            return _exhaust(_points(parameters, sweep, wanted=name))
        return True
    kept = _points(parameters, sweep, wanted=name)
    return _exhaust(kept) if _may_fail(parameters, sweep) else any(True for _ in kept)


def _exhaust(made: Iterator[Point]) -> bool:
    """Make all the points, and say whether there was any."""
    return sum(1 for _ in made) > 0


def _may_fail(parameters: Sequence[Parameter], sweep: Sweep) -> bool:
    """Say whether computing `where` at a point could fail: only arithmetic and functions can."""
    made = derivations(parameters, sweep.derive)
    texts = [sweep.where, *(made[name].text for name in _closure(made, expression.names(sweep.where)) if name in made)]
    return any(sign in text for text in texts for sign in "+-*/%(")


def _closure(made: dict[str, expression.Expression], wanted: Sequence[str]) -> set[str]:
    """Return these columns and all those they are made from."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += made[name].names if name in made else ()
    return found


def _points(parameters: Sequence[Parameter], sweep: Sweep, *, wanted: str | None) -> Iterator[Point]:
    """Yield points; if `wanted` is a derived column (or empty), those of the axes that it and `where` depend on."""
    turning = axes(parameters, sweep)
    made = derivations(parameters, sweep.derive)
    kinds: dict[str, Kind] = {one.name: one.kind for one in parameters}
    kinds |= {name: one.kind for name, one in made.items()}
    where = expression.parse(sweep.where, kinds) if sweep.where else None
    first = _closure(made, where.names if where else ())
    if wanted is not None:
        used = first | _closure(made, (wanted,))
        turning = tuple(axis for axis in turning if used & set(axis.names))
        made = {name: one for name, one in made.items() if name in used}
    before = [(name, one) for name, one in made.items() if name in first]
    after = [(name, one) for name, one in made.items() if name not in first]
    names = [name for axis in turning for name in axis.names]
    pick = _picker(names, [one.name for one in parameters if one.name in names])
    rows: Iterator[Point] = (
        tuple(itertools.chain.from_iterable(turns)) for turns in itertools.product(*(axis.turns for axis in turning))
    )
    if where is None and not made:
        yield from map(pick, rows)
        return
    for values in rows:
        row: dict[str, Value] = dict(zip(names, values, strict=True))
        for name, one in before:
            row[name] = _computed(name, one, row)
        if where is not None and not _computed("", where, row):
            continue
        # `where` comes first, so that it can keep away the points at which a column has no value.
        for name, one in after:
            row[name] = _computed(name, one, row)
        yield (*pick(values), *(row[name] for name in made))


def _picker(given: list[str], wanted: list[str]) -> Callable[[Point], Point]:
    """Return what puts the values of a point into another order."""
    if given == wanted:
        return tuple
    pick: Any = operator.itemgetter(*(given.index(name) for name in wanted))  # they differ, so there are two at least
    return pick  # type: ignore[no-any-return]


def _computed(name: str, one: expression.Expression, row: dict[str, Value]) -> Value:
    try:
        return one.value(row)
    except expression.ExpressionError as error:
        what = f"`derive.{name}`" if name else "`where`"
        at = ", ".join(f"`{column} = {shown(row[column])}`" for column in one.names)
        text = f"{what} has no value" + (f" at {at}" if at else "") + f": {error.text}"
        hint = error.hint or "let `where` keep such points away, or write the expression so that it has a value there"
        raise PointError(name, text, hint, error.column) from None
