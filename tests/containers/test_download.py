import base64
import ssl
import urllib.error
import urllib.request

import pytest

from sciflow.containers import cache, download, receive
from sciflow.errors import SurroundingsError
from tests.containers import serving, wheelwright

DATA = b"content " * 1000
SHA = wheelwright.digest(DATA)
OTHER = "0" * 64
LOGIN = "Basic " + base64.b64encode(b"me:pa:ss").decode()


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(receive, "PAUSE_S", 0.01)
    monkeypatch.delenv("NETRC", raising=False)


@pytest.fixture
def served(registry, own_cache):
    registry.served["/a"] = DATA
    return registry


def _fetch(url, **more):
    return download.fetch(url, what="the data", progress=more.pop("progress", print), **more)


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_content_is_kept_under_its_digest(served):
    told = []
    assert _fetch(f"http://{served.name}/a", progress=told.append) == (SHA, cache.place(SHA))
    assert cache.held(SHA).read_bytes() == DATA
    assert told == ["downloading the data"]


def test_what_the_cache_has_is_asked_of_nobody(served):
    _fetch(f"http://{served.name}/a")
    served.seen.clear()
    assert _fetch("http://127.0.0.1:9/gone", sha256=SHA) == (SHA, cache.place(SHA))
    assert served.seen == []


@pytest.mark.parametrize("sha256", [OTHER])
def test_other_content_than_its_digest_says_is_refused_and_leaves_nothing(served, own_cache, sha256):
    with pytest.raises(SurroundingsError, match=f"gave content of sha256:{SHA}, not sha256:{sha256}"):
        _fetch(f"http://{served.name}/a", sha256=sha256)
    assert _files(own_cache) == []


def test_more_than_its_size_is_not_taken(served, own_cache):
    with pytest.raises(SurroundingsError, match=r"`127.0.0.1` sends more than the 10 bytes of the data"):
        _fetch(f"http://{served.name}/a", size=10)
    assert _files(own_cache) == []


def test_what_was_cut_off_goes_on_where_it_was(served):
    served.faults["/a"] = [serving.cut_off(3000), serving.the_rest]
    assert _fetch(f"http://{served.name}/a", sha256=SHA)[0] == SHA
    assert served.ranges == [3000]


def test_a_server_that_falls_silent_is_named_and_leaves_nothing(served, own_cache, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT_S", 0.2)
    served.faults["/a"] = [serving.silence(0.6)] * 10
    with pytest.raises(SurroundingsError, match=r"the data did not come whole in 4 goes: it sent nothing for 0.2 s"):
        _fetch(f"http://{served.name}/a")
    assert _files(own_cache) == []


def test_a_server_that_is_gone_is_named(own_cache):
    with pytest.raises(SurroundingsError, match=r"the data did not come whole in 4 goes: .*refused"):
        _fetch("http://127.0.0.1:9/a")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, r"the data is not there: `http://127.0.0.1:\d+/a` answered with HTTP status 404"),
        (410, "the data is not there"),
        (401, r"`127.0.0.1` does not give the data without a login that may have it.*\n.*netrc"),
        (403, "without a login"),
        (400, "`127.0.0.1` answered the data with HTTP status 400"),
    ],
)
def test_what_a_server_answers_is_put_into_words(served, status, words):
    served.faults["/a"] = [serving.status(status)]
    with pytest.raises(SurroundingsError, match=words):
        _fetch(f"http://{served.name}/a")


def test_a_redirect_in_a_circle_is_left(served):
    served.faults["/a"] = [serving.circle] * 50
    with pytest.raises(SurroundingsError, match="from place to place without end"):
        _fetch(f"http://{served.name}/a")


def test_a_host_that_is_none_is_named(own_cache):
    with pytest.raises(SurroundingsError, match=r"there is no host `no-such-host\.example\.invalid`|goes: .*name"):
        _fetch("https://no-such-host.example.invalid/a")


