import base64
import json

import pytest

from sciflow.containers import credentials

PAIR = base64.b64encode(b"ada:secret").decode()


@pytest.fixture(autouse=True)
def _clean(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def _write(path, settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings))


@pytest.mark.parametrize(
    "place", [".docker/config.json", ".config/containers/auth.json", ".apptainer/docker-config.json"]
)
def test_a_login_is_found_where_each_tool_keeps_it(tmp_path, place):
    _write(tmp_path / place, {"auths": {"registry.example": {"auth": PAIR}}})
    assert credentials.basic("registry.example") == f"Basic {PAIR}"


def test_the_file_that_the_environment_names_comes_first(tmp_path, monkeypatch):
    other = base64.b64encode(b"bob:other").decode()
    _write(tmp_path / ".docker/config.json", {"auths": {"registry.example": {"auth": PAIR}}})
    _write(tmp_path / "mine.json", {"auths": {"registry.example": {"auth": other}}})
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "mine.json"))
    assert credentials.basic("registry.example") == f"Basic {other}"


def test_a_login_for_another_registry_is_not_given_away(tmp_path):
    _write(tmp_path / ".docker/config.json", {"auths": {"registry.example": {"auth": PAIR}}})
    assert not credentials.basic("registry.example.org")


def test_a_credential_helper_is_asked(tmp_path, monkeypatch):
    helper = tmp_path / "bin/docker-credential-drawer"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread key; [ "$key" = registry.example ] && echo \'{"Username": "ada", "Secret": "secret"}\'\n'
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    _write(tmp_path / ".docker/config.json", {"credHelpers": {"registry.example": "drawer"}})
    assert credentials.basic("registry.example") == f"Basic {PAIR}"


@pytest.mark.parametrize(
    "settings",
    [
        "{",
        "[]",
        '{"auths": []}',
        '{"auths": {"registry.example": {"auth": "not base64"}}}',
        '{"credHelpers": {"registry.example": "no-such"}}',
    ],
)
def test_a_file_that_makes_no_sense_is_no_login(tmp_path, settings):
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(settings)
    assert not credentials.basic("registry.example")
