import pytest

from sciflow.workflow import expression

KINDS = {"a": "int", "b": "float", "k": "text", "t": "bool"}
ROW = {"a": 3, "b": 0.5, "k": "rbf", "t": True}


def value(text):
    return expression.parse(text, KINDS).value(ROW)


def refused(text):
    with pytest.raises(expression.ExpressionError) as caught:
        value(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a * 10", 30),
        ("-a ** 2", -9),
        ("2 ** 3 ** 2", 512),
        ("+a - --b", 2.5),
        ("- - -a", -3),
        ("2.0 ** -1", 0.5),
        ("7 // 2 - 7 % -4", 4),
        ("a / 2", 1.5),
        ("(a + 1) * 2", 8),
        ("1 < a <= 3 != b", True),
        ("k == 'rbf' or b == 1e-4", True),
        ("not t or a > 1 and b > 1", False),
        ("k in ['rbf', 'x'] and not a in [1, 2]", True),
        ("a not in [1, 2, 3.0]", False),
        ("'b' in k", True),
        ("'a' + k", "arbf"),
        ("t == true and t != False", True),
        ("min(a, b, 2)", 0.5),
        ("max(1, 2)", 2),
        ("round(2.5) + floor(b) + ceil(b) + len(k)", 6),
        ("sqrt(16) + log(exp(1)) + log(1000, 10) + abs(-2)", 10.0),
        (r"'it\'s \\ ' + \"x\"".replace('\\"', '"'), "it's \\ x"),
    ],
)
def test_an_expression_has_pythons_value(text, expected):
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a + 1", "int"),
        ("a + 1.0", "float"),
        ("a / a", "float"),
        ("a > 1", "bool"),
        ("k + k", "text"),
        ("min(a, b)", "float"),
    ],
)
def test_the_kind_is_known_before_any_value(text, kind):
    made = expression.parse(text, KINDS)
    assert made.kind == kind
    assert type(made.value(ROW)) is {"int": int, "float": float, "bool": bool, "text": str}[kind]


def test_the_names_it_reads_stand_in_the_order_of_the_text():
    assert expression.parse("b > 1 and a > 1 and b > 2", KINDS).names == ("b", "a")


def test_and_or_stop_at_the_first_answer():
    assert value("a == 3 or 1 / 0 > 1") is True
    assert value("a == 4 and 1 / 0 > 1") is False


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("k = 'rbf'", 3, "not part of the language"),
        ("a && t", 3, "not part of the language"),
        ("a.real", 2, "not part of the language"),
        ("gama > 1", 1, "no column `gama`"),
        ("__import__('os')", 1, "no function"),
        ("k > 1", 3, "never agree"),
        ("t == 1", 3, "never agree"),
        ("t < t", 3, "cannot order"),
        ("a and t", 1, "`and` wants true or false"),
        ("not a", 5, "`not` wants true or false"),
        ("k * 2", 1, "`*` wants a number"),
        ("-k", 2, "`-` wants a number"),
        ("a > ", 5, "the expression ends"),
        ("", 1, "the expression ends"),
        ("a b", 3, "could end"),
        ("(a", 3, "`)` is missing"),
        ("[1, 2]", 1, "a list alone"),
        ("a in [1, 'x']", 10, "of one kind"),
        ("a in 3", 6, "wants a list"),
        ("a + and", 5, "a value is missing here, and `and` stands there"),
        ("[1] + 2", 1, "`+` is given a list"),
        ("min([1], 2)", 5, "`min` is given a list"),
        ("2 ** " * 32 + "2", 158, "nested more than 32"),
        ("min(a)", 1, "takes two numbers or more"),
        ("'rbf", 1, "never closed"),
        (r"'\d'", 2, "not an escape"),
        ("99999999999999999999", 1, "beyond 64 bits"),
        ("1e999", 1, "too large"),
        ("(" * 33 + "a" + ")" * 33, 33, "nested more than 32"),
        ("+".join("a" * 102), 202, "more than 100 operations"),
        ("a" * 1001, 1, "1,001 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_column(text, column, words):
    error = refused(text)
    assert error.column == column
    assert words in error.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / (a - 3)", "division by zero"),
        ("a % 0", "division by zero"),
        ("0.0 ** -1", "division by zero"),
        ("sqrt(-a)", "square root of a negative"),
        ("log(a - 3)", "logarithm"),
        ("(0 - b) ** 0.5", "not whole"),
        ("a ** -1", "negative power"),
        ("9 ** 9 ** 9", "too large"),
        ("exp(1000)", "too large"),
        ("1e300 * 1e300", "too large"),
        ("9223372036854775807 + 1", "beyond 64 bits"),
    ],
)
def test_what_has_no_value_at_a_point_is_an_error_not_a_crash(text, words):
    expression.parse(text, KINDS)
    assert words in refused(text).text


def test_the_longest_chain_of_operations_can_be_computed():
    assert value("+".join("1" * 101)) == 101


def test_a_text_that_doubles_again_and_again_is_refused():
    with pytest.raises(expression.ExpressionError, match="the text has more than"):
        expression.parse("k + k", KINDS).value({"k": "x" * 600_000})


def test_a_column_that_may_be_absent_is_read_where_it_is_there():
    assert expression.parse("a + 1", KINDS, ["a"]).value(ROW) == 4


def test_a_column_that_is_absent_has_no_value():
    with pytest.raises(expression.AbsentError, match="`a` has no value there"):
        expression.parse("a + 1", KINDS, ["a"]).value({"a": None})


def test_a_table_is_not_read():
    with pytest.raises(expression.ExpressionError, match="`x` holds tables, which no expression reads"):
        expression.parse("x == 'y'", {"x": "table"})
