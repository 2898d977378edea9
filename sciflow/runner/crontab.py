"""The user's crontab: a run's line is known by the mark it ends with; all others are kept byte for byte.

This room travels, because a bundle takes its own line away when nothing is left to do. It serves Slurm's `scrontab`
alike, where `#SCRON` lines before a line belong to it. A table can be read and written whole, and no more: so it is
read again just before it is written, and after; what another program writes in between (milliseconds) is lost.
"""

import errno
import hashlib
import os
import re
import socket
import subprocess
import time

from . import names

TABLES = ("crontab", "scrontab")
OPTIONS = b"#SCRON"
TRIES = 10
PAUSE_S = 0.2


class TableError(Exception):
    """The table cannot be read or written; the text says what the program said."""


def mark(bundle, run_name):
    """Return what the line of a run ends with: the bundle's id, and a digest of where it stands and of the run."""
    identity = names.digest_file(os.path.join(bundle, names.MANIFEST))[0]
    place = hashlib.sha256(os.fsencode(os.path.realpath(bundle)) + b"\0" + os.fsencode(run_name)).hexdigest()
    return "sciflow:%s:%s" % (identity[:12], place[:12])


def lock(name):
    """Return a lock of this machine's kernel, or None where another process holds it. It ends with its holder.

    It is the name of a socket (unix(7), abstract): there is no file that a crash leaves, or a network drive lies about.
    """
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(("\0%s:%d" % (name, os.getuid())).encode("ascii"))
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return held


def without(table, mark):
    """Return a table (bytes) without the lines of a mark, and the options before them."""
    kept = []
    for line in table.splitlines(keepends=True):
        if line.rstrip().endswith(b"# " + mark.encode("ascii")):
            while kept and kept[-1].startswith(OPTIONS):
                kept.pop()
        else:
            kept.append(line)
    return b"".join(kept)


def added(table, mark, text):
    """Return a table with a text, the lines of a mark, at its end, in place of those that were there."""
    rest = without(table, mark)
    if rest and not rest.endswith(b"\n"):
        rest += b"\n"
    return rest + os.fsencode(text)


def _ask(words, given=None):
    try:
        found = subprocess.run(
            words,
            input=given if given is not None else b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, LC_ALL="C"),
            check=False,
        )
    except OSError as error:
        raise TableError("`%s`: %s" % (words[0], error.strerror))
    return found.returncode, found.stdout, found.stderr.decode("utf-8", "replace").strip()


def read(program):
    """Return the user's table, as bytes; nothing where there is none. Raises TableError."""
    code, out, said = _ask([program, "-l"])
    if code and not re.search("(?i)no s?crontab for", said):
        raise TableError("`%s -l` said: %s" % (program, said or "exit code %d" % code))
    return b"" if code else out


def _write(program, table):
    code, _, said = _ask([program, "-"], table) if table else _ask([program, "-r"])
    if code:
        raise TableError("`%s` said: %s" % (program, said or "exit code %d" % code))


def change(program, edit):
    """Change the user's table by `edit`, bytes to bytes; say whether that changed anything. Raises TableError."""
    for _ in range(TRIES):
        held = lock("sciflow-" + program)  # two bundles may end in the same moment
        try:
            table = read(program)
            wanted = edit(table)
            if wanted == table:
                return False
            if held is not None and read(program) == table:
                _write(program, wanted)
                if read(program) == wanted:
                    return True
        finally:
            if held is not None:
                held.close()
        time.sleep(PAUSE_S)
    raise TableError("`%s`: others keep changing the table" % program)
