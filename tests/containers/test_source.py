"""Every source of images is a module with the same names, as the key of the workflow's section says."""

import pytest

from sciflow.containers import definition, dockerfile, oci, sources
from sciflow.workflow.image import SOURCES

ALL = {**sources.SOURCES, "from": oci, "definition": definition, "dockerfile": dockerfile}


def test_there_is_a_module_for_each_key_of_the_section():
    assert set(ALL) == set(SOURCES)


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_source_has_the_names_that_all_have(name):
    assert name == ALL[name].NAME
    assert all(callable(getattr(ALL[name], verb)) for verb in ("files", "fits", "lay", "recipe"))
