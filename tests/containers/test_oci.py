import base64
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from sciflow.containers import oci
from sciflow.errors import SurroundingsError

INDEX, MANIFEST = oci.INDEXES[0], oci.MANIFESTS[0]
ADA = "Basic " + base64.b64encode(b"ada:secret").decode()


def _digest(body):
    return "sha256:" + hashlib.sha256(body).hexdigest()


# White space that no JSON writer of ours makes: a digest of anything but the very bytes would differ.
IMAGE = json.dumps(
    {"schemaVersion": 2, "config": {"digest": "sha256:0"}, "layers": [{"size": 30}, {"size": 12}]}, indent=3
).encode()
ARM = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
LIST = json.dumps({"schemaVersion": 2, "manifests": [
    {"digest": "sha256:" + "7" * 64, "platform": {"os": "unknown", "architecture": "unknown"}},
    {"digest": "sha256:" + "8" * 64, "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}},
    {"digest": _digest(IMAGE), "platform": {"os": "linux", "architecture": "amd64"}},
    {"digest": _digest(ARM), "platform": {"os": "linux", "architecture": "arm64"}},
]}, indent=1).encode()  # fmt: skip


@pytest.fixture
def registry(tmp_path, monkeypatch):
    """Serve a small registry on this machine: `served` maps paths to bodies, `login` is wanted, `status` overrides."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            seen = self.headers.get("Authorization", "")
            self.server.seen.append((self.path, seen))
            path = self.path.partition("?")[0]
            if path == "/token":
                given = seen in ("", ADA) if self.server.anonymous else seen == ADA
                return self.send(200, b'{"token": "letter"}') if given else self.send(401, b"{}")
            if self.server.status:
                return self.send(self.server.status, b"{}")
            if self.server.challenge and seen != self.server.wanted:
                return self.send(401, b"{}", {"WWW-Authenticate": self.server.challenge})
            wanted = {INDEX, MANIFEST} <= {part.strip() for part in self.headers.get("Accept", "").split(",")}
            body = self.server.served.get(path.removeprefix("/v2/")) if wanted else None
            return self.send(404, b"{}") if body is None else self.send(200, body)

        def send(self, status, body, headers=()):
            self.send_response(status)
            for key, value in dict(headers).items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.served = {
        "a/b/manifests/1": LIST,
        f"a/b/manifests/{_digest(IMAGE)}": IMAGE,
        f"a/b/manifests/{_digest(ARM)}": ARM,
        "a/b/manifests/one": IMAGE,
    }
    server.seen, server.status, server.challenge, server.wanted, server.anonymous = [], 0, "", "", True
    server.name = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _login(tmp_path, name):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps({"auths": {name: {"auth": ADA.removeprefix("Basic ")}}}))


def _resolve(registry, what="a/b:1", platform="linux/amd64"):
    return oci.resolve(f"docker://{registry.name}/{what}", platform=platform)


def test_a_tag_is_pinned_by_the_bytes_of_index_and_manifest(registry):
    assert _resolve(registry).digests == (("index", _digest(LIST)), ("manifest", _digest(IMAGE)))


def test_each_platform_has_its_own_manifest(registry):
    assert _resolve(registry, platform="linux/arm64").identity == _digest(ARM)


def test_a_tag_of_a_single_image_has_no_index(registry):
    assert _resolve(registry, "a/b:one").digests == (("manifest", _digest(IMAGE)),)


def test_the_size_is_that_of_all_layers(registry):
    assert _resolve(registry).size == 42


def test_the_reference_is_kept_whole(registry):
    assert _resolve(registry).reference == f"{registry.name}/a/b:1"


def test_an_image_for_no_such_platform_names_those_there_are(registry):
    with pytest.raises(SurroundingsError, match=r"no image for linux/s390x\n.*it has linux/amd64, linux/arm64"):
        _resolve(registry, platform="linux/s390x")


def test_a_tag_that_is_not_there_is_named(registry):
    with pytest.raises(SurroundingsError, match=r"there is no image `127.0.0.1:\d+/a/b:2`"):
        _resolve(registry, "a/b:2")


def test_other_bytes_under_a_digest_are_refused(registry):
    registry.served[f"a/b/manifests/{_digest(IMAGE)}"] = ARM
    with pytest.raises(SurroundingsError, match=f"{_digest(IMAGE)} .* with an image of digest {_digest(ARM)}"):
        _resolve(registry)


def test_other_bytes_under_the_digest_asked_for_are_refused(registry):
    asked = "sha256:" + "5" * 64
    registry.served[f"a/b/manifests/{asked}"] = IMAGE
    with pytest.raises(SurroundingsError, match=f"with an image of digest {_digest(IMAGE)}"):
        _resolve(registry, f"a/b@{asked}")


def test_a_registry_that_is_down_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(SurroundingsError, match=f"the registry `127.0.0.1:{port}` cannot be asked"):
        oci.resolve(f"docker://127.0.0.1:{port}/a:1", platform="linux/amd64")


def test_a_registry_that_fails_says_how(registry):
    registry.status = 503
    with pytest.raises(SurroundingsError, match="HTTP status 503"):
        _resolve(registry)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"a"', b"\xff"])
def test_a_page_that_is_no_manifest_is_told_from_one(registry, body):
    registry.served["a/b/manifests/1"] = body
    with pytest.raises(SurroundingsError, match="something that is no manifest"):
        _resolve(registry)


def test_a_manifest_larger_than_any_is_not_read(registry, monkeypatch):
    monkeypatch.setattr(oci, "MAX_BYTES", 100)
    with pytest.raises(SurroundingsError, match="more than 100 bytes"):
        _resolve(registry)


def test_an_artefact_is_not_an_image(registry):
    registry.served["a/b/manifests/1"] = b'{"blobs": []}'
    with pytest.raises(SurroundingsError, match="is not an image"):
        _resolve(registry)


def test_a_registry_that_wants_a_login_gets_the_stored_one(registry, tmp_path):
    registry.challenge, registry.wanted = 'Basic realm="here"', ADA
    _login(tmp_path, registry.name)
    assert _resolve(registry).identity == _digest(IMAGE)


def test_without_a_login_the_message_says_how_to_log_in(registry):
    registry.challenge, registry.wanted = 'Basic realm="here"', ADA
    with pytest.raises(SurroundingsError, match=f"without a login.*\n.*docker login {registry.name}"):
        _resolve(registry)


def test_a_token_is_had_without_a_login_where_that_is_enough(registry):
    registry.challenge, registry.wanted = (
        f'Bearer realm="http://{registry.name}/token",service="s",scope="repository:a/b:pull"',
        "Bearer letter",
    )
    assert _resolve(registry).identity == _digest(IMAGE)
    assert ("/token?service=s&scope=repository%3Aa%2Fb%3Apull", "") in registry.seen


def test_a_token_is_had_with_the_login_where_there_is_one(registry, tmp_path):
    registry.challenge, registry.wanted, registry.anonymous = (
        f'Bearer realm="http://{registry.name}/token"',
        "Bearer letter",
        False,
    )
    _login(tmp_path, registry.name)
    assert _resolve(registry).identity == _digest(IMAGE)


def test_a_token_that_is_refused_asks_for_a_login(registry):
    registry.challenge, registry.wanted, registry.anonymous = (
        f'Bearer realm="http://{registry.name}/token"',
        "Bearer letter",
        False,
    )
    with pytest.raises(SurroundingsError, match="without a login"):
        _resolve(registry)


def test_no_login_is_sent_unless_asked_for(registry, tmp_path):
    _login(tmp_path, registry.name)
    _resolve(registry)
    assert {seen for _, seen in registry.seen} == {""}
