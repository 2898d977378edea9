import dataclasses
from pathlib import Path

import pytest

from sciflow.workflow import spec

NOUNS = [one for one in vars(spec).values() if dataclasses.is_dataclass(one)]


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_is_frozen_and_keyword_only(noun):
    assert noun.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(noun))


def test_workflows_that_mean_the_same_are_equal_wherever_they_were_read_from():
    source = spec.Source(file=Path("a.toml"), text="", places={})
    assert spec.Workflow(name="a", source=source) == spec.Workflow(name="a")


def test_workflows_can_be_keys():
    assert len({spec.Workflow(name="a"), spec.Workflow(name="a")}) == 1
