"""The commands about the cache."""

import json
import os
import time

import pytest

from sciflow.containers import cache
from tests import small


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Keep one piece of content in a cache of the test's own, last used 40 days ago; return its digest."""
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    with cache.workshop() as folder:
        (folder / "x").write_bytes(b"hsqs" + b"\0" * 4092)
        kept = cache.keep(folder / "x")
    then = time.time() - 40 * 86400
    os.utime(cache.place(kept), (then, then))
    return kept


def test_ls_shows_digest_kind_size_and_last_use(digest, tmp_path):
    head, item, last = small.sciflow("cache", "ls").stdout.splitlines()
    assert head.split() == ["digest", "kind", "size", "unused"]
    assert item.split() == [digest[7:19], "squashfs", "4.1", "kB", "40.0", "d"]
    assert last == f"1 items, 4.1 kB, in {tmp_path / 'cache'}"


def test_ls_of_an_empty_cache_says_so(tmp_path):
    assert small.sciflow("cache", "ls", SCIFLOW_CACHE=tmp_path).stdout == f"0 items, 0 B, in {tmp_path}\n"


def test_ls_tells_programs_the_whole_of_it(digest):
    (item,) = json.loads(small.sciflow("cache", "ls", "--json").stdout)["items"]
    assert (item["digest"], item["size"], item["bundles"]) == (digest, 4096, [])


def test_gc_says_what_it_would_do_and_does_not_do_it(digest):
    found = small.sciflow("cache", "gc", "--dry-run")
    assert (found.returncode, found.stdout) == (0, "would free 4.1 kB: 1 items; 0 stay\n")
    assert found.stderr == f"would remove {digest[7:19]} squashfs 4.1 kB\n"
    assert cache.held(digest)


def test_gc_removes_what_is_old(digest):
    assert small.sciflow("cache", "gc").stdout == "freed 4.1 kB: 1 items; 0 stay\n"
    assert cache.held(digest) is None


def test_gc_keeps_what_is_not_that_old(digest):
    assert small.sciflow("cache", "gc", "--older", "41").stdout == "freed 0 B: 0 items; 1 stay\n"


def test_gc_tells_programs_what_went(digest):
    found = json.loads(small.sciflow("cache", "gc", "--json").stdout)
    assert ([item["digest"] for item in found["removed"]], found["freed"], found["kept"]) == ([digest], 4096, 0)


def test_a_negative_age_is_refused():
    assert small.sciflow("cache", "gc", "--older", "-1").returncode == 2
