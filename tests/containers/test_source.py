"""Every source of images is a module with the same names, as the key of the workflow's section says."""

import pytest

from sciflow.containers import sources
from sciflow.workflow.image import SOURCES


def test_there_is_a_module_for_each_key_of_the_section():
    assert set(sources.ROOMS) == set(SOURCES)


@pytest.mark.parametrize("name", sorted(sources.ROOMS))
def test_a_source_has_the_names_that_all_have(name):
    found = sources.source_of(name)
    assert name == found.NAME
    assert all(callable(getattr(found, verb)) for verb in ("files", "fits", "lay", "recipe"))
