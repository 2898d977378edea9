"""schemas/workflow-1.json and the language of expressions -> docs/reference.md, every key of a workflow file.

python tools/reference.py [--check]      --check: write nothing, end with 1 if the page is not current
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pages

from sciflow.workflow import arithmetic, axes, budget, expression, places, tabular, template, tokens
from sciflow.workflow.shape import KINDS, inline, schema

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[1] / "docs/reference.md"
HEAD = """# The workflow file, key by key

Made by `tools/reference.py` from `schemas/workflow-1.json`, and held current by a test. The file is TOML 1.0 in UTF-8.
Every fault in it is told at once, with its line and column: `sciflow check workflow.toml`.

**In an editor.** Editors that use Taplo (Even Better TOML for VS Code, and others) complete keys, show these
descriptions and underline faults while you type. Put the schema beside the file once, and name it in the first line:

```console
$ sciflow schema > workflow-1.json
```

```toml
#:schema ./workflow-1.json
format = 1
```

The line is a comment to sciflow. Other tools that know JSON Schema (draft 2020-12) can use the same file.

**Reading the tables.** *limits* says what a value may be beyond its kind; a key without a default may be left out,
unless it is marked *required*.
"""
PLURAL = {
    "string": "texts",
    "integer": "whole numbers",
    "number": "numbers",
    "boolean": "truths",
    "array": "lists",
    "object": "tables",
}


def main() -> int:
    """Write the page, or say that it is not current."""
    return pages.kept(PAGE, page(), about=__doc__, source="the schema says", tool="tools/reference.py")


def page() -> str:
    """Return the text of docs/reference.md."""
    whole = schema()
    parts = [HEAD, *table("", whole, "## The file")]
    for name, rule in whole["properties"].items():
        parts += section(name, resolved(rule), 2)
    parts += table("NAME", branch(whole["$defs"]["parameter"]), "## A parameter")
    parts += section("sweep.blocks", resolved(whole["$defs"]["block"]), 2, brackets="[[{}]]")
    parts += [*expressions(), *limits()]
    return "\n".join(parts) + "\n"


def resolved(rule: dict[str, Any]) -> dict[str, Any]:
    """Return what a `$ref` points at; another rule as it is."""
    found: dict[str, Any] = schema()["$defs"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
    return found


def branch(rule: dict[str, Any]) -> dict[str, Any]:
    """Return the form of a parameter that is a table."""
    return next(one for one in rule["oneOf"] if one["type"] == "object")


def section(path: str, rule: dict[str, Any], level: int, brackets: str = "[{}]") -> Iterator[str]:
    """Yield the heading, the keys and the tables inside of a table, or nothing for a plain value."""
    if rule.get("type") == "array" and resolved(rule["items"]).get("properties") and path != "sweep.blocks":
        if "$ref" not in rule["items"]:
            yield from section(path, rule["items"], level, "[[{}]]")
        return
    if rule.get("type") != "object":
        return
    name = brackets.format(path)
    if "properties" in rule:
        yield from table(path, rule, f"{'#' * level} `{name}`")
        for key, inner in rule["properties"].items():
            if "properties" in inner or isinstance(inner.get("additionalProperties"), dict):
                yield from section(f"{path}.{key}", inner, level + 1)
        return
    inner = rule["additionalProperties"]
    if "$ref" in inner or inner.get("type") != "object":
        return  # a plain table of names, told where it stands; parameters have a section of their own
    yield from [f"{'#' * level} `[{path}]`", "", rule["description"], *said(path, rule), ""]
    yield from section(f"{path}.NAME", inner, level + 1)


def table(path: str, rule: dict[str, Any], heading: str) -> Iterator[str]:
    """Yield a heading, what is said of a table as a whole, and a row for each of its keys."""
    yield from [heading, "", rule["description"], *said(path, rule), ""]
    if all(set(one) == {"required"} for one in rule.get("oneOf", [{}])):
        one_of = ", ".join(code(one["required"][0]) for one in rule["oneOf"])
        yield from [f"Exactly one of {one_of}.", ""]
    yield from ["| key | holds | default | limits | |", "|---|---|---|---|---|"]
    for key, found in rule["properties"].items():
        inner = resolved(found)
        default = (
            "*required*"
            if key in rule.get("required", ())
            else code(inline(found["default"]))
            if "default" in found
            else ""
        )
        example = code(f"{key} = {inline(inner['examples'][0])}") if "examples" in inner else ""
        told = " ".join(filter(None, [inner["description"], example]))
        yield f"| `{key}` | {holds(inner)} | {default} | {bounds(inner)} | {told} |"
    yield ""


def said(path: str, rule: dict[str, Any]) -> list[str]:
    """Return the example of a whole table, if it has one."""
    if not rule.get("examples") or "properties" not in rule or "." not in path:
        return []
    return ["", f"For example {code(inline(rule['examples'][0]))}."]


def holds(rule: dict[str, Any]) -> str:
    """Say of what kind a value is."""
    if "const" in rule:
        return f"`{rule['const']}`"
    if "oneOf" in rule and "type" not in rule:
        return " or ".join(KINDS[one["type"]] for one in rule["oneOf"])
    kind = rule["type"]
    if kind == "array":
        inner = resolved(rule["items"])
        if "oneOf" in inner or isinstance(inner["type"], list):
            return "a list of values"
        return f"a list of {PLURAL[inner['type']]}"
    if kind == "object" and isinstance(rule.get("additionalProperties"), dict):
        inner = resolved(rule["additionalProperties"])
        return f"a table of {PLURAL.get(str(inner.get('type')), 'parameters')}, each under a name"
    return "any value" if isinstance(kind, list) else KINDS[kind]


def bounds(rule: dict[str, Any]) -> str:
    """Say what a value may be beyond its kind."""
    told = [", ".join(f"`{word}`" for word in rule["enum"])] if "enum" in rule else []
    told += [rule["$comment"]] if "$comment" in rule else []
    told += [f"at least {rule['minimum']:,}"] if "minimum" in rule else []
    told += [f"at most {rule['maximum']:,}"] if "maximum" in rule else []
    least, most = rule.get("minItems"), rule.get("maxItems")
    if least is not None and least == most:
        told.append(f"{least} items")
    else:
        told += [f"at least {least:,} item{'s' if least > 1 else ''}"] if least else []
        told += [f"at most {most:,} items"] if most else []
    told += [f"at most {rule['maxProperties']:,} keys"] if "maxProperties" in rule else []
    told += ["not empty"] if rule.get("minLength") or rule.get("minProperties") else []
    told += [f"at most {rule['maxLength']:,} characters"] if "maxLength" in rule else []
    told += ["none twice"] if rule.get("uniqueItems") else []
    if "propertyNames" in rule:
        told.append(f"names: {rule['propertyNames']['$comment']}")
    items = rule.get("items", {})
    told += [f"each: {items['$comment']}"] if "$comment" in items else []
    return "; ".join(told).replace("|", "\\|")


def code(text: str) -> str:
    """Return a text as code inside a table's cell."""
    ticks = "``" if "`" in text else "`"
    return f"{ticks}{text}{ticks}".replace("|", "\\|")


