import errno
import hashlib

import pytest

from sciflow.containers import cache
from sciflow.errors import SurroundingsError

WORDS = b"some content"
DIGEST = "sha256:" + hashlib.sha256(WORDS).hexdigest()


def _keep(data=WORDS):
    with cache.workshop() as folder:
        (folder / "x").write_bytes(data)
        return cache.keep(folder / "x")


def test_content_is_kept_under_its_digest(own_cache):
    assert _keep() == DIGEST
    assert cache.held(DIGEST).read_bytes() == WORDS


def test_kept_content_is_read_only(own_cache):
    _keep()
    assert cache.place(DIGEST).stat().st_mode & 0o777 == 0o444


def test_content_that_is_there_may_be_kept_again(own_cache):
    assert _keep() == _keep()


def test_what_is_not_there_is_not_held(own_cache):
    assert cache.held(DIGEST) is None


def test_spoilt_content_is_not_held_and_goes_away(own_cache):
    _keep()
    cache.place(DIGEST).unlink()
    cache.place(DIGEST).write_bytes(b"some kontent")
    assert cache.held(DIGEST) is None
    assert not cache.place(DIGEST).exists()


def _cut_off():
    with cache.workshop() as folder:
        (folder / "half").write_bytes(b"ha")
        raise KeyboardInterrupt


def test_work_that_is_cut_off_leaves_nothing(own_cache):
    with pytest.raises(KeyboardInterrupt):
        _cut_off()
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def test_a_full_disk_is_a_fault_of_the_surroundings(own_cache):
    with pytest.raises(SurroundingsError, match=r"No space left.*\n.*SCIFLOW_CACHE"), cache.workshop():
        raise OSError(errno.ENOSPC, "No space left on device", "image.sqfs")


def test_a_cache_that_is_a_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "file"))
    with pytest.raises(SurroundingsError, match=r"file/making` in the cache cannot be used"), cache.workshop():
        pass
