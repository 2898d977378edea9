import pytest

from sciflow.workflow import tokens


def kinds(text):
    return [(token.kind, token.text) for token in tokens.split(text)]


def test_signs_of_two_characters_are_one_token():
    assert kinds("a**b//c<=d") == [
        *(("name", "a"), ("sign", "**"), ("name", "b"), ("sign", "//"), ("name", "c"), ("sign", "<="), ("name", "d")),
        ("end", ""),
    ]


@pytest.mark.parametrize("number", ["0", "12", "1.5", ".5", "1.", "1e3", "1.5e-3"])
def test_a_number_is_one_token(number):
    assert kinds(number)[0] == ("number", number)


def test_columns_count_from_one():
    assert [token.column for token in tokens.split("a  <  1")] == [1, 4, 7, 8]


def test_an_escaped_quotation_mark_does_not_close_a_text():
    assert kinds(r"'it\'s'")[0] == ("text", r"'it\'s'")


@pytest.mark.parametrize(("text", "column"), [("a = 1", 3), ("a.b", 2), ("é", 1), ("a;b", 2), ("'open", 1), ("a{", 2)])
def test_a_sign_the_language_does_not_have_is_refused_at_its_column(text, column):
    with pytest.raises(tokens.ExpressionError) as caught:
        tokens.split(text)
    assert caught.value.column == column
