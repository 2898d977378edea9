"""A flake's files in a folder -> its closure as a binary cache, made by nix; or why nix cannot, in one sentence.

Where this machine has a store that this user may build in, that one serves. Elsewhere a store in a folder does, his own
or one in the workshop: nix needs neither root nor a daemon nor `/nix` for it, but namespaces.
"""

from __future__ import annotations

import grp
import os
import re
import shlex
import shutil
import socket
import subprocess
from collections import deque
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import quote

from sciflow.containers import leash, tool
from sciflow.containers.closure import STORE
from sciflow.errors import SurroundingsError
from sciflow.runner import step
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NIX = ("nix", "--extra-experimental-features", "nix-command flakes")
# Nothing but the flake's own files and its lock decides what is built.
PURE = (
    *("--no-update-lock-file", "--option", "pure-eval", "true", "--option", "accept-flake-config", "false"),
    *("--option", "use-registries", "false", "--option", "eval-cache", "false"),
)
# In a store that is not at /nix/store only a sandbox can make it seem so, and there is nobody but the user to build as.
ALONE = (
    *("--option", "build-users-group", "", "--option", "sandbox", "true", "--option", "sandbox-fallback", "false"),
)
OUT = ("--no-link", "--print-out-paths", "--print-build-logs")
STATE = Path("/nix/var/nix")
KEPT = 400  # lines of what nix said last
LAST = 5  # lines of a failed build that are shown

_COLOURS = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\r")
_DOING = re.compile(rf"^(building|copying path) '{STORE}/[0-9a-z]{{32}}-([^']+?)(?:\.drv)?'")
_PLACE = re.compile(r"^\s*at (?!<)(.+?:[0-9]+:[0-9]+):?$")
_SOURCE = re.compile(rf"({STORE}/[0-9a-z]{{32}}-source)/")


@dataclass(frozen=True, kw_only=True, slots=True)
class Flake:
    """Which attribute of the flake in a folder is meant; `reference` is how the workflow names it, for faults."""

    folder: Path
    attribute: str
    reference: str


@dataclass(frozen=True, kw_only=True, slots=True)
class _Store:
    """The store that is used: the words that choose it, and the folder below which its `/nix/store` lies.

    A `passing` one goes away with the workshop.
    """

    words: tuple[str, ...] = ()
    root: str = ""
    passing: bool = False


def build(flake: Flake, workshop: Path, progress: Callable[[str], None]) -> Path:
    """Have nix build the flake; return the folder of a binary cache of its closure, not compressed, in the workshop.

    Raises SurroundingsError: it does not evaluate or build, its lock does not fit, no space, no namespaces.
    """
    store = _store(workshop)
    said = _run([*NIX, "build", *store.words, *PURE, *OUT, f"path:.#{flake.attribute}"], flake, store, progress)
    paths = said.split()
    strange = [path for path in paths if not path.startswith(f"{STORE}/")]
    if strange or not paths:
        raise SurroundingsError(
            f"nix keeps its store elsewhere than in `{STORE}`: `{(strange or ['?'])[0]}`",
            hint="an image's store is there; use a Nix that was built for it",
        )
    target = workshop / "binary cache"
    target.mkdir()
    to = f"file://{quote(str(target))}?compression=none"
    progress("nix: writing the closure")
    _run([*NIX, "copy", *store.words, "--no-check-sigs", "--to", to, *paths], flake, store, lambda _: None)
    if store.passing:
        step.clear(store.root)  # it may be large, and what is made of it next needs as much again
    return target


def version() -> str:
    """Return the version of nix. Raises SurroundingsError without one."""
    if shutil.which("nix") is None:
        raise SurroundingsError(
            "`nix` is not on PATH, and it builds flakes",
            hint="install Nix 2.20 or later (no daemon is needed); or fetch a bundle that carries the closure",
        )
    return tool.version("nix", "--version")


def _store(workshop: Path) -> _Store:
    """Choose the store: this machine's, or what settings name; else one that the user has; else a passing one."""
    said = subprocess.run(
        [*NIX, "config", "show"], capture_output=True, text=True, errors="replace", check=False
    ).stdout
    settings = {name: value.strip() for name, _, value in (line.partition(" = ") for line in said.splitlines())}
    if settings.get("store", "auto") != "auto" or works(STATE, group=settings.get("build-users-group", "")):
        return _Store()
    private = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "nix/root"
    root = private if private.is_dir() else workshop / "store"
    words = ("--store", f"local?root={quote(str(root))}", *ALONE)
    return _Store(words=words, root=str(root), passing=root != private)


def works(state: Path, *, group: str = "") -> bool:
    """Say whether a store's state is this user's to change, or has a daemon that does it for him.

    Root builds as members of a `group`: where there are none, the store is one that a stray command of root's has left.
    """
    if os.access(state, os.R_OK | os.W_OK):
        try:
            return os.geteuid() != 0 or not group or bool(grp.getgrnam(group).gr_mem)
        except KeyError:
            return False
    return listens(state / "daemon-socket/socket")


def listens(place: Path) -> bool:
    """Say whether somebody listens at a socket: a daemon that died leaves it behind."""
    with socket.socket(socket.AF_UNIX) as daemon:
        try:
            daemon.connect(str(place))
        except OSError:
            return False
    return True


