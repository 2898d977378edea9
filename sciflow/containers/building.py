"""A base and the scripts laid in it -> a SIF, by `apptainer build` as this user; or words that say why not.

A plain user is root in a user namespace of his own, as Apptainer makes it. Root is put into one too: then a container
whose root lacks some powers will do, and a recipe's commands have none over the machine.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sciflow.containers import leash, scripts, squash, tool
from sciflow.errors import SurroundingsError
from sciflow.runner.tree import shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

BASE, SIF = "base.sqfs", "built.sif"
# What stands in the image for this machine's own, which a recipe would else see and fill.
LENT = {"tmp": "/tmp", "vartmp": "/var/tmp"}  # noqa: S108 - those inside the image
PLACES = (*LENT, "home", "scratch", "cache")
DEFINITION = f"Bootstrap: localimage\nFrom: {BASE}\n\n%post\n    exec /bin/sh /{scripts.FOLDER}/run\n"
ELSEWHERE = ":/usr/sbin:/sbin"  # mksquashfs and newuidmap may be there
LAST = 10  # lines of what a failed command said
IDS = 65536  # of users and groups, from root up, that root's namespace has
PATIENCE_S, PAUSE_S = 5.0, 0.01

NO_NAMESPACE = (
    "user namespaces must be allowed, with a range in /etc/subuid and /etc/subgid: `sciflow doctor` says more"
)

_NAMESPACE = re.compile(
    r"user ?namespace|newuidmap|newgidmap|subuid|fakeroot|unshare|clone|proot|capability set", re.IGNORECASE
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class FailedError(Exception):
    """A step's command failed: the step's number, the exit code, and the last lines that were said."""

    def __init__(self, step: int, code: int, said: tuple[str, ...]) -> None:
        super().__init__(step, code, said)
        self.step, self.code, self.said = step, code, said


class _NoFakerootError(Exception):
    """The user has no range of ids, and the `fakeroot` of this machine does not run in the image, as in a small one.

    Without it everything is root's, and `chown` to somebody else fails; a command that does not need that goes well.
    """


def version() -> str:
    """Return Apptainer's version. Raises SurroundingsError without one."""
    try:
        return tool.version("apptainer", "--version")
    except FileNotFoundError as error:
        raise SurroundingsError(
            "`apptainer` is not on PATH, and it builds definitions and Dockerfiles",
            hint="install apptainer; or build the image elsewhere, and name it by `from` or `file`",
        ) from error


def proxies() -> Mapping[str, str]:
    """Return the variables by which this machine reaches the network."""
    return {name: value for name, value in sorted(os.environ.items()) if name.lower().endswith("_proxy")}


def build(workshop: Path, started: Callable[[int], None]) -> Path:
    """Build the SIF on `base.sqfs` of the workshop; `started` is told each step.

    Raises FailedError for a command that failed, SurroundingsError for all else that keeps Apptainer from building.
    """
    (workshop / "build.def").write_text(DEFINITION, encoding="ascii")
    for name in PLACES:
        (workshop / name).mkdir()
    for name in LENT:
        (workshop / name).chmod(0o1777)
    # Apptainer takes its own folders apart at commas, so it is given them by a name without any.
    with tempfile.TemporaryDirectory(prefix="sciflow-", dir=_plainly_named()) as folder:
        here = Path(folder) / "workshop"
        here.symlink_to(workshop)
        words = ["apptainer", "build", "--mksquashfs-args", " ".join(squash.WORDS)]
        for name, target in LENT.items():
            words += ["--mount", f'type=bind,"source={here}/{name}",destination={target}']
        environment = {
            "PATH": f"{os.environ.get('PATH', os.defpath)}{ELSEWHERE}",
            "HOME": f"{here}/home",
            "LC_ALL": "C.UTF-8",
            "APPTAINER_TMPDIR": f"{here}/scratch",
            "APPTAINER_CACHEDIR": f"{here}/cache",
        }
        try:
            _run([*words, SIF, "build.def"], workshop, environment, started)
        except _NoFakerootError:
            _run([*words, "--ignore-fakeroot-command", SIF, "build.def"], workshop, environment, started)
    return workshop / SIF


