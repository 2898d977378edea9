"""Files are written whole or not at all."""

import pytest

from sciflow.api.whole import replace
from sciflow.errors import SurroundingsError


def test_a_text_stands_where_it_should_and_nothing_beside_it(tmp_path):
    (tmp_path / "a").write_text("old")
    replace(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_place_that_cannot_be_written_is_named_and_left_as_it_is(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(SurroundingsError, match="cannot be written"):
        replace(tmp_path / "a", "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
