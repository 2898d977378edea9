r"""The loop inside the box: start steps as told on standard input, tell of their ends on standard output.

A request is one line of fields joined by tabs (`lane.line` writes them, with `\`, tab and newline escaped):

    set PROFILE COUNT NAME=VALUE …       settings that several steps share
    start LANE TOKEN PROFILE FOLDER STDOUT STDERR MEMORY_MIB COUNT NAME=VALUE … PROGRAM ARGUMENT …
    apart LANE …                         likewise, of a step that is to have spaces of its own
    server NAME PROFILE FOLDER STDERR PROGRAM ARGUMENT …      a process that serves the lanes called NAME:…, as this one
    signal TOKEN NUMBER                  to a step that runs, and all it started
    halt                                 begin no step any more: those that wait end as `dropped`

An answer is one line:

    ready KIND ADOPTS PRIVATE HOSTNAME PID      what it is and can do; its number, as the box counts
    end TOKEN CODE SIGNAL USER_S SYSTEM_S PEAK_KIB READ_BYTES WRITTEN_BYTES START WALL_S KILLED
    dropped TOKEN
    over TOKEN MIB                       it holds more memory than it may, and is killed for it; empty: nobody knows
                                         how much
    unable TOKEN WHY                     it could not be started: no doing of its own
    lost NAME                            a lane or a server has ended by itself, and with it the steps it was told of;
                                         nothing is started under that name any more, also what was asked for meanwhile

KILLED is how many processes the kernel killed for want of memory in the box's cgroup while the step ran. The loop runs
on any python3 from 3.6 on, with the few modules that even cut-down builds have.
"""

import os
import select
import signal
import sys
import time
from collections import deque

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # under -I it is not there
import kernel  # noqa: E402
import lane  # noqa: E402
import space  # noqa: E402

del sys.path[0]

CLOSING_S = 0.005  # how long lanes are given to end before they are told again
WATCH_S = 0.25  # how often memory, and the lanes' health, are looked at


class Channel(object):
    """What is known of a lane or of a server: its process, the pipe to it, what it runs and what it was told of."""

    def __init__(self, pid, requests, begun=None):
        self.pid, self._requests, self._begun = pid, requests, begun
        self._step, self._told = ("", 0), b""
        self._limits = deque()  # (token, MiB) of what it was told of, in order

    def send(self, line):
        """Hand a request on. A lane that has ended is found out by `Loop._look`."""
        try:
            while line:
                line = line[os.write(self._requests, line) :]
        except BrokenPipeError:
            pass

    def expect(self, token, mib):
        """Take note of the memory that a step may have."""
        self._limits.append((token, mib))

    def expects(self, token):
        """Say whether it was told of a step that has not ended, as far as is known."""
        return any(one == token for one, _ in self._limits)

    def step(self):
        """Return the (token, pid, MiB it may have) of the step that was the last to begin, or None."""
        try:
            lines = (self._told + os.read(self._begun, 1 << 16)).split(b"\n")
        except BlockingIOError:
            lines = [self._told]
        self._told = lines.pop()
        if lines:
            token, pid = os.fsdecode(lines[-1]).split(" ")
            self._step = token, int(pid)
        while lines and self._limits and self._limits[0][0] != self._step[0]:
            self._limits.popleft()
        return self._step + self._limits[0][1:] if self._limits and self._limits[0][0] == self._step[0] else None

    def close(self):
        """Let go of the pipes."""
        for descriptor in (self._requests, self._begun):
            if descriptor is not None:
                os.close(descriptor)


