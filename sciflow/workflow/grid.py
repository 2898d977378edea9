"""One block of a sweep -> its axes: what turns together, and what conditions and derived columns hold together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from sciflow.workflow import draw
from sciflow.workflow.axes import MAX_POINTS
from sciflow.workflow.expression import AbsentError, Expression, ExpressionError
from sciflow.workflow.faults import LISTED, shown
from sciflow.workflow.points import Axis, Column, Point, packed

if TYPE_CHECKING:
    from sciflow.workflow.spec import Block, Parameter, Partial, Sample, Value

Row: TypeAlias = "dict[str, Value | None]"
Turns: TypeAlias = Callable[[Row], list[Point]]


WALKED = 8  # what a row costs where conditions are asked, which is done twice: to count, and to make
REMEMBERED = 10_000  # combinations whose turns are kept


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
class Grid:
    """What a block asks for, read: parameters in the order of the file, and expressions by the name they belong to.

    `derived` are in an order in which each follows what it reads; `conditions` are those of parameters.
    """

    columns: Mapping[str, Column]
    parameters: tuple[Parameter, ...]
    block: Block
    derived: Mapping[str, Expression]
    conditions: Mapping[str, Expression]
    where: Expression | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Parameters that turn together, and the values of each, turn by turn."""

    names: tuple[str, ...]
    values: tuple[Sequence[Value], ...]

    def __len__(self) -> int:
        """Return how often they turn."""
        return len(self.values[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Neighbouring groups that make one axis, what is derived from them, and what leaves combinations of them out."""

    groups: tuple[Group, ...]
    derived: tuple[str, ...]
    where: Expression | None
    exclude: tuple[Partial, ...]


def together(parameters: Sequence[Parameter], zipped: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the names of what turns together, in the order of turning, the slowest first.

    Zipped parameters turn at the place of the first of them, and so do all that are drawn.
    """
    drawn = [one.name for one in parameters if one.draw]
    group_of = {name: tuple(group) for group in (*zipped, drawn) for name in group}
    return list(dict.fromkeys(group_of.get(one.name, (one.name,)) for one in parameters))


def groups(parameters: Sequence[Parameter], block: Block) -> tuple[Group, ...]:
    """Return what turns together, with its values, the slowest first."""
    by_name = {one.name: one for one in parameters}
    found = []
    for names in together(parameters, block.zip):
        if block.sample and by_name[names[0]].draw:
            found.append(_drawn(tuple(by_name[name] for name in names), block.sample))
        else:
            found.append(Group(names=names, values=tuple(by_name[name].values for name in names)))
    return tuple(found)


@lru_cache(maxsize=1)
def _drawn(parameters: tuple[Parameter, ...], sample: Sample) -> Group:
    """Return the parameters that are drawn, with their values, each row once; both `size` and `axes` ask for them."""
    rows = dict.fromkeys(zip(*draw.values(parameters, sample), strict=True))
    return Group(names=tuple(one.name for one in parameters), values=tuple(zip(*rows, strict=True)))


def size(grid: Grid) -> int:
    """Return how many points there are before any are left out, counting on to just above MAX_POINTS.

    Only parameters that a condition reads are turned for it.
    """
    turning = groups(grid.parameters, grid.block)
    read = {name for one in grid.conditions.values() for name in one.names}
    free = [one for one in turning if not _conditional(one, grid)]
    found = math.prod(map(len, free))
    if found > MAX_POINTS or len(free) == len(turning):
        return found
    walked = [one for one in turning if read & set(one.names) or _conditional(one, grid)]
    others = math.prod(len(one) for one in turning if one not in walked)
    turns = _turns(walked[-1], grid)  # the last one's need only be counted
    found = 0
    for row in _walk(walked[:-1], grid):
        found += others * len(turns(row))
        if found > MAX_POINTS:
            break
    return found


def cost(grid: Grid) -> int:
    """Return about how many operations the axes of a grid that is not too large take."""
    drawn = [one for one in grid.parameters if one.draw]
    sample = grid.block.sample
    spent = len(grid.parameters) + (sample.points * sum(map(draw.cost, drawn)) if sample else 0)
    counts = {one.name: sample.points if sample and one.draw else len(one.values) for one in grid.parameters}
    turning = together(grid.parameters, grid.block.zip)
    free = math.prod(counts[names[0]] for names in turning if not any(name in grid.conditions for name in names))
    if free > MAX_POINTS:
        return spent  # it is refused for that
    stand = tuple(Group(names=names, values=(range(counts[names[0]]),)) for names in turning)
    for part in _parts(stand, grid):
        computed = [grid.derived[name] for name in part.derived] + ([part.where] if part.where else [])
        inner = [one for one in part.groups if _conditional(one, grid)]
        computed += [grid.conditions[name] for one in inner for name in one.names if name in grid.conditions]
        if computed or part.exclude:
            each = sum(len(one.names) for one in part.groups) + sum(one.cost for one in computed)
            each += 3 * len({tuple(name for name, _ in partial) for partial in part.exclude})
            each *= WALKED if inner else 1
            spent += min(math.prod(map(len, part.groups)), MAX_POINTS) * each
    return spent


def axes(grid: Grid) -> tuple[Axis, ...]:
    """Return the axes whose combinations are the block's points; none are kept where an axis has no rows.

    Raises PointError where an expression has no value.
    """
    return tuple(_axis(part, grid) for part in _parts(groups(grid.parameters, grid.block), grid))


def _conditional(group: Group, grid: Grid) -> bool:
    return any(name in grid.conditions for name in group.names)


def _origins(grid: Grid) -> dict[str, frozenset[str]]:
    """Return, for every column, the parameters it comes from."""
    found = {one.name: frozenset((one.name,)) for one in grid.parameters}
    for name, made in grid.derived.items():
        found[name] = frozenset[str]().union(*(found[read] for read in made.names))
    return found


def _parts(turning: Sequence[Group], grid: Grid) -> Iterator[Part]:
    """Yield the parts that the groups fall into: as small as what is said of several at once allows."""
    origins = _origins(grid)
    derived = {name: origins[name] for name in grid.derived}
    where = frozenset[str]().union(*(origins[read] for read in grid.where.names)) if grid.where else frozenset()
    exclude = [(partial, frozenset(name for name, _ in partial)) for partial in grid.block.exclude]
    held = [*derived.values(), where, *(names for _, names in exclude)]
    held += [frozenset((name, *one.names)) for name, one in grid.conditions.items()]
    spans = _spans(turning, held)
    if not turning and (derived or grid.where):
        spans = [(0, 0)]  # what reads no parameter holds at the one point there is
    for first, after in spans:
        mine = {name for group in turning[first:after] for name in group.names}

        def here(names: frozenset[str], *, alone: bool = not first, mine: set[str] = mine) -> bool:
            return names <= mine and (bool(names) or alone)

        yield Part(
            groups=tuple(turning[first:after]),
            derived=tuple(name for name, names in derived.items() if here(names)),
            where=grid.where if here(where) else None,
            exclude=tuple(partial for partial, names in exclude if here(names)),
        )


def _spans(turning: Sequence[Group], held: Sequence[frozenset[str]]) -> list[tuple[int, int]]:
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


def _axis(part: Part, grid: Grid) -> Axis:
    if len(part.groups) == 1 and not (part.derived or part.where or part.exclude or _conditional(part.groups[0], grid)):
        return Axis(names=part.groups[0].names, values=part.groups[0].values, turns=len(part.groups[0]))
    names = [*(name for group in part.groups for name in group.names), *part.derived]
    return packed([grid.columns[name] for name in names], _rows(names, part, grid))


def _rows(names: Sequence[str], part: Part, grid: Grid) -> Iterator[Point]:
    """Yield the rows of a part that are kept."""
    # What `where` reads is computed before it, all else after: it may keep away points at which that has no value.
    needed = _needed(part.where, grid)
    before = [name for name in part.derived if name in needed]
    after = [name for name in part.derived if name not in needed]
    left_out: dict[tuple[str, ...], set[Point]] = {}
    for partial in part.exclude:
        left_out.setdefault(tuple(name for name, _ in partial), set()).add(tuple(value for _, value in partial))
    for row in _walk(part.groups, grid):
        if any(tuple([row[name] for name in named]) in rows for named, rows in left_out.items()):
            continue
        for name in before:
            row[name] = _computed("derive", name, grid.derived[name], row)
        if part.where and not _computed("where", "", part.where, row):
            continue
        for name in after:
            row[name] = _computed("derive", name, grid.derived[name], row)
        yield tuple([row[name] for name in names])


def _needed(where: Expression | None, grid: Grid) -> set[str]:
    """Return the derived columns that an expression reads, by way of others too."""
    found: set[str] = set()
    todo = list(where.names if where else ())
    while todo:
        name = todo.pop()
        if name in grid.derived and name not in found:
            found.add(name)
            todo += grid.derived[name].names
    return found


def _walk(turning: Sequence[Group], grid: Grid) -> Iterator[Row]:
    """Yield a row for each combination, the last group turning fastest; the row is used again for the next one."""
    if any(_conditional(one, grid) for one in turning):
        yield from _walk_asking([(one.names, _turns(one, grid)) for one in turning])
        return
    names = [name for one in turning for name in one.names]
    row: Row = {}
    for turns in itertools.product(*(zip(*one.values, strict=True) for one in turning)):
        row.update(zip(names, itertools.chain.from_iterable(turns), strict=True))
        yield row


def _walk_asking(turning: Sequence[tuple[Sequence[str], Turns]]) -> Iterator[Row]:
    """Walk where the turns of a group depend on those before it; without recursion, as groups may be many."""
    row: Row = {}
    open_at = [iter(turning[0][1](row))]
    while open_at:
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
    outside = sorted({name for one in asked.values() for name in one.names} - set(group.names))
    known: dict[Point, list[Point]] = {}

    def turns_at(row: Row) -> list[Point]:
        key = tuple(row[name] for name in outside)
        found = known.get(key)
        if found is None:
            found = list(dict.fromkeys(_met(group.names, turn, asked, row) for turn in turns))
            if len(known) < REMEMBERED:
                known[key] = found
        return found

    return turns_at


def _met(names: Sequence[str], turn: Point, asked: Mapping[str, Expression], row: Row) -> Point:
    """Return a turn without the values whose condition does not hold; one that reads what is not there does not."""
    there = dict(row)
    for name, value in zip(names, turn, strict=True):
        there[name] = value
        if name in asked and not _computed("when", name, asked[name], there):
            there[name] = None
    return tuple(there[name] for name in names)


def _computed(use: str, name: str, one: Expression, row: Row) -> Value | None:
    try:
        return one.value(row)
    except ExpressionError as error:
        if isinstance(error, AbsentError) and use != "where":
            return None  # what comes of a value that is not there is not there either
        there = [name for name in one.names if row[name] is not None] or [name for name in row if row[name] is not None]
        at = ", ".join(f"`{column} = {shown(row[column])}`" for column in there[:LISTED])
        raise PointError(use, name, one.text, error, f" at {at}" if at else "") from None
