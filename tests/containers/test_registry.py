import base64
import json
import socket

import pytest

from sciflow.containers import reference, registry
from sciflow.errors import SurroundingsError
from tests.containers import serving

ADA = "Basic " + base64.b64encode(b"ada:secret").decode()
BODY = b'{ "a": 1 }'


@pytest.fixture
def served(registry):
    registry.login = ADA
    registry.served["a/b/manifests/1"] = BODY
    return registry


def _ask(server, which="1"):
    name = server if isinstance(server, str) else server.name
    return registry.Conversation(reference.parse(f"docker://{name}/a/b:{which}")).manifest(which)


def _login(tmp_path, name):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {name: {"auth": ADA.removeprefix("Basic ")}}}))


def test_a_manifest_comes_as_its_very_bytes(served):
    assert _ask(served) == BODY


def test_a_tag_that_is_not_there_is_named(served):
    with pytest.raises(SurroundingsError, match=r"there is no image `127.0.0.1:\d+/a/b:2`"):
        _ask(served, "2")


def test_a_registry_that_is_down_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(SurroundingsError, match=f"the registry `127.0.0.1:{port}` cannot be asked"):
            _ask(f"127.0.0.1:{port}")


def test_a_registry_that_fails_says_how(served):
    served.status = 503
    with pytest.raises(SurroundingsError, match="HTTP status 503"):
        _ask(served)


def test_a_registry_that_says_nothing_is_not_waited_for_for_ever(served, monkeypatch):
    monkeypatch.setattr(registry, "TIMEOUT_S", 0.3)
    served.faults["a/b/manifests/1"] = [serving.silence(1)]
    with pytest.raises(SurroundingsError, match=r"it sent nothing for 0.3 s"):
        _ask(served)


def test_a_manifest_that_is_cut_off_is_told_from_a_whole_one(served):
    served.faults["a/b/manifests/1"] = [serving.cut_off(4)]
    with pytest.raises(SurroundingsError, match="its answer was cut off, 6 bytes before the end"):
        _ask(served)


def test_a_manifest_without_end_is_refused(served):
    served.served["a/b/manifests/1"] = bytes(registry.MAX_BYTES + 10)
    with pytest.raises(SurroundingsError, match="it sent more than 4194304 bytes"):
        _ask(served)


def test_a_redirect_in_a_circle_is_left(served):
    served.faults["a/b/manifests/1"] = [serving.circle] * 50
    with pytest.raises(SurroundingsError, match="from place to place without end"):
        _ask(served)


def test_a_registry_that_wants_a_login_gets_the_stored_one(served, tmp_path):
    served.challenge, served.wanted = 'Basic realm="here"', ADA
    _login(tmp_path, served.name)
    assert _ask(served) == BODY


def test_without_a_login_the_message_says_how_to_log_in(served):
    served.challenge, served.wanted = 'Basic realm="here"', ADA
    with pytest.raises(SurroundingsError, match=f"without a login.*\n.*docker login {served.name}"):
        _ask(served)


def test_a_token_is_had_without_a_login_where_that_is_enough(served):
    served.challenge, served.wanted = (
        f'Bearer realm="http://{served.name}/token",service="s",scope="repository:a/b:pull"',
        "Bearer letter",
    )
    assert _ask(served) == BODY
    assert ("/token?service=s&scope=repository%3Aa%2Fb%3Apull", "") in served.seen


def test_a_token_is_had_with_the_login_where_there_is_one(served, tmp_path):
    served.challenge, served.wanted, served.anonymous = (
        f'Bearer realm="http://{served.name}/token"',
        "Bearer letter",
        False,
    )
    _login(tmp_path, served.name)
    assert _ask(served) == BODY


def test_a_token_serves_for_all_questions_about_an_image(served):
    served.challenge, served.wanted = f'Bearer realm="http://{served.name}/token"', "Bearer letter"
    conversation = registry.Conversation(reference.parse(f"docker://{served.name}/a/b:1"))
    assert [conversation.manifest("1") for _ in range(3)] == [BODY] * 3
    assert [path.partition("?")[0] for path, _ in served.seen].count("/token") == 1


def test_a_token_that_is_refused_asks_for_a_login(served):
    served.challenge, served.wanted, served.anonymous = (
        f'Bearer realm="http://{served.name}/token"',
        "Bearer letter",
        False,
    )
    with pytest.raises(SurroundingsError, match="without a login"):
        _ask(served)


def test_no_login_is_sent_unless_asked_for(served, tmp_path):
    _login(tmp_path, served.name)
    _ask(served)
    assert {seen for _, seen in served.seen} == {""}


def test_a_login_does_not_go_along_to_another_place(served, tmp_path):
    with serving.serving() as elsewhere:
        elsewhere.served["a/b/manifests/1"] = BODY
        served.challenge, served.wanted = 'Basic realm="here"', ADA
        place = f"http://{elsewhere.name}/v2/a/b/manifests/1"
        served.faults["a/b/manifests/1"] = [lambda handler, _: handler.send(307, b"", {"Location": place})]
        _login(tmp_path, served.name)
        assert _ask(served) == BODY
        assert {seen for _, seen in elsewhere.seen} == {""}
