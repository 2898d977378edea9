import pytest

from sciflow.workflow import template
from sciflow.workflow.spec import Placeholder


@pytest.mark.parametrize(
    ("text", "placeholder"),
    [
        ("{gamma}", Placeholder(kind="parameter", name="gamma")),
        ("{inputs.reads}", Placeholder(kind="input", name="reads")),
        ("{outputs.model}", Placeholder(kind="output", name="model")),
        ("{pre-pare.clean}", Placeholder(kind="upstream", owner="pre-pare", name="clean")),
        ("{train.records}", Placeholder(kind="records", owner="train")),
        ("{point}", Placeholder(kind="point")),
        ("{seed}", Placeholder(kind="seed")),
    ],
)
def test_each_placeholder_is_of_its_kind(text, placeholder):
    assert template.parse(text) == (placeholder,)


def test_doubled_braces_are_plain_and_join_the_text_around():
    assert template.parse("awk '{{print $1}}'") == ("awk '{print $1}'",)


def test_text_and_placeholders_stand_in_turn():
    assert template.parse("--g={g}{{x}}") == ("--g=", Placeholder(kind="parameter", name="g"), "{x}")


def test_an_empty_text_is_an_empty_word():
    assert template.parse("") == ()


def test_three_braces_are_a_plain_one_and_a_placeholder():
    assert template.parse("{{{g}}}") == ("{", Placeholder(kind="parameter", name="g"), "}")


@pytest.mark.parametrize(
    ("text", "offset"), [("a {", 2), ("a }", 2), ("{}", 0), ("x{a b}", 1), ("{a.b.c}", 0), ("{1}", 0), ("{a{b}}", 0)]
)
def test_a_brace_that_cannot_be_meant_has_its_place(text, offset):
    with pytest.raises(template.TemplateError) as caught:
        template.parse(text)
    assert caught.value.offset == offset
    assert "{{" in caught.value.hint


@pytest.mark.parametrize("text", ["", "a", "{{}}", "{a}{b.c}{{d}} {inputs.x} {outputs.y} {t.records} {point}{seed}"])
def test_writing_gives_back_what_was_read(text):
    assert template.write(template.parse(text)) == text
