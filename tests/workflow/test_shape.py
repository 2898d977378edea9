import json
from pathlib import Path

import jsonschema
import pytest

from sciflow.workflow import places, shape
from sciflow.workflow.faults import Faults
from tests.workflow.studies import FULL


def checked(text):
    document = places.parse(text)
    faults = Faults("w.toml", document)
    return shape.check(document.data, faults), [fault.text for fault in faults.found.values()]


def properties(rule, path=""):
    for name, inner in rule.get("properties", {}).items():
        yield f"{path}.{name}", inner
        yield from properties(inner, f"{path}.{name}")
    for key in ("additionalProperties", "items"):
        if isinstance(rule.get(key), dict):
            yield from properties(rule[key], f"{path}.*")
    for branch in rule.get("oneOf", []):
        yield from properties(branch, path)


def rules(value):
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from rules(inner)
    if isinstance(value, list):
        for inner in value:
            yield from rules(inner)


def test_the_schema_is_a_schema_of_its_draft():
    jsonschema.Draft202012Validator.check_schema(shape.schema())


def test_the_schema_is_the_published_file():
    published = Path(__file__).parents[2] / "schemas" / "workflow-1.json"
    assert shape.schema() == json.loads(published.read_text(encoding="utf-8"))


def test_the_schema_names_no_host():
    assert shape.schema()["$id"] == "urn:sciflow:schema:workflow-1"


@pytest.mark.parametrize(("name", "rule"), list(properties(shape.schema())))
def test_every_key_is_described(name, rule):
    assert rule.get("description"), name


@pytest.mark.parametrize(
    ("name", "rule"), [one for one in properties(shape.schema()) if one[1].get("type") != "object"]
)
def test_every_key_has_examples_that_fit(name, rule):
    assert rule["examples"], name
    for example in rule["examples"]:
        jsonschema.Draft202012Validator({**rule, "$defs": shape.schema()["$defs"]}).validate(example)


def test_every_pattern_says_in_words_what_is_wanted():
    patterns = [rule for rule in rules(shape.schema()) if isinstance(rule.get("pattern"), str)]
    assert len(patterns) > 10
    assert all(rule.get("$comment") for rule in patterns)


def test_a_full_workflow_fits():
    data, faults = checked(FULL)
    assert faults == []
    assert data == places.parse(FULL).data


def test_one_point_zero_is_not_a_whole_number():
    _, faults = checked('format = 1\n[workflow]\nname="a"\n[tasks.t]\nrun=["x"]\nresources={cpus=1.0}\n')
    assert faults == ["`tasks.t.resources.cpus` wants a whole number, and is a number with a fraction"]


def test_true_is_not_a_number():
    _, faults = checked('format = true\n[workflow]\nname="a"\n[tasks.t]\nrun=["x"]\n')
    assert len(faults) == 1


def test_what_is_wrong_is_left_out_and_the_rest_stays():
    data, faults = checked('format = 1\n[workflow]\nname="a"\ntitle=3\n[tasks.t]\nrun=["x"]\n')
    assert len(faults) == 1
    assert data["workflow"] == {"name": "a"}


def test_a_command_may_hold_line_breaks_and_tabs():
    _, faults = checked('format = 1\n[workflow]\nname="a"\n[tasks.t]\nshell = "a\\n\\tb"\n[tasks.u]\nrun=["a\\nb"]\n')
    assert faults == []


def test_a_command_may_hold_no_other_control_character():
    _, faults = checked('format = 1\n[workflow]\nname="a"\n[tasks.t]\nshell = "a\\u001b[31m"\n')
    assert faults == ["`tasks.t.shell` holds the control character \\x1b"]
