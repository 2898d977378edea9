"""An OCI image's configuration: what it says of its layers, and the environment it gives to those who enter."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.containers import layers
from sciflow.containers.members import refusal
from sciflow.containers.rootfs import Node
from sciflow.errors import SurroundingsError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sciflow.containers.image import Pairs

# Apptainer reads an image's own scripts of this folder before it runs a word in it; `Env` of OCI it writes to this one.
SCRIPT = (".singularity.d", "env", "10-docker2singularity.sh")
LAST_SCRIPT = (".singularity.d", "env", "95-sciflow.sh")
SCRIPT_MODE = 0o755
LABELS = (".singularity.d", "labels.json")
LABELS_MODE = 0o644
PATH = "PATH"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Configuration:
    """What of a configuration matters in a box, which brings its own words, user, folder and files to write.

    `plain` are the digests of the plain tars of the layers; `environment` is sorted (name, value).
    """

    platform: str
    plain: tuple[str, ...]
    environment: Pairs = ()
    folder: str = ""


def read(body: bytes, name: str) -> Configuration:
    """Read a configuration (OCI image-spec, config.md). Raises SurroundingsError if it is not that of an image."""
    found = layers.document(body, f"the config of `{name}`")
    root, settings = found.get("rootfs"), found.get("config") or {}
    plain = root.get("diff_ids") if isinstance(root, dict) else None
    if not isinstance(plain, list) or not all(isinstance(one, str) for one in plain) or not isinstance(settings, dict):
        raise SurroundingsError(
            f"`{name}` is not an image: its config names no layers", hint="name an image, not an artefact"
        )
    return Configuration(
        platform=f"{found.get('os') or 'linux'}/{found.get('architecture') or 'unknown'}",
        plain=tuple(plain),
        environment=tuple(sorted(_environment(settings.get("Env") or []).items())),
        folder=_text(settings.get("WorkingDir")),
    )


def _text(value: Any) -> str:
    """Return a text that a process can be given: no NUL, no half of a surrogate pair, which JSON may write."""
    return value if isinstance(value, str) and not re.search("[\0\ud800-\udfff]", value) else ""


def _environment(entries: Iterable[Any]) -> dict[str, str]:
    """Read `NAME=VALUE`s, the last of a name first; what no shell could hold is left out."""
    found = {}
    for entry in entries if isinstance(entries, list) else ():
        name, equals, value = _text(entry).partition("=")
        if equals and _NAME.fullmatch(name):
            found[name] = value
    return found


def furnish(root: Node, environment: Pairs, labels: Pairs, *, last: bool = False) -> None:
    """Give the tree the files by which Apptainer gets an image's environment and labels; Docker has its own config.

    As in what Apptainer makes of OCI images, PATH is the image's, and another variable only where nothing set it.
    `last`: the tree has scripts of its own already, and this one comes after them, and holds.
    """
    if environment:
        lines = ["#!/bin/sh"]
        for name, value in environment:
            text = f"export {name}={shlex.quote(value)}"
            lines.append(text if last or name == PATH else f'if [ -z "${{{name}+set}}" ]; then {text}; fi')
        _put(root, LAST_SCRIPT if last else SCRIPT, "\n".join(lines) + "\n", SCRIPT_MODE)
    if labels:
        _put(root, LABELS, names.canonical(dict(labels)) + "\n", LABELS_MODE)


def _put(root: Node, path: tuple[str, ...], text: str, mode: int) -> None:
    here = root
    for part in path[:-1]:
        there = here.children.get(part)
        if there is not None and there.kind != "folder":
            raise refusal("/".join(path), "cannot be written: the image has something else there")
        here = here.children.setdefault(part, Node())
    data = text.encode()
    here.children[path[-1]] = Node(kind="file", mode=mode, data=data, size=len(data))
