"""Functions of the running program -> one module of source: they, and what they name of the program around them."""

from __future__ import annotations

import ast
import inspect
import linecache
import math
import os
import stat
import symtable
import sys
import textwrap
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from sciflow.api import imports
from sciflow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

MARK = "# Made by sciflow of functions that stood in a program: change them there, not here.\n"
MAX_LITERAL = 1_000_000
"""Characters of a constant: what is longer is data."""
PLAIN = (type(None), bool, int, str, bytes)
CANNOT = "make it an argument, swept or returned by a task above, or make it inside of the function"

Scope = dict[str, Any]


class Slice:
    """A module in the making: `add` functions, then take its `text`; it is true once there is something in it."""

    def __init__(self) -> None:
        self._imports: set[str] = set()
        self._parts: dict[str, str] = {}
        self._taken: dict[str, object] = {}
        self._for = ""

    def __bool__(self) -> bool:
        """Say whether anything was added."""
        return bool(self._taken)

    def add(self, task: str, function: FunctionType) -> str:
        """Take in a task's function and all it names; return what it is called. Raises UsageError."""
        self._for = f"task `{task}`: `{function.__name__}`"
        self._define(function.__name__, function, function.__globals__)
        return function.__name__

    def text(self) -> str:
        """Return the module's source: imports, then constants, classes and functions, each after what it names."""
        head = ["from __future__ import annotations", *([""] if self._imports else []), *sorted(self._imports)]
        return MARK + "\n".join(head) + "\n" + "".join(f"\n\n{part.strip()}\n" for part in self._parts.values())

    def _take(self, name: str, value: object) -> bool:
        """Give a name to a value; say whether it is new. Two things of one name are refused."""
        if name in self._taken:
            known = self._taken[name]
            if known is not value and (literal(known) is None or literal(known) != literal(value)):
                raise UsageError(
                    f"{self._for} names `{name}`, which is two different things in the program",
                    hint="rename one of them; a function that was defined again is given to add_task again",
                )
            return False
        self._taken[name] = value
        return True

    def _define(self, name: str, value: Any, scope: Scope) -> None:
        """Take in a function or class of the program by its source, after what it names."""
        inner = inspect.unwrap(value)
        if not self._take(name, inner):
            return
        if getattr(inner, "__name__", "") == "<lambda>":
            raise UsageError(f"{self._for} names `{name}`, a lambda", hint="define it with `def`")
        free = inner.__code__.co_freevars if isinstance(inner, FunctionType) else ()
        if free:
            names = ", ".join(f"`{one}`" for one in free)
            raise UsageError(f"{self._for} names `{name}`, which closes over {names}", hint=CANNOT)
        text = source(inner, _cells(scope))
        if text is None:
            raise UsageError(
                f"{self._for} cannot travel: there is no source of `{name}`",
                hint="put the program, or that function, into a file",
            )
        parsed = ast.parse(text)
        own = getattr(parsed.body[0], "name", name)
        if own != name:
            self._take(own, inner)
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(parsed)):
            raise UsageError(
                f"{self._for} cannot travel: `{name}` imports from its own package by dots",
                hint="write the import with the package's name",
            )
        hard, soft = needs(parsed)
        for one in hard:
            if one in scope and one != own:
                self._value(one, scope[one], scope, _file(inner), attributes(parsed, one))
        for one in soft:  # where nothing can be imported, nothing is lost: no annotation is evaluated
            if one in scope and one not in self._taken and not _own(scope[one], scope):
                self._import(one, scope[one], scope, _file(inner), ())
        self._parts[own] = text
        if own != name:
            self._parts[name] = f"{name} = {own}"

    def _value(self, name: str, value: Any, scope: Scope, file: str, used: tuple[str, ...]) -> None:
        """Take in what a global name stands for: a definition of the program, a constant, or an import."""
        text = literal(value)
        if _own(value, scope):
            self._define(name, value, scope)
        elif text is not None and len(text) <= MAX_LITERAL:
            if self._take(name, value):
                self._parts[name] = f"{name} = {text}"
        elif text is not None or not self._import(name, value, scope, file, used):
            what = f"a {type(value).__name__}" if text is None else "a very long constant"
            raise UsageError(f"{self._for} names `{name}`, {what} of the program, and that cannot travel", hint=CANNOT)

    def _import(self, name: str, value: Any, scope: Scope, file: str, used: tuple[str, ...]) -> bool:
        """Write the imports that give a name its value, as the program has them if it does; say whether there are."""
        found = imports.written(name, value, _texts(file, scope), str(scope.get("__package__") or ""))
        if not found:
            found = imports.of_module(name, value) if isinstance(value, ModuleType) else imports.of_value(name, value)
        if found and isinstance(value, ModuleType):
            inner = (f"{value.__name__}.{one}" for one in used)
            found += [f"import {one}" for one in inner if isinstance(sys.modules.get(one), ModuleType)]
        if found and self._take(name, value):
            self._imports.update(found)
        return bool(found)


def _own(value: Any, scope: Scope) -> bool:
    """Say whether a value is a function or class that the program itself defines."""
    inner = inspect.unwrap(value) if callable(value) else value
    return isinstance(inner, (FunctionType, type)) and inner.__module__ == scope.get("__name__")


