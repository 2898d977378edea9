"""What a definition and a Dockerfile come to alike: a base, then what is copied and run, in order, and what is given.

Both are read strictly by their own rooms, with the line of each thing. spython reads them too, and is held against
that: it loses what it does not know, so it is never believed alone, and where it differs the recipe is refused.
"""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from spython.logger import bot
from spython.main.parse.parsers import get_parser

from sciflow.containers import locked
from sciflow.errors import Fault, ImageError, SurroundingsError
from sciflow.runner import names
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sciflow.containers.image import Pairs
    from sciflow.containers.locked import LockedFile

MAX_TEXT = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """Files and folders brought in; `target` is absolute, and a folder if it ends with a slash.

    `sources` are relative to the recipe's folder, and may have `*` and `?`. With `contents`, what is in a folder is
    copied (`COPY`); without, the folder itself where the target is there already (`cp -r`).
    """

    line: int
    sources: tuple[str, ...]
    target: str
    contents: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Words to run with an environment in a folder; if there is a `text`, the path of a file of it comes last."""

    line: int
    words: tuple[str, ...]
    text: str = ""
    environment: Pairs = ()
    folder: str = "/"


@dataclass(frozen=True, kw_only=True, slots=True)
class Make:
    """A folder made where there is none."""

    line: int
    path: str


Step: TypeAlias = Copy | Run | Make


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A recipe read: `base` is a reference, as `from` has it; the rest is what the image gives and says, sorted."""

    base: str
    line: int
    steps: tuple[Step, ...] = ()
    environment: Pairs = ()
    folder: str = ""
    labels: Pairs = ()
    ignored: tuple[str, ...] = ()


@dataclass(kw_only=True, slots=True)
class Faults:
    """The faults of one file, as they are found; they are raised together."""

    file: str
    found: list[Fault] = field(default_factory=list)

    def add(self, line: int, text: str, hint: str) -> None:
        """Note one."""
        self.found.append(Fault(file=shown(self.file), line=line, column=1 if line else 0, text=text, hint=hint))

    def end(self) -> None:
        """Raise ImageError if there are any."""
        if self.found:
            raise ImageError(self.found)


def text(folder: Path, reference: str) -> str:
    """Read a recipe. Raises ImageError if it is no text, SurroundingsError if it cannot be read."""
    path = folder / reference
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_TEXT else b"\0"
    except OSError as error:
        raise SurroundingsError(
            f"`{shown(reference)}`: {error.strerror}", hint="see `[image]`: it names a file beside the workflow"
        ) from error
    try:
        found = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        found = "\0"
    if "\0" in found:
        faults = Faults(file=reference)
        faults.add(0, "is not a text of UTF-8 of at most a megabyte", "is it a recipe?")
        faults.end()
    return found.replace("\r\n", "\n")


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """One thing that is copied: a file, or a folder with all files in it.

    `files` are pairs of a path from the workflow's folder, and its path below what is copied; of a file, its name.
    """

    name: str
    is_folder: bool
    files: tuple[tuple[str, str], ...]


def items(recipe: Recipe, folder: Path, reference: str) -> dict[int, tuple[Item, ...]]:
    """Find what each copy means among the files beside the recipe, by the number of its step.

    Raises ImageError, naming the line, for what is not there, is a link, lies outside or is not carried.
    """
    faults, found = Faults(file=reference), {}
    above = os.path.dirname(reference)  # noqa: PTH120 - a text, and it stays one
    for number, step in enumerate(recipe.steps):
        if isinstance(step, Copy):
            many = [
                one for source in step.sources for one in _matches(folder, above, source, step, faults)
            ]  # in the order they stand
            if len(many) > 1 and step.contents and not step.target.endswith("/"):
                faults.add(step.line, "copies more than one thing to what is no folder", "end the last word with `/`")
            found[number] = tuple(many)
    faults.end()
    return found


def files(items_of: Mapping[int, tuple[Item, ...]], folder: Path, reference: str) -> tuple[LockedFile, ...]:
    """Pin the recipe and all that it copies, sorted. Raises ImageError, SurroundingsError."""
    paths = {reference} | {path for many in items_of.values() for one in many for path, _ in one.files}
    return tuple(locked.pin(folder / path, path) for path in sorted(paths))


