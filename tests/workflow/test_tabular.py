"""Files of values: what their cells are, and what is wrong with those that cannot be used."""

from pathlib import Path

import polars as pl
import pytest

from sciflow.errors import WorkflowError
from sciflow.results.table import cells
from sciflow.workflow import load, tabular
from tests.workflow.studies import HEAD


@pytest.fixture
def table(tmp_path):
    """Return what reads columns of a CSV of these bytes, or of this text."""

    def read(content, *wanted):
        file = tmp_path / "d.csv"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tabular.read(file, wanted=wanted or ("a", "b"))

    return read


def refused(table, content, *wanted):
    with pytest.raises(tabular.TabularError) as caught:
        table(content, *wanted)
    return caught.value.text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["1", "-2", "+3"], [1, -2, 3]),
        (["1", "2.5"], [1.0, 2.5]),
        ([".5", "1.", "1e3", "-1E-2"], [0.5, 1.0, 1000.0, -0.01]),
        (["true", "False"], [True, False]),
        (["1", "x"], ["1", "x"]),
        (["1", "true"], ["1", "true"]),
        (["nan", "1"], ["nan", "1"]),
        (["1e999", "1"], ["1e999", "1"]),
        (["1_000"], ["1_000"]),
        (["0x10"], ["0x10"]),
        (["é 漢"], ["é 漢"]),
    ],
)
def test_a_column_is_of_the_narrowest_kind_that_holds_all_its_cells(table, written, read):
    found = table("a\n" + "\n".join(written) + "\n")["a"]
    assert found == read
    assert [type(value) for value in found] == [type(value) for value in read]


def test_a_whole_number_of_more_digits_than_64_bits_hold_is_a_fraction(table):
    assert table("a\n12345678901234567890\n")["a"] == [1.2345678901234567e19]


def test_columns_stand_in_the_order_of_the_file(table):
    assert list(table("b,a\n1,2\n")) == ["b", "a"]


def test_a_column_that_is_not_wanted_is_not_read(table):
    assert table("a,b\n1,2\n", "a") == {"a": [1], "b": []}


def test_the_mark_of_windows_at_the_beginning_is_no_part_of_the_first_name(table):
    assert table(b"\xef\xbb\xbfa\r\n1\r\n") == {"a": [1]}


def test_a_quoted_cell_may_hold_commas_quotation_marks_and_line_ends(table):
    assert table('a,b\n"x, ""y""",1\n"p\nq",2\n') == {"a": ['x, "y"', "p\nq"], "b": [1, 2]}


def test_spaces_after_a_comma_are_no_part_of_a_cell(table):
    assert table("a, b\n1, 2\n") == {"a": [1], "b": [2]}


def test_empty_lines_are_no_rows(table):
    assert table("a\n1\n\n2\n\n") == {"a": [1, 2]}


def test_a_line_end_at_the_end_may_be_missing(table):
    assert table("a\n1") == {"a": [1]}


def test_a_file_of_names_alone_has_columns_without_cells(table):
    assert table("a,b\n") == {"a": [], "b": []}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "its first line is empty"),
        ("\n1\n", "its first line is empty"),
        ("a,a\n1,2\n", "does not name each column, once"),
        ("a,\n1,2\n", "does not name each column, once"),
        ("a,b\n1\n", "line 2 has cells for 1 columns, and the first names 2"),
        ("a,b\n1,2\n1,2,3\n", "line 3 has cells for 3 columns, and the first names 2"),
        ("a;b\n1;2\n", "its columns are parted by `;`"),
        ('a\n"x\n', "line 2 cannot be read: a quotation mark is never closed"),
        ('a\n"x"y\n', "line 2 cannot be read"),
        (b"a\n\xff\n", "it is not UTF-8"),
    ],
)
def test_a_file_that_is_no_table_is_refused(table, content, words):
    assert words in refused(table, content)


def test_a_row_is_counted_by_the_line_it_ends_on(table):
    assert "line 4 has" in refused(table, 'a,b\n"p\nq",1\n2\n')


def test_a_line_that_would_fill_the_memory_is_refused(table):
    assert "line 2 has more than" in refused(table, "a\n" + "x" * (tabular.MAX_LINE + 1))


def test_a_file_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "d.csv").open("wb") as stream:
        stream.truncate(tabular.MAX_BYTES + 1)
    with pytest.raises(tabular.TabularError, match="it has more than"):
        tabular.read(tmp_path / "d.csv", wanted=("a",))


