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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sciflow.workflow.arithmetic import FUNCTIONS
from sciflow.workflow.axes import KINDS
from sciflow.workflow.budget import EXACT
from sciflow.workflow.faults import likely, shown
from sciflow.workflow.operands import (
    COMPARISONS,
    NUMBERS,
    AbsentError,
    Part,
    Row,
    alike,
    arithmetic,
    chained,
    comparison,
    guarded,
    present,
    want,
)
from sciflow.workflow.tokens import ExpressionError, Token, number, split, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from sciflow.workflow.spec import Kind, Value

__all__ = ["AbsentError", "Expression", "ExpressionError", "names", "parse"]

MAX_DEPTH = 32

WORDS = {"and", "or", "not", "in", "true", "false", "True", "False"}


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

    def either(self) -> Part:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(self.token.column, f"the expression is nested more than {MAX_DEPTH} deep")
        left = self.both()
        while token := self.take("or"):
            left = self._logical(token, left, self.both())
        self.depth -= 1
        return left

    def both(self) -> Part:
        left = self.denied()
        while token := self.take("and"):
            left = self._logical(token, left, self.denied())
        return left

    def _logical(self, token: Token, left: Part, right: Part) -> Part:
        for side in (left, right):
            want(side, ("bool",), f"`{token.text}`", "compare it with something, as in `a > 0 and b > 0`")
        first, second = left.value, right.value
        if token.text == "and":
            return Part("bool", left.column, lambda row: first(row) and second(row))
        return Part("bool", left.column, lambda row: first(row) or second(row))

    def denied(self) -> Part:
        nots = []
        while token := self.take("not"):
            nots.append(token)
        part = self.chain()
        if not nots:
            return part
        want(part, ("bool",), "`not`")
        inner = part.value
        return Part("bool", nots[0].column, (lambda row: not inner(row)) if len(nots) % 2 else inner)

    def chain(self) -> Part:
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
            tests.append(comparison(token, left, right))
            values.append(right.value)
            left = right
        if not tests:
            return first
        if len(tests) == 1:
            test, one, two = tests[0], values[0], values[1]
            return Part("bool", first.column, lambda row: test(one(row), two(row)))
        return Part("bool", first.column, lambda row: chained(tests, values, row))

    def sum(self) -> Part:
        left = self.product()
        while token := self.take("+", "-"):
            left = arithmetic(token, left, self.product())
        return left

    def product(self) -> Part:
        left = self.signed()
        while token := self.take("*", "/", "//", "%"):
            left = arithmetic(token, left, self.signed())
        return left

    def signed(self) -> Part:
        signs = []
        while token := self.take("+", "-"):
            signs.append(token)
        part = self.power()
        if not signs:
            return part
        want(part, NUMBERS, f"`{signs[0].text}`")
        inner = part.value
        if sum(token.text == "-" for token in signs) % 2 == 0:
            return Part(part.kind, signs[0].column, inner)
        return guarded(part.kind, signs[0].column, lambda row: -inner(row))

    def power(self) -> Part:
        base = self.atom()
        token = self.take("**")
        if not token:
            return base
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(token.column, f"the expression is nested more than {MAX_DEPTH} deep")
        part = arithmetic(token, base, self.signed())
        self.exact += part.kind == "float"
        self.depth -= 1
        return part

    def atom(self) -> Part:
        token = self.token
        self.at += token.kind != "end"
        if token.kind in ("number", "text"):
            literal = number(token) if token.kind == "number" else text(token)
            return Part(KINDS[type(literal)], token.column, lambda _: literal)
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

    def _name(self, token: Token) -> Part:
        if token.text in ("true", "True", "false", "False"):
            truth = token.text.lower() == "true"
            return Part("bool", token.column, lambda _: truth)
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
            return Part(self.names[name], token.column, operator.itemgetter(name))
        return Part(self.names[name], token.column, lambda row: present(name, token.column, row))

    def _list(self, token: Token) -> Part:
        items = [self.either()]
        while self.take(","):
            items.append(self.either())
        self.expect("]", "the items of this list")
        for item in items:
            kind: Kind = items[0].kind
            if item.is_list or not alike(kind, item.kind):
                raise ExpressionError(item.column, "the items of a list are of one kind, and no lists")
        values = [item.value for item in items]
        return Part(items[0].kind, token.column, lambda row: [value(row) for value in values], is_list=True)

    def _call(self, token: Token) -> Part:
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
            want(argument, ("text",) if known.text else NUMBERS, f"`{token.text}`")
        kind = known.kind(tuple(argument.kind for argument in arguments))
        self.exact += token.text in ("exp", "log")
        call, values = known.call, [argument.value for argument in arguments]
        if kind == "float":
            return guarded(kind, token.column, lambda row: float(call(*[value(row) for value in values])))
        return guarded(kind, token.column, lambda row: call(*[value(row) for value in values]))
