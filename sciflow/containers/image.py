"""The noun of this floor: an image, pinned so that every engine and every machine means the same bytes by it."""

from __future__ import annotations

import platform as machine
from dataclasses import dataclass
from typing import Literal, TypeAlias

Source: TypeAlias = Literal["from", "debian", "file"]

# What says which image it is, whatever the engine: each source has one such digest.
IDENTITY: dict[Source, str] = {"from": "manifest", "debian": "tree", "file": "file"}

# Names of architectures: the kernel's (uname -m) to those of OCI and of Debian, which agree on these.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Package:
    """One installed Debian package; `sha256` is that of its .deb, in hex, as the signed archive index gives it."""

    name: str
    version: str
    architecture: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedImage:
    """An image by digest.

    `digests` are sorted pairs of a name and `sha256:<hex>`:

    - sources `from` and `debian`: `tree` (the root file system as a tar), `squashfs` (the same for Apptainer),
      `archive` (the same for `docker load`) and `config` (the id Docker knows it by);
    - source `from` also: `manifest` of this platform, and where it came from: `index` (if the tag names one for
      several platforms), or `file` (of an `oci-archive:` or a `docker-archive:`);
    - source `file`: `file`.

    `asked` are the Debian packages that the workflow names, sorted; `packages` are all that are installed.
    For an image of a registry, `reference` is `registry/repository:tag`, whole; else it is what the workflow says.
    `size` is in bytes: of the squashfs, of the file; 0 where unknown.
    """

    source: Source
    reference: str
    platform: str
    digests: tuple[tuple[str, str], ...]
    asked: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    tools: tuple[tuple[str, str], ...] = ()
    size: int = 0

    @property
    def identity(self) -> str:
        """The digest that names the image, whichever engine runs it: part of every step's key."""
        return self.digest(IDENTITY[self.source])

    def digest(self, name: str) -> str:
        """Return the digest of that name, `sha256:<hex>`, or nothing if this image has none."""
        return dict(self.digests).get(name, "")


def own_platform() -> str:
    """Return this machine's platform as OCI writes it, such as `linux/amd64`."""
    kernel = machine.machine()
    return f"linux/{ARCHITECTURES.get(kernel, kernel)}"
