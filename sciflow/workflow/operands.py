"""Parts of an expression -> larger parts: kinds checked, and what has no value turned into an error with its place."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.workflow.arithmetic import OPERATORS, ImpossibleError
from sciflow.workflow.axes import SPOKEN
from sciflow.workflow.tokens import MAX_INTEGER, ExpressionError, Token

if TYPE_CHECKING:
    from sciflow.workflow.spec import Kind, Value

MAX_TEXT = 10_000

Row: TypeAlias = Mapping[str, Any]
"""The values at a point, by column; None where an optional one has none."""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBERS: tuple[Kind, ...] = ("int", "float")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression: what it gives and how; a list's items are of `kind`."""

    kind: Kind
    column: int
    value: Callable[[Row], Any]
    is_list: bool = False


class AbsentError(ExpressionError):
    """An expression reads a column that has no value at this point."""


def present(name: str, column: int, row: Row) -> Value:
    """Return a column's value at a row. Raises AbsentError where there is none."""
    value: Value | None = row[name]
    if value is None:
        hint = "ask first for what makes it there, as in `kernel == 'poly' and degree > 2`"
        raise AbsentError(column, f"`{name}` has no value there", hint)
    return value


def want(part: Part, kinds: tuple[Kind, ...], by: str, hint: str = "") -> None:
    """Raise ExpressionError unless a part is of one of these kinds; `by` says who wants it."""
    if part.is_list:
        raise ExpressionError(part.column, f"{by} is given a list", "lists stand after `in`")
    if part.kind not in kinds:
        raise ExpressionError(part.column, f"{by} wants {SPOKEN[kinds[-1]]}, and this is {SPOKEN[part.kind]}", hint)


def alike(one: Kind, two: Kind) -> bool:
    """Say whether values of two kinds can be compared."""
    return one == two or (one in NUMBERS and two in NUMBERS)


def comparison(token: Token, left: Part, right: Part) -> Callable[[Any, Any], bool]:
    """Return the test that a sign of comparison stands for, between two parts. Raises ExpressionError."""
    if left.is_list or (right.is_list and token.text in COMPARISONS):
        raise ExpressionError(token.column, f"`{token.text}` cannot take a list on this side", "lists stand after `in`")
    if not alike(left.kind, right.kind):
        fault = f"`{token.text}` would compare {SPOKEN[left.kind]} with {SPOKEN[right.kind]}, which never agree"
        truth = "bool" in (left.kind, right.kind)
        hint = "write `f` or `not f`" if truth else "texts stand in quotes, numbers do not"
        raise ExpressionError(token.column, fault, hint)
    if token.text in COMPARISONS:
        if left.kind == "bool" and token.text not in ("==", "!="):
            raise ExpressionError(token.column, f"`{token.text}` cannot order true and false", "write `f` or `not f`")
        return COMPARISONS[token.text]
    if not right.is_list and right.kind != "text":
        raise ExpressionError(right.column, f"`{token.text}` wants a list or a text after it", "write `x in [1, 2]`")
    if token.text == "in":
        return lambda item, among: item in among
    return lambda item, among: item not in among


def chained(tests: list[Callable[[Any, Any], bool]], values: list[Callable[[Row], Any]], row: Row) -> bool:
    """Compare neighbours until one pair fails; each value is computed at most once, as in Python."""
    left = values[0](row)
    for test, value in zip(tests, values[1:], strict=True):
        right = value(row)
        if not test(left, right):
            return False
        left = right
    return True


def arithmetic(token: Token, left: Part, right: Part) -> Part:
    """Return the part that an operator makes of two. Raises ExpressionError."""
    if token.text == "+" and left.kind == right.kind == "text" and not (left.is_list or right.is_list):
        return Part("text", left.column, _joined(token, left.value, right.value))
    for side in (left, right):
        want(side, NUMBERS, f"`{token.text}`", "a text is joined with texts alone" if token.text == "+" else "")
    kind: Kind = "int" if left.kind == right.kind == "int" and token.text != "/" else "float"
    compute, first, second = OPERATORS[token.text], left.value, right.value
    if kind == "float":
        # A whole number meets a fraction as a fraction, so that the result's kind never depends on a value.
        return guarded(kind, token.column, lambda row: compute(float(first(row)), float(second(row))))
    return guarded(kind, token.column, lambda row: compute(first(row), second(row)))


def _joined(token: Token, first: Callable[[Row], str], second: Callable[[Row], str]) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        text = first(row) + second(row)
        if len(text) > MAX_TEXT:  # a chain of columns that each double the one before would fill any memory
            raise ExpressionError(token.column, f"the text has more than {MAX_TEXT:,} characters")
        return text

    return value


def guarded(kind: Kind, column: int, compute: Callable[[Row], Any]) -> Part:
    """Turn what has no value, or none that can be stored, into an error with its column."""

    def value(row: Row) -> Any:
        try:
            result = compute(row)
        except ZeroDivisionError:
            raise ExpressionError(column, "division by zero") from None
        except OverflowError:
            raise ExpressionError(column, "the result is too large for a number") from None
        except ImpossibleError as error:
            raise ExpressionError(column, str(error)) from None
        if type(result) is int:
            if not -MAX_INTEGER - 1 <= result <= MAX_INTEGER:
                raise ExpressionError(column, "the result is a whole number beyond 64 bits", "multiply by 1.0 first")
        elif result - result != 0:  # inf or nan
            raise ExpressionError(column, "the result is too large for a number")
        return result

    return Part(kind, column, value)
