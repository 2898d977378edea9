"""The operators and functions that expressions know, each bounded in what it can cost."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.workflow import exact

if TYPE_CHECKING:
    from collections.abc import Callable

    from sciflow.workflow.spec import Kind

MAX_BITS = 64


class ImpossibleError(ArithmeticError):
    """There is no such number."""


def power(base: float, exponent: float) -> float:
    """Return base ** exponent: whole of whole numbers, else a fraction. Raises ImpossibleError, OverflowError."""
    if type(base) is int and type(exponent) is int:
        if exponent < 0:
            raise ImpossibleError("a whole number to a negative power: write `2.0 ** -1`")
        # Computed only if it may fit: 9 ** 9 ** 9 would take all of the memory there is.
        if abs(base) > 1 and (abs(base).bit_length() - 1) * exponent > MAX_BITS:
            raise OverflowError
        return int(base**exponent)
    if base == 0 and exponent < 0:
        raise ZeroDivisionError
    if base < 0 and exponent != math.floor(exponent):
        raise ImpossibleError("a negative number to a power that is not whole")
    return exact.power(float(base), float(exponent))


def square_root(number: float) -> float:
    """Return the square root. Raises ImpossibleError below zero."""
    if number < 0:
        raise ImpossibleError("the square root of a negative number")
    return math.sqrt(number)


def logarithm(number: float, base: float = math.e) -> float:
    """Return the logarithm, natural unless a base is given. Raises ImpossibleError where there is none."""
    if number <= 0 or base <= 0 or base == 1:
        raise ImpossibleError("the logarithm of a number, or to a base, that has none")
    if base == math.e:
        return exact.log(number)
    return exact.log10(number) if base == 10 else exact.log(number) / exact.log(base)  # noqa: PLR2004  log10 is exact at powers of ten


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": power,
}


def _widest(kinds: tuple[Kind, ...]) -> Kind:
    return "float" if "float" in kinds else "int"


def _whole(_: tuple[Kind, ...]) -> Kind:
    return "int"


def _fraction(_: tuple[Kind, ...]) -> Kind:
    return "float"


@dataclass(frozen=True, kw_only=True, slots=True)
class Function:
    """A function of expressions: what it takes, what it gives."""

    call: Callable[..., Any]
    kind: Callable[[tuple[Kind, ...]], Kind]
    takes: str
    least: int = 1
    most: int = 1
    text: bool = False
    """Whether it takes a text; all others take numbers."""


FUNCTIONS = {
    "min": Function(call=min, kind=_widest, takes="two numbers or more", least=2, most=64),
    "max": Function(call=max, kind=_widest, takes="two numbers or more", least=2, most=64),
    "abs": Function(call=abs, kind=_widest, takes="one number"),
    "round": Function(call=round, kind=_whole, takes="one number"),
    "floor": Function(call=math.floor, kind=_whole, takes="one number"),
    "ceil": Function(call=math.ceil, kind=_whole, takes="one number"),
    "sqrt": Function(call=square_root, kind=_fraction, takes="one number"),
    "log": Function(call=logarithm, kind=_fraction, takes="one number, or a number and a base", most=2),
    "exp": Function(call=exact.exp, kind=_fraction, takes="one number"),
    "len": Function(call=len, kind=_whole, takes="one text", text=True),
}
