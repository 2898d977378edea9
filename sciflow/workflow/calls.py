"""A task that is a Python function -> what is wrong with it: where the function stands, and what it asks for."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sciflow.workflow import code
from sciflow.workflow.faults import Faults, likely, shown

if TYPE_CHECKING:
    import ast
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from sciflow.workflow.spec import Code, Keys, Task

GIVEN = ("inputs", "outputs", "seed")
"""What a function may ask for beside parameters and tasks; `point` too, where a step is one point's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The code that travels with a workflow: the paths of its files, `/` between their parts, and where they stand."""

    folder: Path
    code: Code
    files: frozenset[str]


def source(chosen: Code, folder: Path) -> Source:
    """Look up the code that travels. A pattern that is none, which has been refused, finds nothing."""
    sound = not any(code.no_pattern(pattern) for pattern in (*chosen.include, *chosen.exclude))
    found = code.files(chosen, folder) if sound else ()
    return Source(folder=folder, code=chosen, files=frozenset(path.relative_to(folder).as_posix() for path in found))


def check(task: Task, columns: Collection[str], *, alone: bool, found: Source, faults: Faults) -> None:
    """Add what is wrong with a python task.

    `columns` are the parameters that its steps depend on; `alone` says that each step is one point's.
    """
    path: Keys = ("tasks", task.name, "python")
    _names(task, columns, faults)
    if any(code.no_pattern(pattern) for pattern in (*found.code.include, *found.code.exclude)):
        return
    module, _, name = task.python.partition(":")
    file = _file(module, found, path, faults)
    if not file:
        return
    try:
        functions = code.functions(found.folder / file)
    except SyntaxError as error:
        where = f"line {error.lineno} of `{file}`" if error.lineno else f"`{file}`"
        faults.value(path, f"{where} cannot be read as Python", f"`python3 -m py_compile {file}` says why")
        return
    except OSError as error:
        faults.value(path, f"`{file}` cannot be read: {(error.strerror or 'no reason is known').lower()}")
        return
    if name not in functions:
        hint = likely(name, functions, what="functions") if functions else "a function is a `def` at its top level"
        faults.value(path, f"`{file}` defines no function `{name}`", hint)
        return
    if not functions[name].decorator_list:  # a decorator may make any other function of it
        there = [*columns, *(argument(need) for need in task.needs), *GIVEN, *(["point"] if alone else [])]
        _wants(task, functions[name], there, faults)


def _file(module: str, found: Source, path: Keys, faults: Faults) -> str:
    """Return the file of a module, or nothing, with the fault."""
    there = next((file for file in code.module_files(module) if file in found.files), "")
    plain = code.module_files(module)[1]
    first = module.partition(".")[0]
    if first in sys.stdlib_module_names:
        fault = f"the module `{module}` is, or lies in, one of Python's own"
        faults.value(path, fault, f"rename its file, `{first}_task.py`, say")
        return ""
    if there:
        return there
    standing = next((file for file in code.module_files(module) if (found.folder / file).is_file()), "")
    if standing and not found.code.include:
        fault = f"`{standing}` does not travel: there is no `[code]`"
        faults.value(path, fault, f'say `include = ["{standing}"]` under `[code]`')
    elif standing:
        fault = f"`{standing}` does not travel: `[code]` does not choose it"
        faults.value(path, fault, f'put "{standing}" into its `include`, and not into `exclude`')
    else:
        modules = [file.removesuffix(".py").replace("/", ".") for file in sorted(found.files) if file.endswith(".py")]
        hint = likely(module, modules, what="modules") if modules else "paths are relative to the workflow's folder"
        faults.value(path, f"there is no file `{plain}` for the module `{module}`", hint)
    return ""


def argument(task: str) -> str:
    """Return the name under which a function is given what a task left."""
    return task.replace("-", "_")


def _names(task: Task, columns: Collection[str], faults: Faults) -> None:
    """Refuse what could be meant by one argument twice."""
    taken: dict[str, str] = {}
    for index, need in enumerate(task.needs):
        name = argument(need)
        other = taken.setdefault(name, f"task `{need}`")
        if name in columns:
            other = f"parameter `{name}`"
        if other != f"task `{need}`":
            key = "gather" if need == task.gather else "needs"
            place: Keys = ("tasks", task.name, key) if key == "gather" else ("tasks", task.name, key, index)
            fault = f"the argument `{name}` of `{task.python}` could be task `{need}` or {other}"
            faults.value(place, fault, "rename one of the two")


def _wants(task: Task, function: ast.FunctionDef, there: Sequence[str], faults: Faults) -> None:
    """Refuse an argument without a default that nothing gives."""
    wanted = function.args
    positional = [one.arg for one in (*wanted.posonlyargs, *wanted.args)]
    needed = positional[: len(positional) - len(wanted.defaults)]
    needed += [one.arg for one, default in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True) if default is None]
    for name in needed:
        if name not in there:
            fault = f"`{task.python}` wants `{shown(name)}`, and nothing gives it"
            faults.value(("tasks", task.name, "python"), fault, likely(name, there, what="arguments it may have"))