def _run(words: Sequence[str], flake: Flake, store: _Store, progress: Callable[[str], None]) -> str:
    """Run nix beside the flake, say what it does meanwhile, and return what it printed."""
    last: deque[str] = deque(maxlen=KEPT)
    # its answer goes to a file: two pipes could wait for each other
    answer = flake.folder.with_name("answer")
    with (
        answer.open("wb") as out,
        leash.held(grace_s=0) as (ahead, descriptors),  # asked to end, nix was seen to wait for its builder
        subprocess.Popen(
            [*ahead, *words],
            cwd=flake.folder,
            env={**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            pass_fds=descriptors,
        ) as process,
    ):
        try:
            for raw in cast("IO[bytes]", process.stderr):
                line = _COLOURS.sub("", raw.decode("utf-8", "replace").rstrip("\n"))
                line = line.replace(f"{store.root}{STORE}", STORE)
                last.append(line)
                doing = _DOING.match(line)
                if doing:
                    progress(f"nix: {'building' if doing[1] == 'building' else 'fetching'} {doing[2]}")
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        raise refused(list(last), flake, root=store.root)
    return answer.read_text(encoding="utf-8", errors="replace")


def refused(lines: list[str], flake: Flake, *, root: str = "") -> SurroundingsError:  # noqa: PLR0911  a sentence a fault
    """Turn what nix said into one fault and its fix."""
    lines = [_ours(line, flake, root) for line in lines]
    said, name = "\n".join(lines), f"the flake `{flake.reference}`"
    fault = _last(lines)
    command = shlex.join(["nix", "flake", "lock", f"path:{flake.reference.rpartition('#')[0]}"])
    if re.search(r"kernel namespaces|cannot (?:create|set up).*namespace|unshar", said):
        return SurroundingsError(
            f"{name} cannot be built by this user: nix needs namespaces, and the kernel gives none",
            hint="ask the admin for user namespaces (`user.max_user_namespaces`), or for Nix with its daemon; "
            "or fetch a bundle that carries the closure",
        )
    if "No space left on device" in said:
        return SurroundingsError(
            f"{name} cannot be built: no space left in the cache, TMPDIR or Nix's store",
            hint="make room, or set TMPDIR or SCIFLOW_CACHE to another folder",
        )
    if "does not provide attribute" in said:
        return SurroundingsError(
            f"{name} has no `{flake.attribute}` for this machine",
            hint="it is looked for as `packages.SYSTEM.NAME`; `nix flake show` lists what there is",
        )
    if re.search(r"lock file changes|unlocked (?:flake )?input", said) or (
        "updating the lock file" in said and not (flake.folder / "flake.lock").exists()
    ):
        return SurroundingsError(
            f"the flake.lock of `{flake.reference}` does not pin all of its inputs", hint=f"run `{command}`"
        )
    failed = re.search(rf"(?:[Bb]uilder for|Cannot build) '{STORE}/[0-9a-z]{{32}}-([^']+?)(?:\.drv)?'", said)
    if failed:
        return _unbuilt(lines, failed[1], name)
    if re.search(r"unable to download|Could not resolve|Couldn't connect|[Ff]ailed to connect", said):
        return SurroundingsError(f"{name} needs something that cannot be fetched: {fault}", hint="check the network")
    hint = "mend it there; nothing of it was built"
    if re.search(r"path '[^']*' does not exist", fault):
        hint = "if it is beside the flake, add it to `image.files`: nix sees the flake's own files and nothing else"
    return SurroundingsError(f"{name} does not evaluate: {_place(lines)}{fault}", hint=hint)


def _unbuilt(lines: list[str], package: str, name: str) -> SurroundingsError:
    """Say with which words a build ended; its log has the name before each line, without or with the version."""
    log = [line.partition("> ") for line in lines if "> " in line]
    log = [one for one in log if package.startswith(one[0].strip())]
    shown_lines = "".join(f"\n    {shown(line)}" for _, _, line in log[-LAST:])
    return SurroundingsError(
        f"`{package}` of {name} does not build: {_last(lines)}{shown_lines}", hint="its log ends with the lines above"
    )


def _last(lines: list[str]) -> str:
    """Return nix's last error, or its last line."""
    found = [line.partition("error: ")[2] for line in lines if re.match(r"\s*error: .", line)]
    text: str = shown((found or [line.strip() for line in lines if line.strip()] or ["it said nothing"])[-1])
    return text


def _place(lines: list[str]) -> str:
    """Return the last place that nix names in the flake itself, as `FILE:LINE:COLUMN: `."""
    found = [place[1] for place in map(_PLACE.match, lines) if place and not place[1].startswith("/")]
    return f"{shown(found[-1])}: " if found else ""


def _ours(line: str, flake: Flake, root: str) -> str:
    """Name the flake's files as they are named beside the workflow: nix reads a copy of them, in its store."""
    place = PurePosixPath(flake.reference.rpartition("#")[0]).as_posix()
    here = "" if place == "." else f"{place}/"

    def mine(found: re.Match[str]) -> str:
        try:
            same = Path(f"{root}{found[1]}/flake.nix").read_bytes() == (flake.folder / "flake.nix").read_bytes()
        except OSError:
            same = False
        return here if same else found[0]

    return _SOURCE.sub(mine, line)
