"""The cache by the api: which bundles name what, and how old is old."""

import os
import time

import pytest

from sciflow import api
from sciflow.containers import cache
from sciflow.errors import SurroundingsError
from tests import small


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Make a bundle of the small study with an image file, which compiling puts into a cache of the test's own."""
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    bundle = small.with_image(tmp_path / "study")
    return bundle, f"sha256:{small.digest(tmp_path / 'study' / 'tool.sqfs')}"


def test_an_image_of_a_bundle_is_listed_with_the_bundle(study, tmp_path):
    bundle, digest = study
    assert [(item.digest, item.bundles) for item in api.cache_ls(tmp_path)] == [(digest, (str(bundle),))]


def test_the_folder_may_be_the_bundle_itself(study):
    bundle, _ = study
    assert api.cache_ls(bundle)[0].bundles == (str(bundle),)


def test_without_a_folder_no_bundle_is_looked_for(study):
    assert api.cache_ls()[0].bundles == ()


def test_what_no_bundle_there_names_has_none(study, tmp_path):
    (tmp_path / "empty").mkdir()
    assert api.cache_ls(tmp_path / "empty")[0].bundles == ()


def test_a_folder_that_is_none_is_refused(study, tmp_path):
    with pytest.raises(SurroundingsError, match=r"nowhere` is not a folder"):
        api.cache_ls(tmp_path / "nowhere")


def test_what_was_just_compiled_is_not_removed(study):
    assert (api.cache_gc().removed, api.cache_gc().kept) == ((), 1)


def test_days_are_counted_in_days(study):
    path, then = cache.place(study[1]), time.time() - 2 * 86400
    os.utime(path, (then, then))
    assert (len(api.cache_gc(older_days=2.1).removed), len(api.cache_gc(older_days=1.9).removed)) == (0, 1)
