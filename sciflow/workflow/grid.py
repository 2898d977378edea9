"""One block of a sweep -> its axes: what turns together, and what conditions and derived columns hold together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from sciflow.workflow import crossing, draw
from sciflow.workflow.axes import MAX_POINTS
from sciflow.workflow.crossing import Group, Part, PointError, Row, computed, cross
from sciflow.workflow.points import Axis, Column, Point, packed

if TYPE_CHECKING:
    from sciflow.workflow.expression import Expression
    from sciflow.workflow.spec import Block, Parameter, Value

__all__ = ["Grid", "Group", "PointError", "axes", "groups", "size", "together"]

Turns: TypeAlias = Callable[[Row], list[Point]]

WALKED = 8  # what a row costs where conditions are asked, which is done twice: to count, and to make
REMEMBERED = 10_000  # combinations whose turns are kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """What a block asks for, read: parameters in the order of the file, and expressions by the name they belong to.

    `derived` are in an order in which each follows what it reads; `conditions` are those of parameters. What is
    `fixed`, by an included point, stands still; all else turns as it did, at its place and with the same numbers drawn.
    """

    columns: Mapping[str, Column]
    parameters: tuple[Parameter, ...]
    fixed: Mapping[str, Value]
    block: Block
    derived: Mapping[str, Expression]
    conditions: Mapping[str, Expression]
    where: Expression | None


def together(parameters: Sequence[Parameter], zipped: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the names of what turns together, in the order of turning, the slowest first.

    Zipped parameters turn at the place of the first of them, and so do all that are drawn.
    """
    drawn = [one.name for one in parameters if one.draw]
    group_of = {name: tuple(group) for group in (*zipped, drawn) for name in group}
    return list(dict.fromkeys(group_of.get(one.name, (one.name,)) for one in parameters))


def groups(grid: Grid) -> tuple[Group, ...]:
    """Return what turns together, with its values, the slowest first; no condition has been asked."""
    by_name = {one.name: one for one in grid.parameters}
    found = []
    for names in together(grid.parameters, grid.block.zip):
        mine = [by_name[name] for name in names]
        if _still(names, grid):
            columns: list[Sequence[Value]] = [(grid.fixed[name],) for name in names]
        elif grid.block.sample and mine[0].draw:
            columns = list(draw.values(mine, grid.block.sample))
        else:
            columns = [one.values for one in mine]
        columns = [
            (grid.fixed[name],) * len(column) if name in grid.fixed else column
            for name, column in zip(names, columns, strict=True)
        ]
        found.append(Group(names=names, values=_once(columns)))
    return tuple(found)


def _still(names: Sequence[str], grid: Grid) -> bool:
    return all(name in grid.fixed for name in names)


def _turning(names: Sequence[str], grid: Grid) -> int:
    """Return how often parameters turn, rows that stand twice and conditions not looked at."""
    if _still(names, grid):
        return 1
    first = next(one for one in grid.parameters if one.name == names[0])
    return grid.block.sample.points if grid.block.sample and first.draw else len(first.values)


def _once(columns: Sequence[Sequence[Value]]) -> tuple[Sequence[Value], ...]:
    """Return columns without the rows that stand twice."""
    # Where one column alone tells the rows apart, as drawn fractions do, no row need be made.
    if any(len(set(column)) == len(column) for column in columns):
        return tuple(columns)
    return tuple(zip(*dict.fromkeys(zip(*columns, strict=True)), strict=True))


def size(grid: Grid) -> int:
    """Return how many points there are before any are left out, counting on to just above MAX_POINTS.

    Only parameters that a condition reads are turned for it. Raises PointError where a condition has no value.
    """
    found = 1
    for names in together(grid.parameters, grid.block.zip):
        if not any(name in grid.conditions for name in names):
            found *= _turning(names, grid)
    if found > MAX_POINTS or not grid.conditions:
        return found
    turning = groups(grid)
    read = {name for one in grid.conditions.values() for name in one.names}
    walked = [one for one in turning if read & set(one.names) or _conditional(one, grid)]
    others = math.prod(len(one) for one in turning if one not in walked)
    turns = _turns(walked[-1], grid)  # the last one's need only be counted
    found = 0
    for row in _walk([(one.names, _turns(one, grid)) for one in walked[:-1]]):
        found += others * len(turns(row))
        if found > MAX_POINTS:
            break
    return found


def cost(grid: Grid) -> int:
    """Return about how many operations the axes take, if there are not too many points."""
    sample = grid.block.sample
    drawn = [one for one in grid.parameters if one.draw]
    spent = len(grid.parameters) + (sample.points * sum(map(draw.cost, drawn)) if sample else 0)
    turning = [
        Group(names=names, values=(range(_turning(names, grid)),) * len(names))
        for names in together(grid.parameters, grid.block.zip)
    ]
    if math.prod(len(one) for one in turning if not _conditional(one, grid)) > MAX_POINTS:
        return spent  # it is refused for that
    settled = []
    for first, after in _spans(turning, [{name, *one.names} for name, one in grid.conditions.items()]):
        held = turning[first:after]
        names = tuple(name for group in held for name in group.names)
        rows = min(math.prod(map(len, held)), MAX_POINTS)
        asked = [grid.conditions[name] for name in names if name in grid.conditions]
        spent += WALKED * rows * (len(names) + sum(one.cost for one in asked)) if asked else 0
        settled.append(Group(names=names, values=(range(rows),) * len(names)))
    return spent + sum(crossing.cost(part) for part in _parts(settled, grid))


