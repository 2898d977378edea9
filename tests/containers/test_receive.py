import urllib.request

import pytest

from sciflow.containers import receive
from sciflow.errors import SurroundingsError
from tests.containers import layering, serving

DATA = bytes(range(256)) * 20_000


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(receive, "PAUSE_S", 0.01)


@pytest.fixture
def served(registry):
    registry.served["/thing"] = DATA
    return registry


def _receive(server, part, *, size=None, fixed=False, told=()):
    def ask(headers):
        return urllib.request.urlopen(urllib.request.Request(f"http://{server.name}/thing", headers=headers), timeout=5)

    wanted = receive.Wanted(what="the thing", sender="the server", size=size, fixed=fixed, silence_s=5)
    progress = told.append if isinstance(told, list) else print
    return receive.receive(
        ask, part, wanted, refused=lambda error: SurroundingsError(f"status {error.code}"), progress=progress
    )


def _cut_off(at, tag):
    def answer(handler, body):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(body[:at])

    return answer


def test_what_comes_is_written_and_its_digest_returned(served, tmp_path):
    assert "sha256:" + _receive(served, tmp_path / "x") == layering.digest(DATA)
    assert (tmp_path / "x").read_bytes() == DATA


def test_of_a_thing_with_a_tag_the_rest_is_asked_for(served, tmp_path):
    served.faults["/thing"] = [_cut_off(3_000_000, '"a"'), serving.the_rest]
    told = []
    assert "sha256:" + _receive(served, tmp_path / "x", told=told) == layering.digest(DATA)
    assert served.ranges == [3_000_000]
    assert told == ["the thing: it was cut off after 3000000 of 5120000 bytes; asking again for the rest"]


@pytest.mark.parametrize("tag", ['W/"a"', ""])
def test_of_a_thing_that_may_be_another_by_now_all_is_asked_for_again(served, tmp_path, tag):
    served.faults["/thing"] = [_cut_off(3_000_000, tag)]
    assert "sha256:" + _receive(served, tmp_path / "x") == layering.digest(DATA)
    assert served.ranges == []


def test_of_a_thing_whose_digest_is_known_any_rest_will_do(served, tmp_path):
    served.faults["/thing"] = [_cut_off(3_000_000, ""), serving.the_rest]
    assert "sha256:" + _receive(served, tmp_path / "x", fixed=True) == layering.digest(DATA)
    assert served.ranges == [3_000_000]


def test_what_ends_before_its_size_is_not_taken(served, tmp_path):
    with pytest.raises(SurroundingsError, match="it was cut off after 5120000 of 5120001 bytes"):
        _receive(served, tmp_path / "x", size=len(DATA) + 1)


def test_what_goes_on_beyond_its_size_is_not_taken(served, tmp_path):
    with pytest.raises(SurroundingsError, match="the server sends more than the 9 bytes of the thing"):
        _receive(served, tmp_path / "x", size=9)


def test_an_answer_that_no_other_try_betters_is_refused_at_once(served, tmp_path):
    served.faults["/thing"] = [serving.status(404)]
    with pytest.raises(SurroundingsError, match="status 404"):
        _receive(served, tmp_path / "x")


def test_a_server_that_is_gone_is_asked_four_times(served, tmp_path):
    served.faults["/thing"] = [serving.status(503)] * 4
    told = []
    with pytest.raises(SurroundingsError, match="did not come whole in 4 goes: it answered with HTTP status 503"):
        _receive(served, tmp_path / "x", told=told)
    assert len(told) == 3
