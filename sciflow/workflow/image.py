"""The section [image] -> an Image, checked as far as the file itself can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from sciflow.workflow.code import no_pattern
from sciflow.workflow.faults import Faults, inside, shown
from sciflow.workflow.spec import Image

if TYPE_CHECKING:
    from typing import Literal

    from sciflow.workflow.spec import Keys

SOURCES = ("from", "debian", "nix", "definition", "dockerfile", "file")
PATHS = dict.fromkeys(("definition", "dockerfile", "file"), "the image") | {"python": "the list of packages"}
ONLY = {"packages": ("debian", "Debian packages"), "files": ("nix", "files of a flake")}
FOLDER = "the workflow's folder"
HERE = "."


def read(table: dict[str, Any] | None, faults: Faults) -> Image | None:
    """Return the image that a table asks for; nothing without one. `table` holds nothing that the schema refuses."""
    if table is None:
        return None
    for key, (source, what) in ONLY.items():
        if key in table and source not in table:
            faults.key(("image", key), f"`{key}` are {what}, and the image is not made by `{source}`")
    for key, what in PATHS.items():
        if key in table:
            inside(table[key], ("image", key), what, faults, folder=FOLDER)
    kind, _, path = table.get("from", "").partition(":")
    if kind.endswith("-archive"):
        inside(path, ("image", "from"), "the image", faults, folder=FOLDER)
    flake = table.get("nix", "").partition("#")[0]
    if flake not in {"", HERE}:
        inside(flake, ("image", "nix"), "the flake", faults, folder=FOLDER)
    for index, pattern in enumerate(table.get("files", ())):
        _pattern(pattern, ("image", "files", index), faults)
    source = next((key for key in SOURCES if key in table), "file")
    return Image(
        source=cast("Literal['from', 'debian', 'nix', 'definition', 'dockerfile', 'file']", source),
        reference=table.get(source, ""),
        packages=tuple(table.get("packages", ())),
        files=tuple(table.get("files", ())),
        python=table.get("python", ""),
        environment=tuple(sorted(table.get("environment", {}).items())),
        labels=tuple(sorted(table.get("labels", {}).items())),
    )


def _pattern(pattern: str, path: Keys, faults: Faults) -> None:
    if inside(pattern, path, "this pattern", faults, folder="the flake's folder") and no_pattern(pattern):
        fault = f"`{shown(pattern)}` is no pattern: `**` stands alone between slashes"
        faults.value(path, fault, "as in `**/*.patch`")
