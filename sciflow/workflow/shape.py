"""Values of a TOML file -> what the schema has against them, in sciflow's own words.

The schema says which keys there are and what each may hold. Where a rule is a pattern, its `$comment` says in words
what is wanted, so that rule and words stand in one place.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import referencing

from sciflow.workflow.faults import Faults, likely, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sciflow.workflow.spec import Keys

MAX_INTEGER = 2**63 - 1  # TOML 1.0, Integer: 64-bit signed
MULTILINE = {"run", "shell"}  # keys of a task whose text may hold line breaks and tabs

KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a table",
}


@cache
def schema() -> dict[str, Any]:
    """Return the published schema of the workflow file, format 1."""
    text = resources.files("sciflow").joinpath("schemas", "workflow-1.json").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


@cache
def _validator() -> Any:
    # In the schema's own world 1.0 is an integer; here a file that says `cpus = 1.0` is asked what it means.
    base = jsonschema.Draft202012Validator
    checker = base.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    # An empty registry: without one a `$ref` may be fetched from the network.
    return jsonschema.validators.extend(base, type_checker=checker)(schema(), registry=referencing.Registry())


def check(data: dict[str, Any], faults: Faults) -> dict[str, Any]:
    """Add what is wrong with the shape, and return a copy of the data without what is wrong."""
    sound: dict[str, Any] = _scalars(data, (), faults)
    for error in sorted(_validator().iter_errors(sound), key=lambda error: [str(step) for step in error.absolute_path]):
        for path in list(_explain(error, tuple(error.absolute_path), faults)):
            _remove(sound, path)
    return sound


def _scalars(value: Any, path: Keys, faults: Faults) -> Any:
    """Copy a value without what no key may hold; a list with such an item is left out whole."""
    if isinstance(value, dict):
        copy = {}
        for key, item in value.items():
            if fault := _control(key, tab=False):
                faults.key(
                    (*path, key), f"the key `{shown(key)}` holds {fault}", "keys are letters, digits, `_` and `-`"
                )
                continue
            kept = _scalars(item, (*path, key), faults)
            if kept is not None:
                copy[key] = kept
        return copy
    if isinstance(value, list):
        kept_items = [_scalars(item, (*path, index), faults) for index, item in enumerate(value)]
        return kept_items if all(item is not None for item in kept_items) else None
    fault, hint = _scalar(value, tab=len(path) > 2 and path[0] == "tasks" and path[2] in MULTILINE)  # noqa: PLR2004 tasks.NAME.run
    if fault:
        faults.value(path, f"`{_dotted(path)}` {fault}", hint)
        return None
    return value


def _scalar(value: Any, *, tab: bool) -> tuple[str, str]:
    if isinstance(value, dt.date | dt.time):
        return "is a date or time", "write it as a text, in quotes"
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}", "write a finite number"
    if type(value) is int and not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
        return "is a whole number beyond 64 bits", "write it as a text, in quotes, or with an exponent (1e30)"
    if isinstance(value, str) and (found := _control(value, tab=tab)):
        return f"holds {found}", "only `run` and `shell` may hold line breaks and tabs; nothing may hold other controls"
    return "", ""


def _control(text: str, *, tab: bool) -> str:
    """Name the first character of a text that no text may hold, if any."""
    for char in text:
        if (char < " " or "\x7f" <= char <= "\x9f") and not (tab and char in "\n\t"):
            return f"the control character {shown(char)}"
        if "\ud800" <= char <= "\udfff":
            return f"{shown(char)}, half of a surrogate pair"
    return ""


def _remove(data: Any, path: Keys) -> None:
    """Take out what stands at a path; of a list, the whole list, since the other items would move."""
    owners = [data]
    for step in path[:-1]:
        try:
            owners.append(owners[-1][step])
        except (KeyError, IndexError, TypeError):
            return  # its owner has already been taken out
    for owner, step in zip(reversed(owners), reversed(path), strict=True):
        if isinstance(owner, dict):
            owner.pop(step, None)
            return


def _explain(error: Any, path: Keys, faults: Faults) -> Iterator[Keys]:
    """Add an error in our words; yield the paths of what cannot be used."""
    rule = error.validator
    if rule == "oneOf":
        yield from _branches(error, path, faults)
    elif rule == "additionalProperties":
        known = error.schema.get("properties", {})
        for key in [key for key in error.instance if key not in known]:
            hint = likely(key, known, what=f"keys of {_owner(path)}" if path else "keys here")
            faults.key((*path, key), f"unknown key `{shown(key)}` in {_owner(path)}", hint)
            yield (*path, key)
    elif rule == "required":
        for key in [key for key in error.validator_value if key not in (faults.written(path) or {})]:
            faults.key(path, f"{_owner(path)} has no `{key}`", _missing(key, error.schema["properties"][key]))
    elif rule == "pattern" and "propertyNames" in error.absolute_schema_path:
        faults.key(
            (*path, error.instance),
            f"the name `{shown(error.instance)}` cannot be used",
            f"wanted: {error.schema['$comment']}",
        )
        yield (*path, error.instance)
    else:
        wanted = error.schema.get("$comment", "")
        hint = f"wanted: {wanted}" if wanted else ""
        if rule == "enum":
            words = [str(word) for word in error.validator_value]
            hint = likely(str(error.instance), words, what="words").replace("the words are", "it may be")
        faults.value(path, f"`{_dotted(path)}` {SAID.get(rule, _otherwise)(error)}", hint)
        if rule != "uniqueItems" and (rule != "minItems" or path[:2] != ("sweep", "zip")):
            yield path  # those two can be looked at further, so they need not hide other faults


def _missing(key: str, rule: dict[str, Any]) -> str:
    if rule.get("type") == "object":
        return f"write a table `[{key}]`"
    return f"write `{key} = {json.dumps(rule['examples'][0], ensure_ascii=False)}`"


def _branches(error: Any, path: Keys, faults: Faults) -> Iterator[Keys]:
    """Explain the branch that was meant: the one of the value's own kind."""
    branches = error.validator_value
    if all(set(branch) == {"required"} for branch in branches):
        if not isinstance(error.instance, dict):
            return  # its kind is a fault of its own
        keys = [branch["required"][0] for branch in branches]
        # What has been left out for a fault of its own is there all the same.
        given = [key for key in keys if key in (faults.written(path) or {})]
        if len(given) != 1:
            wants = f"{_owner(path)} wants exactly one of {quoted(keys)}"
            faults.key(path, f"{wants}, and has {quoted(given) if given else 'none'}")
        yield path
        return
    validator = _validator()
    meant = [
        index
        for index, branch in enumerate(branches)
        if validator.is_type(error.instance, branch.get("type", "object"))
    ]
    if not meant:
        wanted = " or ".join(KINDS[branch["type"]] for branch in branches)
        faults.value(path, f"`{_dotted(path)}` wants {wanted}, and is {_kind(error.instance)}", _example(error.schema))
        yield path
        return
    for inner in error.context:
        if inner.schema_path[0] == meant[0]:
            yield from _explain(inner, (*path, *inner.relative_path), faults)


