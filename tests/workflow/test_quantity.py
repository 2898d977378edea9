import pytest

from sciflow.workflow import quantity


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("8 GiB", 8192),
        ("512 MiB", 512),
        ("1.5 GiB", 1536),
        ("500 MB", 477),
        ("1 B", 1),
        ("2GB", 1908),
        ("1 TiB", 2**20),
    ],
)
def test_memory_is_rounded_up_to_mebibytes(text, mib):
    assert quantity.mebibytes(text) == mib


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1h30m", 5400), ("1d", 86_400), ("45s", 45), ("1d2h3m4s", 93_784)],
)
def test_times_are_in_seconds(text, seconds):
    assert quantity.seconds(text) == seconds
