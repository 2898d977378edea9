"""docs/reference.md is what the schema says, and says all of it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.workflow.arithmetic import FUNCTIONS, OPERATORS
from sciflow.workflow.shape import schema

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference.md").read_text(encoding="utf-8")


def keys(rule):
    """Yield the name and the description of every key in a rule of the schema."""
    if isinstance(rule, dict):
        for name, found in rule.get("properties", {}).items():
            if isinstance(found, dict) and "description" in found:
                yield name, found["description"]
        for inner in rule.values():
            yield from keys(inner)
    elif isinstance(rule, list):
        for inner in rule:
            yield from keys(inner)


KEYS = sorted(set(keys(schema())))


def test_the_page_is_current():
    made = subprocess.run(
        [sys.executable, ROOT / "tools/reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert (made.returncode, made.stderr) == (0, "")


@pytest.mark.parametrize(("name", "description"), KEYS, ids=[name for name, _ in KEYS])
def test_every_key_stands_on_the_page_with_its_description(name, description):
    assert any(f"`{name}`" in line and description in line for line in PAGE.splitlines())


@pytest.mark.parametrize("word", [*OPERATORS, *FUNCTIONS])
def test_every_operator_and_function_stands_on_the_page(word):
    assert f"`{word}`" in PAGE.partition("## Expressions")[2]
