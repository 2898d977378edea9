"""Words with quotes and variables -> what they mean, as a shell reads an assignment, and as a Dockerfile reads `ENV`.

The two agree on nearly all: POSIX.1-2024, Shell Command Language, 2.2 and 2.6.2; Dockerfile reference, Environment
replacement. What a shell would do beyond that, such as running a command, is refused: nobody could do it for Docker.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATORS = frozenset(";&|<>()`")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:[-+])((?:[^{}$`\"'\\])*))?\})")
_ESCAPED = {True: '$`"\\', False: '$"\\'}  # what a backslash takes its meaning from in double quotes, in a shell or not


class QuotingError(ValueError):
    """The text means more than quotes and variables can say; its words say what."""


def split(text: str, *, sh: bool) -> list[str]:
    """Split at white space outside quotes; the words keep their quotes. In a shell, `#` begins a comment.

    Raises QuotingError for a quote that is not closed.
    """
    words, word, quote, at = [], "", "", 0
    while at < len(text):
        one = text[at]
        if one == "\\" and quote != "'":
            word += text[at : at + 2]
            at += 2
            continue
        if quote:
            quote = "" if one == quote else quote
        elif one in "'\"":
            quote = one
        elif one in " \t":
            words += [word] if word else []
            word, at = "", at + 1
            continue
        elif one == "#" and sh and not word:
            break
        word += one
        at += 1
    if quote:
        raise QuotingError(f"has a {quote} that is not closed on its line")
    return [*words, word] if word else words


def expand(word: str, known: Mapping[str, str], *, sh: bool) -> str:
    """Take the quotes off and put values in; a variable that is not known is empty. Raises QuotingError."""
    found, quote, at = "", "", 0
    while at < len(word):
        one = word[at]
        if quote != "'" and one == "\\":
            after = word[at + 1 : at + 2]
            found += one + after if quote and after not in _ESCAPED[sh] else after
            at += 2
            continue
        if quote != "'" and one == "$":
            value, at = _value(word, at, known, sh=sh)
            found += value
            continue
        if one in "'\"" and quote in {"", one}:
            quote = "" if quote else one
        elif sh and quote != "'" and (one == "`" or (not quote and one in OPERATORS)):
            raise QuotingError(f"has `{one}`, for which a shell would be needed")
        else:
            found += one
        at += 1
    return found


def _value(word: str, at: int, known: Mapping[str, str], *, sh: bool) -> tuple[str, int]:
    """Return what `$…` stands for, and where it ends."""
    match = _VARIABLE.match(word, at)
    if match is None:
        if sh or word[at + 1 : at + 2] == "{":
            raise QuotingError(
                f"has `{word[at : at + 2]}`, and only $NAME, ${{NAME}}, ${{NAME:-…}}, ${{NAME:+…}} can be"
            )
        return "$", at + 1
    value = known.get(match[1] or match[2], "")
    if match[3] == ":-":
        value = value or match[4]
    elif match[3]:
        value = match[4] if value else ""
    return value, match.end()


def names(word: str) -> set[str]:
    """Return the variables that a word names anywhere, in quotes or not."""
    return {match[1] or match[2] for match in _VARIABLE.finditer(word)}
