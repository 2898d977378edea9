import pytest

from sciflow.containers import quoting

KNOWN = {"A": "1", "LONG_2": "two words"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a b", ["a", "b"]),
        ("  a\t 'b c'  ", ["a", "'b c'"]),
        ('x="b c"d', ['x="b c"d']),
        (r"a\ b c", [r"a\ b", "c"]),
        (r'"a\"b" c', [r'"a\"b"', "c"]),
        ("'a\\' b", ["'a\\'", "b"]),
        ("", []),
    ],
)
def test_words_are_split_where_no_quote_is_open(text, wanted):
    assert quoting.split(text, sh=False) == wanted


def test_a_comment_ends_a_line_of_a_shell_alone():
    assert quoting.split("a b#c # d", sh=True) == ["a", "b#c"]
    assert quoting.split("a # d", sh=False) == ["a", "#", "d"]


def test_a_quote_that_is_not_closed_is_named():
    with pytest.raises(quoting.QuotingError, match='has a " that is not closed'):
        quoting.split('a "b', sh=True)


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("$A", "1"),
        ("${A}x$LONG_2", "1xtwo words"),
        ('"$A"', "1"),
        ("'$A'", "$A"),
        (r"\$A", "$A"),
        (r'"\$A\q\\"', r"$A\q" + "\\"),
        ('a"it\'s"b', "ait'sb"),
        ("[$NONE]", "[]"),
        ("${NONE:-other}${A:-other}", "other1"),
        ("${A:+yes}${NONE:+yes}", "yes"),
    ],
)
@pytest.mark.parametrize("sh", [True, False])
def test_quotes_go_and_values_come_in(word, wanted, sh):
    assert quoting.expand(word, KNOWN, sh=sh) == wanted


@pytest.mark.parametrize("word", ["$(id)", "`id`", '"`id`"', "a;b", "a|b", "${A%x}", "${A:-$B}", "$1", "a>b"])
def test_what_a_shell_would_have_to_do_is_refused(word):
    with pytest.raises(quoting.QuotingError):
        quoting.expand(word, KNOWN, sh=True)


def test_outside_a_shell_operators_are_letters_like_others():
    assert quoting.expand("a;b|c`d$", KNOWN, sh=False) == "a;b|c`d$"


def test_a_form_that_is_not_known_is_refused_outside_a_shell_too():
    with pytest.raises(quoting.QuotingError, match="only"):
        quoting.expand("${A%x}", KNOWN, sh=False)


def test_an_escaped_backtick_is_a_letter_in_a_shell_s_quotes():
    assert quoting.expand(r'"\`"', {}, sh=True) == "`"


def test_the_variables_of_a_word_are_named():
    assert quoting.names("$A-${B:-c}") == {"A", "B"}
