r"""The loop inside the box: start steps as told on standard input, tell of their ends on standard output.

A request is one line of fields joined by tabs (`box.python_fields` writes them, with `\`, tab and newline escaped):

    start TOKEN FOLDER STDOUT STDERR COUNT NAME=VALUE … PROGRAM ARGUMENT …      COUNT is how many NAME=VALUE follow
    signal TOKEN NUMBER

An answer is one line: `ready KIND`, `end TOKEN CODE SIGNAL USER_S SYSTEM_S PEAK_KIB`, `lost TOKEN ERROR`.
It runs on any python3 from 3.6 on, with the few modules that even cut-down builds have.
"""

import os
import select
import signal
import sys

RESET = [
    getattr(signal, name)
    for name in ("SIGPIPE", "SIGXFSZ", "SIGTERM", "SIGINT", "SIGUSR1", "SIGCHLD")
    if hasattr(signal, name)
]


def fields(line):
    """Split a request and undo its escapes."""
    return [
        part.replace("\\\\", "\0").replace("\\t", "\t").replace("\\n", "\n").replace("\0", "\\")
        for part in line.split("\t")
    ]


def say(*words):
    """Answer with one line; short enough to be written at once."""
    os.write(1, os.fsencode("\t".join(str(word) for word in words) + "\n"))


def start(folder, stdout, stderr, settings, words):
    """Start a step in a session of its own, so that it and all it starts can be signalled together; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        for number in RESET:  # Python ignores SIGPIPE, and a step must not inherit that
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o022)
        os.chdir(folder)
        for target, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, stdout, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
            (2, stderr, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        ):
            os.dup2(os.open(path, flags, 0o644), target)
        environment = dict(os.environ)
        environment.update(setting.split("=", 1) for setting in settings)
        os.execvpe(words[0], words, environment)  # noqa: S606
    except OSError as error:
        os.write(2, os.fsencode("%s: %s\n" % (words[0], error.strerror)))
    finally:
        os._exit(127)  # what a shell says of a program that could not be started
    return None


def clear(pid, number, *, ended=False):
    """Signal a step and what it has started; of one that has `ended`, only what it has left behind."""
    try:
        os.killpg(pid, number)
    except PermissionError:
        pass
    except ProcessLookupError:
        if not ended:  # it is so young that it has no session yet; once it has ended, its number may be another's
            os.kill(pid, number)


def main():
    """Serve until standard input ends; then end whatever still runs."""
    running, pids, waiting = {}, {}, b""
    wake_read, wake_write = os.pipe()
    for descriptor in (wake_read, wake_write):
        os.set_blocking(descriptor, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the runner outside decides; here they may arrive by group
    say("ready", "python")
    while True:
        ready, _, _ = select.select([0, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            while pids:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
                if not pid:
                    break
                token = pids.pop(pid, None)
                if token is None:
                    continue
                del running[token]
                clear(pid, signal.SIGKILL, ended=True)  # what the step left behind in its session
                ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
                say("end", token, code, ended, "%.3f" % usage.ru_utime, "%.3f" % usage.ru_stime, usage.ru_maxrss)
        if 0 in ready:
            data = os.read(0, 1 << 16)
            if not data:
                break
            lines = (waiting + data).split(b"\n")
            waiting = lines.pop()
            for line in lines:
                # fsdecode: Python 3.6 without a locale takes all names for ASCII; so the bytes stay as they are.
                told = fields(os.fsdecode(line))
                if told[0] == "start":
                    count = 6 + int(told[5])
                    running[told[1]] = start(told[2], told[3], told[4], told[6:count], told[count:])
                    pids[running[told[1]]] = told[1]
                elif told[1] in running:
                    clear(running[told[1]], int(told[2]))
    for pid in pids:
        clear(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
