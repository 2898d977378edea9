from sciflow.workflow.order import order


def test_each_follows_what_it_needs():
    assert order({"a": ["b"], "b": ["c"], "c": []}) == (("c", "b", "a"), ())


def test_the_order_of_the_file_is_kept_where_it_can_be():
    assert order({"a": [], "b": ["d"], "c": [], "d": []})[0] == ("a", "c", "d", "b")


def test_a_circle_begins_with_its_first_in_the_file():
    assert order({"x": ["c"], "a": ["b"], "b": ["c"], "c": ["a"]})[1] == (("a", "b", "c"),)


def test_all_circles_are_found():
    assert order({"a": ["b"], "b": ["a"], "c": ["c"], "d": []})[1] == (("a", "b"), ("c",))


def test_all_names_are_in_the_order_though_there_is_a_circle():
    assert sorted(order({"a": ["b"], "b": ["a"], "c": ["a"]})[0]) == ["a", "b", "c"]


def test_needs_that_are_no_names_are_left_out():
    assert order({"a": ["elsewhere"]}) == (("a",), ())
