"""Two builders who share nothing but the workflow: another user, folder, cache, umask, time zone, locale and day."""

import functools
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from sciflow.runner import names
from tests.conftest import plain_user

ROOT = Path(__file__).parents[2]
# It says who and when it is, and is sciflow from there on.
LOCK = (
    "import os, runpy, sys, time\n"
    "print(os.geteuid(), int(time.time()), file=sys.stderr, flush=True)\n"
    "runpy.run_module('sciflow', run_name='__main__')\n"
)
# sciflow gives mmdebstrap an environment of its own, so the day has to be told once more on the way. It lies ahead, since
# apt takes no index that was signed later than today. libfaketime leaves its notes in /dev/shm, and cannot read them in
# another user's namespace: so it is for root alone, with a /dev/shm that goes away.
MMDEBSTRAP = """\
#!/bin/sh
unset LD_PRELOAD FAKETIME_SHARED
exec unshare --mount sh -c 'mount -t tmpfs none /dev/shm && exec {faketime} -f {ahead} "$0" "$@"' {mmdebstrap} "$@"
"""


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Who builds, where and when: `day` is what sciflow's clock says at its start; mmdebstrap's is `ahead` of ours."""

    folder: str
    prefix: tuple[str, ...]
    umask: str
    zone: str
    locale: str
    day: str
    ahead: str = ""


@dataclass(frozen=True, kw_only=True)
class Built:
    """Who a builder was, what its clock said (in seconds since 1970), its lock, and its cache."""

    user: int
    time: int
    lock: str
    cache: Path


def two():
    """Return two builders: root and a plain user where the tests are root's, else this user twice."""
    root = os.geteuid() == 0
    return (
        Builder(
            folder="one",
            prefix=(),
            umask="022",
            zone="UTC",
            locale="C.UTF-8",
            day="2031-03-05 11:12:13",
            ahead="+400d" if root else "",
        ),
        Builder(
            folder="the other, too",
            prefix=plain_user(),
            umask="077",
            zone="Asia/Tokyo",
            locale="C",
            day="2024-01-02 03:04:05",
        ),
    )


def begin(builder, study, place):
    """Copy a study to where a builder works, and start to lock it."""
    own = place / builder.folder
    shutil.copytree(study, own / "study")
    for name in ("home", "cache", "tools", "tmp"):
        (own / name).mkdir()
    if builder.ahead and shutil.which("mmdebstrap"):
        tool = own / "tools/mmdebstrap"
        found = {name: shutil.which(name) for name in ("faketime", "mmdebstrap")}
        tool.write_text(MMDEBSTRAP.format(ahead=builder.ahead, **found))
        tool.chmod(0o755)
    if builder.prefix:
        user = builder.prefix[builder.prefix.index("-u") + 1]
        subprocess.run(["chown", "-R", f"{user}:", own], check=True)
    settings = {
        "HOME": own / "home",
        "LC_ALL": builder.locale,
        "PATH": f"{own / 'tools'}:{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")]),
        "SCIFLOW_CACHE": own / "cache",
        "TMPDIR": own / "tmp",
        "TZ": builder.zone,
        **{name: value for name, value in os.environ.items() if name == "SCIFLOW_DEBIAN_MIRROR"},
    }
    words = [*builder.prefix, "env", "-i", *(f"{name}={value}" for name, value in settings.items())]
    words += ["sh", "-c", f'umask {builder.umask}; cd "$0"; exec "$@"', own / "study"]
    words += ["faketime", "-f", f"@{builder.day}", python(builder.prefix), "-B", "-c", LOCK, "lock", "workflow.toml"]
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)


@functools.cache
def python(prefix):
    """Return a Python that this user can start, and that has what sciflow needs."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    for path in (sys.executable, "/usr/bin/python3"):
        words = [*prefix, "env", f"PYTHONPATH={paths}", path, "-B", "-c", "import sciflow.containers.wheels"]
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return path
    return pytest.skip("the plain user has no Python that reads this code")


def build(study):
    """Have two builders lock a study, at the same time; yield what each of them made, and take it away."""
    place = Path(tempfile.mkdtemp(prefix="sciflow-builders-"))
    place.chmod(0o755)
    running = []
    try:
        builders = two()
        running += [begin(builder, study, place) for builder in builders]
        said = [process.communicate()[1] for process in running]
        assert [process.returncode for process in running] == [0, 0], said
        yield [made(first, place / builder.folder) for first, builder in zip(said, builders, strict=True)]
    finally:
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)  # sciflow then ends what it has started
                process.communicate()
        shutil.rmtree(place)


def made(said, own):
    user, time = said.split("\n", 1)[0].split()
    return Built(user=int(user), time=int(time), lock=(own / "study" / names.LOCK).read_text(), cache=own / "cache")
