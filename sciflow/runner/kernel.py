"""What the C library is called for: it stands outside and inside the box, and asks for no other room."""

import os
import signal

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
CLONE_NEWNS, CLONE_NEWIPC = 0x00020000, 0x08000000  # unshare(2)
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8  # mount(2)
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18


class Kernel(object):
    """What the C library is called for. Cut-down Pythons have no ctypes: then nothing of this is to be had."""

    def __init__(self):
        try:
            import ctypes  # noqa: PLC0415

            self._c = ctypes.CDLL(None)
        except (ImportError, OSError, AttributeError):  # a package whose file cannot be looked at is an empty one
            self._c = None

    def adopt(self):
        """Inherit what the steps leave running; say whether that is so."""
        return self._c is not None and self._c.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    def end_with_parent(self):
        """Have SIGHUP sent to this process when its parent ends; say whether that is so."""
        return self._c is not None and self._c.prctl(PR_SET_PDEATHSIG, int(signal.SIGHUP), 0, 0, 0) == 0

    def sync(self, descriptor):
        """Force the file system of an open file to the disk (syncfs(2)); say whether that is so."""
        return hasattr(self._c, "syncfs") and self._c.syncfs(descriptor) == 0

    def scratch(self, folder, targets, mode):
        """Put folders below `folder` in the place of those in which programs leave files; say whether that is so."""
        uid, gid = os.getuid(), os.getgid()
        if self._c is None or self._c.unshare(CLONE_NEWUSER | CLONE_NEWNS):
            return False
        try:
            for path, text in (
                ("setgroups", "deny"),
                ("uid_map", "%d %d 1" % (uid, uid)),
                ("gid_map", "%d %d 1" % (gid, gid)),
            ):
                with open("/proc/self/" + path, "w") as stream:
                    stream.write(text)
            if self._c.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
                return False
            for number, target in enumerate(targets):
                source = os.path.join(folder, str(number))
                os.makedirs(source, exist_ok=True)
                os.chmod(source, mode)
                if os.path.isdir(target) and self._c.mount(
                    os.fsencode(source), os.fsencode(target), None, MS_BIND, None
                ):
                    return False
        except OSError:
            return False
        return True

    def apart(self):
        """Give this process mounts and System V IPC of its own, and its next child process numbers that begin with 1.

        Say whether that is so. It needs what `scratch` has brought about.
        """
        return self._c is not None and self._c.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) == 0

    def proc(self):
        """Put this process's numbers in the place of others at /proc; say whether that is so."""
        return self._c.mount(b"proc", b"/proc", b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None) == 0
