"""The small language of `where` and `derive`: text -> a checked expression -> its value at a point.

Numbers, texts, true and false, lists (after `in`), comparison chains, and/or/not, in/not in, + - * / // % **, and a few
functions. Precedence and meaning are Python's, but that kinds are checked beforehand: a text is never compared with a
number, true is no number, and `/` always gives a fraction. It cannot loop, nor call anything else; nothing is eval'ed.

    either  = both ("or" both)*                both    = denied ("and" denied)*       denied = "not" denied | chain
    chain   = sum (comparison sum)*            sum     = product (("+"|"-") product)*
    product = signed (("*"|"/"|"//"|"%") signed)*     signed = ("+"|"-") signed | power     power = atom ("**" signed)?
    atom    = number | text | true | false | name | name "(" either ("," either)* ")" | "(" either ")" | "[" … "]"
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from sciflow.workflow.arithmetic import FUNCTIONS, OPERATORS, ImpossibleError
from sciflow.workflow.axes import KINDS, SPOKEN
from sciflow.workflow.budget import EXACT
from sciflow.workflow.faults import likely, shown
from sciflow.workflow.tokens import MAX_INTEGER, ExpressionError, Token, number, split, text

if TYPE_CHECKING:
    from sciflow.workflow.spec import Kind, Value

__all__ = ["AbsentError", "Expression", "ExpressionError", "names", "parse"]

MAX_DEPTH = 32
MAX_TEXT = 10_000

Row: TypeAlias = Mapping[str, Any]
"""The values at a point, by column; None where an optional one has none."""

WORDS = {"and", "or", "not", "in", "true", "false", "True", "False"}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
NUMBERS: tuple[Kind, ...] = ("int", "float")


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression:
    """A checked expression: the kind of its value and the columns it reads, in the order of the text."""

    text: str
    kind: Kind
    names: tuple[str, ...]
    cost: int
    """About how many operations its value takes."""
    _value: Callable[[Row], Any] = field(repr=False, compare=False)

    def value(self, row: Row) -> Value:
        """Return the value at a point. Raises ExpressionError where there is none, such as after division by zero."""
        result: Value = self._value(row)
        return result


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: what it gives and how; a list's items are of `kind`."""

    kind: Kind
    column: int
    value: Callable[[Row], Any]
    is_list: bool = False


class AbsentError(ExpressionError):
    """An expression reads a column that has no value at this point."""


def parse(text: str, names: Mapping[str, Kind], optional: Collection[str] = ()) -> Expression:
    """Return the expression over columns of these names and kinds. Raises ExpressionError at the first fault.

    Where one of the `optional` columns has no value and is read, its value raises AbsentError.
    """
    reader = _Parser(split(text), names, optional)
    part = reader.either()
    if reader.token.kind != "end":
        raise ExpressionError(
            reader.token.column,
            f"`{shown(reader.token.text)}` stands where the expression could end",
            "join the two by an operator, such as `and`, or leave it out",
        )
    if part.is_list:
        raise ExpressionError(part.column, "a list alone has no value", "lists stand after `in`")
    cost = len(reader.tokens) + EXACT * reader.exact
    return Expression(text=text, kind=part.kind, names=tuple(reader.used), cost=cost, _value=part.value)


def names(text: str) -> tuple[str, ...]:
    """Return the columns an expression seems to read, also where it is faulty.

    Raises ExpressionError for a sign that the language does not have.
    """
    tokens = split(text)
    found = [
        token.text
        for token, follower in itertools.pairwise(tokens)
        if token.kind == "name" and token.text not in WORDS and follower.text != "("
    ]
    return tuple(dict.fromkeys(found))