def test_more_rows_than_points_may_be_are_refused(table):
    assert "more than 1,000,000 rows" in refused(table, "a,b\n" + "1,\n" * 1_000_001, "c")


def test_more_values_than_may_be_held_are_refused(table):
    names = [f"c{index}" for index in range(100)]
    row = ",".join("1" * 100)
    content = ",".join(names) + "\n" + (row + "\n") * 20_001
    assert "its 100 columns hold more than 2,000,000 values" in refused(table, content, *names)


def test_a_file_that_is_not_there_is_named_so(tmp_path):
    with pytest.raises(tabular.TabularError, match="there is no such file"):
        tabular.read(tmp_path / "d.csv", wanted=("a",))


def test_a_folder_is_no_table(tmp_path):
    (tmp_path / "d.csv").mkdir()
    with pytest.raises(tabular.TabularError, match="is a directory"):
        tabular.read(tmp_path / "d.csv", wanted=("a",))


COLUMNS = {"i": [1, 2], "f": [0.5, 1.0], "t": ["x", "é"], "b": [True, False]}


def parquet(folder, **columns):
    pl.DataFrame(columns).write_parquet(folder / "d.parquet")
    return folder / "d.parquet"


def workflow(folder, name):
    text = HEAD + f'[parameters]\n{name} = {{ from = "d.parquet" }}\n'
    return load.parse(text, file=folder / "w.toml", parquet=cells)


def test_parquet_cells_are_of_the_kind_of_their_column(tmp_path):
    found = tabular.read(parquet(tmp_path, **COLUMNS), cells, tuple(COLUMNS))
    assert found == COLUMNS
    assert [type(values[0]) for values in found.values()] == [int, float, str, bool]


@pytest.mark.parametrize(("name", "kind"), [("i", "int"), ("f", "float"), ("t", "text"), ("b", "bool")])
def test_a_parquet_column_is_a_parameter_of_its_kind(tmp_path, name, kind):
    parquet(tmp_path, **COLUMNS)
    (found,) = workflow(tmp_path, name).parameters
    assert (found.kind, list(found.values)) == (kind, COLUMNS[name])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, None], "row 2 of column `x` is empty"),
        (["x", None], "row 2 of column `x` is empty"),
        ([1.5, float("nan")], "row 2 of column `x` is nan"),
        ([[1], [2]], "row 1 of column `x` is neither a number nor a text"),
    ],
)
def test_a_parquet_cell_that_holds_no_value_is_refused_with_its_row(tmp_path, values, words):
    parquet(tmp_path, x=values)
    with pytest.raises(WorkflowError, match=words):
        workflow(tmp_path, "x")


def test_a_parquet_file_without_rows_is_refused(tmp_path):
    pl.DataFrame({"x": pl.Series([], dtype=pl.Int64)}).write_parquet(tmp_path / "d.parquet")
    with pytest.raises(WorkflowError, match=r"`d.parquet` has no rows"):
        workflow(tmp_path, "x")


def test_what_is_no_parquet_file_is_refused(tmp_path):
    (tmp_path / "d.parquet").write_text("a\n1\n")
    with pytest.raises(tabular.TabularError, match="it cannot be read"):
        tabular.read(tmp_path / "d.parquet", cells, ("a",))


def test_without_what_reads_parquet_such_a_file_is_refused(tmp_path):
    with pytest.raises(tabular.TabularError, match="parquet files are not read here"):
        tabular.read(parquet(tmp_path, a=[1]), wanted=("a",))


def test_columns_of_one_file_turn_together(tmp_path):
    (tmp_path / "d.csv").write_text("lr,depth\n0.1,1\n0.1,2\n")
    text = HEAD + '[parameters]\nk = [1, 2]\ndesign = { from = "d.csv", columns = ["lr", "depth"] }\n'
    found = load.parse(text, file=Path(tmp_path / "w.toml"))
    assert list(found.sweeps[0].points) == [(1, 0.1, 1), (1, 0.1, 2), (2, 0.1, 1), (2, 0.1, 2)]


def test_a_column_may_have_another_name_than_its_parameter(tmp_path):
    (tmp_path / "d.csv").write_text("learning rate\n0.1\n")
    text = HEAD + '[parameters]\nlr = { from = "d.csv", column = "learning rate" }\n'
    assert load.parse(text, file=tmp_path / "w.toml").parameters[0].values == (0.1,)
