"""What is wrong with a file, gathered while it is read, each fault with its place."""

from __future__ import annotations

import dataclasses
import difflib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from sciflow.errors import Fault, WorkflowError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sciflow.workflow.places import Document
    from sciflow.workflow.spec import Keys

SHOWN = 60  # characters of a foreign text that a message repeats
LISTED = 16  # names that a hint lists
MOST = 100  # faults that are told at once; nobody mends more before looking again
COMPARED = 1_000  # names among which a likeness is looked for: each costs a comparison


def shown(value: Any) -> str:
    """Return a value as a message may show it: short, on one line, control and invisible characters escaped."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    text = ", ".join(shown(item) for item in value[:LISTED]) if isinstance(value, list) else str(value)
    if len(text) > SHOWN:
        text = text[: SHOWN - 1] + "…"
    return f"[{escaped(text)}]" if isinstance(value, list) else escaped(text)


def escaped(text: str) -> str:
    """Return a text whole, on one line, with control and invisible characters escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def quoted(names: Iterable[str]) -> str:
    """Return names in backticks, with commas; the many after the first few are dots."""
    some = list(names)
    return ", ".join(f"`{shown(name)}`" for name in some[:LISTED]) + (", …" if len(some) > LISTED else "")


def likely(name: str, known: Iterable[str], *, what: str) -> str:
    """Return a hint: the name that was likely meant, and those there are. `what` is their plural (`tasks`)."""
    names = list(known)
    if not names:
        return f"there are no {what}"
    near = difflib.get_close_matches(name, names, n=1) if len(names) <= COMPARED and len(name) <= SHOWN else []
    listed = f"the {what} are {quoted(names)}"
    return f"did you mean `{shown(near[0])}`? {listed}" if near else listed


class Faults:
    """The faults of one file. The one after MOST of them ends the reading: it raises WorkflowError.

    A path of keys and indices says where; what has no place of its own is told at its owner's.
    """

    def __init__(self, file: str, document: Document) -> None:
        self.file = escaped(file)
        self.document = document
        self.found: dict[tuple[Keys, str], Fault] = {}

    def key(self, path: Keys, text: str, hint: str = "") -> None:
        """Add a fault at the key (or the table's header, or the list's item) of this path."""
        self._add(path, self._near(path, self.document.keys, self.document.values), text, hint)

    def value(self, path: Keys, text: str, hint: str = "", *, offset: int = 0) -> None:
        """Add a fault at the value of this path, or `offset` characters into it if it is a text on one line."""
        line, column = self._near(path, self.document.values, self.document.keys)
        if offset and self._plain(path):
            column += offset
        self._add(path, (line, column), text, hint)

    def written(self, path: Keys) -> Any:
        """Return what the file says at this path, or nothing."""
        value: Any = self.document.data
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def has(self, path: Keys) -> bool:
        """Say whether a fault was found at this path or below it."""
        return any(where[: len(path)] == path for where, _ in self.found)

    def all(self) -> WorkflowError:
        """Return the faults as one error, which says so if there may be more."""
        found = list(self.found.values())
        if len(found) >= MOST:
            last = max(found)
            found.append(dataclasses.replace(last, text="there may be more faults: these are enough for once", hint=""))
        return WorkflowError(found)

    def _plain(self, path: Keys) -> bool:
        """Say whether a text stands in the file letter by letter: no escape, no line break."""
        value = self.written(path)
        return path in self.document.values and isinstance(value, str) and not set(value) & set('\\"\n\t')

    def _near(
        self, path: Keys, first: dict[Keys, tuple[int, int]], second: dict[Keys, tuple[int, int]]
    ) -> tuple[int, int]:
        for length in range(len(path), 0, -1):
            place = first.get(path[:length]) or second.get(path[:length])
            if place:
                return place
        return 0, 0

    def _add(self, path: Keys, place: tuple[int, int], text: str, hint: str) -> None:
        line, column = place
        if len(self.found) >= MOST:
            raise self.all()
        self.found.setdefault((path, text), Fault(file=self.file, line=line, column=column, text=text, hint=hint))


def inside(place: str, key: Keys, what: str, faults: Faults, *, folder: str) -> bool:
    """Say whether a path is relative, stays in its folder and is written plainly; add the fault if not."""
    path = PurePosixPath(place)
    if path.is_absolute():
        faults.value(key, f"{what} has an absolute path, `{shown(place)}`", f"write it relative to {folder}")
    elif ".." in path.parts:
        faults.value(key, f"{what} leaves {folder}: `{shown(place)}`", "a path without `..` stays in it")
    elif str(path) != place or place == ".":
        hint = "write the path of a file" if place == "." else f"write `{shown(path)}`"
        faults.value(key, f"{what} has a path with needless parts, `{shown(place)}`", hint)
    else:
        return True
    return False
