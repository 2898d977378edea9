"""A module's name -> its file, where that is the user's own; and all that such files import of each other."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

INSTALLED = ("site-packages", "dist-packages")
COMPILED = (".so", ".pyd")
OWN = "sciflow"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a module of the user's own stands: its file, and the folder that its name begins in."""

    file: Path
    root: Path

    @property
    def path(self) -> str:
        """The file relative to that folder."""
        return self.file.relative_to(self.root).as_posix()


@cache
def _library() -> tuple[Path, ...]:
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")})


def installed(folder: Path) -> bool:
    """Say whether a folder belongs to the interpreter or to what was installed into it."""
    where = folder.resolve()
    library = any(where == path or path in where.parents for path in _library())
    return library or any(part in INSTALLED for part in where.parts)


def _stands(folder: Path, name: str) -> Path | None:
    """Return the file of a module (dotted name) below a folder of the path, or nothing."""
    base = folder.joinpath(*name.split("."))
    for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if file.is_file():
            return file
    if base.parent.is_dir():
        return next((file for file in sorted(base.parent.glob(f"{base.name}.*")) if file.suffix in COMPILED), None)
    return None


def find(name: str) -> Place | None:
    """Return where a module of the user's own stands, without importing it; nothing for what is installed or unknown.

    The folders of `sys.path` are looked through in their order, then the current folder, as an import would.
    """
    top = name.partition(".")[0]
    if top == OWN or top in sys.builtin_module_names:
        return None
    for entry in [*sys.path, ""]:
        folder = Path(entry or ".").absolute()
        if not folder.is_dir():
            continue
        file = _stands(folder, name)
        if file is not None:
            return None if installed(folder) else Place(file=file, root=folder)
        if _stands(folder, top) is not None:
            return None  # an import would stop here, too
    return None


def of_function(function: Callable[..., Any]) -> str | None:
    """Return the module whose file defines a function at its top level, or nothing where none does."""
    name = str(function.__module__)
    module = sys.modules.get(name)
    if name == "__main__" or module is None or function.__qualname__ != function.__name__:
        return None
    place, file = find(name), getattr(module, "__file__", None)
    if place is None or file is None or getattr(module, function.__name__, None) is not function:
        return None
    defined = any(isinstance(one, ast.FunctionDef) and one.name == function.__name__ for one in tree(place.file).body)
    return name if defined and Path(file).resolve() == place.file.resolve() else None


def is_installed(function: Callable[..., Any]) -> bool:
    """Say whether a function comes with the interpreter or with an installed package."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return False
    return file is not None and (installed(Path(file).parent) or Path(__file__).parent.parent in Path(file).parents)


def tree(file: Path) -> ast.Module:
    """Return a file's syntax tree. Raises UsageError where it is no Python."""
    try:
        return ast.parse(file.read_bytes(), filename=str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UsageError(f"`{file}:{line}` is not Python: {error.args[0]}") from error
    except OSError as error:
        raise UsageError(f"`{file}` cannot be read: {error.strerror}") from error


def imported(found: ast.Module, package: str) -> list[str]:
    """Return the names of what a tree imports, wherever in it; `package` is what relative imports start from."""
    return sorted(set(_imported(found, package)))


def _imported(found: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(found):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names if alias.name != "*")


def closure(names: Iterable[str]) -> Mapping[str, Path]:
    """Return {path: file} of the user's own modules among some names, and of all that they import, sorted by path.

    Raises UsageError where one is compiled, or is the running program, whose top level must not run again.
    """
    program = getattr(sys.modules.get("__main__"), "__file__", None)
    found: dict[str, Path] = {}
    waiting = [(name, "") for name in sorted(set(names))]
    seen: set[str] = set()
    while waiting:
        name, by = waiting.pop()
        place = None if name in seen else find(name)
        seen.add(name)
        if place is None:
            continue
        _refuse(place, by, program)
        found[place.path] = place.file
        package = name if place.file.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [(name.rpartition(".")[0], name)] if "." in name else []
        waiting += [(other, name) for other in imported(tree(place.file), package)]
        waiting += [(other.rpartition(".")[0], name) for other, _ in list(waiting) if "." in other]
    return {path: found[path] for path in sorted(found)}


def _refuse(place: Place, by: str, program: str | None) -> None:
    because = f", which `{by}` imports," if by else ""
    if place.file.suffix in COMPILED:
        raise UsageError(
            f"`{place.path}`{because} is compiled, and runs on machines like this one only", hint=ONLY_SOURCE
        )
    if program is not None and place.file.resolve() == Path(program).resolve():
        raise UsageError(
            f"`{place.path}`{because} is the program itself, which would run again in every step",
            hint="move what is needed of it into a module of its own",
        )


ONLY_SOURCE = "carry its source, or install it in the image"
