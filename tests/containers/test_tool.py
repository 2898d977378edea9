import pytest

from sciflow.containers import tool


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo apptainer version 1.4.5", "1.4.5"),
        ("echo mksquashfs version 4.5.1-2 '(2022/03/17)' >&2; exit 1", "4.5.1"),
        ("echo no number", ""),
    ],
)
def test_a_version_is_the_first_number_with_dots(script, version):
    assert tool.version("sh", "-c", script) == version


def test_a_program_that_is_absent_is_told_from_one_that_says_nothing():
    with pytest.raises(FileNotFoundError):
        tool.version("sciflow-no-such-program", "--version")
