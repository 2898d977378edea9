"""F3, F4: calls of the system that fail, for good or once: no silent success, words for it, and all right afterwards."""

import re
import subprocess
import sys

import pytest

from tests.faults import scene as made

pytestmark = pytest.mark.live("strace")
MANY = made.POINTS or 10
FULL = ("write", "openat", "mkdir", "rename", "symlink", "ftruncate", "fsync", "syncfs", "close", "link", "pwrite64")
READING = ("read", "pread64", "getdents64", "newfstatat", "stat", "lstat", "fstat", "readlink", "lseek", "statx")
CHANGING = ("unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "utimensat", "mkdirat", "chdir", "renameat")
FAULTS = (
    *[(name, error, "+") for name in FULL for error in ("ENOSPC", "EDQUOT")],
    *[(name, "EIO", "+") for name in (*FULL, *READING, *CHANGING)],
    *[(name, error, "") for name in (*FULL, *READING, *CHANGING) for error in ("EIO", "ESTALE")],
    *[(name, "EINTR", "") for name in ("read", "write", "openat", "close", "fsync", "ftruncate")],
)
SAID = re.compile(r"^sciflow: .*((/[^/\s]+){2}|the box|its lane)", re.MULTILINE)


def points(counts, before):
    """Return {fault: [(name, error, again, which), …]}: from the runner's own work on."""
    return {
        (name, error, again): [
            (name, error, again, which) for which in range(before.get(name, 0) + 1, counts.get(name, 0) + 1)
        ]
        for name, error, again in FAULTS
    }


def inject(name, error, again, which):
    return ["-e", f"trace={name}", "-e", f"inject={name}:error={error}:when={which}{again}"]


def judged(scene, wanted, point, code, said):
    """Say what is wrong with how a run has ended in which a call failed."""
    found = []
    if code == 0 and scene.wrong(made.Wanted(wanted.table, scene.left())):
        found.append("a silent success: " + str(scene.wrong(made.Wanted(wanted.table, scene.left()))))
    elif code not in (0, 3, 5):
        found.append(f"it ended with {code}: {said}")
    if code == 3 and not SAID.search(said) and not (point[0] == "write" and point[2]):  # else it cannot even be told
        found.append("no path is named: " + said)
    if "Traceback" in said and "the box does not open" not in said:
        found.append("a traceback: " + said)
    return found


@pytest.mark.parametrize("where", ["runner", "box"])
def test_a_call_that_fails_is_told_of_and_nothing_is_lost(scenes, wanted, where, tmp_path):
    """F3 (no space, quota, input/output: persistent), F4 (stale handle, interrupted call: once)."""
    counts, before = made.counted(scenes[0], tmp_path / "log", where)
    codes = []

    def act(scene, point):
        words = inject(*point)
        if where == "runner":
            code, said = scene.go(strace=scene.strace(*words))
        else:
            code, said = scene.go(box=scene.strace("-f", *words))
        codes.append(code)
        left = scene.quiet()
        found = [f"a process is left: {words}" for words in left.values()] + judged(scene, wanted, point, code, said)
        return found + scene.recovered(wanted, "--failed")

    chosen = made.spread(points(counts, before), MANY)
    found = made.each(scenes, chosen, act)
    print(f"{where}: {len(chosen)} tried, ended with { ({code: codes.count(code) for code in codes}) }")
    assert found == []


def test_a_room_of_the_runner_that_cannot_be_read_is_not_called_changed(scenes, tmp_path):
    """F4, where the runner holds its own files to the manifest: it does not know that they have changed."""
    _, before = made.counted(scenes[0], tmp_path / "log", "runner")
    for ahead in (5, 15, 25):
        words = inject("close", "EINTR", "", before["close"] + ahead)
        code, said = scenes[0].go(strace=scenes[0].strace(*words))
        assert code in (0, 3), said
    scenes[0].quiet()


def test_a_manifest_that_the_disk_does_not_give_is_not_called_changed(scenes):
    """F3, in the verifier: of what cannot be read nothing is known."""
    read = ["-P", str(scenes[0].path / "manifest.json"), "-e", "inject=read,fstat,newfstatat:error=EIO"]
    found = subprocess.run(
        [*scenes[0].strace("-f", *read), sys.executable, "-I", "-B", scenes[0].path / "verify.py"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stderr) == (3, f"{scenes[0].path}/manifest.json: Input/output error\n")