def _plainly_named() -> str:
    """Return TMPDIR, or `/tmp` where its name has what Apptainer takes names apart at, or cannot be quoted for it."""
    named = tempfile.gettempdir()
    return "/tmp" if set(named) & set(',:"\\') else named  # noqa: S108 - a folder of a random name is made in it


def _run(words: Sequence[str], folder: Path, environment: Mapping[str, str], started: Callable[[int], None]) -> None:
    as_root = os.geteuid() == 0
    waiting = ["unshare", "--user", "--", "/bin/sh", "-c", 'read -r _ && exec "$@"', "sh"] if as_root else []
    with leash.held() as (ahead, descriptors):
        try:
            process = subprocess.Popen(
                [*waiting, *ahead, *words],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                umask=0o022,
                process_group=0,
                pass_fds=descriptors,
            )
        except FileNotFoundError as error:
            raise SurroundingsError(
                f"`{error.filename}` is not on PATH", hint="install util-linux and apptainer"
            ) from error
        _attended(process, started, as_root=as_root)


def _attended(process: subprocess.Popen[bytes], started: Callable[[int], None], *, as_root: bool) -> None:
    """Let it begin, and stay with it until it ends."""
    with process:
        try:
            if as_root:
                _map(process.pid)
            if process.stdin and process.stdout:
                with contextlib.suppress(BrokenPipeError):  # it ended already, and says why
                    process.stdin.write(b"\n")
                    process.stdin.close()
                _heard(process, process.stdout, started)
        except BaseException:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)  # its commands too; it then takes away what is not finished
            raise


def _map(pid: int) -> None:
    """Give a process that waits in a new user namespace the ids from 0 up, as they are."""
    own, end = Path("/proc/self/ns/user").readlink(), time.monotonic() + PATIENCE_S
    try:
        while Path(f"/proc/{pid}/ns/user").readlink() == own:
            if time.monotonic() > end:
                raise SurroundingsError("root cannot make a user namespace to build in", hint=NO_NAMESPACE)
            time.sleep(PAUSE_S)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{pid}/{name}").write_text(f"0 0 {IDS}\n", encoding="ascii")
    except OSError as error:
        raise SurroundingsError(
            f"root cannot make a user namespace to build in: {error.strerror}", hint=NO_NAMESPACE
        ) from error


def _heard(process: subprocess.Popen[bytes], stream: IO[bytes], started: Callable[[int], None]) -> None:
    """Listen to what it says until it ends."""
    said: deque[str] = deque(maxlen=LAST)
    ended: tuple[int, int] | None = None
    for line in _lines(stream):
        word, _, rest = line.partition(" ")
        if word == scripts.STARTED and rest.isdecimal():
            said.clear()
            started(int(rest))
        elif word == scripts.ENDED and re.fullmatch(r"\d+ \d+", rest):
            step, code = rest.split()
            ended = int(step), int(code)
            break
        else:
            said.append(line)
    before, after = tuple(said), tuple(_lines(stream))
    if process.wait() == 0:
        return
    if ended:
        raise FailedError(*ended, before)
    if any(line.startswith("fakeroot: error while starting") for line in before):
        raise _NoFakerootError
    raise refused((*before, *after))


def _lines(stream: IO[bytes]) -> Iterator[str]:
    for line in stream:
        yield shown(_COLOURS.sub("", line.decode("utf-8", "replace")).rstrip())


def refused(said: Sequence[str]) -> SurroundingsError:
    """Turn what Apptainer says into one fault and its fix."""
    wrong = [line for line in said if re.match(r"FATAL|ERROR", line)] or [line for line in said if line.strip()]
    last = "; ".join(wrong[-2:]) or "it said nothing"
    every = "\n".join(said)
    if "o space left" in every:
        return SurroundingsError(
            "the image cannot be built: no space left in the cache", hint="make room, or set SCIFLOW_CACHE elsewhere"
        )
    if _NAMESPACE.search(every):
        return SurroundingsError(f"apptainer cannot build as this user: {last}", hint=NO_NAMESPACE)
    return SurroundingsError(
        f"apptainer could not build the image: {last}",
        hint="it must be 1.2 or later, with mksquashfs, and the base must have `/bin/sh`",
    )
