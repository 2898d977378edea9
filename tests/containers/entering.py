"""Enter a real box as the runner does, with folders whose names are as awkward as paths can be."""

import os
import subprocess
import time
from pathlib import Path

from sciflow.containers import box as engines
from sciflow.runner import box as boxes
from sciflow.runner import names


def places(folder, *, image):
    """Make the six folders, with a space, a comma and both quotes in their names; return what fills the words."""
    found = {name: str(folder / f"the '{name}', \"so called\"") for name in engines.PATHS}
    for path in found.values():
        Path(path).mkdir(parents=True)
    Path(found["code"], "seen.txt").write_text("code is seen\n")
    more = {"uid": os.getuid(), "gid": os.getgid(), "name": f"sciflow-test-{os.getpid()}-{time.monotonic_ns()}"}
    return {**found, **more, "image": image, "cache": names.cache(), "path": os.environ["PATH"]}


def said(box, where, script, *, key="enter", by=()):
    """Run a shell script in the box with `hello` on stdin; return (exit code, output and errors).

    `by` are words that run a command as another user.
    """
    words = [*by, *boxes.filled(box[key], where), "/bin/sh", "-c", script]
    found = subprocess.run(
        words, input="hello\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return found.returncode, found.stdout


def killed(box, where, *, by=()):
    """Enter, start a child in a session of its own, kill what was started; return whether a process is left behind."""
    # the sleep is told from others by a length that nothing else on the machine sleeps
    seconds = f"{10000 + os.getpid()}.{time.monotonic_ns() % 1000000}"
    words = [
        *by,
        *boxes.filled(box["enter"], where),
        "/bin/sh",
        "-c",
        f"setsid sleep {seconds} & echo up; sleep {seconds}",
    ]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True) as entered:
        try:
            assert entered.stdout.readline() == b"up\n"
            end = time.monotonic() + 10
            while not _sleeping(seconds):  # `up` may be there before the sleep is
                assert time.monotonic() < end
                time.sleep(0.05)
        finally:
            entered.kill()
    if box["stop"]:
        subprocess.run([*by, *boxes.filled(box["stop"], where)], stdout=subprocess.DEVNULL, check=True)
    end = time.monotonic() + 10
    while _sleeping(seconds) and time.monotonic() < end:
        time.sleep(0.05)
    return _sleeping(seconds)


def _sleeping(seconds):
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"sleep" in words[0] and seconds.encode() in words:
            found.append(entry)
    return bool(found)