def _kind(value: Any) -> str:
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "true or false"),
        (int, "a whole number"),
        (float, "a number with a fraction"),
        (str, "a text"),
        (list, "a list"),
        (dict, "a table"),
    )
    return next(words for kind, words in kinds if isinstance(value, kind))


def _example(rule: dict[str, Any]) -> str:
    return f"for example {json.dumps(rule['examples'][0], ensure_ascii=False)}" if "examples" in rule else ""


def _type(error: Any) -> str:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    if "number" in wanted:
        wanted = [kind for kind in wanted if kind != "integer"]
    return f"wants {' or '.join(KINDS[kind] for kind in wanted)}, and is {_kind(error.instance)}"


def _otherwise(error: Any) -> str:
    return f"does not fit: {shown(error.message)}"


SAID: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "enum": lambda error: f"is `{shown(error.instance)}`",
    "const": lambda error: f"is {shown(error.instance)}; this sciflow reads {error.validator_value}",
    "pattern": lambda error: f"is `{shown(error.instance)}`" if error.instance else "is empty",
    "minimum": lambda error: f"wants at least {error.validator_value}, and is {shown(error.instance)}",
    "maximum": lambda error: f"wants at most {error.validator_value}, and is {shown(error.instance)}",
    "minLength": lambda _: "is empty",
    "maxLength": lambda error: f"wants at most {error.validator_value} characters, and has {len(error.instance)}",
    "minItems": lambda error: f"wants at least {error.validator_value} in its list, and has {len(error.instance)}",
    "maxItems": lambda error: f"wants at most {error.validator_value} in its list, and has {len(error.instance)}",
    "minProperties": lambda _: "is empty",
    "uniqueItems": lambda error: f"lists `{shown(_twice(error.instance))}` twice",
}


def _twice(items: list[Any]) -> Any:
    return next((item for index, item in enumerate(items) if item in items[:index]), "")


def _dotted(path: Keys) -> str:
    """Write a path as TOML does, list indices in brackets."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{shown(step)}" if text else shown(step)
    return text


def _owner(path: Keys) -> str:
    """Name a table as it is written: `[tasks.train]`, or the file itself."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"`[[{_dotted(path[:-1])}]]`"
    return f"`[{_dotted(path)}]`"