def _file(value: Any) -> str:
    """Return the file that a function says it stands in; empty for a class, which does not say."""
    return value.__code__.co_filename if isinstance(value, FunctionType) else ""


def _texts(file: str, scope: Scope) -> list[str]:
    """Return the texts in which a program's imports stand: its file, and the cells of a notebook so far."""
    texts = [_program(str(scope.get("__file__") or file or "<string>")), _program(file), *_cells(scope)]
    return [text for text in texts if text]


def _cells(scope: Scope) -> list[str]:
    """Return the cells of a notebook that have been run, the last first; IPython keeps them under this name."""
    cells = scope.get("In")
    return [cell for cell in reversed(cells) if isinstance(cell, str)] if isinstance(cells, list) else []


def source(value: Any, cells: Sequence[str] = ()) -> str | None:
    """Return the source of a function or class as it would stand at the top level, or nothing where there is none.

    A class may also be looked for in the `cells` of a notebook, the last first: it does not say where it stands.
    """
    try:
        text = inspect.getsource(value)
    except (OSError, TypeError):
        text = _from_program(value, cells) or ""
    if not text.strip():
        return None
    if not text[0].isspace():
        return text
    # A text inside of it may begin further left than it does: only what means the same may be shifted.
    inner = ast.parse("if True:\n" + text).body[0].body[0]  # type: ignore[attr-defined]
    shifted = textwrap.dedent(text)
    try:
        same = ast.dump(ast.parse(shifted).body[0]) == ast.dump(inner)
    except SyntaxError:
        same = False
    return shifted if same else ast.unparse(inner) + "\n"


def _from_program(value: Any, cells: Sequence[str]) -> str | None:
    """Return the source of what stands where `inspect` does not look: `python -c`, `python - < FILE`, a notebook."""
    if inspect.isclass(value):
        files = {one.__code__.co_filename for one in vars(value).values() if isinstance(one, FunctionType)}
        files |= {"<string>", "<stdin>"} if value.__module__ == "__main__" else set()
    else:
        files = {value.__code__.co_filename}
    for text in [*(_program(file) for file in sorted(files)), *(cells if inspect.isclass(value) else ())]:
        for node in reversed(list(imports.nodes(text))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == value.__name__:
                first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
                if inspect.isclass(value) or first == value.__code__.co_firstlineno:
                    return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"
    return None


def _program(file: str) -> str:
    """Return the text of a program that Python reads from no file, or of a notebook's cell; empty if there is none."""
    if file == "<string>" and "-c" in sys.orig_argv[:-1]:
        return sys.orig_argv[sys.orig_argv.index("-c") + 1]
    if file == "<stdin>":
        try:
            facts = os.fstat(0)
            return os.pread(0, facts.st_size, 0).decode("utf-8") if stat.S_ISREG(facts.st_mode) else ""
        except (OSError, UnicodeDecodeError):
            return ""
    return "".join(linecache.getlines(file))


class _WithoutAnnotations(ast.NodeTransformer):
    """Take annotations out of a tree, and keep the names they hold."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def _seen(self, node: ast.expr | None) -> None:
        if node is not None:
            self.names |= {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}

    def visit_arg(self, node: ast.arg) -> ast.arg:
        self._seen(node.annotation)
        return ast.arg(arg=node.arg)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self._seen(node.returns)
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self._seen(node.annotation)
        node.annotation = ast.Constant(value=None)
        return self.generic_visit(node)


def needs(parsed: ast.Module) -> tuple[list[str], list[str]]:
    """Return the global names that a piece of source reads when it is defined or called, and those only annotated."""
    without = _WithoutAnnotations()
    text = ast.unparse(without.visit(ast.parse(ast.unparse(parsed))))
    hard: set[str] = set()
    tables = [symtable.symtable(text, "slice", "exec")]
    while tables:
        table = tables.pop()
        tables += table.get_children()
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (not symbol.is_assigned() if top else symbol.is_global()):
                hard.add(symbol.get_name())
    hard -= {name for name in hard if name.startswith("__") and name.endswith("__")}
    soft = without.names - hard
    return sorted(hard), sorted(soft)


def attributes(parsed: ast.Module, name: str) -> tuple[str, ...]:
    """Return the attributes that are taken of a name in a tree, sorted: `optimize` where it says `scipy.optimize`."""
    return tuple(
        sorted(
            {
                node.attr
                for node in ast.walk(parsed)
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
            }
        )
    )


def literal(value: object) -> str | None:
    """Return the text that, read as Python, gives a value back exactly; nothing where there is none."""
    try:
        return _literal(value)
    except RecursionError:
        return None


def _literal(value: Any) -> str | None:
    kind = type(value)
    if kind in PLAIN or (kind is float and math.isfinite(value)):
        return repr(value)
    if kind is dict:
        pairs = [(_literal(key), _literal(item)) for key, item in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{a}: {b}' for a, b in pairs)}}}"
    items = [_literal(item) for item in value] if kind in (list, tuple, set, frozenset) else [None]
    texts = [item for item in items if item is not None]
    if len(texts) < len(items):
        return None
    if kind in (list, tuple):
        inside = ", ".join(texts)
        return f"[{inside}]" if kind is list else f"({inside}{',' * (len(texts) == 1)})"
    inside = f"[{', '.join(sorted(texts))}]" if texts else ""  # sorted: a set has no order of its own
    return f"{kind.__name__}({inside})"
