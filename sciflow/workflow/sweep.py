"""Parameters and what a sweep says of them -> columns, and the points in order."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING

from sciflow.errors import Fault, WorkflowError
from sciflow.workflow import expression, grid
from sciflow.workflow.grid import Grid, PointError
from sciflow.workflow.order import order
from sciflow.workflow.points import Axis, Column, Point, Points, packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sciflow.workflow.spec import Block, Derived, Kind, Parameter, Sweep, Workflow

__all__ = ["Axis", "Column", "Point", "PointError", "Points", "columns", "make", "points", "size"]


def columns(parameters: Sequence[Parameter], derive: Sequence[Derived]) -> tuple[Column, ...]:
    """Return the parameters in the order of the file, then the derived columns, each after those it is made from.

    Raises expression.ExpressionError.
    """
    return _columns(parameters, derive, {one.name for one in parameters if one.when})


def _columns(parameters: Sequence[Parameter], derive: Sequence[Derived], optional: set[str]) -> tuple[Column, ...]:
    plain = {
        one.name: Column(
            name=one.name, kind=one.kind, unit=one.unit, optional=one.name in optional, repeats=one.repeats
        )
        for one in parameters
    }
    for name, made in _derived(parameters, derive, optional).items():
        absent = any(plain[read].optional for read in made.names)
        plain[name] = Column(name=name, kind=made.kind, derived=True, optional=absent)
    return tuple(plain.values())


def size(parameters: Sequence[Parameter], derive: Sequence[Derived], sweep: Sweep) -> int:
    """Return how many points there are before any are left out; where they are more than may be, a number that is."""
    return sum(grid.size(one) for one in _grids(parameters, derive, sweep))


def cost(parameters: Sequence[Parameter], derive: Sequence[Derived], sweep: Sweep) -> int:
    """Return about how many operations `size` and `make` take, if there are not too many points."""
    return sum(grid.cost(one) for one in _grids(parameters, derive, sweep))


def make(parameters: Sequence[Parameter], derive: Sequence[Derived], sweep: Sweep) -> Points:
    """Return the points of a sweep: those of its blocks in order, and of each block the included ones last.

    The last parameter turns fastest; parameters that turn together do so at the place of the first of them. A point
    that has stood before is left out. Raises PointError where an expression has no value at a point.
    """
    found = _columns(parameters, derive, _optional(parameters, sweep))
    grids = list(_grids(parameters, derive, sweep))
    if len(grids) == 1:
        return Points(columns=found, axes=grid.axes(grids[0]))
    joined = [Points(columns=found, axes=grid.axes(one)) for one in grids]
    axis = packed(found, _once(joined))
    # Without columns there is one point, of no axis, or none.
    return Points(
        columns=found, axes=(axis,) if found or not axis.turns else (), doubles=sum(map(len, joined)) - len(axis)
    )


def points(workflow: Workflow, sweep: Sweep | None = None) -> Points:
    """Return the points of a sweep of a workflow (its first, if none is given). Raises WorkflowError."""
    chosen = sweep or workflow.sweeps[0]
    try:
        return chosen.points or make(workflow.parameters, workflow.derive, chosen)
    except PointError as error:
        file = str(workflow.source.file) if workflow.source else workflow.name
        raise WorkflowError([Fault(file=file, text=error.text, hint=error.hint)]) from None


def _once(joined: Sequence[Points]) -> Iterator[Point]:
    seen = set()
    for one in joined:
        for row in one:
            if row not in seen:
                seen.add(row)
                yield row


def _grids(parameters: Sequence[Parameter], derive: Sequence[Derived], sweep: Sweep) -> Iterator[Grid]:
    known = {one.name: one for one in _columns(parameters, derive, _optional(parameters, sweep))}
    kinds = {name: one.kind for name, one in known.items()}
    optional = {name for name, one in known.items() if one.optional}
    derived = _derived(parameters, derive, optional)
    for block in sweep.blocks:
        where = expression.parse(block.where, kinds, optional) if block.where else None
        theirs = effective(parameters, block)
        conditions = {each.name: expression.parse(each.when, kinds, optional) for each in theirs if each.when}
        bare = dataclasses.replace(block, exclude=())
        for one, fixed, kept in [(block, {}, where), *((bare, dict(partial), None) for partial in block.include)]:
            yield Grid(
                columns=known,
                parameters=theirs,
                fixed=fixed,
                block=one,
                derived=derived,
                conditions=conditions,
                where=kept,
            )


def _optional(parameters: Sequence[Parameter], sweep: Sweep) -> set[str]:
    """Return the parameters that some block gives a condition."""
    return {one.name for block in sweep.blocks for one in effective(parameters, block) if one.when}


def effective(parameters: Sequence[Parameter], block: Block) -> tuple[Parameter, ...]:
    """Return the parameters as they stand in a block."""
    instead = {one.name: one for one in block.parameters}
    return tuple(instead.get(one.name, one) for one in parameters)


def _derived(
    parameters: Sequence[Parameter], derive: Sequence[Derived], absent: set[str]
) -> dict[str, expression.Expression]:
    """Return the expressions of the derived columns, each after those it reads. Raises expression.ExpressionError."""
    return _parsed(
        tuple((one.name, one.expression) for one in derive),
        tuple((one.name, one.kind) for one in parameters),
        frozenset(absent),
    )


@lru_cache(maxsize=8)
def _parsed(
    derive: tuple[tuple[str, str], ...], parameters: tuple[tuple[str, Kind], ...], conditional: frozenset[str]
) -> dict[str, expression.Expression]:
    """Parse derived columns once: they are asked for in each block, and may be a thousand."""
    texts, kinds, optional = dict(derive), dict(parameters), set(conditional)
    made = {}
    for name in order({name: expression.names(text) for name, text in texts.items()})[0]:
        made[name] = expression.parse(texts[name], kinds, optional)
        kinds[name] = made[name].kind
        if optional & set(made[name].names):
            optional.add(name)
    return made
