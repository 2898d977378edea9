"""Bundles made fat, and images made present: only whole and checked, and what is missing is named."""

import pytest

from sciflow import api
from sciflow.containers import cache, sif
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names
from tests import small


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def thin(tmp_path, own_cache):
    return small.with_image(tmp_path / "study")


@pytest.fixture
def digest(thin, tmp_path):
    return f"sha256:{small.digest(tmp_path / 'study' / 'tool.sqfs')}"


def carried(bundle, digest):
    return bundle / "carried" / "sha256" / digest[7:]


def test_fetch_says_which_engine_is_ready(tmp_path):
    assert api.fetch(small.compiled(tmp_path), engine="host") == "host"


def test_carry_leaves_a_bundle_without_an_image_as_it_is(tmp_path):
    bundle = small.compiled(tmp_path)
    before = small.contents(bundle)
    assert (api.carry(bundle), small.contents(bundle)) == ((), before)


def test_carry_puts_the_image_into_the_bundle(thin, digest, tmp_path):
    (one,) = api.carry(thin)
    assert (one.digest, one.size, one.new) == (digest, 100, True)
    assert carried(thin, digest).read_bytes() == (tmp_path / "study" / "tool.sqfs").read_bytes()


def test_a_fat_bundle_has_the_id_of_the_thin_one_and_is_verified(thin):
    before = names.digest_file(thin / "manifest.json")
    api.carry(thin)
    assert (names.digest_file(thin / "manifest.json"), api.verify(thin).code) == (before, 0)


def test_carry_leaves_nothing_beside_what_it_carries(thin, digest):
    before = set(small.contents(thin))
    api.carry(thin)
    assert set(small.contents(thin)) - before == {"carried", "carried/sha256", f"carried/sha256/{digest[7:]}"}


def test_what_is_carried_already_is_not_new(thin):
    api.carry(thin)
    assert [one.new for one in api.carry(thin)] == [False]


def test_what_is_carried_and_spoilt_is_replaced(thin, digest):
    api.carry(thin)
    carried(thin, digest).write_bytes(b"spoilt")
    assert [one.new for one in api.carry(thin)] == [True]
    assert api.verify(thin).code == 0


def test_spoilt_content_of_the_cache_is_not_carried(thin, digest):
    place = cache.place(digest)
    place.chmod(0o644)
    place.write_bytes(b"spoilt")
    with pytest.raises(SurroundingsError, match="lacks its image"):
        api.carry(thin)
    assert not (thin / "carried").exists()


def test_only_what_one_engine_needs_is_carried_where_one_is_named(thin):
    assert api.carry(thin, engine="host") == ()


def test_an_engine_that_the_bundle_does_not_know_is_refused_with_those_it_knows(thin):
    with pytest.raises(SurroundingsError, match="cannot run in `steam`") as caught:
        api.carry(thin, engine="steam")
    assert "apptainer" in caught.value.hint


VERBS = {
    "carry": api.carry,
    "fetch": lambda bundle: api.fetch(bundle, engine="apptainer"),
    "run": lambda bundle: api.run(bundle, engine="apptainer"),
}


@pytest.mark.live("apptainer")
@pytest.mark.parametrize("verb", VERBS)
def test_what_is_missing_is_named_with_where_it_was_looked_for_and_why_it_cannot_be_had(thin, digest, verb):
    cache.place(digest).unlink()
    with pytest.raises(SurroundingsError) as caught:
        VERBS[verb](thin)
    text = str(caught.value)
    assert "the image file `tool.sqfs`" in text
    assert f"{digest} for apptainer" in text
    assert f"there is no `{carried(thin, digest)}` and no `{cache.place(digest)}`" in text
    assert "`sciflow fetch` on this bundle where it can be had" in text


@pytest.mark.live("apptainer")
def test_a_fat_bundle_needs_no_cache(thin, digest):
    api.carry(thin)
    cache.place(digest).unlink()
    assert api.fetch(thin, engine="apptainer") == "apptainer"


def test_a_bundle_that_may_not_be_written_stays_thin_and_whole(thin):
    (thin / "runs").write_text("a file where a folder is wanted")
    with pytest.raises(OSError, match="runs"):
        api.carry(thin)
    assert not (thin / "carried").exists()


def test_a_run_that_begins_meanwhile_keeps_its_folder(thin, own_cache):
    (thin / "runs" / "main").mkdir(parents=True)
    api.carry(thin)
    assert [path.name for path in (thin / "runs").iterdir()] == ["main"]


def test_an_image_is_wrapped_into_a_sif_that_is_whole_or_absent(thin, tmp_path):
    assert api.wrap(thin, tmp_path / "tool.sif") == tmp_path / "tool.sif"
    start, size = sif.root(tmp_path / "tool.sif")
    assert (tmp_path / "tool.sif").read_bytes()[start : start + size] == (tmp_path / "study" / "tool.sqfs").read_bytes()
    with pytest.raises(SurroundingsError, match="cannot be written"):
        api.wrap(thin, tmp_path / "nowhere" / "tool.sif")


def test_a_sif_is_taken_as_it_is(thin, tmp_path):
    api.wrap(thin, tmp_path / "study" / "tool.sqfs")
    again = api.compile(tmp_path / "study" / "workflow.toml", into=tmp_path / "again")
    api.wrap(again.path, tmp_path / "tool.sif")
    assert (tmp_path / "tool.sif").read_bytes() == (tmp_path / "study" / "tool.sqfs").read_bytes()


def test_a_bundle_without_an_image_has_no_sif(tmp_path):
    with pytest.raises(UsageError, match="has no image"):
        api.wrap(small.compiled(tmp_path), tmp_path / "tool.sif")