def axes(grid: Grid) -> tuple[Axis, ...]:
    """Return the axes whose combinations are the block's points; none are kept where an axis has no rows.

    Raises PointError where an expression has no value.
    """
    made = (cross(part) for part in _parts(_settled(groups(grid), grid), grid))
    # One turn of no column changes nothing, and has no line in a table.
    return tuple(axis for axis in made if axis.names or not axis.turns)


def _settled(turning: Sequence[Group], grid: Grid) -> tuple[Group, ...]:
    """Return groups of which no condition need be asked any more: those that conditions hold together are one."""
    found = []
    for first, after in _spans(turning, [{name, *one.names} for name, one in grid.conditions.items()]):
        held = turning[first:after]
        if not any(_conditional(one, grid) for one in held):
            found.append(held[0])
            continue
        names = tuple(name for one in held for name in one.names)
        rows = _walk([(one.names, _turns(one, grid)) for one in held])
        axis = packed([grid.columns[name] for name in names], (tuple([row[name] for name in names]) for row in rows))
        found.append(Group(names=names, values=axis.values))
    return tuple(found)


def _conditional(group: Group, grid: Grid) -> bool:
    return any(name in grid.conditions for name in group.names)


def _parts(turning: Sequence[Group], grid: Grid) -> Iterator[Part]:
    """Yield the parts that the groups fall into: as small as what is said of several at once allows."""
    origins = {one.name: frozenset((one.name,)) for one in grid.parameters}
    for name, made in grid.derived.items():
        origins[name] = frozenset[str]().union(*(origins[read] for read in made.names))
    where = frozenset[str]().union(*(origins[read] for read in grid.where.names)) if grid.where else frozenset()
    exclude = [(partial, frozenset(name for name, _ in partial)) for partial in grid.block.exclude]
    held = [*(origins[name] for name in grid.derived), where, *(names for _, names in exclude)]
    spans = _spans(turning, held)
    if not turning and (grid.derived or grid.where):
        spans = [(0, 0)]  # what reads no parameter holds at the one point there is
    for first, after in spans:
        mine = {name for group in turning[first:after] for name in group.names}

        def here(names: frozenset[str], *, alone: bool = not first, mine: set[str] = mine) -> bool:
            return names <= mine and (bool(names) or alone)

        yield Part(
            groups=tuple(turning[first:after]),
            derived=tuple(name for name in grid.derived if here(origins[name])),
            where=grid.where if here(where) else None,
            exclude=tuple(partial for partial, names in exclude if here(names)),
            expressions=grid.derived,
            origins=origins,
        )


def _spans(turning: Sequence[Group], held: Sequence[set[str] | frozenset[str]]) -> list[tuple[int, int]]:
    """Return (first, after the last) group of each part: names held together, and all that turns between them."""
    place = {name: index for index, one in enumerate(turning) for name in one.names}
    reach = list(range(1, len(turning) + 1))  # by group: after the last group that it is held together with
    for names in held:
        places = [place[name] for name in names]
        if places:
            reach[min(places)] = max(reach[min(places)], 1 + max(places))
    spans: list[tuple[int, int]] = []
    for first, after in enumerate(reach):
        if spans and first < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], after)
        else:
            spans.append((first, after))
    return spans


def _walk(turning: Sequence[tuple[Sequence[str], Turns]]) -> Iterator[Row]:
    """Yield a row for each combination, the last group turning fastest; the row is used again for the next one."""
    row: Row = {}
    open_at = [iter(turns(row)) for _, turns in turning[:1]]
    if not turning:
        yield row
    while open_at:  # without recursion, as groups may be many
        turn = next(open_at[-1], None)
        if turn is None:
            open_at.pop()
            continue
        row.update(zip(turning[len(open_at) - 1][0], turn, strict=True))
        if len(open_at) == len(turning):
            yield row
        else:
            open_at.append(iter(turning[len(open_at)][1](row)))


def _turns(group: Group, grid: Grid) -> Turns:
    """Return what gives a group's turns at a row of those before it: conditions asked, no turn twice."""
    turns = list(zip(*group.values, strict=True))
    asked = {name: grid.conditions[name] for name in group.names if name in grid.conditions}
    if not asked:
        return lambda _: turns
    mine = set(group.names)
    inside = {name: one for name, one in asked.items() if mine & set(one.names)}
    outside = sorted({name for one in inside.values() for name in one.names} - mine)
    known: dict[tuple[frozenset[str], Point], list[Point]] = {}

    def turns_at(row: Row) -> list[Point]:
        # What reads nothing of the group itself holds for all of its turns or for none, and is asked once a row.
        gone = frozenset(
            name for name, one in asked.items() if name not in inside and not computed("when", name, one, row)
        )
        key = gone, tuple(row[name] for name in outside)
        found = known.get(key)
        if found is None:
            found = list(dict.fromkeys(_met(group.names, turn, inside, gone, row) for turn in turns))
            if len(known) < REMEMBERED:
                known[key] = found
        return found

    return turns_at


def _met(names: Sequence[str], turn: Point, asked: Mapping[str, Expression], gone: frozenset[str], row: Row) -> Point:
    """Return a turn without the values whose condition does not hold; one that reads what is not there does not."""
    there = dict(row)
    for name, value in zip(names, turn, strict=True):
        there[name] = None if name in gone else value
        if name in asked and not computed("when", name, asked[name], there):
            there[name] = None
    return tuple(there[name] for name in names)
