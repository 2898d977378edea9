"""The section [code] and a folder -> the files that travel; a module of them -> its functions, without running it."""

from __future__ import annotations

import ast
import errno
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from sciflow.errors import Fault, WorkflowError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sciflow.workflow.spec import Code

COMPILING = ".compiling-"
"""How the folder begins in which a bundle is being written."""
NEVER = (names.LOCK, "bundles", ".git", ".venv", "__pycache__")
"""What never travels as code, whatever the patterns say."""


def files(code: Code, folder: Path) -> Iterator[Path]:
    """Yield what the patterns choose in a folder, in order: files, and whatever else bears such a name.

    Raises WorkflowError for a pattern that is none.
    """
    left_out = {path for pattern in code.exclude for path in _matches(folder, pattern)}
    for path in sorted({path for pattern in code.include for path in _matches(folder, pattern)} - left_out):
        shown = path.relative_to(folder)
        if any("/" not in pattern and shown.match(pattern) for pattern in code.exclude):
            continue
        if any(part in NEVER or part.startswith(COMPILING) for part in shown.parts) or _in_bundle(path, folder):
            continue
        yield path


def no_pattern(pattern: str) -> bool:
    """Say whether a pattern has `**` beside other characters: from Python 3.13 on pathlib would take it, before not."""
    return any("**" in part and part != "**" for part in pattern.split("/"))


def _matches(folder: Path, pattern: str) -> Iterator[Path]:
    """Yield what a pattern finds. `x/**` means all below x (up to Python 3.12, pathlib takes it for folders alone)."""
    if no_pattern(pattern):
        fault = f"`{pattern}` under [code] is no pattern: `**` stands alone between slashes"
        raise WorkflowError([Fault(file=names.WORKFLOW, text=fault, hint="as in `**/*.py`")])
    try:
        yield from folder.glob(f"{pattern}/*" if pattern.rpartition("/")[2] == "**" else pattern)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # no file can have such a name; later Pythons find none, and say nothing
            raise


def _in_bundle(path: Path, folder: Path) -> bool:
    """Say whether a file lies in a bundle, which may stand anywhere: what sciflow wrote is not the user's code."""
    between = list(path.relative_to(folder).parents)[:-1]
    return any(
        (folder / above / names.MANIFEST).exists() and (folder / above / names.PLAN).exists() for above in between
    )


def module_files(module: str) -> tuple[str, str]:
    """Return the paths at which Python looks for a dotted module, below a folder, the first first."""
    path = PurePosixPath(*module.split("."))
    return (path / "__init__.py").as_posix(), path.with_suffix(".py").as_posix()


def functions(file: Path) -> Mapping[str, ast.FunctionDef]:
    """Return the functions that a file of Python defines at its top level, by name; of two of a name the last.

    Raises SyntaxError where it cannot be read as Python, OSError where it cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Python has to say of the user's escapes is not ours to repeat
        try:
            tree = ast.parse(file.read_bytes())
        except (ValueError, RecursionError, MemoryError) as error:  # a NUL byte; nested beyond all measure
            raise SyntaxError(str(error)) from error
    return {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
