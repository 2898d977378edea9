"""A CSV or parquet file -> its columns, as lists of values of one kind each."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from sciflow.workflow.axes import MAX_POINTS
from sciflow.workflow.faults import shown

MAX_BYTES = 1 << 28
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


def read(file: Path, parquet: Parquet | None = None) -> dict[str, list[Any]]:
    """Return {column: its cells}, in the order of the file. Raises TabularError.

    The cells of a CSV's column are numbers or truths where all of them can be, else texts.
    """
    try:
        if file.stat().st_size > MAX_BYTES:
            raise TabularError(f"it has more than {MAX_BYTES >> 20} MiB")
        if file.suffix == ".parquet":
            if parquet is None:
                raise TabularError("parquet files are not read here", "write it as CSV")
            return {name: list(cells) for name, cells in parquet(file).items()}
        with file.open(encoding="utf-8-sig", newline="") as stream:
            return _csv(stream)
    except OSError as error:
        raise TabularError((error.strerror or "it cannot be read").lower()) from None
    except UnicodeDecodeError:
        raise TabularError("it is not UTF-8", "save it as UTF-8") from None
    except (csv.Error, ValueError) as error:
        if isinstance(error, TabularError):
            raise
        raise TabularError(f"it cannot be read: {shown(error)}") from None


def _csv(stream: Any) -> dict[str, list[Any]]:
    rows = csv.reader(stream, strict=True, skipinitialspace=True)
    head = next(rows, [])
    if len(set(head)) < len(head) or not all(head):
        raise TabularError("its first line does not name each column, once", "write a line of names first")
    cells: list[list[str]] = [[] for _ in head]
    for count, row in enumerate(rows, 1):
        if not row:
            continue
        if len(row) != len(head):
            fault = f"line {rows.line_num} has {len(row)} cells, and the first line {len(head)}"
            raise TabularError(fault, "quote a cell that holds a comma")
        if count > MAX_POINTS:
            raise TabularError(f"it has more than {MAX_POINTS:,} rows")
        for column, cell in zip(cells, row, strict=True):
            column.append(cell)
    return {name: _typed(column) for name, column in zip(head, cells, strict=True)}


def _typed(cells: list[str]) -> list[Any]:
    if all(WHOLE.fullmatch(cell) for cell in cells):
        return [int(cell) for cell in cells]
    if all(NUMBER.fullmatch(cell) and math.isfinite(float(cell)) for cell in cells):
        return [float(cell) for cell in cells]
    if all(cell in TRUTHS for cell in cells):
        return [TRUTHS[cell] for cell in cells]
    return list(cells)