class _Parser:
    """Recursive descent, one method a rule of the grammar above."""

    def __init__(self, tokens: list[Token], names: Mapping[str, Kind], optional: Collection[str]) -> None:
        self.tokens, self.names, self.optional = tokens, names, optional
        self.at = self.depth = self.exact = 0
        self.used: dict[str, None] = {}

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> Token | None:
        """Return the token and go on if it is one of these signs or words."""
        token = self.token
        if token.kind not in ("sign", "name") or token.text not in texts:
            return None
        self.at += 1
        return token

    def expect(self, text: str, after: str) -> None:
        if not self.take(text):
            raise ExpressionError(self.token.column, f"`{text}` is missing after {after}")

    def either(self) -> _Part:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(self.token.column, f"the expression is nested more than {MAX_DEPTH} deep")
        left = self.both()
        while token := self.take("or"):
            left = self._logical(token, left, self.both())
        self.depth -= 1
        return left

    def both(self) -> _Part:
        left = self.denied()
        while token := self.take("and"):
            left = self._logical(token, left, self.denied())
        return left

    def _logical(self, token: Token, left: _Part, right: _Part) -> _Part:
        for side in (left, right):
            _want(side, ("bool",), f"`{token.text}`", "compare it with something, as in `a > 0 and b > 0`")
        first, second = left.value, right.value
        if token.text == "and":
            return _Part("bool", left.column, lambda row: first(row) and second(row))
        return _Part("bool", left.column, lambda row: first(row) or second(row))

    def denied(self) -> _Part:
        nots = []
        while token := self.take("not"):
            nots.append(token)
        part = self.chain()
        if not nots:
            return part
        _want(part, ("bool",), "`not`")
        inner = part.value
        return _Part("bool", nots[0].column, (lambda row: not inner(row)) if len(nots) % 2 else inner)

    def chain(self) -> _Part:
        first = left = self.sum()
        tests: list[Callable[[Any, Any], bool]] = []
        values = [left.value]
        while True:
            token = self.take(*COMPARISONS, "in")
            if not token and self.token.text == "not" and self.tokens[self.at + 1].text == "in":
                token, self.at = self.token, self.at + 2
            if not token:
                break
            right = self.sum()
            tests.append(_comparison(token, left, right))
            values.append(right.value)
            left = right
        if not tests:
            return first
        if len(tests) == 1:
            test, one, two = tests[0], values[0], values[1]
            return _Part("bool", first.column, lambda row: test(one(row), two(row)))
        return _Part("bool", first.column, lambda row: _chained(tests, values, row))

    def sum(self) -> _Part:
        left = self.product()
        while token := self.take("+", "-"):
            left = _arithmetic(token, left, self.product())
        return left

    def product(self) -> _Part:
        left = self.signed()
        while token := self.take("*", "/", "//", "%"):
            left = _arithmetic(token, left, self.signed())
        return left

    def signed(self) -> _Part:
        signs = []
        while token := self.take("+", "-"):
            signs.append(token)
        part = self.power()
        if not signs:
            return part
        _want(part, NUMBERS, f"`{signs[0].text}`")
        inner = part.value
        if sum(token.text == "-" for token in signs) % 2 == 0:
            return _Part(part.kind, signs[0].column, inner)
        return _guarded(part.kind, signs[0].column, lambda row: -inner(row))

    def power(self) -> _Part:
        base = self.atom()
        token = self.take("**")
        if not token:
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(token.column, f"the expression is nested more than {MAX_DEPTH} deep")
        part = _arithmetic(token, base, self.signed())
        self.exact += part.kind == "float"
        self.depth -= 1
        return part

    def atom(self) -> _Part:
        token = self.token
        self.at += token.kind != "end"
        if token.kind in ("number", "text"):
            literal = number(token) if token.kind == "number" else text(token)
            return _Part(KINDS[type(literal)], token.column, lambda _: literal)
        if token.kind == "name":
            return self._name(token)
        if token.text == "(":
            part = self.either()
            self.expect(")", "what `(` opens")
            return part
        if token.text == "[":
            return self._list(token)
        what = f"and `{token.text}` stands there" if token.text else "and the expression ends"
        raise ExpressionError(token.column, f"a value is missing here, {what}")

    def _name(self, token: Token) -> _Part:
        if token.text in ("true", "True", "false", "False"):
            truth = token.text.lower() == "true"
            return _Part("bool", token.column, lambda _: truth)
        if token.text in WORDS:
            raise ExpressionError(token.column, f"a value is missing here, and `{token.text}` stands there")
        if self.take("("):
            return self._call(token)
        name = token.text
        if name not in self.names:
            hint = likely(name, self.names, what="columns") + "; a text stands in quotes"
            hint = f"write `{name}(…)`: it is a function" if name in FUNCTIONS else hint
            raise ExpressionError(token.column, f"there is no column `{shown(name)}`", hint)
        if self.names[name] == "table":
            fault = f"`{name}` holds tables, which no expression reads"
            raise ExpressionError(token.column, fault, "let a parameter that turns with it (`zip`) hold what is asked")
        self.used[name] = None
        if name not in self.optional:
            return _Part(self.names[name], token.column, operator.itemgetter(name))
        return _Part(self.names[name], token.column, lambda row: _present(name, token.column, row))

    def _list(self, token: Token) -> _Part:
        items = [self.either()]
        while self.take(","):
            items.append(self.either())
        self.expect("]", "the items of this list")
        for item in items:
            kind: Kind = items[0].kind
            if item.is_list or not _alike(kind, item.kind):
                raise ExpressionError(item.column, "the items of a list are of one kind, and no lists")
        values = [item.value for item in items]
        return _Part(items[0].kind, token.column, lambda row: [value(row) for value in values], is_list=True)

    def _call(self, token: Token) -> _Part:
        known = FUNCTIONS.get(token.text)
        if known is None:
            hint = likely(token.text, FUNCTIONS, what="functions")
            raise ExpressionError(token.column, f"there is no function `{shown(token.text)}`", hint)
        arguments = [self.either()]
        while self.take(","):
            arguments.append(self.either())
        self.expect(")", f"what `{token.text}(` takes")
        if not known.least <= len(arguments) <= known.most:
            raise ExpressionError(token.column, f"`{token.text}` takes {known.takes}, and is given {len(arguments)}")
        for argument in arguments:
            _want(argument, ("text",) if known.text else NUMBERS, f"`{token.text}`")
        kind = known.kind(tuple(argument.kind for argument in arguments))
        self.exact += token.text in ("exp", "log")
        call, values = known.call, [argument.value for argument in arguments]
        if kind == "float":
            return _guarded(kind, token.column, lambda row: float(call(*[value(row) for value in values])))
        return _guarded(kind, token.column, lambda row: call(*[value(row) for value in values]))


