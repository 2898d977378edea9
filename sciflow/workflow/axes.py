"""The forms in which a parameter's values may be written out -> the values, all of one kind."""

from __future__ import annotations

import decimal
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from sciflow.runner import names
from sciflow.workflow import exact
from sciflow.workflow.budget import EXACT, MAX_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sciflow.workflow.spec import Kind, Value

MAX_POINTS = 1_000_000
BEYOND = 10**15  # a number that need not be told to the digit
MAX_POWERS = MAX_OPERATIONS // EXACT

KINDS: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "text", dict: "table"}
SPOKEN: dict[Kind, str] = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "text": "a text",
    "table": "a table",
}
FORMS = ("values", "range", "linspace", "logspace", "geomspace", "replicates")


class AxisError(ValueError):
    """Values cannot be made, or not used: which one (index in what is written, or none), what, and the fix."""

    def __init__(self, text: str, hint: str = "", *, index: int | None = None) -> None:
        super().__init__(text)
        self.text, self.hint, self.index = text, hint, index


def values(form: str, written: Any) -> tuple[Kind, tuple[Value, ...]]:
    """Return the kind and the values of a parameter written in one of FORMS. Raises AxisError.

    A list may hold a value twice: whether that is meant depends on what turns with it (`doubled`).
    """
    if form == "values":
        return listed(written)
    if form == "replicates":
        _fits(written)
        return "int", tuple(range(written))
    made = _range(written) if form == "range" else _spaced(form, written)
    if len(set(made)) < len(made):
        raise AxisError("two of its values are the same", "fewer values, or ends further apart, make them differ")
    return KINDS[type(made[0])], made


def listed(written: Sequence[Any]) -> tuple[Kind, tuple[Value, ...]]:
    """Return the kind and the values of a list; whole numbers among fractions are fractions. Raises AxisError."""
    kinds = [KINDS[type(value)] for value in written]
    kind: Kind = "float" if set(kinds) == {"int", "float"} else kinds[0]
    for index, other in enumerate(kinds):
        if other != kind and not (kind == "float" and other == "int"):
            fault = f"{SPOKEN[other]} stands among values that are each {SPOKEN[kind]}"
            raise AxisError(fault, "the values of a parameter are of one kind", index=index)
    return kind, tuple(of_kind(kind, value) for value in written)


def of_kind(kind: Kind, value: Any) -> Value:
    """Return a value as a parameter of this kind holds it: a number as float, a table as its canonical JSON."""
    if kind == "float":
        return float(value)
    return str(names.canonical(value)) if isinstance(value, dict) else value


def doubled(values: Sequence[Any]) -> int | None:
    """Return the index of the first value that has stood before, if any."""
    seen: set[Any] = set()
    for index, value in enumerate(values):
        if value in seen:
            return index
        seen.add(value)
    return None


def _range(written: Sequence[float]) -> tuple[Value, ...]:
    """Return start + i * step below stop, computed in decimals: 0.3, not 0.30000000000000004."""
    start, stop, step = (*written, 1)[:3]
    if step == 0:
        raise AxisError("the step is 0", "write a step above or below 0", index=2)
    exact = [Fraction(decimal.Decimal(repr(number))) for number in (start, stop, step)]
    count = max(0, math.ceil((exact[1] - exact[0]) / exact[2]))
    if count == 0:
        raise AxisError(f"there is nothing from {start} to {stop} in steps of {step}", "the stop itself is left out")
    _fits(count)
    if all(isinstance(number, int) for number in written):
        return tuple(range(int(start), int(stop), int(step)))
    scale = math.lcm(*(number.denominator for number in exact))
    first, by = (int(number * scale) for number in (exact[0], exact[2]))
    # Whole number by whole number is rounded once, to the nearest float.
    return tuple((first + index * by) / scale for index in range(count))


def _spaced(form: str, written: Sequence[float]) -> tuple[Value, ...]:
    """Return what numpy.linspace, logspace (base 10) and geomspace return, by their own formulas; both ends exact."""
    count = written[2]
    if type(count) is not int or count < 2:  # noqa: PLR2004  two ends
        raise AxisError(f"the count is {count}", "both ends are in, so count a whole number from 2", index=2)
    _fits(count)
    if form != "linspace" and count > MAX_POWERS:
        raise AxisError(
            f"it has {count:,} values, and a `{form}` may have {MAX_POWERS:,}", "take fewer values", index=2
        )
    first, last = float(written[0]), float(written[1])
    if form == "linspace":
        return _finite(_linear(first, last, count))
    if form == "logspace":
        made = [_ten(exponent) for exponent in _linear(first, last, count)]
        return _finite(made, "its ends are exponents of ten: write -3 for 0.001, or `geomspace`")
    if first == 0 or last == 0 or (first < 0) != (last < 0):
        raise AxisError("its ends are 0 or differ in sign", "both ends are above 0, or both below")
    sign = math.copysign(1.0, first)
    inner = [sign * _ten(exponent) for exponent in _linear(exact.log10(abs(first)), exact.log10(abs(last)), count)]
    return _finite([first, *inner[1:-1], last])


def _linear(first: float, last: float, count: int) -> list[float]:
    step = (last - first) / (count - 1)
    return [*(index * step + first for index in range(count - 1)), last]


def _ten(exponent: float) -> float:
    try:
        return exact.ten(exponent)
    except OverflowError:
        return math.inf


def _finite(made: list[float], hint: str = "bring its ends closer to 0") -> tuple[Value, ...]:
    if not all(math.isfinite(value) for value in made):
        raise AxisError("some of its values are too large for a number", hint)
    return tuple(made)


def _fits(count: int) -> None:
    if count > MAX_POINTS:
        told = f"{count:,}" if count < BEYOND else f"more than {BEYOND:,}"
        raise AxisError(f"it has {told} values, and a sweep may have {MAX_POINTS:,} points", "take fewer values")
