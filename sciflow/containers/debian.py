"""A Debian suite and a list of packages, pinned: built by mmdebstrap without root, the same bytes for everyone.

The tree depends on the suite, the packages and their versions alone. What would tell one builder from another (host
name, resolver, the archive's address, umask, clock) is kept out of it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from sciflow.containers import leash, tool
from sciflow.containers.image import Package, own_platform
from sciflow.containers.source import Base
from sciflow.errors import SurroundingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sciflow.containers.image import PinnedImage
    from sciflow.containers.locked import LockedFile
    from sciflow.containers.source import Request
    from sciflow.workflow import spec

NAME = "debian"

# Files newer than this get this time; and Python then compiles to files checked by hash, not by time (PEP 552).
SOURCE_DATE_EPOCH = "0"
UMASK = 0o022
RECORDS = "sciflow.records"

# Nobody reads manuals in a box; copyright notices stay, as licences ask.
LEFT_OUT = (
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
)

# The archive's signed index gives each .deb's digest; it is asked inside, before mmdebstrap cleans it away.
# Quoting: mmdebstrap gives the text to sh with "$1" as the root; `${…}` is dpkg-query's own.
_ASK = (
    """chroot "$1" sh -c 'apt-cache show --no-all-versions """
    """$(dpkg-query -W -f "\\${Package}:\\${Architecture}=\\${Version} ")' >"$1/"""
    f'{RECORDS}"'
)
_FORGET = f'rm -f "$1/{RECORDS}" "$1/etc/hostname" "$1/etc/resolv.conf"; : >"$1/etc/apt/sources.list"'


def files(_image: spec.Image, _folder: Path) -> tuple[LockedFile, ...]:
    """Pin nothing: all of it comes from the archive."""
    return ()


def fits(image: spec.Image, pinned: PinnedImage, _folder: Path | None) -> bool:
    """Say whether suite and packages are the same, in whatever order."""
    return image.reference == pinned.reference and tuple(sorted(set(image.packages))) == pinned.asked


def lay(request: Request) -> Base:
    """Build the root file system.

    Raises SurroundingsError: no mmdebstrap, no such package, archive down, no space; or, naming the packages that moved
    on, if what can be built today is not what was pinned.
    """
    suite, packages = request.image.reference, request.image.packages
    _check(request.platform)
    request.progress(f"building Debian {suite} with {len(packages)} packages (a minute or two)")
    tar = _built(suite, packages, request.workshop)
    installed = _installed((request.workshop / RECORDS).read_text(encoding="utf-8", errors="replace"))
    if request.pinned and installed != request.pinned.packages:
        raise moved(request.pinned, installed)
    return Base(layers=(tar,), packages=installed, tools=(("mmdebstrap", tool.version("mmdebstrap", "--version")),))


def recipe(image: PinnedImage) -> Mapping[str, str]:
    """Return the list of packages, and the script that builds the root file system of them."""
    lines = [f"{one.name}={one.version} {one.architecture} sha256:{one.sha256}\n" for one in image.packages]
    words = build_words(image.reference, image.asked, mode="unshare", tar="tree.tar")
    tools = ", ".join(f"{name} {version}" for name, version in image.tools)
    script = (
        "#!/bin/sh\n"
        "# Builds the root file system of this bundle as tree.tar.\n"
        f"# It was built with {tools}; the archive's address may be given as an argument.\n"
        "umask 022\n"
        f"export SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH} LC_ALL=C.UTF-8 TZ=UTC\n"
        f'exec {shlex.join(words)} "$@"\n'
    )
    return {"container/packages.txt": "".join(lines), "container/build.sh": script}


def moved(locked: PinnedImage, now: Sequence[Package]) -> SurroundingsError:
    """Say which packages the archive has now in place of those that are locked."""
    was, has = ({(one.name, one.architecture): one for one in packages} for packages in (locked.packages, now))
    told = [
        f"{one.name} {one.version} ({_now(one, has[key]) if key in has else 'gone'})"
        for key, one in was.items()
        if has.get(key) != one
    ]
    told += [f"{one.name} {one.version} (new)" for key, one in has.items() if key not in was]
    return SurroundingsError(
        f"the archive of Debian {locked.reference} no longer gives what was locked: {', '.join(sorted(told))}",
        hint="`sciflow compile --update` takes what is there now; SCIFLOW_DEBIAN_MIRROR may name an older archive",
    )


def _now(was: Package, has: Package) -> str:
    return "now other bytes" if was.version == has.version else f"now {has.version}"


def _check(platform: str) -> None:
    if platform != own_platform():
        raise SurroundingsError(
            f"a Debian image for {platform} cannot be built on {own_platform()}", hint="compile on such a machine"
        )
    if shutil.which("mmdebstrap") is None:
        raise SurroundingsError(
            "`mmdebstrap` is not on PATH, and it builds Debian images",
            hint="install mmdebstrap and uidmap; or use another image",
        )


