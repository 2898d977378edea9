import bz2
import gzip
import lzma
import shutil
import subprocess

import pytest

from sciflow.containers import inflate
from sciflow.errors import SurroundingsError
from tests.containers import layering

DATA = layering.layer("a", "b")
needs_zstd = pytest.mark.skipif(not shutil.which("zstd"), reason="zstd is not installed")


def _zstd(data):
    return subprocess.run(["zstd", "-q", "-c"], input=data, capture_output=True, check=True).stdout


def _inflated(tmp_path, data, *, limit=1 << 20):
    (tmp_path / "packed").write_bytes(data)
    found = inflate.inflate(tmp_path / "packed", tmp_path / "plain", name="layer 1", limit=limit)
    return found, (tmp_path / "plain").read_bytes()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, pytest.param(_zstd, marks=needs_zstd)])
def test_the_plain_tar_comes_out_with_its_digest(tmp_path, pack):
    assert _inflated(tmp_path, pack(DATA)) == ((layering.digest(DATA), len(DATA)), DATA)


def test_gzip_in_several_pieces_is_one_tar(tmp_path):
    assert _inflated(tmp_path, gzip.compress(DATA[:700]) + gzip.compress(DATA[700:]))[1] == DATA


@pytest.mark.parametrize("pack", [gzip.compress, pytest.param(_zstd, marks=needs_zstd)])
def test_a_bomb_is_refused_before_it_fills_the_disk(tmp_path, pack):
    with pytest.raises(SurroundingsError, match=r"layer 1, of [0-9]+ bytes, grows beyond 1048576 bytes"):
        _inflated(tmp_path, pack(bytes(64 << 20)))
    assert (tmp_path / "plain").stat().st_size <= 1 << 20


@pytest.mark.parametrize("pack", [gzip.compress, pytest.param(_zstd, marks=needs_zstd)])
@pytest.mark.parametrize("spoil", [lambda data: data[:-9], lambda data: data[:20] + b"\xff\xff\xff" + data[23:]])
def test_a_damaged_layer_is_refused(tmp_path, pack, spoil):
    with pytest.raises(SurroundingsError, match="layer 1 is damaged"):
        _inflated(tmp_path, spoil(pack(DATA * 10)))


@pytest.mark.parametrize(("pack", "name"), [(bz2.compress, "bzip2"), (lzma.compress, "xz")])
def test_a_compression_that_images_do_not_use_is_named(tmp_path, pack, name):
    with pytest.raises(SurroundingsError, match=f"layer 1 is compressed with {name}"):
        _inflated(tmp_path, pack(DATA))


@needs_zstd
def test_without_zstd_the_message_says_what_to_install(tmp_path, monkeypatch):
    packed = _zstd(DATA)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match=r"compressed with zstd, and `zstd` is not on PATH\n.*install zstd"):
        _inflated(tmp_path, packed)


def test_layers_grow_as_far_as_honest_ones_do():
    assert inflate.most(10) == inflate.ALWAYS_ALLOWED
    assert inflate.most(1 << 30) == 200 << 30
    assert inflate.most(1 << 50) == inflate.MOST
