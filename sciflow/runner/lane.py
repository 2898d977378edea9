"""A lane: a process inside the box that runs one step after another, and lets nothing of a step reach the next.

What a step leaves running is the lane's own child in the end (prctl(2), PR_SET_CHILD_SUBREAPER), so it is found and
ended before the next begins. Where the kernel lets it, the lane has a /tmp, /var/tmp and /dev/shm of its own, which it
empties. It is told of steps ahead of time, and so need not wait between two; `loop` says what it is told, and answers.
"""

import errno
import os
import signal
import stat
import time

RESET = [
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGTERM", "SIGINT", "SIGUSR1", "SIGHUP", "SIGURG", "SIGCHLD")
    if hasattr(signal, name)
]
SCRATCH = ("/tmp", "/var/tmp", "/dev/shm")  # where programs leave files for others  # noqa: S108
FREE = 0o1777  # what anybody may do in them
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
KIB = 1024
BLOCK = 512  # getrusage(2): ru_inblock and ru_oublock count half a KiB
SETTINGS = 9  # where in `start` the settings begin
LOG = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW  # a link there was laid by another step
APART = b"apart"
HALT = signal.SIGURG  # nobody else sends it, and whoever does not know it ignores it


def fields(line):
    """Split a request (bytes) and undo its escapes."""
    if b"\\" not in line:
        return line.split(b"\t")
    line = line.replace(b"\\\\", b"\0")  # no name, value or word holds a NUL
    if b"\\" not in line:
        return line.replace(b"\0", b"\\").split(b"\t")
    return [part.replace(b"\\t", b"\t").replace(b"\\n", b"\n").replace(b"\0", b"\\") for part in line.split(b"\t")]


def line(told):
    """Write a request (text): what `fields` reads, once it is encoded."""
    text = "\t".join(told)
    if "\n" not in text and text.count("\t") == len(told) - 1:  # as it mostly is
        return text.replace("\\", "\\\\")
    return "\t".join([part.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n") for part in told])


def settings(pairs):
    """Return an environment, as bytes: the box's own, and some `NAME=VALUE`."""
    found = dict(os.environb)
    found.update(pair.split(b"=", 1) for pair in pairs)
    return found


def say(*words):
    """Answer with one line; short enough (pipe(7), PIPE_BUF) not to mix with another lane's."""
    os.write(1, os.fsencode("\t".join(str(word) for word in words) + "\n"))


def program(word, path, known={}):  # noqa: B006  where a program was found once, it is
    """Return the path of a program as execvp(3) finds it, all in bytes. Raises OSError."""
    if b"/" in word:
        return word
    if (word, path) not in known:
        for folder in path.split(b":"):
            candidate = os.path.join(folder or b".", word)
            if os.path.isfile(candidate) and os.access(candidate, os.X_OK):
                known[word, path] = candidate
                break
        else:
            raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    return known[word, path]


def begin(words, environment, **how):
    """Start a program by posix_spawn(3), found on the PATH that it is to have; return its pid. Raises OSError."""
    path = program(words[0], environment.get(b"PATH", os.fsencode(os.defpath)))
    return os.posix_spawn(path, words, environment, **how)  # novm


def spawn(folder, stdout, stderr, environment, words):
    """Start a step in a process group of its own; return its pid. A program that cannot be started ends with 127.

    All names and words are bytes: they come as such, and go to the kernel as such. A group costs less than a session,
    for which the scheduler keeps books of their own (sched(7), autogroup). posix_spawn(3) takes a fifth of the time of
    fork(2) here; it is there from Python 3.8 on.
    """
    try:
        os.chdir(folder)
        return begin(  # novm
            words,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),  # novm
                (os.POSIX_SPAWN_OPEN, 1, stdout, LOG, 0o644),  # novm
                (os.POSIX_SPAWN_OPEN, 2, stderr, LOG, 0o644),  # novm
            ],
            setpgroup=0,
            setsigdef=RESET,
        )
    except (AttributeError, NotImplementedError, OSError):
        # An older Python or C library; or there is no such program, of which the child tells on its standard error.
        return fork(folder, stdout, stderr, lambda: execute(words, environment))


