"""Hold a folder to its manifest: every listed file as it was sealed, and nothing beside them."""

import errno
import hashlib
import json
import os
import re
import stat

MAX_DOCUMENT = 64 << 20  # bytes of a manifest or a seal
MAX_FILES = 200000
MAX_PATH = 1024  # bytes
LARGE = 8 << 20  # bytes from which on files are hashed on all cores: of fewer, threads cost more than they spare
FREE = ("runs", "seals", "carried")  # the only places where something unlisted may stand, each under its own rule


class Refused(Exception):  # noqa: N818  a verdict, and no error of ours
    """A document is not what this format allows; the text says which and why."""


def shown(text):
    """Escape what a terminal could act on."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _pairs(pairs):
    if len(dict(pairs)) != len(pairs):
        raise Refused("a key stands twice")
    return dict(pairs)


def _no(text):
    raise Refused("%s is no number of this format" % text)


def parse(data):
    """Read JSON strictly: UTF-8, no key twice, no fractions, no NaN. Raises Refused."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_pairs, parse_float=_no, parse_constant=_no)
    except (ValueError, RecursionError) as error:
        raise Refused("it cannot be read as JSON (%s)" % error)


def plain(value):
    """Write a document of texts, integers and containers as the compiler does (RFC 8785 for such values)."""
    # surrogatepass: half a character, escaped in a hostile document, gives bytes that no sound document holds.
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def failing(error, path):
    """Say whether the disk has failed; else what stands at the path is not the file that should. Names the path."""
    error.filename = error.filename or path
    there = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM)
    return error.errno not in there


def read_small(path):
    """Return a regular file's bytes without following a link. Raises Refused, OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise Refused("it is not a regular file")
        if facts.st_size > MAX_DOCUMENT:
            raise Refused("it has %d bytes, more than the %d allowed" % (facts.st_size, MAX_DOCUMENT))
        return stream.read()


def _safe(path):
    parts = path.split("/")
    return (
        len(path.encode("utf-8", "surrogatepass")) <= MAX_PATH
        and path.isprintable()
        and "\\" not in path
        and all(part not in ("", ".", "..") for part in parts)
        and parts[0] not in FREE
        and path != "manifest.json"
    )


def manifest_of(bundle):
    """Return (entries by path, id) of a bundle's manifest. Raises Refused, OSError."""
    data = read_small(os.path.join(bundle, "manifest.json"))
    document = parse(data)
    if plain(document) != data:
        raise Refused("it is not in canonical form")
    if not isinstance(document, dict) or document.get("kind") != "bundle" or document.get("format") != 1:
        raise Refused("it is not the manifest of a bundle in format 1")
    files = document.get("files")
    if not isinstance(files, list) or len(files) > MAX_FILES:
        raise Refused("its list of files is missing or longer than %d" % MAX_FILES)
    entries = {}
    for entry in files:
        if not isinstance(entry, dict) or sorted(entry) != ["mode", "path", "sha256", "size"]:
            raise Refused("an entry lacks one of mode, path, sha256, size")
        path, mode, sha, size = entry["path"], entry["mode"], entry["sha256"], entry["size"]
        if not (isinstance(path, str) and _safe(path)):
            raise Refused("it lists an unsafe path, %s" % shown(str(path)))
        if mode not in ("0644", "0755") or not re.match("^[0-9a-f]{64}$", str(sha)) or not isinstance(size, int):
            raise Refused("the entry of %s is malformed" % shown(path))
        entries[path] = entry
    paths = [entry["path"] for entry in files]
    if paths != sorted(entries):
        raise Refused("its paths are not sorted, or one stands twice")
    return entries, hashlib.sha256(data).hexdigest()


def _hashed(path):
    """Return (sha256, size) of a file opened without following a link or waiting for a pipe."""
    sha, size = hashlib.sha256(), 0
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            sha.update(piece)
            size += len(piece)
    return sha.hexdigest(), size


def _all_hashed(paths, size):
    """Yield (sha256, size) of each; where there are so many bytes of them, with a thread a core."""
    if size < LARGE:
        for path in paths:
            yield _hashed(path)
        return
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  that takes longer than most bundles

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:  # hashlib lets go of the interpreter's lock
        for found in pool.map(_hashed, paths):
            yield found


def _at(root, path):
    """Return where a path of the manifest lies, as bytes: names are UTF-8 here, whatever the locale says."""
    return os.path.join(os.fsencode(root), path.encode("utf-8", "surrogateescape"))


def _walk(root):
    """Yield (path, lstat) of everything below a folder, in no order; links are not followed."""
    waiting = [""]  # no recursion: a hostile folder may be deeper than Python's stack
    while waiting:
        below = waiting.pop()
        for name in os.listdir(_at(root, below)):
            path = (below + "/" if below else "") + name.decode("utf-8", "surrogateescape")
            facts = os.lstat(_at(root, path))
            yield path, facts
            if stat.S_ISDIR(facts.st_mode) and path not in FREE:
                waiting.append(path)


def _kind(mode):
    kinds = (
        (stat.S_ISLNK, "a link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    )
    return next((name for test, name in kinds if test(mode)), "a device")


def compare(bundle, entries):
    """Return the faults of a folder against its manifest's entries, as sorted (path, text); and hash on all cores."""
    faults, present, folders, size = [], [], set(), 0
    for path in entries:
        parts = path.split("/")
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    for path, facts in _walk(bundle):
        if path in FREE or path in folders:
            if not stat.S_ISDIR(facts.st_mode):
                faults.append(
                    (
                        path,
                        "is %s, and should be a folder"
                        % (_kind(facts.st_mode) if not stat.S_ISREG(facts.st_mode) else "a file"),
                    )
                )
        elif path == "manifest.json":
            continue
        elif path not in entries:
            faults.append((path, "is not in the manifest"))
        elif not stat.S_ISREG(facts.st_mode):
            faults.append((path, "is %s, and should be a file" % _kind(facts.st_mode)))
        else:
            present.append(path)
            size += facts.st_size
            mode = "%04o" % stat.S_IMODE(facts.st_mode)
            if mode != entries[path]["mode"]:
                faults.append((path, "has mode %s; sealed: %s" % (mode, entries[path]["mode"])))
            if facts.st_nlink > 1:
                faults.append((path, "has a second name (a hard link), through which it can be changed"))
    seen = {path for path, _ in faults}.union(present)
    faults.extend((path, "is missing") for path in entries if path not in seen)
    for path, found in zip(present, _all_hashed([_at(bundle, path) for path in present], size)):
        if found != (entries[path]["sha256"], entries[path]["size"]):
            faults.append((path, "has changed: sha256 %s, sealed %s" % (found[0][:12], entries[path]["sha256"][:12])))
    faults.extend(_carried(bundle))
    return sorted(faults)


def _carried(bundle):
    """Check what a fat bundle brings along: each file is named for its digest."""
    for path, facts in _walk(os.path.join(bundle, "carried")) if os.path.isdir(os.path.join(bundle, "carried")) else ():
        where = "carried/" + path
        if path == "sha256" and stat.S_ISDIR(facts.st_mode):
            continue
        if not re.match("^sha256/[0-9a-f]{64}$", path) or not stat.S_ISREG(facts.st_mode):
            yield where, "does not belong there"
        elif _hashed(_at(bundle, where))[0] != path[7:]:
            yield where, "is not what its name says"
