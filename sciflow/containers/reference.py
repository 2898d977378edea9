"""References to OCI images: `docker://registry/repository:tag@digest`, and what its parts are when left out.

Or an image in a file: `oci-archive:PATH`, `docker-archive:PATH`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sciflow.errors import SurroundingsError

# What a reference without a registry has always meant (distribution/reference, normalize.go).
DEFAULT_REGISTRY = "docker.io"
DEFAULT_API = "registry-1.docker.io"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

# containers-transports(5): what `skopeo copy` and `docker save` write.
OCI_ARCHIVE, DOCKER_ARCHIVE = ARCHIVES = ("oci-archive", "docker-archive")

# distribution/reference, regexp.go, without the rarer forms of host.
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """An image by name: `tag` is never empty unless `digest` is given."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        """Write it whole."""
        return (
            f"{self.registry}/{self.repository}"
            + (f":{self.tag}" if self.tag else "")
            + (f"@{self.digest}" if self.digest else "")
        )

    @property
    def plain_http(self) -> bool:
        """Whether it is spoken to without TLS: this machine only."""
        host = self.registry.rpartition(":")[0] or self.registry
        return host in {"localhost", "127.0.0.1", "[::1]"}

    @property
    def api(self) -> str:
        """Where its registry answers (distribution-spec, `/v2/`)."""
        host = DEFAULT_API if self.registry == DEFAULT_REGISTRY else self.registry
        return f"{'http' if self.plain_http else 'https'}://{host}/v2/"

    def pinned(self, digest: str) -> str:
        """Write it by digest alone: Apptainer refuses a tag beside a digest."""
        return f"{self.registry}/{self.repository}@{digest}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Archived:
    """An image in a file: `kind` is the tool's word for its form, `path` relative to the workflow's folder."""

    kind: str
    path: str


def archived(text: str) -> Archived | None:
    """Read `oci-archive:PATH` or `docker-archive:PATH`; nothing for a name in a registry."""
    kind, colon, path = text.partition(":")
    return Archived(kind=kind, path=path) if colon and kind in ARCHIVES else None


def parse(text: str) -> Reference:
    """Read a reference, with or without `docker://`. Raises SurroundingsError, saying what is wanted."""
    name = text.removeprefix("docker://")
    rest, _, digest = name.partition("@")
    first, slash, others = rest.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        registry, path = first, others
    else:
        registry, path = DEFAULT_REGISTRY, rest
    repository, _, tag = path.partition(":")
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"{DEFAULT_NAMESPACE}/{repository}"
    well = (
        _REGISTRY.fullmatch(registry)
        and _REPOSITORY.fullmatch(repository)
        and (_TAG.fullmatch(tag) if ":" in path else True)
        and (_DIGEST.fullmatch(digest) if "@" in name else True)
    )
    if not well:
        raise SurroundingsError(
            f"`{text}` is not a reference to an OCI image",
            hint="write `docker://registry/repository:tag`, in lower case; a digest is `@sha256:` and 64 hex digits",
        )
    return Reference(
        registry=registry, repository=repository, tag=tag or ("" if digest else DEFAULT_TAG), digest=digest
    )
