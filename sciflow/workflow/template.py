"""The `{…}` of a command -> literal text and placeholders, and back."""

from __future__ import annotations

import re

from sciflow.workflow.faults import shown
from sciflow.workflow.spec import Placeholder, Word

PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+", re.DOTALL)
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWNED = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\.([A-Za-z][A-Za-z0-9_-]*)")

PLAIN = "write `{{` and `}}` for braces that mean themselves"
FORMS = (
    "a placeholder is `{parameter}`, `{inputs.NAME}`, `{outputs.NAME}`, `{TASK.OUTPUT}`, `{TASK.records}`, "
    "`{point}` or `{seed}`"
)


class TemplateError(ValueError):
    """A command has a brace that cannot be meant: where (offset in characters, from 0), what, and the fix."""

    def __init__(self, offset: int, text: str, hint: str = PLAIN) -> None:
        super().__init__(text)
        self.offset, self.text, self.hint = offset, text, hint


def parse(text: str) -> Word:
    """Return literal text and placeholders, in turn. Raises TemplateError at the first brace that cannot be meant.

    Whether a name is known is not asked here.
    """
    return tuple(piece for piece, _ in located(text))


def located(text: str) -> list[tuple[str | Placeholder, int]]:
    """Return what `parse` returns, each piece with its offset in the text."""
    pieces: list[tuple[str | Placeholder, int]] = []
    literal, began = "", 0
    for match in PIECE.finditer(text):
        piece = match.group()
        if match.group(1) is None:
            if piece in ("{", "}"):
                fault = "this `{` is never closed" if piece == "{" else "this `}` closes nothing"
                raise TemplateError(match.start(), fault)
            began = began if literal else match.start()
            literal += piece[0] if piece in ("{{", "}}") else piece
            continue
        if literal:
            pieces.append((literal, began))
            literal = ""
        pieces.append((_placeholder(match.group(1), match.start()), match.start()))
    if literal:
        pieces.append((literal, began))
    return pieces


def _placeholder(inside: str, offset: int) -> Placeholder:
    if inside in ("point", "seed"):
        return Placeholder(kind=inside)  # type: ignore[arg-type]  # both are kinds
    if NAME.fullmatch(inside):
        return Placeholder(kind="parameter", name=inside)
    owned = OWNED.fullmatch(inside)
    if not owned:
        raise TemplateError(offset, f"`{{{shown(inside)}}}` is no placeholder", f"{FORMS}; {PLAIN}")
    owner, name = owned.groups()
    if owner == "inputs":
        return Placeholder(kind="input", name=name)
    if owner == "outputs":
        return Placeholder(kind="output", name=name)
    if name == "records":
        return Placeholder(kind="records", owner=owner)
    return Placeholder(kind="upstream", owner=owner, name=name)


def write(word: Word) -> str:
    """Return the text that `parse` reads as this word."""
    return "".join(
        piece.replace("{", "{{").replace("}", "}}") if isinstance(piece, str) else f"{{{inside(piece)}}}"
        for piece in word
    )


def inside(placeholder: Placeholder) -> str:
    """Return what stands between the braces."""
    owner = {"input": "inputs", "output": "outputs"}.get(placeholder.kind, placeholder.owner)
    name = placeholder.name or placeholder.kind
    return f"{owner}.{name}" if owner else name
