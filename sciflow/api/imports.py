"""A name of a program and its value -> the import statements that give it that value, as the program has them."""

from __future__ import annotations

import ast
import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

MISSING = object()
PROGRAM = "__main__"


def written(name: str, value: object, texts: Iterable[str], package: str) -> list[str]:
    """Return the imports among some texts that give a name this very value, sorted; none where there are none.

    How a program imports something says more than the thing itself does: pathlib.Path calls itself
    `pathlib._local.Path` in one version of Python. Relative imports become absolute ones of `package`.
    """
    for text in texts:
        plain = {line for node in nodes(text) if isinstance(node, ast.Import) for line in _import(node, name, value)}
        if plain:
            return sorted(plain)
        for node in nodes(text):
            line = _from(node, name, value, package) if isinstance(node, ast.ImportFrom) else ""
            if line:
                return [line]
    return []


def nodes(text: str) -> Iterator[ast.AST]:
    """Yield the nodes of a program's or a notebook cell's syntax tree; none where it is no Python."""
    # A notebook's magic words are no Python; an empty line in their place keeps the numbers of the others.
    plain = "\n".join("" if line.startswith(("%", "!")) else line for line in text.splitlines())
    try:
        yield from ast.walk(ast.parse(plain))
    except (SyntaxError, ValueError):
        return


def _import(node: ast.Import, name: str, value: object) -> Iterator[str]:
    for alias in node.names:
        if alias.asname == name and sys.modules.get(alias.name) is value:
            yield f"import {alias.name} as {name}"
        if alias.asname is None and alias.name.partition(".")[0] == name and sys.modules.get(name) is value:
            yield f"import {alias.name}"


def _from(node: ast.ImportFrom, name: str, value: object, package: str) -> str:
    module = node.module or ""
    if node.level:
        try:
            module = importlib.util.resolve_name("." * node.level + module, package)
        except ImportError:  # a program that is in no package has no such import, whatever a cell of it says
            return ""
    for alias in node.names:
        there = getattr(sys.modules.get(module), alias.name, MISSING)
        if (alias.asname or alias.name) == name and there is value and module != PROGRAM:
            return _said(module, alias.name, name)
    return ""


def of_module(name: str, value: ModuleType) -> list[str]:
    """Return the import of a module by its own name."""
    if value.__name__ == PROGRAM:
        return []
    return [f"import {value.__name__}" if value.__name__ == name else f"import {value.__name__} as {name}"]


def of_value(name: str, value: object) -> list[str]:
    """Return the import of something that knows its own module and name; of the most public of its modules."""
    module, called = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(called, str) or module == PROGRAM:
        return []
    if getattr(sys.modules.get(module), called, MISSING) is not value:
        return []
    above = module.rpartition(".")[0]
    while module.rpartition(".")[2].startswith("_") and getattr(sys.modules.get(above), called, MISSING) is value:
        module, above = above, above.rpartition(".")[0]
    return [_said(module, called, name)]


def _said(module: str, called: str, name: str) -> str:
    return f"from {module} import {called}" + ("" if called == name else f" as {name}")
