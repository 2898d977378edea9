"""Docker: words that load an image and run it by its id. The one door to the Docker SDK."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from sciflow.containers.box import HOSTNAME, PATHS, Box, Probe, Words, mounts
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from docker import DockerClient

    from sciflow.containers.image import PinnedImage

NAME = "docker"
USUAL = "unix:///var/run/docker.sock"
TIMEOUT_S = 60
ADVICE = "start the engine, set DOCKER_HOST, or join the group `docker`; Apptainer needs none of these"


def box(image: PinnedImage | None) -> Box | None:
    """Write the words for Docker; nothing without an image, or for an image file as it is: Apptainer's alone."""
    if image is None or not image.digest("archive"):
        return None
    return {
        "engine": NAME,
        "isolation": "container",
        "image": {"name": image.digest("config"), "archive": image.digest("archive")},
        "needs": ["docker"],
        "probe": ["docker", "version"],
        "present": ["docker", "image", "inspect", "{image}"],
        "load": ["docker", "load", "--quiet", "--input", "{archive}"],
        "enter": _enter(image.platform),
        "enter_shared_network": None,
        # The container outlives a client that is killed.
        "stop": ["docker", "rm", "--force", "{name}"],
        "gpus": ["--gpus", "all"],
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
        "{gpus}",
        *["--hostname", HOSTNAME],
        *["--network", "none", "--read-only", "--tmpfs", "/tmp:rw,exec,nosuid,nodev,mode=1777"],  # noqa: S108 - the box's own
        *["--user", "{uid}:{gid}", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
        *mounts("readonly"),
        *["--workdir", PATHS["work"]],
        # An image's own entry point would be run in place of the loop.
        *["--entrypoint", ""],
        "{image}",
    ]


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
    import docker  # noqa: PLC0415 - 60 ms that only this verb needs

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