def test_the_login_of_the_address_is_sent_and_not_told(served):
    served.challenge, served.wanted = 'Basic realm="here"', LOGIN
    assert _fetch(f"http://me:pa%3Ass@{served.name}/a")[0] == SHA
    served.wanted = "another"
    with pytest.raises(SurroundingsError) as found:
        _fetch(f"http://me:pa%3Ass@{served.name}/a")
    assert "pa" not in str(found.value).split("hint")[0].replace("password", "")


def test_the_login_of_netrc_is_sent(served, tmp_path, monkeypatch):
    served.challenge, served.wanted = 'Basic realm="here"', LOGIN
    (tmp_path / "logins").write_text("machine 127.0.0.1 login me password pa:ss\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "logins"))
    assert _fetch(f"http://{served.name}/a")[0] == SHA


def test_a_login_that_is_given_goes_before_others(served):
    served.challenge, served.wanted = 'Basic realm="here"', LOGIN
    assert _fetch(f"http://you:x@{served.name}/a", login="me:pa:ss")[0] == SHA


def test_netrc_s_logins_are_not_sent_in_the_clear_to_other_machines(tmp_path, monkeypatch):
    (tmp_path / "logins").write_text("machine other.example login me password pass\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "logins"))
    assert not download._kept("http://other.example/a")
    assert download._kept("https://other.example/a") == "me:pass"


def test_a_netrc_that_cannot_be_read_is_named(served, tmp_path, monkeypatch):
    (tmp_path / "logins").write_text("machin x\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "logins"))
    with pytest.raises(SurroundingsError, match=r"`.*logins` cannot be read for a login"):
        _fetch(f"http://{served.name}/a")


@pytest.mark.parametrize(
    ("url", "bare", "login"),
    [
        ("https://me:pw@example.org/a?b=c@d", "https://example.org/a?b=c@d", "me:pw"),
        ("https://example.org:8443/a@b", "https://example.org:8443/a@b", ""),
        ("https://token@example.org/", "https://example.org/", "token:"),
        ("file:///a@b", "file:///a@b", ""),
    ],
)
def test_an_address_is_told_without_its_login(url, bare, login):
    assert (download.bare(url), download.userinfo(url)) == (bare, login)


def test_a_file_of_this_machine_is_copied(tmp_path, own_cache):
    (tmp_path / "a b").write_bytes(DATA)
    assert _fetch((tmp_path / "a b").as_uri()) == (SHA, cache.place(SHA))
    assert (tmp_path / "a b").read_bytes() == DATA


def test_a_file_that_is_not_there_is_named(tmp_path, own_cache):
    with pytest.raises(SurroundingsError, match=r"the data cannot be had: `.*gone`: No such file"):
        _fetch((tmp_path / "gone").as_uri())


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://me:pw@example.org/a", "a/b", "https:///a", "file://elsewhere/a", "https://example.org/a b"),
        *("https://example.org/ä", "https://example.org/\n", "https://[::1/a", "http://example.org:99999/"),
    ],
)
def test_an_address_of_another_kind_is_refused(url, own_cache):
    with pytest.raises(SurroundingsError, match="is no address that sciflow reads") as found:
        _fetch(url)
    assert "pw" not in str(found.value)


class _Answer:
    url = "http://elsewhere.example/a"

    def close(self):
        pass


def test_a_way_that_leads_out_of_tls_is_not_gone(monkeypatch):
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: _Answer())
    with pytest.raises(SurroundingsError, match=r"leads from TLS to `http://elsewhere.example/a`"):
        download._opened("https://here.example/a", "the data", {}, {})


def test_a_certificate_that_nobody_vouches_for_is_a_fault_at_once(monkeypatch):
    why = ssl.SSLCertVerificationError()
    why.verify_message = "self-signed certificate"

    def refuse(*_, **__):
        raise urllib.error.URLError(why)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(SurroundingsError, match="self-signed certificate"):
        download._opened("https://here.example/a", "the data", {}, {})
