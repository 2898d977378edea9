"""Values of a TOML file -> what the schema has against them, in sciflow's own words.

The schema says which keys there are and what each may hold. Where a rule is a pattern, its `$comment` says in words
what is wanted, so that rule and words stand in one place.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import referencing

from sciflow.workflow.faults import MOST, Faults, likely, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sciflow.workflow.spec import Keys

MAX_INTEGER = 2**63 - 1  # TOML 1.0, Integer: 64-bit signed
FORMS = {"run", "shell", "python"}  # keys by which a table is a task
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
    ours = {"uniqueItems": _unique, "items": _each}
    ours |= {rule: _if_few(base.VALIDATORS[rule]) for rule in ("additionalProperties", "propertyNames")}
    made = jsonschema.validators.extend(base, ours, type_checker=checker)
    return made(schema(), registry=referencing.Registry())


def _unique(_: Any, __: Any, items: Any, ___: Any) -> Iterator[jsonschema.ValidationError]:
    """Look for an item that stands twice; the library's own takes the square of their number for mixed kinds."""
    if isinstance(items, list) and _twice(items) is not None:
        yield jsonschema.ValidationError("an item stands twice")


PLAIN: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", dict: "object"}


def _if_few(look: Callable[..., Any]) -> Callable[..., Any]:
    """Return a rule on each key of a table that looks at none where they are too many: that is told by itself."""

    def looking(validator: Any, rule: Any, table: Any, owner: dict[str, Any]) -> Iterator[Any]:
        if isinstance(table, dict) and len(table) <= owner.get("maxProperties", math.inf):
            yield from look(validator, rule, table, owner)

    return looking


def _each(validator: Any, rule: dict[str, Any], items: Any, owner: dict[str, Any]) -> Iterator[Any]:
    """Look at each item of a list; the library's own takes 20 microseconds for a number among numbers."""
    if not isinstance(items, list) or len(items) > owner.get("maxItems", math.inf):
        return  # too many are told by themselves
    kinds = rule.get("type", []) if rule.keys() <= {"type", "description", "examples", "$comment"} else []
    kinds = [kinds] if isinstance(kinds, str) else kinds
    good = {kind for kind, name in PLAIN.items() if name in kinds or (kind is int and "number" in kinds)}
    found = (
        error
        for index, item in enumerate(items)
        if type(item) not in good
        for error in validator.descend(item, rule, path=index)
    )
    yield from itertools.islice(found, MOST + 1)  # `oneOf` asks for all of them before it says anything


def check(data: dict[str, Any], faults: Faults) -> dict[str, Any]:
    """Add what is wrong with the shape, and return a copy of the data without what is wrong."""
    sound: dict[str, Any] = _scalars(data, (), faults)
    # They are found one by one as they are asked for, so a file of nothing but faults costs no more than MOST of them.
    errors = list(itertools.islice(_validator().iter_errors(sound), MOST + 1))
    for error in sorted(errors, key=lambda error: [str(step) for step in error.absolute_path]):
        for path in list(_explain(error, tuple(error.absolute_path), faults)):
            _remove(sound, path)
    if len(errors) > MOST:
        raise faults.all()
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
            hint = likely(key, known, what=f"keys of {_owner(path)}" if path else "keys here") + _elsewhere(key, path)
            if not path and isinstance(error.instance[key], dict) and FORMS & error.instance[key].keys():
                hint = f"a task is `[tasks.{shown(key)}]`"
            faults.key((*path, key), f"unknown key `{shown(key)}` in {_owner(path)}", hint)
            yield (*path, key)
    elif rule == "required":
        for key in [key for key in error.validator_value if key not in (faults.written(path) or {})]:
            faults.key(path, f"{_owner(path)} has no `{key}`", _missing(key, error.schema["properties"][key]))
    elif rule == "pattern" and "propertyNames" in error.absolute_schema_path:
        faults.key(
            (*path, error.instance),
            f"the name `{shown(error.instance)}` cannot be used" if error.instance else "this name is empty",
            f"wanted: {error.schema['$comment']}",
        )
        yield (*path, error.instance)
    elif rule == "enum" and not isinstance(error.instance, str):
        yield path  # that it is no text is told by its own rule
    else:
        explained = rule in EXPLAINED or (rule in BOUNDS and "$comment" in error.schema)
        hint = _wanted(error.schema, path) if explained else ""
        if rule == "type" and error.validator_value == "object" and isinstance(error.instance, list):
            doubled = (
                error.instance
                and "$comment" not in error.schema
                and all(isinstance(item, dict) for item in error.instance)
            )
            hint = f"write `[{_dotted(path)}]`, in single brackets" if doubled else hint
        if rule == "enum":
            words = [str(word) for word in error.validator_value]
            hint = likely(str(error.instance), words, what="words").replace("the words are", "it may be")
        twice = _twice(error.instance) if rule == "uniqueItems" else None
        at: Keys = path if twice is None else (*path, twice)
        faults.value(at, f"`{_dotted(path)}` {SAID.get(rule, _otherwise)(error)}", hint)
        if rule != "uniqueItems" and (rule != "minItems" or path[:2] != ("sweep", "zip")):
            yield path  # those two can be looked at further, so they need not hide other faults