def _present(name: str, column: int, row: Row) -> Value:
    value: Value | None = row[name]
    if value is None:
        hint = "ask first for what makes it there, as in `kernel == 'poly' and degree > 2`"
        raise AbsentError(column, f"`{name}` has no value there", hint)
    return value


def _want(part: _Part, kinds: tuple[Kind, ...], by: str, hint: str = "") -> None:
    if part.is_list:
        raise ExpressionError(part.column, f"{by} is given a list", "lists stand after `in`")
    if part.kind not in kinds:
        raise ExpressionError(part.column, f"{by} wants {SPOKEN[kinds[-1]]}, and this is {SPOKEN[part.kind]}", hint)


def _alike(one: Kind, two: Kind) -> bool:
    return one == two or (one in NUMBERS and two in NUMBERS)


def _comparison(token: Token, left: _Part, right: _Part) -> Callable[[Any, Any], bool]:
    if left.is_list or (right.is_list and token.text in COMPARISONS):
        raise ExpressionError(token.column, f"`{token.text}` cannot take a list on this side", "lists stand after `in`")
    if not _alike(left.kind, right.kind):
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


def _chained(tests: list[Callable[[Any, Any], bool]], values: list[Callable[[Row], Any]], row: Row) -> bool:
    """Compare neighbours until one pair fails; each value is computed at most once, as in Python."""
    left = values[0](row)
    for test, value in zip(tests, values[1:], strict=True):
        right = value(row)
        if not test(left, right):
            return False
        left = right
    return True


def _arithmetic(token: Token, left: _Part, right: _Part) -> _Part:
    if token.text == "+" and left.kind == right.kind == "text" and not (left.is_list or right.is_list):
        return _Part("text", left.column, _joined(token, left.value, right.value))
    for side in (left, right):
        _want(side, NUMBERS, f"`{token.text}`", "a text is joined with texts alone" if token.text == "+" else "")
    kind: Kind = "int" if left.kind == right.kind == "int" and token.text != "/" else "float"
    compute, first, second = OPERATORS[token.text], left.value, right.value
    if kind == "float":
        # A whole number meets a fraction as a fraction, so that the result's kind never depends on a value.
        return _guarded(kind, token.column, lambda row: compute(float(first(row)), float(second(row))))
    return _guarded(kind, token.column, lambda row: compute(first(row), second(row)))


def _joined(token: Token, first: Callable[[Row], str], second: Callable[[Row], str]) -> Callable[[Row], str]:
    def value(row: Row) -> str:
        text = first(row) + second(row)
        if len(text) > MAX_TEXT:  # a chain of columns that each double the one before would fill any memory
            raise ExpressionError(token.column, f"the text has more than {MAX_TEXT:,} characters")
        return text

    return value


def _guarded(kind: Kind, column: int, compute: Callable[[Row], Any]) -> _Part:
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

    return _Part(kind, column, value)