def _built(suite: str, packages: Sequence[str], workshop: Path) -> Path:
    """Run mmdebstrap; return the tar. The records of what it installed stand beside it."""
    mode = "root" if os.geteuid() == 0 else "unshare"
    words = [*build_words(suite, packages, mode=mode, tar="tree.tar"), *([_mirror()] if _mirror() else [])]
    environment = {
        key: os.environ[key]
        for key in os.environ
        if key in {"PATH", "HOME", "USER", "TMPDIR"} or key.lower().endswith("_proxy")
    }
    environment |= {"SOURCE_DATE_EPOCH": SOURCE_DATE_EPOCH, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    environment["PATH"] = f"{environment.get('PATH', '')}:/usr/sbin:/sbin".lstrip(":")
    found = leash.run(words, cwd=workshop, env=environment, umask=UMASK)
    tar = workshop / "tree.tar"
    if found.returncode != 0 or not tar.exists():
        raise _refused(suite, found.stderr)
    return tar


def build_words(suite: str, packages: Sequence[str], *, mode: str, tar: str) -> list[str]:
    """Write the words that build the tree as a tar; an archive's address may follow. Pure."""
    words = ["mmdebstrap", f"--mode={mode}", "--variant=minbase"]
    words += [f"--dpkgopt={option}" for option in LEFT_OUT]
    if packages:
        words.append(f"--include={','.join(sorted(set(packages)))}")
    # One suite, one archive: updates that some mirrors have and others lack would make two images of one lock.
    words.append(f"--setup-hook=sed -i '/ {suite} main/!d' \"$1/etc/apt/sources.list\"")
    return [
        *words,
        f"--customize-hook={_ASK}",
        f"--customize-hook=copy-out /{RECORDS} .",
        f"--customize-hook={_FORGET}",
        suite,
        tar,
    ]


def _refused(suite: str, said: str) -> SurroundingsError:
    """Turn what mmdebstrap and apt say into one fault and its fix."""
    absent = re.findall(r"Unable to locate package (\S+)|Package '?([^\s']+)'? has no installation candidate", said)
    if absent:
        missing = ", ".join(f"`{one or other}`" for one, other in absent)
        return SurroundingsError(
            f"Debian {suite} has no package {missing}",
            hint="see `image.packages`; names are those of packages.debian.org",
        )
    if re.search(r"newuidmap|subuid|[Uu]nshare", said):
        return SurroundingsError(
            f"Debian {suite} cannot be built by this user: {_last(said)}",
            hint="install uidmap and give the user a range: `usermod --add-subuids`",
        )
    if re.search(r"No space left", said):
        return SurroundingsError(
            f"Debian {suite} cannot be built: no space left in TMPDIR or the cache", hint="make room, or set TMPDIR"
        )
    if re.search(
        r"does not have a Release file|Could not resolve|Failed to fetch|Unable to connect|404 +Not Found|onnection",
        said,
    ):
        return SurroundingsError(
            f"the archive of Debian {suite} cannot be read: {_last(said)}",
            hint="check the suite's name and the network; SCIFLOW_DEBIAN_MIRROR names an archive",
        )
    return SurroundingsError(
        f"mmdebstrap could not build Debian {suite}: {_last(said)}", hint="run `mmdebstrap` by hand to see more"
    )


def _last(said: str) -> str:
    """Return apt's last error, or mmdebstrap's, or the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("E: ") and "apt-get" not in line] or [
        line for line in lines if line.startswith(("Err", "E: "))
    ]
    return (errors or lines or ["it said nothing"])[-1]


def _mirror() -> str:
    """Return the archive to build from: the one asked for, else this machine's own, else none: mmdebstrap's own."""
    chosen = os.environ.get("SCIFLOW_DEBIAN_MIRROR")
    if chosen:
        return chosen
    return own_mirror(Path("/etc"))


def own_mirror(etc: Path) -> str:
    """Return the address of the main archive in a Debian machine's sources, or nothing on other machines."""
    try:
        if not re.search(r"^ID=debian$", (etc / "os-release").read_text(encoding="utf-8"), re.MULTILINE):
            return ""
        sources = [*sorted((etc / "apt/sources.list.d").glob("debian*.sources")), etc / "apt/sources.list"]
        text = "\n".join(path.read_text(encoding="utf-8") for path in sources if path.is_file())
    except OSError:
        return ""
    found = re.findall(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+://\S+)", text, re.MULTILINE)
    return next((uri for uri in found if re.search(r"/debian/?$", uri)), "")


def _installed(records: str) -> tuple[Package, ...]:
    """Read apt's records: one paragraph a package. Raises SurroundingsError if one has no digest."""
    found = []
    for paragraph in re.split(r"\n\s*\n", records.strip()):
        fields = dict(re.findall(r"^(Package|Version|Architecture|SHA256):\s*(\S+)\s*$", paragraph, re.MULTILINE))
        if set(fields) != {"Package", "Version", "Architecture", "SHA256"}:
            raise SurroundingsError(
                f"the archive gives no SHA256 for {fields.get('Package', 'a package')}", hint="use another archive"
            )
        found.append(
            Package(
                name=fields["Package"],
                version=fields["Version"],
                architecture=fields["Architecture"],
                sha256=fields["SHA256"],
            )
        )
    return tuple(sorted(set(found)))
