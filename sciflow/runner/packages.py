"""What an image has installed, from what its own databases say to a sorted list, kept once a run and image.

An image of Debian packages has its list in the bundle, from when it was pinned; then nothing is asked. Else the box's
`packages.sh` tells, while the first steps run. A list is named for its image: what two workers find there is the same.
"""

import os
import re

from . import names

LISTED = "container/packages.txt"  # in a bundle: what was known when it was compiled
LARGEST = 1 << 26  # bytes that are read of what a box tells: fifty times what a full desktop has installed
INSTALLED = " installed"  # how dpkg's `Status` ends, of a package that is
PYTHON = re.compile(r"^([^-]+)-(.+?)(?:-py[\d.]+)?\.(?:dist|egg)-info$")


def place(bundle, run, image):
    """Return where the list of an image's packages is to be found: its path in the bundle, or nothing of no image."""
    if image is None:
        return ""
    if os.path.isfile(os.path.join(bundle, LISTED)):
        return LISTED
    return os.path.relpath(os.path.join(run, names.PACKAGES, image.split(":")[1] + ".txt"), bundle)


def _stanzas(lines):
    """Yield what stands between empty lines, as {what is before the first colon: what is behind it}."""
    found = {}
    for text in lines + [""]:
        if text and not text.startswith((" ", "\t")):
            key, _, value = text.partition(":")
            found[key] = value.strip()
        elif not text and found:
            yield found
            found = {}


def _debian(lines):
    for one in _stanzas(lines):
        # What has no status lies in a folder of its own for each package, as images without dpkg have it.
        if one.get("Package") and one.get("Version") and (" " + one.get("Status", "installed")).endswith(INSTALLED):
            yield one["Package"], one["Version"], one.get("Architecture", "")


def _alpine(lines):
    for one in _stanzas(lines):
        if one.get("P") and one.get("V"):
            yield one["P"], one["V"], one.get("A", "")


def _python(lines):
    for name, version in (match.groups() for match in map(PYTHON.match, lines) if match):
        yield name, version, ""


def listed(told):
    """Turn what `packages.sh` has told into lines `KIND NAME VERSION [ARCHITECTURE]`, sorted, each once."""
    found = set()
    for section in ("\n" + told).split("\n# ")[1:]:
        kind, _, text = section.partition("\n")
        read = {"debian": _debian, "alpine": _alpine, "python": _python}.get(kind)
        for one in read(text.split("\n")) if read else ():
            # A database is as free as its image: what is no plain word would not be a line of this list.
            found.add(" ".join((kind,) + tuple("".join(part.split()) for part in one)).strip())
    return sorted(found)


def keep(path, told):
    """Write the list of what was told (a file of the worker's, beside which it is written first) to its path."""
    with open(told, encoding="utf-8", errors="replace") as stream:
        lines = listed(stream.read(LARGEST))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    part = told + ".list"
    with open(part, "w", encoding="utf-8") as stream:
        stream.write("".join(line + "\n" for line in lines))
    os.replace(part, path)
