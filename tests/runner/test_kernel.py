"""What the C library is called for, and that nothing is where there is none."""

import os
import shutil
import signal
import subprocess
import sys
from types import ModuleType

import pytest

from sciflow.runner import kernel, lane

UNSHARE = ["unshare", "--user", "--map-current-user", "--mount", "--pid", "--fork", "--mount-proc", "true"]
NESTED = bool(shutil.which("unshare")) and subprocess.run(UNSHARE, check=False, stderr=-3).returncode == 0
nested = pytest.mark.skipif(not NESTED, reason="this machine lets nobody have mounts and processes of their own")


def in_a_child(act):
    """Do something in a forked process, and return its exit code: 0 where it was so."""
    pid = os.fork()
    if not pid:
        code = 2
        try:
            code = 0 if act() else 1
        finally:
            os._exit(code)
    return os.WEXITSTATUS(os.waitpid(pid, 0)[1])


@pytest.mark.parametrize("ctypes", [None, ModuleType("ctypes")], ids=["left out", "cannot be looked at"])
def test_without_the_c_library_nothing_of_it_is_to_be_had(monkeypatch, tmp_path, ctypes):
    # As the import system has it: None where there is no such module, an empty one where the file's stat has failed.
    monkeypatch.setitem(sys.modules, "ctypes", ctypes)
    found = kernel.Kernel()
    scratch = found.scratch(str(tmp_path), (), 0o700)
    assert not any([found.adopt(), found.end_with_parent(), found.sync(0), scratch, found.apart()])


def test_a_file_system_is_forced_to_the_disk(tmp_path):
    descriptor = os.open(tmp_path, os.O_RDONLY)
    assert kernel.Kernel().sync(descriptor)
    os.close(descriptor)


def test_what_a_child_leaves_is_inherited():
    def act():
        assert kernel.Kernel().adopt()
        if not os.fork():
            if not os.fork():
                signal.pause()
            os._exit(0)
        os.wait()  # the first: the second is this process's own from now on
        (left,) = (pid for pid, told in lane.processes().items() if told[0] == os.getpid())
        os.kill(left, signal.SIGKILL)
        return os.wait()[0] == left

    assert in_a_child(act) == 0


@nested
def test_a_folder_stands_in_the_place_of_another(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "theirs").write_text("")

    def act():
        return kernel.Kernel().scratch(str(tmp_path / "own"), (str(shared),), 0o700) and not list(shared.iterdir())

    assert in_a_child(act) == 0
    assert list(shared.iterdir()) == [shared / "theirs"]
