"""The stand-in is tried by the tests of the workbench, whole."""

from sciflow.containers import lower


def test_it_lays_what_is_below():
    assert lower.lay.__doc__
