"""Parts of expressions: what may meet, and what has no value."""

import pytest

from sciflow.workflow import operands
from sciflow.workflow.tokens import ExpressionError, Token

SIGN = Token("sign", "+", 3)


def part(kind, value, **more):
    return operands.Part(kind, 1, lambda _: value, **more)


def test_a_whole_number_meets_a_fraction_as_a_fraction():
    made = operands.arithmetic(SIGN, part("int", 1), part("float", 0.5))
    assert (made.kind, made.value({})) == ("float", 1.5)


def test_texts_are_joined():
    assert operands.arithmetic(SIGN, part("text", "a"), part("text", "b")).value({}) == "ab"


def test_a_text_is_not_added_to_a_number():
    with pytest.raises(ExpressionError, match=r"`\+` wants a number, and this is a text"):
        operands.arithmetic(SIGN, part("text", "a"), part("int", 1))


def test_a_result_beyond_64_bits_has_no_value():
    with pytest.raises(ExpressionError, match="beyond 64 bits"):
        operands.arithmetic(SIGN, part("int", 2**63 - 1), part("int", 1)).value({})


def test_a_column_that_is_not_there_has_no_value():
    with pytest.raises(operands.AbsentError, match="`degree` has no value there") as caught:
        operands.present("degree", 7, {"degree": None})
    assert caught.value.column == 7


def test_a_column_that_is_there_has_its_value():
    assert operands.present("degree", 7, {"degree": 0}) == 0


def test_numbers_of_both_kinds_are_alike_and_truth_is_no_number():
    assert operands.alike("int", "float")
    assert not operands.alike("bool", "int")


def test_a_list_is_only_looked_into():
    with pytest.raises(ExpressionError, match="cannot take a list on this side"):
        operands.comparison(Token("sign", "==", 3), part("int", 1), part("int", [1], is_list=True))


def test_a_chain_ends_with_the_first_pair_that_fails():
    seen = []

    def value(number):
        return lambda _: seen.append(number) or number

    tests = [operands.COMPARISONS["<"]] * 2
    assert not operands.chained(tests, [value(2), value(1), value(3)], {})
    assert seen == [2, 1]