def expressions() -> Iterator[str]:
    """Yield what `where`, `when` and `derive` may say."""
    marks = set("'\"\\")
    escapes = ", ".join(code("\\" + one) for one in tokens.ESCAPES if one not in marks)
    most = f"{tokens.MAX_LENGTH:,} characters, {tokens.MAX_OPERATIONS} operations, nested {expression.MAX_DEPTH} deep"
    yield from [
        "## Expressions",
        "",
        "`where`, `when` and `derive` hold expressions over columns, each by its name. Kinds are checked before any",
        "point is computed: a text is never compared with a number, and `true` is no number. Precedence is Python's.",
        "",
        "| | |",
        "|---|---|",
        "| values | `7`, `0.5`, `1e-3`, `'text'`, `\"text\"`, `true`, `false`; lists `[1, 2]` after `in` |",
        f"| escapes in texts | {escapes}, and a backslash before a quotation mark or itself |",
        f"| arithmetic | {', '.join(map(code, arithmetic.OPERATORS))}; `+` joins texts |",
        f"| comparison | {', '.join(map(code, expression.COMPARISONS))}, in chains too (`0 < a < b`); `in`, `not in` |",
        "| logic | `and`, `or`, `not` |",
        f"| limits | {most}; whole numbers of 64 bits |",
        "",
        "| function | takes | gives |",
        "|---|---|---|",
    ]
    for name, one in arithmetic.FUNCTIONS.items():
        whole, fraction = one.kind(("int",)), one.kind(("float",))
        gives = axes.SPOKEN[whole] if whole == fraction else "a whole number of whole numbers, else a number"
        yield f"| `{name}` | {one.takes} | {gives} |"
    yield from ["", "## Placeholders", "", f"In `run` and `shell` {template.FORMS}; {template.PLAIN}.", ""]


def limits() -> list[str]:
    """Return what a file as a whole may ask for."""
    rows = {
        "the file": f"{places.MAX_BYTES:,} bytes, {places.MAX_ITEMS:,} keys and values, nested {places.MAX_DEPTH} deep",
        "a sweep": f"{axes.MAX_POINTS:,} points before `where`",
        "values of all parameters": f"{budget.MAX_VALUES:,}",
        "`logspace`, `geomspace`": f"{axes.MAX_POWERS:,} values",
        "`sample`": f"{axes.MAX_POINTS:,} values drawn",
        "conditions, derived columns, samples": (
            f"about {budget.MAX_OPERATIONS:,} operations over all points of all sweeps; "
            f"a power of fractions, `exp` and `log` count {budget.EXACT}"
        ),
        "a file of values": (
            f"{tabular.MAX_BYTES >> 20} MiB, {axes.MAX_POINTS:,} rows, {tabular.MAX_LINE:,} characters a line"
        ),
    }
    return ["## Limits", "", "| | |", "|---|---|", *(f"| {what} | {most} |" for what, most in rows.items())]


if __name__ == "__main__":
    sys.exit(main())
