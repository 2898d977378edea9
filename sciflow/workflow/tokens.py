"""An expression's text -> its tokens; and the error that tells where a text cannot be meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sciflow.workflow.arithmetic import OPERATORS
from sciflow.workflow.faults import shown

MAX_INTEGER = 2**63 - 1
MAX_LENGTH = 1_000
MAX_OPERATIONS = 100  # each is a call within a call when a value is computed

TOKEN = re.compile(
    r"""
    (?P<number> (?: [0-9]++ (?:\.[0-9]*+)? | \.[0-9]++ ) (?: [eE][+-]?[0-9]++ )? )
  | (?P<text> '(?:[^'\\\n]|\\.)*+' | "(?:[^"\\\n]|\\.)*+" )
  | (?P<name> [A-Za-z_][A-Za-z0-9_]*+ )
  | (?P<sign> \*\*|//|<=|>=|==|!=|[-+*/%<>()\[\],] )
  | (?P<space> [ \t\n]++ )
    """,
    re.VERBOSE,
)
ESCAPES = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "t": "\t"}
FOREIGN = {"=": "write `==`", "&": "write `and`", "|": "write `or`", "!": "write `not`, or `!=`", "^": "write `**`"}
FOREIGN |= dict.fromkeys("${}", "a column stands here by its name alone") | {".": "nothing is reached by a dot"}


class ExpressionError(ValueError):
    """An expression cannot be meant, or has no value at a point.

    `column` counts characters of the expression from 1; `hint` says what to do about it.
    """

    def __init__(self, column: int, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.column, self.text, self.hint = column, text, hint


@dataclass(frozen=True, slots=True)
class Token:
    """A number, text, name or sign of an expression; the last one is the `end`. Columns count from 1."""

    kind: str
    text: str
    column: int


def split(text: str) -> list[Token]:
    """Return the tokens, the `end` last. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(1, f"the expression has {len(text):,} characters, and may have {MAX_LENGTH:,}")
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            sign = text[at]
            fault = "this text is never closed" if sign in "'\"" else f"`{shown(sign)}` is not part of the language"
            raise ExpressionError(at + 1, fault, FOREIGN.get(sign, ""))
        if match.lastgroup != "space":
            tokens.append(Token(str(match.lastgroup), match.group(), at + 1))
        at = match.end()
    operations = [token for token in tokens if token.text in OPERATORS or token.text in ("and", "or", "not")]
    if len(operations) > MAX_OPERATIONS:
        fault = f"the expression has more than {MAX_OPERATIONS} operations"
        raise ExpressionError(
            operations[MAX_OPERATIONS].column, fault, "name a part of it under `derive`, or write a list after `in`"
        )
    return [*tokens, Token("end", "", len(text) + 1)]


def number(token: Token) -> float:
    """Return the number that a token writes. Raises ExpressionError where there is none."""
    if token.text.isdigit():
        whole = int(token.text)
        if whole > MAX_INTEGER:
            raise ExpressionError(token.column, "a whole number beyond 64 bits", "write it with an exponent: 1e30")
        return whole
    fraction = float(token.text)
    if fraction - fraction != 0:  # inf
        raise ExpressionError(token.column, "a number too large to be one")
    return fraction


def text(token: Token) -> str:
    """Return the text that a token writes in quotes. Raises ExpressionError for an escape that is none."""

    def unescaped(match: re.Match[str]) -> str:
        if match[1] not in ESCAPES:
            column = token.column + 1 + match.start()
            raise ExpressionError(column, f"`\\{shown(match[1])}` is not an escape", "write `\\\\` for `\\`")
        return ESCAPES[match[1]]

    return re.sub(r"\\(.)", unescaped, token.text[1:-1])
