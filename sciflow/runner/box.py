"""Enter the box once, and talk to the loop inside that starts the steps.

The plan gives a list of boxes, each a way into the image in one engine's words; the first that works here is taken. No
engine is known by name: programs to look for, words to try, to load and to enter with come from the plan.
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from . import lane, names

PLACES = ("code", "inputs", "work", "outputs", "checkpoints", "runner")  # what of the host a box shows
TAIL_BYTES = 4000  # how much of an engine's own words an error repeats

CLOSING_S = 10  # how long a box may take to close
LOOK_S = 0.001
SCRATCH = "scratch"  # in the work folder: what lanes that have a /tmp of their own keep there

End = collections.namedtuple(
    "End", "token code signal user_s system_s peak_mib read_bytes written_bytes start wall_s killed"
)


class BoxError(Exception):
    """No engine, no image, or the box does not open: a fault of the surroundings, in words for the user."""


def filled(words, places):
    """Fill an engine's words: `{name}` by the place of that name; a list is one word of comma-separated fields.

    A word that is `{gpus}` stands for the words that let GPUs in, however many they are.
    """

    def fill(text):
        return re.sub(r"\{([a-z_]+)\}", lambda match: str(places[match.group(1)]), text)

    result = []
    for word in words:
        if word == "{gpus}":
            result.extend(places.get("gpus", ()))
        elif isinstance(word, list):
            import csv  # noqa: PLC0415  no word of most engines is one
            import io  # noqa: PLC0415

            text = io.StringIO()
            csv.writer(text, lineterminator="").writerow([fill(field) for field in word])
            result.append(text.getvalue())
        else:
            result.append(fill(word))
    return result


def _succeeds(words):
    try:
        return (
            subprocess.call(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
        )
    except OSError:
        return False


def _answer(words):
    """Return what a program says on its standard output, in bytes; None where it fails."""
    try:
        return subprocess.check_output(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None


def choose(boxes, wanted=None):
    """Return the first box whose engine works here, or the wanted one, with what it `said` when it was tried.

    Raises BoxError, saying what was tried.
    """
    tried = []
    for box in boxes:
        if wanted and box["engine"] != wanted:
            continue
        lacking = [program for program in box["needs"] if not shutil.which(program)]
        if lacking:
            tried.append("%s: `%s` is not on PATH" % (box["engine"], "`, `".join(lacking)))
            continue
        said = _answer(box["probe"]) if box["probe"] else b""
        if said is not None:
            return dict(box, said=said)
        tried.append("%s: `%s` failed" % (box["engine"], " ".join(box["probe"])))
    if not tried:
        raise BoxError(
            "this bundle cannot run in `%s`; it knows: %s" % (wanted, ", ".join(box["engine"] for box in boxes))
        )
    raise BoxError("no engine works here: %s" % "; ".join(tried))


def version(box):
    """Return what the engine of a chosen box says of its version, in a line; nothing of none."""
    if not box["needs"]:
        return ""
    words = [box["needs"][0], "--version"]
    said = box["said"] if words == box["probe"] else _answer(words)  # an engine takes long to start: not twice
    return (said or b"").decode("utf-8", "replace").strip().split("\n")[0]


def claim(path):
    """Note that a file of the cache is used now, so that nobody clears it away as unused; say whether it is there."""
    try:
        os.utime(path)
    except OSError:
        pass  # it is not there; or the cache is another user's or read-only, and a run needs no more than to read it
    return os.path.isfile(path)


def places(bundle, digest):
    """Return where content of this digest (`sha256:<hex>`) is looked for: carried by the bundle, kept in the cache."""
    name = digest.split(":", 1)[1]
    return [os.path.join(bundle, names.CARRIED, "sha256", name), os.path.join(names.cache(), "sha256", name)]


def content(bundle, digest):
    """Return the path of what has this digest, carried by the bundle or kept in the cache, or None."""
    carried, kept = places(bundle, digest)
    return carried if os.path.isfile(carried) else kept if claim(kept) else None


def _checked(bundle, digest):
    """Return the path of content that is what its digest says. Raises BoxError."""
    path = content(bundle, digest)
    if path is None:
        raise BoxError(
            "the image %s is neither carried by the bundle nor in the cache: there is no `%s` and no `%s`; "
            "run `sciflow fetch` on this bundle where there is a network, or compile it with --fat"
            % tuple([digest] + places(bundle, digest))
        )
    if names.digest_file(path)[0] != digest.split(":", 1)[1]:
        raise BoxError("the image %s is not what its name says: remove that file and fetch it again" % path)
    return path


def image(box, bundle, say):
    """Make a box's image present and return what its words call it (a path, a name). Raises BoxError."""
    wanted = box["image"]
    if wanted is None:
        return ""
    if "file" in wanted:
        return _checked(bundle, wanted["file"])
    if not _succeeds(filled(box["present"], {"image": wanted["name"]})):
        words = filled(box["load"], {"archive": _checked(bundle, wanted["archive"])})
        say("getting the image: %s" % " ".join(words))
        found = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if found.returncode or not _succeeds(filled(box["present"], {"image": wanted["name"]})):
            raise BoxError(
                "the image could not be had: %s" % found.stdout.decode("utf-8", "replace")[-TAIL_BYTES:].strip()
            )
    return wanted["name"]