def _missing(key: str, rule: dict[str, Any]) -> str:
    if rule.get("type") == "object":
        return f"write a table `[{key}]`"
    return f"write `{key} = {inline(rule['examples'][0])}`"


def _elsewhere(key: str, path: Keys) -> str:
    """Say which section knows a key that this one does not."""
    sections: dict[str, Any] = schema()["properties"]
    own = sections.get(str(path[0]), {}) if path else {}
    inner = own.get("additionalProperties") or {}
    for name, rule in inner.get("properties", {}).items():
        if key in rule.get("properties", {}):
            return f"; `{key}` stands in `{_owner((*path, name))[1:-1]}`"
    owner = next((name for name, rule in sections.items() if key in rule.get("properties", {})), "")
    return f"; `{key}` stands in `[{owner}]`" if owner and path != (owner,) else ""


def _wanted(rule: dict[str, Any], path: Keys) -> str:
    """Return a hint that says in words, or by an example, what a value is to be."""
    if "$comment" in rule:
        return f"wanted: {rule['$comment']}"
    if "examples" in rule:
        key = f"{path[-1]} = " if isinstance(path[-1], str) else ""
        return f"for example `{key}{inline(rule['examples'][0])}`"
    return f"write a table `[{_dotted(path)}]`" if rule.get("type") == "object" else ""


def inline(value: Any) -> str:
    """Write a value in TOML, on one line."""
    if isinstance(value, dict) and not value:
        return "{}"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


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
            hint = f"wanted: {error.schema['$comment']}" if "$comment" in error.schema else ""
            faults.key(path, f"{wants}, and has {quoted(given) if given else 'none'}", hint)
        yield path
        return
    validator = _validator()
    meant = [
        index
        for index, branch in enumerate(branches)
        if validator.is_type(error.instance, branch.get("type", "object"))
    ]
    if not meant:
        wanted = _either([KINDS[branch["type"]] for branch in branches])
        fault = f"`{_dotted(path)}` wants {wanted}, and is {_kind(error.instance)}"
        faults.value(path, fault, _wanted(error.schema, path))
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


def _either(kinds: list[str]) -> str:
    """Write kinds as a sentence lists them: `a number, a text or a table`."""
    if len(kinds) > 1 and KINDS["boolean"] in kinds:
        kinds = ["true", "false", *[kind for kind in kinds if kind != KINDS["boolean"]]]
    return f"{', '.join(kinds[:-1])} or {kinds[-1]}" if len(kinds) > 1 else kinds[0]


def _type(error: Any) -> str:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    if "number" in wanted:
        wanted = [kind for kind in wanted if kind != "integer"]
    return f"wants {_either([KINDS[kind] for kind in wanted])}, and is {_kind(error.instance)}"


def _const(error: Any) -> str:
    if type(error.instance) is not type(error.validator_value):
        return f"wants {KINDS['integer']}, and is {_kind(error.instance)}"
    return f"is {shown(error.instance)}; this sciflow reads {error.validator_value}"


def _items(error: Any) -> str:
    """Say how many items a list wants, and has."""
    least, most, has = error.schema.get("minItems", 0), error.schema.get("maxItems"), len(error.instance)
    if not has:
        return "is empty"
    many = f"{least}" if least == most else f"at least {least}" if has < least else f"at most {most:,}"
    return f"wants {many} items, and has {has:,}"


def _otherwise(error: Any) -> str:
    return f"does not fit: {shown(error.message)}"


SAID: dict[str, Callable[[Any], str]] = {
    "type": _type,
    "enum": lambda error: f"is `{shown(error.instance)}`",
    "const": _const,
    "pattern": lambda error: f"is `{shown(error.instance)}`" if error.instance else "is empty",
    "minimum": lambda error: f"wants at least {error.validator_value:,}, and is {error.instance:,}",
    "maximum": lambda error: f"wants at most {error.validator_value:,}, and is {error.instance:,}",
    "minLength": lambda _: "is empty",
    "maxLength": lambda error: f"wants at most {error.validator_value:,} characters, and has {len(error.instance):,}",
    "minItems": _items,
    "maxItems": _items,
    "minProperties": lambda _: "is empty",
    "maxProperties": lambda error: f"may have {error.validator_value:,} keys, and has {len(error.instance):,}",
    "uniqueItems": lambda error: f"lists `{shown(error.instance[_twice(error.instance)])}` twice",
}
EXPLAINED = {"type", "pattern", "minLength", "minItems", "maxItems", "minProperties"}
"""The rules whose hint is what the schema says is wanted; the message of the others says enough."""
BOUNDS = {"minimum", "maximum"}
"""These have one where the schema says more than the number."""


def _twice(items: list[Any]) -> int | None:
    """Return the index of the first text that has stood before, if any; what is no text has a fault of its own."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if isinstance(item, str):
            if item in seen:
                return index
            seen.add(item)
    return None


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
