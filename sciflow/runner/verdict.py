"""Judge a bundle: its manifest, its folder, its seals, and whether somebody the reader trusts has sealed it.

With `ed25519` and `tree` this room makes every bundle's `verify.py` (the three joined, our own imports left out): one
file that a stranger can read, keep apart from the bundle, and run with `python3 -I verify.py BUNDLE`. The runner and
`sciflow verify` call the same functions, so the three cannot disagree.
"""

import argparse
import base64
import binascii
import datetime as dt
import hashlib
import os
import re
import struct
import sys
import time

from .ed25519 import signed_by
from .tree import Refused, compare, failing, manifest_of, parse, plain, read_small, shown

OK, WORDS, UNREADABLE, CHANGED, UNTRUSTED = 0, 2, 3, 4, 6
NAMESPACE = "sciflow-bundle@v1"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:sciflow:bundle:v1"
MAX_NAMED = 100  # faults said one by one


class Seal(object):
    """One signature over the manifest: its file, the key that made it, and who that is, if the reader knows.

    `code` is what it says of where the code stood in git, a mapping, or None.
    """

    def __init__(self, path, key, code=None):
        self.code = code if isinstance(code, dict) else None
        self.path, self.key, self.principal, self.why = path, key, None, "its key is not among the trusted ones"


def fingerprint(key):
    """Name a public key (32 bytes) as `ssh-keygen -l` does."""
    blob = ssh_blob(key)
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode("ascii").rstrip("=")


def ssh_blob(key):
    """Encode a public key of 32 bytes for OpenSSH (RFC 8709 §4)."""
    return b"".join(struct.pack(">I", len(part)) + part for part in (b"ssh-ed25519", key))


def key_id(key):
    """Name a public key as securesystemslib does, so that its verifiers find ours."""
    public = binascii.hexlify(key).decode("ascii")
    return hashlib.sha256(plain({"keytype": "ed25519", "keyval": {"public": public}, "scheme": "ed25519"})).hexdigest()


def pre_authentication(payload_type, payload):
    """Return the bytes that a DSSE signature covers (DSSE 1.0, PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal_of(bundle, path, identity):
    """Read one seal and hold it to the manifest with this id. The key it names proves nothing yet. Raises Refused."""
    data = read_small(os.path.join(bundle, path))
    envelope = parse(data)
    if plain(envelope) != data:
        raise Refused("is not in canonical form")
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        (signature,) = envelope["signatures"]
        mark = base64.b64decode(signature["sig"], validate=True)
        statement = parse(payload)
        key = base64.b64decode(statement["predicate"]["key"], validate=True)
        (subject,) = statement["subject"]
        sound = (
            envelope["payloadType"] == PAYLOAD_TYPE
            and sorted(envelope) == ["payload", "payloadType", "signatures"]
            and sorted(signature) == ["keyid", "sig"]
            and base64.b64encode(payload).decode("ascii") == envelope["payload"]
            and base64.b64encode(mark).decode("ascii") == signature["sig"]
            and statement["_type"] == STATEMENT
            and statement["predicateType"] == PREDICATE
            and signature["keyid"] == key_id(key)
            and path == "seals/%s.dsse.json" % signature["keyid"][:16]
        )
        sealed = subject["digest"]["sha256"]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Refused("is not a seal of this format")
    if not sound or not signed_by(key, mark, pre_authentication(PAYLOAD_TYPE, payload)):
        raise Refused("is broken: its signature does not hold")
    if sealed != identity:
        raise Elsewhere("is over another manifest (%s)" % shown(str(sealed))[:12])
    return Seal(path, key, statement["predicate"].get("code"))


class Elsewhere(Refused):
    """A seal is sound, but over another manifest."""


def seals_of(bundle, identity):
    """Return (seals, faults) of a bundle's seals folder, both sorted by path."""
    seals, faults, elsewhere = [], [], False
    folder = os.path.join(bundle, "seals")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        try:
            seals.append(seal_of(bundle, "seals/" + name, identity))
        except Refused as error:
            faults.append(("seals/" + name, str(error)))
            elsewhere = elsewhere or isinstance(error, Elsewhere)
        except OSError as error:
            if failing(error, os.path.join(folder, name)):
                raise
            faults.append(("seals/" + name, "cannot be read (%s)" % error.strerror))
    if elsewhere and not seals:
        faults.append(("manifest.json", "is not the one that was sealed"))
    return seals, faults


