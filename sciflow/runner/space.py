"""Inside the box: a step with spaces of its own, which no other step sees: mounts, processes, System V IPC.

A lane has its own /tmp, empty for each step, but its steps see all the processes of the box, and what is mounted in it.
Here each step is the child of a process that is the first of a space of processes: when that one ends, the kernel ends
whatever is left in it (pid_namespaces(7)). It costs two forks of the lane's Python beside the step's own.
"""

import os
import resource
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # under -I it is not there
import lane  # noqa: E402

del sys.path[0]

SIGNALS = set(range(1, signal.NSIG)) - {32, 33}  # those two are the C library's own (signal(7))
MIB = 20  # that the two Pythons hold which wait for a step
LARGEST = 4096  # bytes of what is told of an end: it fits into the pipe


class Space(object):
    """Starts the steps of one lane, one after another. The lane must have its own /tmp: it may then unshare more."""

    def __init__(self, kernel):
        self._kernel, (self._read, self._write) = kernel, os.pipe()
        os.set_blocking(self._read, False)

    def start(self, folder, stdout, stderr, environment, words):
        """Start a step, as `lane.spawn` does; the pid is that of the process that waits for all of its space."""
        return lane.fork(folder, stdout, stderr, lambda: self._enter(environment, words))

    def ended(self, status, usage):
        """Return the (status, usage) of the step itself; of what waited for it, where that was killed, too.

        None where there was no step: the spaces could not be had.
        """
        told = self._told()
        if not told:
            return (status, usage) if os.WIFSIGNALED(status) else None
        used = [float(one) for one in told[1:3]] + [int(one) for one in told[3:]]  # seconds first: getrusage(2)
        return int(told[0]), resource.struct_rusage(used)

    def _told(self):
        try:
            return os.read(self._read, LARGEST).split()
        except BlockingIOError:
            return []

    def opens(self):
        """Say whether a step can have spaces of its own here, by trying it. A lane is not to try it: it would stay."""
        pid = os.fork()
        if not pid:
            try:
                self._enter({}, [b"/bin/true"])
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return bool(self._told())

    def _enter(self, environment, words):
        """In a forked process: open the spaces, and wait until all in them has ended; return an exit code."""
        # A signal is sent to all of the group, and is the step's to heed: those who wait for it let it pass.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        if not self._kernel.apart():
            return 0
        pid = os.fork()
        if not pid:
            try:
                if self._kernel.proc():
                    self._serve(environment, words)
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        return 0

    def _serve(self, environment, words):
        """As the first process of a space: start the step, wait for whatever ends until it does, and tell of it."""
        pid, found = self._spawn(environment, words), 0
        while found != pid:
            found, status, usage = os.wait4(-1, 0)
        os.write(self._write, " ".join([str(status)] + [repr(one) for one in usage]).encode("ascii"))

    @staticmethod
    def _spawn(environment, words):
        try:
            return lane.begin(words, environment, setsigmask=[])
        except (AttributeError, NotImplementedError, OSError):  # as in `lane.spawn`
            pid = os.fork()
            if pid:
                return pid
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, [])
            lane.execute(words, environment)
        finally:
            os._exit(127)
