"""The commands about keys: whose seals are made here, and whose are accepted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sciflow.cli.group import Grouped, command, sciflow
from sciflow.cli.show import answer, talk

if TYPE_CHECKING:
    from sciflow.bundle.seal import Key


@sciflow.group(cls=Grouped)
def key() -> None:
    """Make keys, and say whose seals you accept.

    Example: sciflow key trust ada "ssh-ed25519 AAAA…"
    """


@command("new", of=key)
@click.argument("name", default="default")
def new(name: str, *, as_json: bool, quiet: bool) -> None:
    """Make a key of your own; its public half is the last line.

    Example: sciflow key new ada
    """
    from sciflow.bundle import seal

    made = seal.new(name)
    talk(quiet=quiet)(f"{made.file} {made.fingerprint}")
    answer(_told(made), made.line, as_json=as_json)


@command("ls", of=key)
def ls(*, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """List your own keys: name, fingerprint, public key.

    Example: sciflow key ls
    """
    from sciflow.bundle import seal

    found = seal.keys()
    if as_json or found:
        *lines, last = [f"{made.file.stem} {made.fingerprint} {made.line}" for made in found] or [""]
        answer({"keys": [_told(made) for made in found]}, last, as_json=as_json, lines=lines)


@command("trust", of=key)
@click.argument("name")
@click.argument("public")
def trust(name: str, public: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Accept seals by a public key (`ssh-ed25519 …`) under a name; the file that says so is the last line.

    Example: sciflow key trust ada "ssh-ed25519 AAAA…"
    """
    from sciflow.bundle import seal

    file = seal.trust(public, name)
    answer({"trusted": str(file)}, str(file), as_json=as_json)


@command("revoke", of=key)
@click.argument("public")
def revoke(public: str, *, as_json: bool, quiet: bool) -> None:  # noqa: ARG001
    """Refuse seals by a public key from now on; the file that says so is the last line.

    Example: sciflow key revoke "ssh-ed25519 AAAA…"
    """
    from sciflow.bundle import seal

    file = seal.revoke(public)
    answer({"revoked": str(file)}, str(file), as_json=as_json)


def _told(made: Key) -> dict[str, str]:
    return {"name": made.file.stem, "file": str(made.file), "fingerprint": made.fingerprint, "public": made.line}