# ---- Trust: an OpenSSH allowed_signers file (ssh-keygen(1), ALLOWED SIGNERS): the reader's, never the bundle's

SIGNER = re.compile(r'^(?P<who>\S+)\s+(?P<options>(?:[a-z-]+="[^"]*",?)*)\s*ssh-ed25519\s+(?P<key>[A-Za-z0-9+/=]+)')


def _date(text):
    for form in ("%Y%m%dZ", "%Y%m%d", "%Y%m%d%H%MZ", "%Y%m%d%H%M", "%Y%m%d%H%M%SZ", "%Y%m%d%H%M%S"):
        try:
            return dt.datetime.strptime(text, form)  # noqa: DTZ007  UTC throughout, as `utc` gives it
        except ValueError:
            continue
    raise Refused("`%s` is no date such as 20300101" % shown(text))


def trusted(path, now):
    """Read an allowed_signers file into {key: (principal, why it does not count, or None)}. Raises Refused, OSError."""
    signers = {}
    for number, line in enumerate(_lines(path), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = SIGNER.match(line)
        if not match or "*" in match.group("who"):
            raise Refused('line %d is no `NAME namespaces="%s" ssh-ed25519 KEY`' % (number, NAMESPACE))
        options = dict(re.findall('([a-z-]+)="([^"]*)"', match.group("options")))
        why = None
        if NAMESPACE not in options.get("namespaces", "").split(","):
            why = "its key is trusted, but not for bundles (namespaces)"
        elif "valid-after" in options and now < _date(options["valid-after"]):
            why = "its key is not valid yet"
        elif "valid-before" in options and now >= _date(options["valid-before"]):
            why = "its key has expired"
        key = _key("line %d" % number, match.group("key"))
        if key not in signers or why is None:
            signers[key] = (match.group("who"), why)
    revoked = os.path.join(os.path.dirname(path), "revoked_keys")
    if os.path.exists(revoked):
        for number, line in enumerate(_lines(revoked), 1):
            if not line.strip() or line.startswith("#"):
                continue
            found = re.search(r"(?:^|\s)ssh-ed25519\s+(\S+)", line)
            if not found:  # passed over, it would leave somebody trusted who should not be
                raise Refused("revoked_keys, line %d, is no `ssh-ed25519 KEY`" % number)
            key = _key("revoked_keys, line %d" % number, found.group(1))
            signers[key] = (signers.get(key, ("",))[0], "its key has been revoked")
    return signers


def _lines(path):
    try:
        return read_small(path).decode("utf-8").splitlines()
    except UnicodeDecodeError:
        raise Refused("it is not a text in UTF-8")


def _key(where, text):
    """Return the 32 bytes of a public key as OpenSSH writes it. Raises Refused."""
    try:
        blob = base64.b64decode(text, validate=True)
    except ValueError:
        blob = b""
    if len(blob) < 32 or blob != ssh_blob(blob[-32:]):
        raise Refused("%s: what follows `ssh-ed25519` is no such key" % where)
    return blob[-32:]


def default_trust():
    """Return where the reader's own trusted keys stand."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.environ.get("SCIFLOW_TRUST") or os.path.join(home, "sciflow", "allowed_signers")


# ---- The verdict


class Verdict(object):
    """What was found: `id`, `files` (how many), `faults` ((path, text), sorted), `seals`, and the exit code."""

    def __init__(self, identity="", files=0, faults=(), seals=()):
        self.id, self.files, self.faults, self.seals = identity, files, list(faults), list(seals)

    @property
    def signers(self):
        """Return the names of those the reader trusts who have sealed it."""
        return [seal.principal for seal in self.seals if seal.principal]

    @property
    def code(self):
        """Return the exit code: 4 beats 6 beats 0."""
        return CHANGED if self.faults else OK if self.signers else UNTRUSTED

    def lines(self):
        """Say it for a person: a line a fault, then one line of sum."""
        lines = ["%s: %s" % (shown(path), text) for path, text in self.faults[:MAX_NAMED]]
        if len(self.faults) > MAX_NAMED:
            lines.append("… and %d more" % (len(self.faults) - MAX_NAMED))
        if self.faults:
            return lines + [
                "changed: %d of %d files do not agree with the seal" % (len({p for p, _ in self.faults}), self.files)
            ]
        lines.extend(
            "%s: %s (%s)" % (seal.path, seal.why, fingerprint(seal.key)) for seal in self.seals if not seal.principal
        )
        if not self.signers:
            what = "sealed by nobody you trust" if self.seals else "not sealed"
            return lines + ["untrusted: %d files agree with manifest %s, %s" % (self.files, self.id[:12], what)]
        return lines + ["verified: %d files, id %s, sealed by %s" % (self.files, self.id[:12], ", ".join(self.signers))]


def judge(bundle, trust=None, now=None):
    """Judge a bundle. `trust` is the path of an allowed_signers file (absent: nobody is trusted), `now` a UTC datetime.

    Raises OSError when the folder or the trust file cannot be read at all, or the disk fails; Refused when the trust
    file is malformed.
    """
    if not os.path.isdir(bundle):
        raise OSError(2, "there is no such folder", bundle)
    signers = trusted(trust, now or utc()) if trust else {}
    try:
        entries, identity = manifest_of(bundle)
    except Refused as error:
        return Verdict(faults=[("manifest.json", str(error))])
    except FileNotFoundError:
        return Verdict(faults=[("manifest.json", "is missing")])
    except OSError as error:
        if failing(error, os.path.join(bundle, "manifest.json")):
            raise
        return Verdict(faults=[("manifest.json", "cannot be read (%s)" % error.strerror)])
    seals, faults = seals_of(bundle, identity)
    for seal in seals:
        seal.principal, seal.why = signers.get(seal.key, (None, seal.why))
        if seal.why:
            seal.principal = None
    return Verdict(identity, len(entries), sorted(faults + compare(bundle, entries)), seals)


def utc():
    """Return the time now, in UTC, without a zone (utcnow is deprecated from Python 3.12 on)."""
    return dt.datetime(1970, 1, 1) + dt.timedelta(seconds=time.time())  # noqa: DTZ001


def main(words=None):
    """Run as a command; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Say whether a sciflow bundle is what was sealed, and whether you trust who sealed it.",
        epilog="exit codes: 0 verified, 2 words, 3 cannot be read, 4 not what was sealed, 6 no seal that you trust",
    )
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("bundle", nargs="?", default=here, help="the bundle's folder (this file's own, if left out)")
    parser.add_argument("--trust", metavar="FILE", help="an allowed_signers file (default: %s)" % default_trust())
    chosen = parser.parse_args(words)
    trust = chosen.trust or (default_trust() if os.path.exists(default_trust()) else None)
    try:
        verdict = judge(chosen.bundle, trust, utc())
    except Refused as error:
        print("%s: %s" % (trust, error), file=sys.stderr)
        return UNREADABLE
    except OSError as error:
        print("%s: %s" % (shown(str(error.filename)), error.strerror), file=sys.stderr)
        return UNREADABLE
    lines = verdict.lines()
    print("".join(line + "\n" for line in lines[:-1]), end="", file=sys.stderr)
    print(lines[-1])
    return verdict.code


if __name__ == "__main__":
    sys.exit(main())
