from sciflow.workflow import places
from sciflow.workflow.faults import Faults, escaped, likely, quoted, shown

TEXT = '[a]\nb = "some text"\nc = ["x", "y"]\nd = "es\\\\caped text"\n'


def told(add):
    faults = Faults("w.toml", places.parse(TEXT))
    add(faults)
    return [(fault.line, fault.column, fault.text) for fault in faults.found.values()]


def test_a_fault_of_a_key_is_told_at_the_key():
    assert told(lambda faults: faults.key(("a", "b"), "no")) == [(2, 1, "no")]


def test_a_fault_of_a_value_is_told_at_the_value():
    assert told(lambda faults: faults.value(("a", "b"), "no")) == [(2, 5, "no")]


def test_a_fault_within_a_text_is_told_at_its_character():
    assert told(lambda faults: faults.value(("a", "b"), "no", offset=6)) == [(2, 11, "no")]


def test_a_fault_after_an_escape_is_told_where_the_text_begins():
    line = told(lambda faults: faults.value(("a", "d"), "no", offset=6))[0]
    assert line[0] == 4


def test_what_is_missing_is_told_at_its_table():
    assert told(lambda faults: faults.key(("a", "e", "f"), "no")) == [(1, 2, "no")]


def test_what_has_no_table_either_is_told_of_the_file():
    assert told(lambda faults: faults.key(("z",), "no")) == [(0, 0, "no")]


def test_the_same_fault_is_kept_once():
    assert len(told(lambda faults: [faults.key(("a",), "no"), faults.key(("a",), "no")])) == 1


def test_a_fault_below_a_path_is_known_of():
    faults = Faults("w.toml", places.parse(TEXT))
    faults.value(("a", "c", 1), "no")
    assert faults.has(("a",))
    assert not faults.has(("a", "b"))


def test_control_and_invisible_characters_are_escaped():
    assert escaped("a\x1b[31m\u202e\u200b\n") == "a\\x1b[31m\\u202e\\u200b\\n"


def test_letters_of_other_languages_are_not():
    assert escaped("größe 温度") == "größe 温度"


def test_long_texts_are_cut():
    assert len(shown("x" * 1000)) == 60


def test_true_and_lists_are_shown_as_toml_writes_them():
    assert shown([True, 1, "a"]) == "[true, 1, a]"


def test_many_names_are_cut():
    assert quoted(map(str, range(100))).endswith("`15`, …")


def test_the_likely_name_is_asked_for_first():
    assert likely("trian", ["train", "score"], what="tasks").startswith("did you mean `train`?")


def test_without_a_likeness_the_names_are_listed():
    assert likely("zzz", ["train"], what="tasks") == "the tasks are `train`"
