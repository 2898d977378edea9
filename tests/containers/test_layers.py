import json
import os
import subprocess
import sys

import pytest

from sciflow.containers import cache, layers, receive, reference, registry
from sciflow.errors import SurroundingsError
from tests.containers import layering, serving

DATA = bytes(range(256)) * 20_000  # 5 MB: several pieces
PIECE = layers.Piece(digest=layering.digest(DATA), size=len(DATA))
BLOB = f"a/b/blobs/{PIECE.digest}"


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(receive, "PAUSE_S", 0.01)


@pytest.fixture
def served(registry, own_cache):
    registry.served[BLOB] = DATA
    return registry


def _pull(name, piece=PIECE, progress=print):
    conversation = registry.Conversation(reference.parse(f"docker://{name}/a/b:1"))
    return layers.pull(conversation, piece, "layer 1 of 2", progress=progress)


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_layer_is_kept_under_its_digest(served):
    assert _pull(served.name) == cache.place(PIECE.digest)
    assert cache.held(PIECE.digest).read_bytes() == DATA


def test_a_layer_that_is_there_is_not_asked_for(served):
    _pull(served.name)
    served.seen.clear()
    _pull(served.name)
    assert served.seen == []


def test_what_is_pulled_is_told(served):
    told = []
    _pull(served.name, progress=told.append)
    assert told == [f"pulling layer 1 of 2 of {served.name}/a/b:1"]


def test_a_spoilt_layer_of_the_cache_is_pulled_anew(served):
    _pull(served.name)
    cache.place(PIECE.digest).chmod(0o644)
    cache.place(PIECE.digest).write_bytes(b"spoilt")
    assert _pull(served.name).read_bytes() == DATA


def test_a_layer_that_was_cut_off_goes_on_where_it_was(served):
    served.faults[BLOB] = [serving.cut_off(3_000_000), serving.the_rest]
    assert _pull(served.name).read_bytes() == DATA
    assert served.ranges == [3_000_000]


def test_a_registry_that_cannot_go_on_begins_again(served):
    served.faults[BLOB] = [serving.cut_off(3_000_000), serving.whole]
    assert _pull(served.name).read_bytes() == DATA


@pytest.mark.parametrize("fault", [serving.status(503), serving.status(429), serving.cut_off(0)])
def test_a_fault_that_passes_is_waited_for(served, fault):
    served.faults[BLOB] = [fault]
    told = []
    assert _pull(served.name, progress=told.append).read_bytes() == DATA
    assert "asking again for the rest" in told[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (serving.cut_off(1000), "it was cut off after 1000 of 5120000 bytes"),
        (serving.status(500), "it answered with HTTP status 500"),
    ],
)
def test_a_fault_that_stays_is_named_and_leaves_nothing(served, own_cache, fault, words):
    served.faults[BLOB] = [fault] * 10
    with pytest.raises(SurroundingsError, match=f"layer 1 of 2 of `.*` did not come whole in 4 goes: {words}"):
        _pull(served.name)
    assert _files(own_cache) == []


def test_a_registry_that_falls_silent_is_not_waited_for_for_ever(served, monkeypatch):
    monkeypatch.setattr(registry, "TIMEOUT_S", 0.2)
    served.faults[BLOB] = [serving.silence(0.6)] * 10
    with pytest.raises(SurroundingsError, match=r"did not come whole in 4 goes: it sent nothing for 0.2 s"):
        _pull(served.name)


@pytest.mark.parametrize("body", [DATA[:-1] + b"x", bytes(len(DATA))])
def test_other_bytes_under_a_digest_are_refused_and_leave_nothing(served, own_cache, body):
    served.faults[BLOB] = [serving.other(body)]
    with pytest.raises(SurroundingsError, match=f"{PIECE.digest}, with content of {layering.digest(body)}"):
        _pull(served.name)
    assert _files(own_cache) == []


def test_more_bytes_than_the_manifest_says_are_not_taken(served, own_cache):
    served.faults[BLOB] = [serving.other(DATA * 2)]
    with pytest.raises(SurroundingsError, match="sends more than the 5120000 bytes of layer 1"):
        _pull(served.name)
    assert _files(own_cache) == []


def test_a_layer_that_is_gone_is_named(served):
    del served.served[BLOB]
    with pytest.raises(SurroundingsError, match=f"no longer has the piece {PIECE.digest} of `.*/a/b:1`"):
        _pull(served.name)


def test_a_redirect_in_a_circle_is_left(served):
    served.faults[BLOB] = [serving.circle] * 50
    with pytest.raises(SurroundingsError, match="from place to place without end"):
        _pull(served.name)


def test_a_layer_that_needs_a_login_says_so(served):
    served.challenge, served.wanted = 'Basic realm="here"', "nobody has it"
    with pytest.raises(SurroundingsError, match="without a login"):
        _pull(served.name)


PULL = (
    "import sys\n"
    "from sciflow.containers import layers, reference, registry\n"
    "name, digest, size = sys.argv[1:]\n"
    "conversation = registry.Conversation(reference.parse(name))\n"
    "print(layers.pull(conversation, layers.Piece(digest=digest, size=int(size)), 'x', progress=lambda _: None))\n"
)


def test_processes_that_pull_the_same_layer_at_once_all_have_it(served, own_cache):
    words = [sys.executable, "-c", PULL, f"docker://{served.name}/a/b:1", PIECE.digest, str(PIECE.size)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    assert [process.communicate()[0].strip() for process in started] == [str(cache.place(PIECE.digest))] * 4
    assert _files(own_cache) == [cache.place(PIECE.digest)]
    assert cache.held(PIECE.digest)


@pytest.mark.parametrize(
    "manifest",
    [
        {"blobs": []},
        {"layers": [], "config": "x"},
        {"layers": [{}] * 501, "config": {"digest": PIECE.digest, "size": 1}},
    ],
)
def test_what_has_no_layers_is_no_image(manifest):
    with pytest.raises(SurroundingsError, match="`x` is not an image: its manifest has no layers"):
        layers.pieces(json.dumps(manifest).encode(), "x")


@pytest.mark.parametrize(
    "piece", [{}, {"digest": "sha256:../../etc", "size": 1}, {"digest": PIECE.digest, "size": -1}, "x", {"size": 1}]
)
def test_a_piece_without_digest_and_size_is_refused(piece):
    manifest = {"layers": [piece], "config": {"digest": PIECE.digest, "size": 1}}
    with pytest.raises(SurroundingsError, match="a piece of it has no SHA-256 digest and size"):
        layers.pieces(json.dumps(manifest).encode(), "x")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"a"', b"\xff", b"[" * 100_000])
def test_a_page_that_is_no_manifest_is_told_from_one(body):
    with pytest.raises(SurroundingsError, match="the answer is something that is no manifest"):
        layers.document(body, "the answer")


def test_a_config_that_is_none_is_refused():
    manifest = {"layers": [], "config": {"digest": PIECE.digest, "size": 1 << 40}}
    with pytest.raises(SurroundingsError, match="its config has 1099511627776 bytes"):
        layers.gather(json.dumps(manifest).encode(), "x", None)
