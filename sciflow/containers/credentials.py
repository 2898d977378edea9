"""Logins for registries, from where docker, podman and apptainer keep them."""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from sciflow.containers.reference import DEFAULT_REGISTRY

# docker(1) writes this key for its default registry.
_DEFAULT_KEY = "https://index.docker.io/v1/"
HELPER_TIMEOUT_S = 20


def basic(registry: str) -> str:
    """Return the `Basic …` header for a registry, or nothing where there is no login.

    A file that cannot be read or says nothing counts as no login: the registry itself will say that it wants one.
    """
    keys = [registry, f"https://{registry}", f"https://{registry}/v1/", f"https://{registry}/v2/"]
    if registry == DEFAULT_REGISTRY:
        keys.insert(0, _DEFAULT_KEY)
    for path in _files():
        settings = _read(path)
        for key in keys:
            token = _token(settings, key)
            if token:
                return f"Basic {token}"
    return ""


def _files() -> list[Path]:
    """Return the files that may hold logins, the most particular first (containers-auth.json(5), docker-login(1))."""
    home = Path(os.environ.get("HOME") or Path("~").expanduser())
    chosen = os.environ.get("REGISTRY_AUTH_FILE")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    settings = os.environ.get("XDG_CONFIG_HOME") or home / ".config"
    found = [Path(chosen)] if chosen else []
    found += [Path(runtime, "containers/auth.json")] if runtime else []
    found += [Path(settings, "containers/auth.json")]
    found += [Path(os.environ.get("DOCKER_CONFIG") or home / ".docker", "config.json")]
    return [*found, home / ".apptainer/docker-config.json", home / ".singularity/docker-config.json"]


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


def _token(settings: dict[str, Any], key: str) -> str:
    """Return user and password for one key, joined and in base64."""
    entries = settings.get("auths")
    entry = entries.get(key) if isinstance(entries, dict) else None
    if isinstance(entry, dict):
        token = entry.get("auth")
        if isinstance(token, str) and _is_pair(token):
            return token
        if isinstance(entry.get("username"), str) and isinstance(entry.get("password"), str):
            return _pair(entry["username"], entry["password"])
    helpers = settings.get("credHelpers")
    helper = helpers.get(key) if isinstance(helpers, dict) else None
    # credsStore is asked only for what `auths` lists: asking a desktop's key ring for each name would pop up windows
    helper = helper or (settings.get("credsStore") if isinstance(entry, dict) else None)
    return _asked(helper, key) if isinstance(helper, str) and helper else ""


def _asked(helper: str, key: str) -> str:
    """Ask `docker-credential-<helper> get`, which reads the key on stdin and answers in JSON."""
    try:
        found = subprocess.run(
            [f"docker-credential-{helper}", "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=HELPER_TIMEOUT_S,
            check=False,
        )
        said = json.loads(found.stdout) if found.returncode == 0 else {}
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    name, secret = (said.get("Username"), said.get("Secret")) if isinstance(said, dict) else (None, None)
    return _pair(name, secret) if isinstance(name, str) and isinstance(secret, str) else ""


def _pair(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode("ascii")


def _is_pair(token: str) -> bool:
    try:
        return b":" in base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        return False