def _matches(folder: Path, above: str, source: str, step: Copy, faults: Faults) -> Iterator[Item]:
    """Find a source's items, by names, sorted; nothing of it is followed."""
    parts = [part for part in source.split("/") if part not in {"", "."}]
    if ".." in parts:
        faults.add(step.line, f"`{shown(source)}` leads out of the recipe's folder", "put a copy beside the recipe")
        return
    if not parts and not above:
        faults.add(
            step.line,
            f"`{shown(source)}` is the workflow's whole folder, its bundles and its lock too",
            "name the files and folders that are wanted",
        )
        return
    if re.search(r"[\[\]\\]|\*\*", source):
        faults.add(step.line, f"`{shown(source)}` is a pattern beyond `*` and `?`", "name the files, or their folder")
        return
    try:
        places = _walk(folder, [above] if above else [], parts)
        if not places:
            faults.add(step.line, f"there is no `{shown(source)}` beside the recipe", "see the name; paths start there")
        for place in places:
            yield _item(folder, place)
    except _RefusedError as refused:
        faults.add(step.line, *refused.args)
    except OSError as error:
        raise SurroundingsError(f"`{shown(str(error.filename))}`: {error.strerror}") from error


class _RefusedError(Exception):
    """A fault and its hint."""


def _walk(folder: Path, start: list[str], parts: Sequence[str]) -> list[str]:
    """Return the paths from `folder` that a pattern means, sorted."""
    found = ["/".join(start)]
    for part in parts:
        regular = re.compile(re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"), re.DOTALL)
        after = []
        for place in found:
            _refuse_link(folder, place)
            if (folder / place).is_dir():
                with os.scandir(folder / place) as entries:
                    inside = sorted(entry.name for entry in entries if regular.fullmatch(entry.name))
                after += [f"{place}/{name}".lstrip("/") for name in inside]
        found = after
    return found


def _refuse_link(folder: Path, place: str) -> None:
    if (folder / place).is_symlink():
        raise _RefusedError(f"`{shown(place)}` is a link", "put the file itself there: a link may lead anywhere")


def _item(folder: Path, place: str) -> Item:
    _refuse_link(folder, place)
    name = place.rpartition("/")[2]
    if not (folder / place).is_dir():
        _refuse_odd(folder, place)
        return Item(name=name, is_folder=False, files=((place, name),))
    found, waiting = [], [place]
    while waiting:
        here = waiting.pop()
        with os.scandir(folder / here) as entries:
            below = sorted(f"{here}/{entry.name}" for entry in entries)
        for path in below:
            _refuse_link(folder, path)
            if (folder / path).is_dir():
                waiting.append(path)
            else:
                _refuse_odd(folder, path)
                found.append((path, path[len(place) + 1 :]))
    if not found:
        raise _RefusedError(
            f"`{shown(place)}` has no file in it", "empty folders are not carried; make it by a command"
        )
    return Item(name=name, is_folder=True, files=tuple(sorted(found)))


def _refuse_odd(folder: Path, place: str) -> None:
    if not (folder / place).is_file():
        raise _RefusedError(f"`{shown(place)}` is no file", "only files and folders can be carried")
    if place == names.LOCK:  # so it cannot be among it
        raise _RefusedError(f"`{names.LOCK}` names the digests of what is copied", "name the files that are wanted")


def second(kind: str, recipe: str) -> Any:
    """Return what spython's reader of that kind (`docker`, `singularity`) finds in a recipe; nothing if it gives up."""
    level, bot.level = bot.level, 0  # it talks, and it is not asked for its opinion of files it does not see
    try:
        with tempfile.TemporaryDirectory(prefix="sciflow-") as folder:
            path = Path(folder) / "recipe"
            path.write_text(_plain(recipe), encoding="ascii")
            return next(iter(get_parser(kind)(str(path)).recipe.values()))
    except (NotImplementedError, IndexError):
        return None
    finally:
        bot.level = level


def _plain(said: str) -> str:
    """Take out what spython would read in the encoding of whoever runs it."""
    return said.encode("ascii", "replace").decode("ascii")


def agree(faults: Faults, mine: Sequence[tuple[int, str]], theirs: Sequence[str] | None) -> None:
    """Hold what was read, with its lines, against spython's; note the first difference."""
    for number, (line, said) in enumerate(mine):
        if theirs is None or number >= len(theirs) or theirs[number] != _plain(said):
            faults.add(line, "two readers of recipes do not agree on it", "say it in another way: on one line, plainly")
            return
    if theirs and len(theirs) > len(mine):
        faults.add(0, f"two readers of recipes do not agree on `{shown(theirs[len(mine)])}`", "say it in another way")
