"""What the sources of images have in common: each lays a base, a root file system as plain tars, for the image on it.

A source is a module with the names of `Source`. It is asked with a `Request`, works in the request's workshop, and
answers with a `Base`; what is made of that for the engines is not its business (see `build`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sciflow.containers.image import Package, Pairs, PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.workflow import spec


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What is to be laid: `pinned`, the very thing, where it is given; else what `image` means now.

    `folder` is that of the workflow, or where a bundle keeps what it had of it; `workshop` is a folder to work in,
    which goes away. `platform` is `os/architecture`.
    """

    image: spec.Image
    pinned: PinnedImage | None
    folder: Path
    workshop: Path
    platform: str
    progress: Callable[[str], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Base:
    """A root file system: plain tars in a workshop or in the cache, the lowest first, and what it gives who enters it.

    `over` is the reference of the image below, where it was built on one. The rest says what it was made of, as in
    `PinnedImage`.
    """

    layers: tuple[Path, ...]
    environment: Pairs = ()
    folder: str = ""
    labels: Pairs = ()
    over: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)
    packages: tuple[Package, ...] = ()
    files: tuple[LockedFile, ...] = ()
    paths: tuple[LockedFile, ...] = ()
    tools: Pairs = ()


class Source(Protocol):
    """What each source's module has."""

    NAME: str
    """The key of `[image]`."""

    def files(self, image: spec.Image, folder: Path, /) -> tuple[LockedFile, ...]:
        """Pin what of the workflow's folder the image is made of, sorted. Raises WorkflowError, SurroundingsError."""
        ...

    def fits(self, image: spec.Image, pinned: PinnedImage, folder: Path | None, /) -> bool:
        """Say whether a pin is one of this base, as far as `files` does not say it; by name alone without `folder`."""
        ...

    def lay(self, request: Request, /) -> Base:
        """Have the base made or pulled. Raises SurroundingsError: it cannot be had, or not as it is pinned."""
        ...

    def recipe(self, image: PinnedImage, /) -> Mapping[str, str]:
        """Return the texts that tell how the base came to be, by their path in the bundle. Pure."""
        ...
