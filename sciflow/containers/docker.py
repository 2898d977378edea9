"""Docker: words that run an image by digest. The one door to the Docker SDK."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from sciflow.containers import reference
from sciflow.containers.box import PATHS, Box, Probe, Words, mounts
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from docker import DockerClient

    from sciflow.containers.image import PinnedImage

NAME = "docker"
USUAL = "unix:///var/run/docker.sock"
TIMEOUT_S = 60
ADVICE = "start the engine, set DOCKER_HOST, or join the group `docker`; Apptainer needs none of these"


def box(image: PinnedImage | None) -> Box | None:
    """Write the words for Docker; nothing without an image, or for an image file, which only Apptainer reads."""
    if image is None or image.source == "file":
        return None
    if image.source == "from":
        held = {"name": reference.parse(image.reference).pinned(image.identity)}
    else:
        held = {"name": image.digest("config"), "archive": image.digest("archive")}
    return {
        "engine": NAME,
        "isolation": "container",
        "image": held,
        "needs": ["docker"],
        "probe": ["docker", "version"],
        "present": ["docker", "image", "inspect", "{image}"],
        "pull": ["docker", "pull", "--quiet", "--platform", image.platform, "{image}"]
        if image.source == "from"
        else None,
        "load": None if image.source == "from" else ["docker", "load", "--quiet", "--input", "{archive}"],
        "enter": _enter(image.platform),
        "enter_shared_network": None,
        # The container outlives a client that is killed.
        "stop": ["docker", "rm", "--force", "{name}"],
        "paths": dict(PATHS),
    }


def _enter(platform: str) -> Words:
    return [
        *[
            "docker",
            "run",
            "--rm",
            "--interactive",
            "--init",
            "--pull",
            "never",
            "--platform",
            platform,
            "--name",
            "{name}",
        ],
        *["--network", "none", "--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777"],  # noqa: S108 - the box's own
        *["--user", "{uid}:{gid}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
        *mounts("readonly"),
        *["--workdir", PATHS["work"]],
        # An image's own entry point would be run in place of the loop.
        *["--entrypoint", ""],
        "{image}",
    ]


def pull(image: PinnedImage, progress: Callable[[str], None]) -> None:
    """Have the engine hold an OCI image, by the digest of its manifest. Raises SurroundingsError."""
    name = reference.parse(image.reference).pinned(image.identity)
    import docker  # noqa: PLC0415 - 60 ms that only these verbs need

    client = _client()
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        progress(f"pulling {name}")
        try:
            client.images.pull(name, platform=image.platform)
        except (docker.errors.DockerException, OSError) as error:
            raise SurroundingsError(
                f"Docker could not pull `{name}`: {error}",
                hint="`docker login` if the registry wants one; or another engine",
            ) from error
    finally:
        client.close()


def probe() -> Probe:
    """Ask the engine for its version, as this user."""
    try:
        client = _client()
    except SurroundingsError as error:
        return Probe(
            works=False,
            advice=f"{error.args[0]}; {error.hint}",
            ask="please start Docker and add this user to the group `docker` (which makes it as mighty as root)",
        )
    try:
        return Probe(works=True, version=str(client.version().get("Version", "")))
    finally:
        client.close()


def _client() -> DockerClient:
    """Connect to the engine that DOCKER_HOST or the usual socket names, and have it answer."""
    import docker  # noqa: PLC0415 - 60 ms that only these verbs need

    place = os.environ.get("DOCKER_HOST", USUAL)
    try:
        _answers(place)
        client = docker.from_env(timeout=TIMEOUT_S)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:  # requests' errors are OSErrors
        raise SurroundingsError(f"Docker does not answer at {place}: {error}", hint=ADVICE) from error
    return client


def _answers(place: str) -> None:
    """Raise OSError where nobody listens at a socket: the SDK would, too, but leaves the socket open."""
    if place.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probing:
            probing.settimeout(TIMEOUT_S)
            probing.connect(place.removeprefix("unix://"))