def execute(words, environment):
    """Become a program. Returns only where it cannot be started: the exit code, 127 as a shell says."""
    try:
        os.execvpe(words[0], words, environment)  # noqa: S606
    except OSError as error:
        os.write(2, b"%s: %s\n" % (os.fsencode(words[0]), os.fsencode(error.strerror)))
    return 127


def fork(folder, stdout, stderr, act):
    """Fork a step in a process group of its own; it ends with what `act()` returns. Return its pid.

    Raises OSError where its folder or its logs are not to be had, or no process is: that is no doing of the step's.
    """
    os.chdir(folder)
    opened = []
    try:
        for path, flags in ((os.devnull, os.O_RDONLY), (stdout, LOG), (stderr, LOG)):
            opened.append(os.open(path, flags, 0o644))
        return os.fork() or _become(opened, act)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _become(opened, act):
    """In the forked process: take what was opened for its own streams, act, and end."""
    code = 127
    try:
        os.setpgid(0, 0)
        for number in RESET:  # Python ignores SIGPIPE, and a step must not inherit that
            signal.signal(number, signal.SIG_DFL)
        for target, descriptor in enumerate(opened):
            os.dup2(descriptor, target)
            os.close(descriptor)
        code = act()
    finally:
        os._exit(code)


class Killed(object):
    """Counts the processes that the kernel killed for want of memory in this one's cgroup, where it can be read."""

    WORD = b"oom_kill "

    def __init__(self):
        self._file = None
        folders = ["", "/memory"]
        try:
            with open("/proc/self/cgroup", "rb") as stream:
                for line in stream:
                    _, kinds, path = os.fsdecode(line).rstrip("\n").split(":", 2)
                    if not kinds or "memory" in kinds.split(","):
                        folders.insert(0, ("/memory" if kinds else "") + path)
        except (OSError, ValueError):
            pass
        for folder in folders:  # a box may show its own cgroup as the root of them all
            for name in ("memory.events", "memory.oom_control"):
                try:
                    self._file = os.open("/sys/fs/cgroup%s/%s" % (folder, name), os.O_RDONLY)
                    return
                except OSError:
                    continue

    def __call__(self):
        """Return how many so far."""
        told = os.pread(self._file, 4096, 0) if self._file is not None else b""
        return int(told.partition(self.WORD)[2].split(None, 1)[0]) if self.WORD in told else 0


def processes():
    """Return {pid: (parent, group, session, resident pages)} of all there are: proc(5), /proc/PID/stat."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as stream:
                    told = stream.read().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            found[int(name)] = int(told[1]), int(told[2]), int(told[3]), int(told[21])
    return found


def below(pids, processes):
    """Return some processes and all they started: those below them, and those of their groups and sessions."""
    found, more = set(), set(pids)
    while more:
        found |= more
        more = {one for one, told in processes.items() if not found.isdisjoint(told[:3])} - found
    return found


def proportional(pids):
    """Return the memory of some processes in KiB, what they share counted once (proc(5), smaps_rollup), or None."""
    total = 0
    for pid in pids:
        try:
            with open("/proc/%d/smaps_rollup" % pid, "rb") as stream:
                total += int(stream.read().split(b"\nPss:", 1)[1].split(None, 1)[0])
        except (OSError, IndexError, ValueError):
            if os.path.exists("/proc/%d" % pid):
                return None
    return total


def holds(pid, mib, processes, lane=None):
    """Return None where a step holds no more than so many MiB; else how many, "" where it is not known exactly.

    What its lane, a process, has inherited is of the step, too: nothing else runs in it. First by what is quick to add
    up, then by what is right.
    """
    mine = below({pid} | {one for one, told in processes.items() if told[0] == lane}, processes)
    if sum(processes[one][3] for one in mine if one in processes) * PAGE_KIB <= mib * KIB:
        return None
    exact = proportional(mine)
    if exact is None:
        return ""
    return exact // KIB if exact > mib * KIB else None


def end_orphans():
    """End all children of this process, also those that it has inherited."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return
        me = os.getpid()
        for pid, told in processes().items():
            if told[0] == me:
                os.kill(pid, signal.SIGKILL)
        os.waitpid(-1, 0)


