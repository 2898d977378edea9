"""Names and what each needs -> an order in which each follows what it needs, and the circles in the way."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def order(needs: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return (names in order, circles): of those that could come next, the first of `needs` comes.

    A circle `("a", "b")` says that a needs b and b needs a. What a name needs beside the names themselves is ignored.
    Members of circles, and what depends on them, are in the order too, after their circle has been cut.
    """
    place = {name: index for index, name in enumerate(needs)}
    waits = {name: {need for need in needs[name] if need in place} for name in needs}
    wanted_by: dict[str, list[str]] = {name: [] for name in needs}
    for name, missing in waits.items():
        for need in missing:
            wanted_by[need].append(name)
    ready = [place[name] for name, missing in waits.items() if not missing]
    heapq.heapify(ready)
    names, done, found = tuple(needs), list[str](), set[str]()
    circles: list[tuple[str, ...]] = []
    first = 0  # all names before this one are done
    while True:
        while ready:
            name = names[heapq.heappop(ready)]
            done.append(name)
            found.add(name)
            for follower in wanted_by[name]:
                waits[follower].discard(name)
                if not waits[follower] and follower not in found:
                    heapq.heappush(ready, place[follower])
        while first < len(names) and names[first] in found:
            first += 1
        if first == len(names):
            return tuple(done), tuple(circles)
        circle = _circle(names[first], waits, place)
        circles.append(circle)
        waits[circle[0]].clear()  # cut here: the rest is looked at as if this one needed nothing
        heapq.heappush(ready, place[circle[0]])


def _circle(start: str, waits: Mapping[str, set[str]], place: Mapping[str, int]) -> tuple[str, ...]:
    """Follow first needs until a name comes again; the circle begins with its first name in the file."""
    path: dict[str, int] = {}
    name = start
    while name not in path:
        path[name] = len(path)
        name = min(waits[name], key=place.__getitem__)
    circle = list(path)[path[name] :]
    first = circle.index(min(circle, key=place.__getitem__))
    return tuple(circle[first:] + circle[:first])
