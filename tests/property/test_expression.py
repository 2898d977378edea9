"""An expression's value is the one that Python itself gives to the same text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sciflow.workflow import expression

KINDS = {"a": "int", "b": "float", "k": "text", "t": "bool"}

numbers = st.deferred(
    lambda: (
        st.sampled_from(["a", "b"])
        | st.integers(0, 20).map(str)
        | st.floats(0, 100, allow_nan=False).map(repr)
        | st.tuples(numbers, st.sampled_from(["+", "-", "*", "/", "//", "%"]), numbers).map(
            "({0[0]} {0[1]} {0[2]})".format
        )
        | st.tuples(numbers, st.integers(0, 3)).map("{0[0]} ** {0[1]}".format)
        | numbers.map("-{}".format)
        | st.tuples(numbers, numbers).map("min({0[0]}, {0[1]})".format)
        | numbers.map("abs({})".format)
    )
)
texts = st.sampled_from(["k", "'rbf'", '"x"', "(k + 'x')"])
comparisons = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
truths = st.deferred(
    lambda: (
        st.sampled_from(["t", "True", "False"])
        | st.tuples(numbers, comparisons, numbers).map("({0[0]} {0[1]} {0[2]})".format)
        | st.tuples(numbers, comparisons, numbers, comparisons, numbers).map(
            "({0[0]} {0[1]} {0[2]} {0[3]} {0[4]})".format
        )
        | st.tuples(texts, comparisons, texts).map("({0[0]} {0[1]} {0[2]})".format)
        | st.tuples(texts, st.sampled_from(["in", "not in"]), texts, texts).map(
            "({0[0]} {0[1]} [{0[2]}, {0[3]}])".format
        )
        | st.tuples(truths, st.sampled_from(["and", "or"]), truths).map("({0[0]} {0[1]} {0[2]})".format)
        | truths.map("(not {})".format)
    )
)
rows = st.fixed_dictionaries(
    {
        "a": st.integers(-50, 50),
        "b": st.floats(-50, 50, allow_nan=False),
        "k": st.sampled_from(["rbf", "x", ""]),
        "t": st.booleans(),
    }
)


BOUNDS = ("64 bits", "too large", "nested", "characters", "operations")


def ours(text, row):
    """Return the value and the error; one of them is nothing."""
    try:
        return expression.parse(text, KINDS).value(row), None
    except expression.ExpressionError as error:
        return None, error


def pythons(text, row):
    return eval(text, {"__builtins__": {"min": min, "abs": abs}}, dict(row))  # noqa: S307  the oracle


@settings(derandomize=True, max_examples=400, deadline=None)
@given(text=numbers | truths, row=rows)
def test_every_value_is_pythons(text, row):
    try:
        expected = pythons(text, row)
    except (ZeroDivisionError, OverflowError):
        expected = None
    found, error = ours(text, row)
    if error is None:
        assert expected is not None
        assert found == expected
    else:
        # Either Python has no value either, or it lies beyond the bounds of the language.
        assert expected is None or any(words in error.text for words in BOUNDS)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(text=st.text(max_size=40) | st.text(alphabet="ab01.()[]'\"<>=!+-*/% andornti,\\", max_size=40))
def test_any_text_is_an_expression_or_an_error_with_its_column(text):
    try:
        column = len(expression.parse(text, KINDS).names) and 1
    except expression.ExpressionError as error:
        column = error.column
    assert 0 <= column <= len(text) + 1
