"""A live function -> code that travels: its module file with those it imports, or a slice of its source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.api import modules, slices
from sciflow.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

Function = Callable[..., Any]

NOT_CALLS = (
    (inspect.isasyncgenfunction, "an asynchronous generator"),
    (inspect.iscoroutinefunction, "asynchronous"),
    (inspect.isgeneratorfunction, "a generator"),
)
HOME = "define it with `def` in a module file, or at the top level of the program"


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """The arguments a function can be given by name, and whether it takes any others (`**kwargs`)."""

    arguments: tuple[str, ...]
    open: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Portable:
    """Functions made portable: `names` is {task: "module:function"}, `copied` {path: its file}, `written` {path: text}.

    Paths are relative to the folder in which the code is found.
    """

    names: Mapping[str, str]
    copied: Mapping[str, Path]
    written: Mapping[str, str]


def accept(task: str, function: object) -> None:
    """Refuse what can never travel, as soon as it is named. Raises UsageError, naming the task and the reason."""
    what = f"task `{task}`: `{_spoken(function)}`"
    if inspect.ismethod(function):
        raise UsageError(f"{what} is a method, bound to an object that cannot travel", hint=HOME)
    if inspect.isclass(function):
        raise UsageError(f"{what} is a class", hint=HOME)
    if not inspect.isfunction(function):
        kind = "is written in C" if inspect.isbuiltin(function) else "is no plain function"
        raise UsageError(f"{what} {kind}: there is no source of it", hint=HOME)
    if function.__name__ == "<lambda>":
        raise UsageError(f"{what} is a lambda, which has no name to call it by", hint=HOME)
    for test, kind in NOT_CALLS:
        if test(inspect.unwrap(function)):
            raise UsageError(f"{what} is {kind}, and a step is one plain call", hint="return the result")
    if modules.is_installed(function):
        raise UsageError(f"{what} stands in an installed package", hint="write a function of your own that calls it")
    inner = inspect.unwrap(function)
    if inner.__code__.co_freevars and modules.of_function(function) is None:
        names = ", ".join(f"`{name}`" for name in inner.__code__.co_freevars)
        raise UsageError(
            f"{what} closes over {names} of the function around it, and that cannot travel",
            hint="make it an argument, swept or returned by a task above, or a constant of the program's top level",
        )


def signature(function: Function) -> Signature:
    """Return what a function can be given by name."""
    found = inspect.signature(function).parameters.values()
    every = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    return Signature(
        arguments=tuple(one.name for one in found if one.kind not in every),
        open=any(one.kind is inspect.Parameter.VAR_KEYWORD for one in found),
    )


def named(task: str, text: str) -> tuple[str, Signature]:
    """Return the module and the signature of `module:function`, read from its file and never run. Raises UsageError."""
    module, _, name = text.partition(":")
    if not all(part.isidentifier() for part in module.split(".")) or not name.isidentifier():
        raise UsageError(f"task `{task}`: `{text}` names no function", hint="write it as `module:function`")
    place = modules.find(module)
    if place is None:
        raise UsageError(
            f"task `{task}`: there is no module file `{module}` in this folder or on the path",
            hint="start the program where the file is, or give the function itself",
        )
    tree = modules.tree(place.file)
    node = next((one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name), None)
    if node is None:
        known = [one.name for one in tree.body if isinstance(one, ast.FunctionDef)]
        listed = f"its functions are {', '.join(f'`{one}`' for one in known)}" if known else "it has no function"
        raise UsageError(f"task `{task}`: `{place.file.name}` has no function `{name}` at its top level", hint=listed)
    arguments = node.args
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return module, Signature(arguments=tuple(one.arg for one in found), open=arguments.kwarg is not None)


def carry(functions: Mapping[str, Function | str], *, generated: str) -> Portable:
    """Make the functions of tasks portable: {task: a function, or `module:function`}.

    What stands in a module file travels as that file, with the local modules it imports. What stands in the program
    itself, a notebook or a function travels as source, with what it names, in one new module called `generated`. The
    same functions give the same code. Raises UsageError, naming what cannot travel.
    """
    names: dict[str, str] = {}
    wanted: list[str] = []
    sliced = slices.Slice()
    for task, function in functions.items():
        if isinstance(function, str):
            names[task] = function
            wanted.append(function.partition(":")[0])
            continue
        accept(task, function)
        module = modules.of_function(function)
        if module is None:
            names[task] = f"{generated}:{sliced.add(task, inspect.unwrap(function))}"
        else:
            names[task] = f"{module}:{function.__name__}"
            wanted.append(module)
    written = {}
    if sliced:
        written[f"{generated}.py"] = sliced.text()
        wanted += modules.imported(ast.parse(written[f"{generated}.py"]), package="")
    copied = modules.closure(wanted)
    if written and _foreign(generated):
        raise UsageError(
            f"there is a module `{generated}` already, where the program's own functions would go",
            hint="give the workflow, or that module, another name",
        )
    return Portable(names=names, copied=copied, written=written)


def _foreign(name: str) -> bool:
    """Say whether a module of this name is somebody's own file, and not one that was generated before."""
    place = modules.find(name)
    return place is not None and not place.file.read_text(encoding="utf-8").startswith(slices.MARK)


def _spoken(function: object) -> str:
    return str(getattr(function, "__qualname__", None) or type(function).__name__)
