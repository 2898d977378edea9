"""A CSV or parquet file -> its columns, as lists of values of one kind each."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from sciflow.workflow.axes import MAX_POINTS
from sciflow.workflow.budget import MAX_VALUES
from sciflow.workflow.faults import shown

MAX_BYTES = 1 << 26
MAX_LINE = 1_000_000
WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
TRUTHS = {"true": True, "false": False, "True": True, "False": False}

Parquet: TypeAlias = Callable[[Path], Mapping[str, Sequence[Any]]]
"""What reads a parquet file into columns; raises ValueError with what is wrong. It is given, so that a workflow without
such files is read without the package that knows them."""


class TabularError(ValueError):
    """A file is no table that can be used: what is wrong, and the fix."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text, self.hint = text, hint


def read(file: Path, parquet: Parquet | None = None, wanted: Collection[str] | None = None) -> dict[str, list[Any]]:
    """Return {column: its cells}, in the order of the file; of a CSV, cells of columns not wanted are left out.

    Raises TabularError.

    The cells of a CSV's column are numbers or truths where all of them can be, else texts.
    """
    try:
        return _read(file, parquet, wanted)
    except FileNotFoundError:
        raise TabularError("there is no such file", "paths are relative to the workflow's folder") from None
    except OSError as error:
        raise TabularError((error.strerror or "it cannot be read").lower()) from None
    except UnicodeDecodeError:
        raise TabularError("it is not UTF-8", "save it as UTF-8") from None
    except TabularError:
        raise
    except ValueError as error:
        raise TabularError(f"it cannot be read: {shown(error)}") from None


def _read(file: Path, parquet: Parquet | None, wanted: Collection[str] | None) -> dict[str, list[Any]]:
    if file.stat().st_size > MAX_BYTES:
        raise TabularError(f"it has more than {MAX_BYTES >> 20} MiB", "take out the columns that nothing uses")
    if file.suffix == ".parquet":
        if parquet is None:
            raise TabularError("parquet files are not read here", "write it as CSV")
        return {name: list(cells) for name, cells in parquet(file).items()}
    with file.open(encoding="utf-8-sig", newline="") as stream:
        return _csv(stream, wanted)


def _csv(stream: TextIO, wanted: Collection[str] | None) -> dict[str, list[Any]]:
    rows = csv.reader(_lines(stream), strict=True, skipinitialspace=True)
    try:
        return _columns(rows, wanted)
    except csv.Error as error:
        said = "a quotation mark is never closed" if "end of data" in str(error) else f"`{shown(error)}`"
        hint = "quotation marks stand around whole cells, and twice for one inside"
        raise TabularError(f"line {rows.line_num:,} cannot be read: {said}", hint) from None


def _lines(stream: TextIO) -> Iterator[str]:
    """Yield lines; one that would fill the memory is refused before it does."""
    for number, line in enumerate(iter(lambda: stream.readline(MAX_LINE + 1), ""), 1):
        if len(line) > MAX_LINE:
            raise TabularError(f"line {number:,} has more than {MAX_LINE:,} characters")
        yield line


def _columns(rows: Any, wanted: Collection[str] | None) -> dict[str, list[Any]]:
    head: list[str] = next(rows, [])
    if not head:
        raise TabularError("its first line is empty", "write a line of names first")
    if len(head) == 1 and (other := next((sign for sign in ";\t" if sign in head[0]), "")):
        raise TabularError(f"its columns are parted by `{shown(other)}`", "save it with commas between them")
    if len(set(head)) < len(head) or not all(head):
        raise TabularError("its first line does not name each column, once", "write a line of names first")
    cells: dict[str, list[str]] = {name: [] for name in head}
    kept = [(place, cells[name]) for place, name in enumerate(head) if wanted is None or name in wanted]
    for count, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != len(head):
            fault = f"line {rows.line_num:,} has cells for {len(row):,} columns, and the first names {len(head):,}"
            raise TabularError(fault, "quote a cell that holds a comma; fractions have a point")
        if count > MAX_POINTS:
            raise TabularError(f"it has more than {MAX_POINTS:,} rows")
        for place, column in kept:
            column.append(row[place])
        if count * len(kept) > MAX_VALUES:
            raise TabularError(f"its {len(kept):,} columns hold more than {MAX_VALUES:,} values", "take fewer of them")
    return {name: _typed(column) for name, column in cells.items()}


def _typed(cells: list[str]) -> list[Any]:
    if all(WHOLE.fullmatch(cell) for cell in cells):
        return [int(cell) for cell in cells]
    if all(NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in cells):
        return [float(cell) for cell in cells]
    if all(cell in TRUTHS for cell in cells):
        return [TRUTHS[cell] for cell in cells]
    return list(cells)
