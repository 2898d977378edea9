"""Keys and seals: Ed25519 signatures over a manifest, as DSSE envelopes. The one door to `cryptography`.

A private key is a PKCS#8 PEM file with mode 0600 in the user's configuration folder (or an OpenSSH key); trusted keys
stand in `allowed_signers` beside it, in OpenSSH's own format, so that `ssh-keygen -Y verify` can use the same file.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names, verdict

if TYPE_CHECKING:
    from sciflow.plan.commit import Commit

DEFAULT = "default"
KEY_BYTES = 32  # RFC 8032 §5.1.5
PLAIN = re.compile(r"[^\W_][\w.@+-]{0,63}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key:
    """A private key, and what others know it by."""

    private: Ed25519PrivateKey
    file: Path

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes."""
        return self.private.public_key().public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The name that `ssh-keygen -l` gives it."""
        return str(verdict.fingerprint(self.public))

    @property
    def line(self) -> str:
        """The public key as OpenSSH writes it."""
        return "ssh-ed25519 " + base64.b64encode(verdict.ssh_blob(self.public)).decode("ascii")


def home() -> Path:
    """Return the folder in which the user's keys and trusted signers stand."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "sciflow"


def key_file(name: str) -> Path:
    """Return where a key of this name stands."""
    return home() / "keys" / f"{name}.pem"


def new(name: str = DEFAULT) -> Key:
    """Make a key and trust it under its name. Raises UsageError where one of that name stands already."""
    _plain(name)
    file = key_file(name)
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key = Key(private=private, file=file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            trust(key.line, name)  # first: of a key that stands it is taken for granted
        # Made with mode 0600, not given it afterwards: nobody can read it in between.
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".") as stream:
            stream.write(pem)
            stream.flush()
            _first(stream.name, file, pem)
    except FileExistsError as error:
        raise UsageError(f"a key named `{name}` stands already, in `{file}`", hint="choose another name") from error
    except OSError as error:
        raise SurroundingsError(f"`{file}`: {error.strerror}") from error
    return key


def _first(part: str, file: Path, pem: bytes) -> None:
    """Give a key its name, whole, and only if no other process was first. Raises FileExistsError, OSError."""
    try:
        os.link(part, file)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        # There are no hard links here.
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(pem)


def load(chosen: str | None = None) -> Key:
    """Read a private key by its file or its name (`default` if left out). Raises SurroundingsError, UsageError."""
    file = Path(chosen) if chosen and (os.sep in chosen or Path(chosen).exists()) else key_file(chosen or DEFAULT)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SurroundingsError(
            f"the key `{file}` cannot be read: {error.strerror}",
            hint="`sciflow key new` makes one; `sciflow key ls` lists those you have",
        ) from error
    try:
        read = (
            serialization.load_ssh_private_key
            if data.startswith(b"-----BEGIN OPENSSH")
            else serialization.load_pem_private_key
        )
        private = read(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SurroundingsError(
            f"`{file}` is no private key that can be read: {error}",
            hint="wanted: an Ed25519 key in PEM or OpenSSH form, without a passphrase",
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SurroundingsError(
            f"`{file}` is a key of another kind", hint="seals are made with Ed25519: `sciflow key new`"
        )
    return Key(private=private, file=file)


def own(chosen: str | None) -> tuple[Key, bool]:
    """Return the key to seal with, and whether it had to be made: the first compile of a user makes the default key."""
    if chosen is None and not key_file(DEFAULT).exists():
        with contextlib.suppress(UsageError):  # another compile has just made it
            return new(), True
    return load(chosen), False


def _public(line: str) -> str:
    """Return a public key as `ssh-ed25519 AAAA…`, its comment left out. Raises UsageError."""
    kind, _, rest = line.strip().partition(" ")
    encoded = rest.strip().partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        blob = b""
    # Signers are told apart by the last 32 bytes alone, so that nothing else may stand before them than what is due.
    if kind != "ssh-ed25519" or blob != verdict.ssh_blob(blob[-KEY_BYTES:]):
        raise UsageError("a public key reads `ssh-ed25519 AAAA…`", hint="`sciflow key ls` prints yours in this form")
    return f"{kind} {encoded}"


def _plain(name: str) -> None:
    """Refuse a name that could be a path, or that would read as something else in `allowed_signers`."""
    if not PLAIN.fullmatch(name):
        raise UsageError(
            f"a signer's name is one plain word, not `{name}`",
            hint="letters, digits and . _ @ + - in it, the first a letter or a digit",
        )


def trust(line: str, name: str) -> Path:
    """Trust a public key (`ssh-ed25519 …`) under a name; return the file that says so. Raises UsageError."""
    public = _public(line)
    _plain(name)
    file = home() / "allowed_signers"
    entry = f'{name} namespaces="{verdict.NAMESPACE}" {public}\n'
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Lines are added at the end, in one write: of two who trust somebody at once neither takes the other's away.
        with file.open("a+", encoding="utf-8") as stream:
            stream.seek(0)
            known = stream.read()
            if entry not in known.splitlines(keepends=True):
                mended = "" if known.endswith("\n") or not known else "\n"  # somebody's editor may have left it out
                stream.write(mended + entry)
    except OSError as error:
        raise SurroundingsError(f"`{file}`: {error.strerror}") from error
    return file


def revoke(line: str) -> Path:
    """Refuse a public key from now on, whoever vouches for it; return the file that says so."""
    public = _public(line)
    file = home() / "revoked_keys"
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(f"{public}\n")
    except OSError as error:
        raise SurroundingsError(f"`{file}`: {error.strerror}") from error
    return file


def keys() -> list[Key]:
    """Return the user's own keys, by name."""
    return [load(str(file)) for file in sorted((home() / "keys").glob("*.pem"))]


def seal(manifest: bytes, name: str, key: Key, commit: Commit | None = None) -> tuple[str, bytes]:
    """Sign a manifest; return the seal's path in the bundle and its bytes. `commit` is where its code stood, if known.

    Ed25519 is deterministic (RFC 8032) and no time is said: the same key seals the same manifest with the same bytes.
    """
    more = {"code": commit.told} if commit else {}
    statement = names.canonical(
        {
            "_type": verdict.STATEMENT,
            "subject": [{"name": names.MANIFEST, "digest": {"sha256": names.digest(manifest)}}],
            "predicateType": verdict.PREDICATE,
            "predicate": {"name": name, "key": base64.b64encode(key.public).decode("ascii"), **more},
        }
    ).encode("utf-8")
    signature = key.private.sign(verdict.pre_authentication(verdict.PAYLOAD_TYPE, statement))
    keyid = verdict.key_id(key.public)
    envelope = names.canonical(
        {
            "payloadType": verdict.PAYLOAD_TYPE,
            "payload": base64.b64encode(statement).decode("ascii"),
            "signatures": [{"keyid": keyid, "sig": base64.b64encode(signature).decode("ascii")}],
        }
    )
    return f"{names.SEALS}/{keyid[:16]}.dsse.json", envelope.encode("utf-8")
