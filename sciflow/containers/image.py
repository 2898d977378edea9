"""The nouns of this floor: an image, pinned so that every engine and every machine means the same bytes by it."""

from __future__ import annotations

import platform as machine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from sciflow.containers.locked import LockedFile

Source: TypeAlias = Literal["from", "debian", "nix", "definition", "dockerfile", "file"]
Pairs: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values, sorted by name."""

RUNNING: frozenset[Source] = frozenset({"definition", "dockerfile"})
"""The sources that run commands, whose outcome nobody can promise."""

IMAGE, PYTHON, ALL = "image", "python", "*"
"""What of an image can be asked for anew by name, beside each wheel: the base, all wheels, both."""

# Names of architectures: the kernel's (uname -m) to those of OCI and of Debian, which agree on these.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le", "s390x": "s390x", "riscv64": "riscv64"}


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Package:
    """One installed Debian package; `sha256` is that of its .deb, in hex, as the signed archive index gives it."""

    name: str
    version: str
    architecture: str
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Wheel:
    """One Python package; `file` is the wheel's name, `sha256` its digest in hex, `url` where it is had, without login.

    `size` is in bytes.
    """

    name: str
    version: str
    file: str
    sha256: str
    size: int
    url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PinnedImage:
    """An image by digest, and all that it was made of.

    `digests` are sorted pairs of a name and `sha256:<hex>`:

    - `tree` (the root file system as a tar), `squashfs` (the same for Apptainer), `archive` (the same for
      `docker load`) and `config` (the id Docker knows it by); an image file that is run as it is has but `file`;
    - where it came from: `manifest` of this platform, and `index` (if a tag names one for several platforms), or
      `file` (of an `oci-archive:`, a `docker-archive:`, an image file); `closure` (of a flake, as a binary cache);
    - `base`: the tree, as a tar, that more was laid over, where no registry gives it again layer by layer.

    `asked` are the Debian packages, or the patterns of a flake's files, that the workflow names, sorted; `packages`
    are all that are installed. `wheels` are those that `python`, a file of the workflow's folder, asks for, with those
    it includes (`requirements`). `files` are what else of that folder the image is made of: by path from there, sorted.
    `paths` are the store paths of a closure, with digest and size of their NARs. `over` is the reference below a
    definition or a Dockerfile. `given`, `given_labels` and `folder` are the environment, the labels and the folder to
    work in that the base gives; `environment` and `labels` are what the workflow adds.
    `reference` is what the workflow says. `size` is in bytes: of the squashfs, of the file; 0 where unknown.
    """

    source: Source
    reference: str
    platform: str
    digests: Pairs
    asked: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    python: str = ""
    wheels: tuple[Wheel, ...] = ()
    requirements: tuple[LockedFile, ...] = ()
    files: tuple[LockedFile, ...] = ()
    paths: tuple[LockedFile, ...] = ()
    over: str = ""
    given: Pairs = ()
    given_labels: Pairs = ()
    folder: str = ""
    environment: Pairs = ()
    labels: Pairs = ()
    tools: Pairs = ()
    size: int = 0

    @property
    def identity(self) -> str:
        """The digest that names the image, whichever engine runs it: part of every step's key."""
        return self.digest("tree") or self.digest("file")

    def digest(self, name: str) -> str:
        """Return the digest of that name, `sha256:<hex>`, or nothing if this image has none."""
        return dict(self.digests).get(name, "")


def own_platform() -> str:
    """Return this machine's platform as OCI writes it, such as `linux/amd64`."""
    kernel = machine.machine()
    return f"linux/{ARCHITECTURES.get(kernel, kernel)}"