def shell_fields(told):
    """Write a request for loop.sh: one line of quoted shell words."""
    return " ".join("'" + text.replace("'", "'\\''").replace("\n", "'\"$NL\"'") + "'" for text in told)


def number_in_its_own(pid):
    """Return the number, as text, of a process in its own namespace of them (proc(5), NSpid), or nothing."""
    try:
        with open("/proc/%d/status" % pid, "rb") as stream:
            return stream.read().partition(b"\nNSpid:")[2].partition(b"\n")[0].split()[-1].decode("ascii")
    except (OSError, IndexError):
        return ""


class Loop(object):
    """The open box: `start` steps in its lanes, `signal` them, `hear` of their ends; `close` it, and all in it ends.

    Requests are sent by `flush`. `ahead` says whether a lane may be told of a step while another runs in it, `apart`
    whether a step may have mounts, processes and System V IPC of its own.
    """

    def __init__(self, box, places, log):
        """Enter. `places` are the host's paths for the box's words; `log` is a file for what the engine says."""
        self.facts = {"engine": box["engine"], "isolation": box["isolation"], "network": "none"}
        self._box, self._places, self._log = box, places, log
        self.paths = box["paths"] or {name: places[name] for name in PLACES}
        enters = [box["enter"]]
        if box.get("enter_shared_network"):
            enters.append(box["enter_shared_network"])
        for words in enters:
            if self._enter(words):
                break
            # Some sites forbid network namespaces: go on with the host's, and say so in every record.
            self.facts["network"] = "host"
        else:
            raise BoxError("the box does not open in %s: %s" % (box["engine"], self.said()))
        if box["isolation"] == "none":
            self.facts["network"] = "host"

    def _enter(self, words):
        words = filled(words, self._places)
        # Outside a container /tmp is everybody's, and the work folder may stand in it.
        scratch = self.paths["work"] + "/" + SCRATCH if self._box["isolation"] != "none" else ""
        if self._box["paths"]:
            words += ["/bin/sh", self.paths["runner"] + "/enter.sh", self.paths["runner"], scratch]
        else:  # on the host this very interpreter serves, whatever PATH holds
            words += [sys.executable, "-I", "-S", "-B", self.paths["runner"] + "/loop.py", scratch]
        with open(self._log, "wb") as log:
            # A session of its own: Ctrl-C at the terminal reaches the runner alone, which then ends things in order.
            self._process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0, start_new_session=True
            )
        self._heard, self._requests, self.open, first = b"", [], True, []
        self._pids, self._profiles, self._most, self._over = {}, {}, {}, set()
        while self.open and not first:  # an engine may hand a line on in pieces
            first = self._lines()
        if first and first[0][:1] == ["ready"]:
            _, kind, adopts, private, hostname, pid = first[0]
            self.ahead = kind == "python"  # the shell's loop has no lanes
            orphans = "ended" if adopts else "of the group ended"
            self.apart = private == "apart"
            self.facts.update(loop=kind, orphans=orphans, tmp="own" if private else "shared", hostname=hostname)
            self.facts["spaces"] = "own" if self.apart else "a box each"
            # Python's loop watches what steps hold. The shell's cannot, so it is done from outside, where they show.
            watched = self.ahead or self._outside([pid])
            self.facts["memory"] = "watched" if watched else "not watched"
            return True
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
        return False

    def fileno(self):
        """Return the descriptor at which answers arrive, for select(2)."""
        return self._process.stdout.fileno()

    def said(self):
        """Return the end of what the engine said."""
        with open(self._log, "rb") as log:
            return log.read().decode("utf-8", "replace")[-TAIL_BYTES:].strip() or "it said nothing"

    def _lines(self):
        """Return the answers there are, once there are any; at the end of them all the box is no more open."""
        data = os.read(self.fileno(), 1 << 16)
        self.open = bool(data)
        lines = (self._heard + data).split(b"\n")
        self._heard = lines.pop()
        return [line.decode("utf-8", "surrogateescape").split("\t") for line in lines]

    def flush(self):
        """Send what was asked for."""
        if not self._requests:
            return
        data = ("\n".join(self._requests) + "\n").encode("utf-8", "surrogateescape")
        self._requests = []
        try:
            while data:
                data = data[os.write(self._process.stdin.fileno(), data) :]
        except BrokenPipeError:
            self.open = False

    def _ask(self, told):
        self._requests.append(lane.line(told))

    def profile(self, settings):
        """Return the name by which the box knows an environment, {name: value}: the object, not what it holds."""
        if id(settings) not in self._profiles:
            self._profiles[id(settings)] = str(len(self._profiles)), settings  # kept, or its id would be another's
            pairs = ["%s=%s" % pair for pair in sorted(settings.items())]
            self._ask(["set", self._profiles[id(settings)][0], str(len(pairs))] + pairs)
        return self._profiles[id(settings)][0]

    def server(self, name, profile, folder, log, words):
        """Start a process that serves the lanes called NAME:…; paths are as the box sees them."""
        self._ask(["server", name, profile, folder, log] + words)

    def start(self, name, token, settings, place, mib, more, words, *, apart=False):
        """Start a step in a lane. `place` is its (folder, stdout, stderr) as the box sees them, `words` its argv.

        Its environment is `settings`, which it shares with others, and `more`. `mib`: the memory it may hold, 0: any.
        `apart`: it is to have spaces of its own, of which `self.apart` says whether the box can give them.
        """
        pairs = ["%s=%s" % pair for pair in more.items()]
        if self.ahead:
            told = (
                ["apart" if apart else "start", name, token, self.profile(settings)]
                + list(place)
                + [str(mib), str(len(pairs))]
            )
            self._ask(told + pairs + words)
            return
        self._most[token] = mib
        pairs = ["%s=%s" % pair for pair in sorted(settings.items())] + pairs
        self._requests.append(shell_fields(["start", str(len(pairs))] + pairs + [token] + list(place) + words))

    def signal(self, token, number):
        """Signal a running step and all it started."""
        if self.ahead:
            self._ask(["signal", token, str(int(number))])
        elif token in self._pids:
            self._requests.append(shell_fields(["halt", self._pids[token], str(int(number))]))

    def _outside(self, pids):
        """Return {a number in the box: the process's number outside} of those that show as descendants."""
        found = {}
        for pid in lane.below({self._process.pid}, lane.processes()) if pids else ():
            inside = number_in_its_own(pid)
            if inside in pids:
                found[inside] = pid
        return found

    def watch(self):
        """End what holds more memory than it may, where the loop inside cannot; yield (`over`, …) of each."""
        if self.ahead or not self._pids:
            return
        limits = {pid: token for token, pid in self._pids.items() if self._most.get(token) and token not in self._over}
        there, processes = self._outside(limits), lane.processes()
        for inside, pid in there.items():
            token = limits[inside]
            over = lane.holds(pid, self._most[token], processes)
            if over is not None:
                self._over.add(token)
                self.signal(token, signal.SIGKILL)
                yield "over", token, str(over)

    def halt(self):
        """Let no step begin that has not begun."""
        if self.ahead:
            self._ask(["halt"])

    def hear(self):
        """Return what happened, as [(what, …)]: `end` with an End, or what else the loop tells of, as it is written.

        It waits where nothing has; after it, `open` says whether the box still stands.
        """
        found = []
        for told in self._lines():
            if told[0] == "pid":
                self._pids[told[1]] = told[2]
            elif told[0] == "end":
                self._pids.pop(told[1], None)
                self._most.pop(told[1], None)
                self._over.discard(told[1])
                found.append(("end", ended(told)))
            else:
                found.append(tuple(told))
        return found

    def close(self):
        """Leave the box; whatever still runs in it ends."""
        self._process.stdin.close()
        until = time.monotonic() + CLOSING_S
        while self._process.poll() is None and time.monotonic() < until:
            time.sleep(LOOK_S)  # Popen.wait would look less and less often
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()
        if self._box.get("stop"):
            _succeeds(filled(self._box["stop"], self._places))


def ended(told):
    """Read an `end`; what loop.sh cannot say is None."""
    _, token, code, number, user, system, peak = told[:7]
    read, written, start, wall, killed = told[7:] or (None,) * 5
    return End(
        token,
        int(code),
        int(number),
        float(user),
        float(system),
        int(peak) / 1024.0,
        read and int(read),
        written and int(written),
        start and float(start),
        wall and float(wall),
        int(killed or 0),
    )