class Lane(object):
    """Serves the requests of one pipe. `start(folder, stdout, stderr, environment, words)`, all bytes, starts a step.

    It writes `TOKEN PID` to `begun` for each step that begins. `apart` starts those that have spaces of their own.
    """

    def __init__(self, start, profiles, requests, begun, private, apart=None):
        self._start, self._profiles, self._requests, self._begun = start, dict(profiles), requests, begun
        self._apart = apart
        self._pid, self._halted, self._private, self._killed = None, False, private, Killed()
        self._starting = self._over = False
        self._before = 0  # how many the kernel had killed when the step began
        signal.signal(signal.SIGHUP, self._end)
        signal.signal(HALT, self._halt)

    def _end(self, *_):
        if self._starting:
            self._over = True  # there may be a step already whose number is not known yet
            return
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is told again and again
        self._clear()
        os._exit(0)

    def _halt(self, *_):
        self._halted = True

    def serve(self):
        """Serve until the requests end."""
        waiting = b""
        while True:
            data = os.read(self._requests, 1 << 16)
            if not data:
                return
            self._before = self._killed()  # by now: what came while it had nothing to do was no step of its
            lines = (waiting + data).split(b"\n")
            waiting = lines.pop()
            for line in lines:
                told = fields(line)
                if told[0] == b"set":
                    self._profiles[told[1]] = settings(told[3:])
                elif self._halted:
                    say("dropped", os.fsdecode(told[2]))
                else:
                    self._run(told)

    def _run(self, told):
        verb, _, token, profile, folder, stdout, stderr, _, count = told[:SETTINGS]
        start = self._apart.start if verb == APART else self._start
        words = SETTINGS + int(count)
        environment = dict(self._profiles[profile])
        environment.update([pair.split(b"=", 1) for pair in told[SETTINGS:words]])
        begun, clock = time.time(), time.monotonic()
        self._starting = True
        try:
            self._pid = start(folder, stdout, stderr, environment, told[words:])
        except OSError as error:
            say("unable", os.fsdecode(token), error.strerror)
        self._starting = False
        if self._over:
            self._end()
        if self._pid is None:
            return
        os.write(self._begun, b"%s %d\n" % (token, self._pid))
        os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOWAIT)  # it keeps its number until all it left has ended
        wall = time.monotonic() - clock
        status, usage = self._clear()
        if verb == APART:
            ended = self._apart.ended(status, usage)
            if ended is None:
                say("unable", os.fsdecode(token), "it could have no spaces of its own")
                return
            status, usage = ended
        before, self._before = self._before, self._killed()
        answer = (
            token,
            os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0,
            os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
            usage.ru_utime,
            usage.ru_stime,
            usage.ru_maxrss,
            usage.ru_inblock * BLOCK,
            usage.ru_oublock * BLOCK,
            begun,
            wall,
            self._before - before,
        )
        os.write(1, b"end\t%s\t%d\t%d\t%.6f\t%.6f\t%d\t%d\t%d\t%.6f\t%.6f\t%d\n" % answer)

    def _clear(self):
        """End what the step has left behind, and itself; return its (status, usage)."""
        if self._pid is None:
            return 0, None
        try:
            os.killpg(self._pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # it is so young that it has no group yet, or has become another user
        _, status, usage = os.wait4(self._pid, 0)
        self._pid = None
        end_orphans()
        if self._private:
            for folder in SCRATCH:
                renew(folder)
        return status, usage


def renew(folder):
    """Bring a folder in which programs leave files back to what it was, if there is one."""
    try:
        mode = os.stat(folder).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        if stat.S_IMODE(mode) != FREE:
            os.chmod(folder, FREE)  # or nobody could look into it any more
        empty(folder)


def empty(folder):
    """Remove all that stands in a folder, as far as that can be done."""
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        try:
            if os.path.isdir(path) and not os.path.islink(path):
                os.chmod(path, 0o700)
                empty(path)
                os.rmdir(path)
            else:
                os.unlink(path)
        except OSError:
            continue
