"""The section [tasks], its shape checked -> tasks, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.runner import names
from sciflow.workflow import attempts, calls, dependence, outputs, quantity, ranks, template
from sciflow.workflow.faults import Faults, likely, shown
from sciflow.workflow.order import order
from sciflow.workflow.space import written
from sciflow.workflow.spec import Code, Keys, Placeholder, Resources, Task, Word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

RESERVED = ("inputs", "outputs", "records", "point", "seed", "task", "step", "state", "parameters", "metrics")
RUNNERS_OWN = "SCIFLOW_"
FORMS = {"run", "shell", "python"}


def build(data: dict[str, Any], folder: Path, faults: Faults) -> tuple[Task, ...]:
    """Return the tasks, in the order of the file. The functions they name are looked up in the code of this folder."""
    tables: dict[str, Any] = data.get("tasks", {})
    folded: dict[str, str] = {}
    for name in tables:
        if name.lower() in RESERVED:
            faults.key(("tasks", name), f"the name `{name}` is taken by sciflow itself", f"call it `{name}_task`, say")
        other = folded.setdefault(name.lower(), name)
        if other != name:
            fault = f"the tasks `{other}` and `{name}` differ only in case"
            faults.key(("tasks", name), fault, "some file systems cannot hold a folder for each")
    found = tuple(_task(name, table, faults) for name, table in tables.items() if FORMS & table.keys())
    _order(found, faults)
    by_name = {task.name: task for task in found}
    columns, raw = written(faults), faults.document.data
    for task in found:
        scope = _Scope(
            task=task, tasks=by_name, columns=columns, inputs=list(raw.get("inputs", {})), raw_tasks=raw["tasks"]
        )
        _placeholders(scope, faults)
    uses = dependence.uses(found, columns)
    _runs_once(found, uses, faults)
    _functions(found, uses, columns, folder, faults)
    return found


def _task(name: str, table: dict[str, Any], faults: Faults) -> Task:
    path: Keys = ("tasks", name)
    shell, python = "shell" in table, table.get("python", "")
    texts = [table["shell"]] if shell else table.get("run", [])
    keys: list[Keys] = [(*path, "shell")] if shell else [(*path, "run", index) for index in range(len(texts))]
    words = tuple(_word(text, key, faults) for text, key in zip(texts, keys, strict=True))
    if texts and not shell and not texts[0]:
        faults.value(keys[0], "the name of the program is empty")
    needs, gather = list(table.get("needs", [])), table.get("gather", "")
    if gather and gather not in needs:
        needs.append(gather)
    resources = _resources(path, table, faults)
    envelope, blas = attempts.envelope(path, table, faults)
    return Task(
        name=name,
        shell=shell,
        words=words,
        python=python,
        needs=tuple(needs),
        gather=gather,
        parameters=tuple(table["parameters"]) if "parameters" in table else None,
        outputs=outputs.build(path, table, faults),
        metrics=table.get("metrics", names.METRICS if python else ""),
        environment=_environment(path, table.get("environment", {}), faults),
        resources=resources,
        retry=attempts.retry(path, table.get("retry", {}), faults),
        checkpoint=attempts.checkpoint(path, table.get("checkpoint", {}), resources, faults),
        isolate=table.get("isolate", "worker"),
        envelope=envelope,
        blas=blas,
    )


def _word(text: str, path: Keys, faults: Faults) -> Word:
    try:
        return template.parse(text)
    except template.TemplateError as error:
        faults.value(path, f"in this command {error.text}", error.hint, offset=error.offset + 1)
        return ()


def _resources(path: Keys, whole: dict[str, Any], faults: Faults) -> Resources:
    default, table = Resources(), whole.get("resources", {})
    memory = quantity.mebibytes(table["memory"]) if "memory" in table else default.memory_mib
    time = quantity.seconds(table["time"]) if "time" in table else default.time_s
    for key, amount in (("memory", memory), ("time", time)):
        if amount < 1:
            faults.value((*path, "resources", key), f"`{key}` is 0", f"write what a step needs: {EXAMPLES[key]}")
    nodes, copies, mpi = ranks.build(path, whole, faults)
    return Resources(
        cpus=table.get("cpus", default.cpus),
        memory_mib=memory,
        gpus=table.get("gpus", default.gpus),
        time_s=time,
        nodes=nodes,
        ranks=copies,
        mpi=mpi,
    )


EXAMPLES = {"memory": "`8 GiB`", "time": "`2h`"}


def _environment(path: Keys, table: dict[str, str], faults: Faults) -> tuple[tuple[str, str], ...]:
    for name in table:
        if name.startswith(RUNNERS_OWN):
            faults.key(
                (*path, "environment", name), f"`{name}` is set by sciflow", f"names in {RUNNERS_OWN}… are its own"
            )
    return tuple(table.items())


def _order(found: Sequence[Task], faults: Faults) -> None:
    known = faults.document.data["tasks"]
    for task in found:
        path: Keys = ("tasks", task.name)
        for need in task.needs:
            key: Keys = (*path, "gather")
            verb = "gathers"
            if need != task.gather:
                key, verb = (*path, "needs", task.needs.index(need)), "needs"
            if need not in known:
                hint = likely(need, [name for name in known if name != task.name], what="tasks")
                faults.value(key, f"task `{task.name}` {verb} `{shown(need)}`, and there is no such task", hint)
            elif need == task.name:
                faults.value(key, f"task `{task.name}` {verb} itself")
    needs = {task.name: [need for need in task.needs if need != task.name] for task in found}
    for circle in order(needs)[1]:
        first = circle[0]
        shape = " -> ".join((*circle, first))
        gathers = next(task.gather for task in found if task.name == first) == circle[1]
        faults.key(
            ("tasks", first, "gather" if gathers else "needs"),
            f"tasks wait for each other: {shape}",
            "one must come first",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scope:
    """What the commands of a task may name. The raw tables know also what could not be used."""

    task: Task
    tasks: Mapping[str, Task]
    columns: Sequence[str]
    inputs: Sequence[str]
    raw_tasks: Mapping[str, Any]


def _placeholders(scope: _Scope, faults: Faults) -> None:
    """Check what each placeholder names, and the list of parameters."""
    task = scope.task
    path: Keys = ("tasks", task.name)
    for index, name in enumerate(task.parameters or ()):
        if name not in scope.columns:
            hint = likely(name, scope.columns, what="parameters")
            faults.value((*path, "parameters", index), f"there is no parameter `{shown(name)}`", hint)
        elif task.gather:
            faults.value((*path, "parameters", index), f"`{task.name}` runs once, so it has no `{name}`", _ONCE)
    for number, word in enumerate(task.words):
        key: Keys = (*path, "shell") if task.shell else (*path, "run", number)
        pieces = template.located(template.write(word))
        seen = set()
        for piece, offset in pieces:
            if piece in seen:
                continue  # a fault is told once a word
            seen.add(piece)
            fault, hint = CHECKS[piece.kind](piece, scope) if isinstance(piece, Placeholder) else FINE
            if fault and isinstance(piece, Placeholder):
                faults.value(key, f"`{{{template.inside(piece)}}}`: {fault}", hint, offset=offset + 1)
        if task.shell:
            _quotes(pieces, key, faults)


# Each check returns what is wrong with a placeholder, and the fix; nothing if it can be filled.
_ONCE = "a task that gathers reads the values of each step in `{TASK.records}`"
FINE = ("", "")


def _column(piece: Placeholder, scope: _Scope) -> tuple[str, str]:
    if piece.kind == "parameter" and piece.name not in scope.columns:
        hint = likely(piece.name, scope.columns, what="parameters")
        return "there is no such parameter", f"{hint}; {template.PLAIN}"
    return (f"`{scope.task.name}` runs once, over all points", _ONCE) if scope.task.gather else FINE


def _input(piece: Placeholder, scope: _Scope) -> tuple[str, str]:
    known = piece.name in scope.inputs
    return FINE if known else ("there is no such input", likely(piece.name, scope.inputs, what="inputs"))


def _output(piece: Placeholder, scope: _Scope) -> tuple[str, str]:
    owner = piece.owner or scope.task.name
    known = dict(scope.tasks[owner].outputs)
    if piece.name in known:
        return FINE
    what = f"outputs of `{owner}`" if piece.owner else "outputs"
    return f"`{owner}` has no such output", likely(piece.name, known, what=what)


def _upstream(piece: Placeholder, scope: _Scope) -> tuple[str, str]:
    task, owner = scope.task, piece.owner
    if owner not in scope.tasks:
        hint = likely(owner, scope.tasks, what="tasks") + "; inputs are `{inputs.NAME}`"
        return FINE if owner in scope.raw_tasks else (f"there is no task `{owner}`", hint)
    if owner == task.gather:
        many = f"`{task.name}` gathers `{owner}`, of which there are many steps"
        return FINE if piece.kind == "records" else (many, f"write `{{{owner}.records}}`")
    if piece.kind == "records":
        return f"`{task.name}` does not gather `{owner}`", f'add `gather = "{owner}"`'
    if owner not in task.needs:
        return f"`{task.name}` does not need `{owner}`", f'add `needs = ["{owner}"]`'
    return _output(piece, scope)


CHECKS: dict[str, Callable[[Placeholder, _Scope], tuple[str, str]]] = {
    "parameter": _column,
    "point": _column,
    "seed": lambda _, __: FINE,
    "input": _input,
    "output": _output,
    "upstream": _upstream,
    "records": _upstream,
}


def _quotes(pieces: Sequence[tuple[str | Placeholder, int]], key: Keys, faults: Faults) -> None:
    """Refuse a placeholder inside quotes: its value is quoted already, and the two quotings would undo each other."""
    for piece, offset, quote in _shell_pieces(pieces):
        if quote:
            fault = f"`{{{template.inside(piece)}}}` stands inside {QUOTES[quote]}"
            faults.value(
                key, fault, "leave the quotes out: sciflow makes each value one quoted word", offset=offset + 1
            )


QUOTES = {"'": "single quotes", '"': "double quotes", "`": "backquotes"}


def _shell_pieces(pieces: Sequence[tuple[str | Placeholder, int]]) -> Iterator[tuple[Placeholder, int, str]]:
    """Yield each placeholder with its offset and the quotation mark it stands in, as `sh` reads the text before."""
    quote, escaped, comment, before = "", False, False, " "
    for piece, offset in pieces:
        if isinstance(piece, Placeholder):
            if not comment:
                yield piece, offset, quote
            escaped, before = False, "x"
            continue
        for char in piece:
            if comment:
                comment = char != "\n"
            elif escaped:
                escaped = False
            elif char == "\\" and quote != "'":
                escaped = True
            elif quote:
                quote = "" if char == quote else quote
            elif char in QUOTES:
                quote = char
            elif char == "#" and before in " \t\n;&|(":
                comment = True
            before = char


def _runs_once(found: Sequence[Task], uses: Mapping[str, Sequence[str]], faults: Faults) -> None:
    """Refuse a task that runs once but needs, beside what it gathers, a task with many steps."""
    for task in found:
        for index, need in enumerate(task.needs):
            if task.gather and need != task.gather and uses.get(need):
                by = ", ".join(f"`{one}`" for one in sorted(uses[need]))
                fault = f"`{task.name}` runs once, and `{need}` has a step for each value of {by}"
                hint = f"gather `{need}`, or read it in `{task.gather}`"
                faults.value(("tasks", task.name, "needs", index), fault, hint)


def _functions(
    found: Sequence[Task], uses: Mapping[str, Sequence[str]], columns: Sequence[str], folder: Path, faults: Faults
) -> None:
    """Check the functions that tasks name, if what travels is known."""
    called = [task for task in found if task.python]
    if called and not faults.has(("code",)):
        table = faults.document.data.get("code", {})
        chosen = Code(include=tuple(table.get("include", ())), exclude=tuple(table.get("exclude", ())))
        source = calls.source(chosen, folder)
        for task in called:
            mine = uses[task.name]
            calls.check(task, mine, alone=not task.gather and len(mine) == len(columns), found=source, faults=faults)
