"""Tasks -> the columns that the steps of each depend on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sciflow.workflow.order import order
from sciflow.workflow.spec import Placeholder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sciflow.workflow.spec import Task


def uses(tasks: Sequence[Task], columns: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return, for each task, the columns its steps depend on: its own and those of all it needs, in their order.

    Its own are those its text names or `parameters` lists; all, where it asks for the point or the seed, or is a
    function that lists none. A task that gathers runs once, so it depends on none.
    """
    by_name = {task.name: task for task in tasks}
    found: dict[str, set[str]] = {}
    for name in order({task.name: task.needs for task in tasks})[0]:
        task = by_name[name]
        pieces = [piece for word in task.words for piece in word if isinstance(piece, Placeholder)]
        own = {piece.name for piece in pieces if piece.kind == "parameter"} | set(task.parameters or ())
        if (task.python and task.parameters is None) or any(piece.kind in ("point", "seed") for piece in pieces):
            own = set(columns)
        found[name] = set() if task.gather else own.union(*(found.get(need, ()) for need in task.needs))
    return {name: tuple(column for column in columns if column in mine) for name, mine in found.items()}