class Loop(object):
    """Reads the requests. `start` is how its lanes start a step, `scratch` a folder for a /tmp of their own."""

    def __init__(self, start, scratch=""):
        self._start, self._scratch = start, scratch
        self._profiles, self._told, self._lanes, self._servers, self._lost_names = {}, [], {}, {}, set()
        self._owed = {}  # {token: signal} for steps that have not begun yet
        self._kernel = kernel.Kernel()
        self.adopts = self._kernel.adopt()
        for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the runner outside decides; here they may arrive by group
        signal.signal(signal.SIGHUP, self._end)

    def serve(self):
        """Serve until standard input ends; then end whatever still runs."""
        waiting, looked = b"", time.monotonic()
        while True:
            pause = CLOSING_S if self._owed else WATCH_S if self._lanes or self._servers else None
            told = select.select([0], [], [], pause)[0]
            if self._owed or time.monotonic() - looked >= WATCH_S:  # also while it is told of one step after another
                self._look()
                looked = time.monotonic()
            if not told:
                continue
            data = os.read(0, 1 << 16)
            if not data:
                break
            lines = (waiting + data).split(b"\n")
            waiting = lines.pop()
            for line in lines:
                self._heed(line)
        self._end()

    def _heed(self, line):
        verb, _, rest = line.partition(b"\t")
        name = os.fsdecode(rest.partition(b"\t")[0])
        everybody = list(self._lanes.values()) + list(self._servers.values())
        if verb in (b"start", lane.APART) and not {name, name.partition(":")[0]} & self._lost_names:
            self._to(name).send(line + b"\n")
            if name in self._lanes:
                told = rest.split(b"\t", 7)
                mib = int(told[6])
                self._lanes[name].expect(os.fsdecode(told[1]), mib + space.MIB if mib and verb == lane.APART else mib)
        elif verb == b"set":
            told = lane.fields(line)
            self._profiles[told[1]] = lane.settings(told[3:])
            self._told.append(line + b"\n")
            for channel in everybody:
                channel.send(line + b"\n")
        elif verb == b"server":
            self._serve(*lane.fields(rest))
        elif verb == b"signal":
            self._signal(name, int(rest.partition(b"\t")[2]), line)
        elif verb == b"halt":
            self._owed = {}
            for channel in self._lanes.values():
                os.kill(channel.pid, lane.HALT)
            for channel in self._servers.values():
                channel.send(line + b"\n")

    def _to(self, name):
        server = name.partition(":")[0]
        if server in self._servers:
            return self._servers[server]
        if name not in self._lanes:
            self._lanes[name] = self._open(name)
        return self._lanes[name]

    def _open(self, name):
        """Fork a lane."""
        requests, send = os.pipe()
        hear, begun = os.pipe()
        pid = os.fork()
        if pid:
            os.close(requests)
            os.close(begun)
            os.set_blocking(hear, False)
            return Channel(pid, send, hear)
        code = 1
        try:
            self._kernel.end_with_parent()
            self._kernel.adopt()
            for channel in list(self._lanes.values()) + list(self._servers.values()):
                channel.close()  # else another lane would not see the end of its requests
            os.close(send)
            os.close(hear)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            private = bool(self._scratch) and self._scratched(name.replace(":", "-"))
            apart = space.Space(self._kernel) if private else None
            lane.Lane(self._start, self._profiles, requests, begun, private, apart).serve()
            code = 0
        finally:
            os._exit(code)
        return None

    def _serve(self, name, profile, folder, stderr, *words):
        """Start a server: a process that does what this one does, for the lanes of its name."""
        requests, send = os.pipe()
        pid, name = os.fork(), os.fsdecode(name)
        if pid:
            os.close(requests)
            self._servers[name] = Channel(pid, send)
            self._servers[name].send(b"".join(self._told))
            return
        try:
            self._kernel.end_with_parent()
            os.chdir(folder)
            os.dup2(requests, 0)
            os.dup2(os.open(stderr, lane.LOG, 0o644), 2)
            lane.execute(list(words) + [os.fsencode(self._scratch)], self._profiles[profile])
        finally:
            os._exit(127)

    def _signal(self, token, number, line):
        for channel in self._lanes.values():
            step = channel.step()
            if step and step[0] == token:
                self._kill(step[1], number)
                return
            if channel.expects(token):
                self._owed[token] = number  # it is about to begin
                return
        for channel in self._servers.values():
            channel.send(line + b"\n")

    @staticmethod
    def _kill(pid, number):
        try:
            os.killpg(pid, number)
        except PermissionError:
            pass
        except ProcessLookupError:
            try:
                os.kill(pid, number)  # it is so young that it has no group yet
            except (ProcessLookupError, PermissionError):
                pass

    def _look(self):
        """See that the lanes and servers live, and that no step holds more memory than it may."""
        for channels in (self._lanes, self._servers):
            for name, channel in list(channels.items()):
                if os.waitpid(channel.pid, os.WNOHANG)[0]:
                    self._lost(name, channels.pop(name))
        steps = [step + (channel.pid,) for channel in self._lanes.values() for step in [channel.step()] if step]
        for token, pid, _, _ in steps:
            if token in self._owed:
                self._kill(pid, self._owed.pop(token))
        self._owed = {
            token: number
            for token, number in self._owed.items()
            if any(channel.expects(token) for channel in self._lanes.values())
        }
        steps = [step for step in steps if step[2]]
        processes = lane.processes() if steps else {}
        for token, pid, mib, its in steps:
            if pid in processes:
                self._hold(token, pid, mib, processes, its)

    def _hold(self, token, pid, mib, processes, its):
        """End a step that holds too much; `its` is its lane's number."""
        over = lane.holds(pid, mib, processes, its)
        if over is not None:
            lane.say("over", token, over)
            self._kill(pid, signal.SIGKILL)

    def _lost(self, name, channel):
        """End what a lane ran that was killed: this process has inherited it."""
        channel.close()
        self._lost_names.add(name)
        known = {one.pid for one in list(self._lanes.values()) + list(self._servers.values())}
        orphans = True
        while orphans:
            orphans = [pid for pid, told in lane.processes().items() if told[0] == os.getpid() and pid not in known]
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        lane.say("lost", name)  # not before: what was lost is tried again, and nothing of it may still be at work

    def _end(self, *_):
        left = [channel.pid for channel in list(self._lanes.values()) + list(self._servers.values())]
        pause = CLOSING_S / 16
        while left:
            # Again and again: a process that has just been forked may not hear the first.
            for pid in left:
                os.kill(pid, signal.SIGHUP)
            time.sleep(pause)
            pause = min(2 * pause, CLOSING_S)
            left = [pid for pid in left if not os.waitpid(pid, os.WNOHANG)[0]]
        lane.end_orphans()  # a lane may have been told to end just when it had started a step
        os._exit(0)

    def _scratched(self, name):
        return self._kernel.scratch(os.path.join(self._scratch, name), lane.SCRATCH, lane.FREE)

    def private(self):
        """Say what lanes can have here, by trying it: `private`, a /tmp of their own; `apart`, spaces a step, too."""
        can = ("", "private", "apart")
        if not self._scratch:
            return can[0]
        pid = os.fork()
        if not pid:
            code = 0
            try:
                code = 1 if self._scratched("trial") else 0
                code += code and space.Space(self._kernel).opens()
            finally:
                os._exit(code)
        return can[os.WEXITSTATUS(os.waitpid(pid, 0)[1])]


def main(scratch):
    """Serve."""
    loop = Loop(lane.spawn, scratch)
    lane.say("ready", "python", "adopts" if loop.adopts else "", loop.private(), os.uname().nodename, os.getpid())
    try:
        loop.serve()
    except OSError as error:
        sys.exit("the loop inside the box has ended: %s" % error)  # its lanes end with it


if __name__ == "__main__":
    main(sys.argv[1])
