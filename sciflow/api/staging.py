"""A workflow made in Python -> a folder that holds it: the file, its code, and what it reads."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.api import slices, whole
from sciflow.errors import SurroundingsError, UsageError, WorkflowError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MARK = "# Written by sciflow from a Python program: a change here is lost when the program writes it again.\n"
SHOWN = "to_toml()"
OURS = (MARK, slices.MARK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """A workflow's file as text, and beside it the files that were `written` and those to be `copied`, by path."""

    text: str
    written: Mapping[str, str]
    copied: Mapping[str, Path]


def write(made: Made, folder: Path, *, copy: Callable[[str, str], object] = shutil.copy) -> Path:
    """Write a workflow and what it needs into a folder; return the file.

    What a program wrote before is written anew; what somebody else wrote is left alone. Raises UsageError where such a
    file is in the way and is another, SurroundingsError where the folder cannot be written.
    """
    texts = {names.WORKFLOW: made.text, **made.written}
    for path in sorted(texts.keys() & made.copied.keys()):
        raise UsageError(f"`{made.copied[path]}` would stand where sciflow writes `{path}`", hint="rename that file")
    for path, text in texts.items():
        free(folder / path, text.encode())
    for path, source in made.copied.items():
        if source.is_file():
            free(folder / path, source)
    try:
        for path in [*texts, *made.copied]:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        for path, source in made.copied.items():
            _copy(source, folder / path, copy)
    except OSError as error:
        raise SurroundingsError(f"`{error.filename or folder}` cannot be written: {error.strerror}") from error
    for path, text in texts.items():
        whole.replace(folder / path, text)
    return folder / names.WORKFLOW


def free(place: Path, wanted: bytes | Path) -> None:
    """Refuse to write over a file that is neither the same nor of our own making."""
    if not place.exists() or (isinstance(wanted, Path) and place.samefile(wanted)):
        return
    try:
        there = place.read_bytes()
        same = there == (wanted.read_bytes() if isinstance(wanted, Path) else wanted)
    except OSError as error:
        raise UsageError(f"`{place}` is in the way", hint="write into another folder") from error
    if not same and not there.startswith(tuple(mark.encode() for mark in OURS)):
        raise UsageError(f"`{place}` stands there already, and is another file", hint="write into another folder")


def _copy(source: Path, target: Path, copy: Callable[[str, str], object]) -> None:
    if target.exists():
        if not target.samefile(source) and source.is_file():
            shutil.copy(source, target)
    elif source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=copy)
    else:
        copy(str(source), str(target))


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where that cannot be: a large input is not written twice for a compile."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


@contextmanager
def staged(made: Made) -> Iterator[Path]:
    """Give the workflow's file in a folder of its own, which is removed afterwards.

    Faults found in it are told at their places in the text that `to_toml()` returns.
    """
    with tempfile.TemporaryDirectory(prefix="sciflow-") as folder:
        file = write(made, Path(folder), copy=_link)
        try:
            yield file
        except WorkflowError as error:
            raise WorkflowError([replace(fault, file=_shown(fault.file, file)) for fault in error.faults]) from None


def _shown(name: str, file: Path) -> str:
    if name in (str(file), file.name):
        return SHOWN
    return name.removeprefix(f"{file.parent}/")
