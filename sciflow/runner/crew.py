"""The boxes of one worker, their lanes, and the places in which steps work: opened as they are needed, and closed."""

import json
import os
import select
import shutil
import signal
import time

from . import box, grants, names, packages, place, ranks, slurm, step
from .attempt import Lane

PROBE = "import importlib, inspect, json, math, os, pickle, sys, traceback"  # what call.py takes from Python
ROOMS = 512  # places there may be: each is a folder, and a few files beside it
LISTING = "packages"  # the token of what lists them: no attempt has it
WORTH_S = 0.005  # less is not worth a pause
LISTING_S = 10  # how long it is waited for, where all steps are done before
SERVED = "p%d"  # the name of the server of a task, by the task's place in the plan


class Crew(object):
    """The means of a worker. `work` is its folder; `say` tells people what is going on."""

    def __init__(self, bundle, plan, run, work, chosen, capacity, say):
        self._bundle, self._plan, self._run, self._work, self._say = bundle, plan, run, work, say
        self._chosen, self._capacity = chosen, capacity
        self._links = sorted({path.split("/")[0] for path in plan["code_files"]})  # what stands at the code's top
        self._loops, self._lanes, self._names, self._named, self._free, self._made = [], [], [], 0, [], 0
        self._servers, self._unserved = set(), set()
        self._main, self.paths, self.given = None, {}, None
        self._ranked = {}  # {name of an attempt that is several ranks: it}, until its lane is closed
        self._listing, self._listed = None, ""

    def enter(self, tasks):
        """Enter the box for steps of some tasks; return what it isolates. Raises BoxError, also if Python cannot be."""
        self._places = self._bound()
        self._main = self._open()
        self.paths = self._main.paths
        if any(task["python"] for task in tasks):
            self._try_python()
        found = dict(self._main.facts, packages=self._list_packages())
        return ranks.isolated(found) if ranks.spread(tasks) else found

    def _list_packages(self):
        """Have the image's packages listed while steps run, where nobody has yet; return where the list will stand."""
        image = self._plan["image"] if self._chosen["isolation"] != "none" else None
        where = packages.place(self._bundle, self._run, image)
        self._listed = os.path.join(self._bundle, where)
        if where and not os.path.exists(self._listed):
            self._listing = self.place()
            logs = (self._listing.inside, self._listing.inside + ".out", self._listing.inside + ".err")
            words = ["/bin/sh", self.paths["runner"] + "/packages.sh"]
            self._main.start(LISTING, LISTING, {}, logs, 0, {}, words)
        return where

    def _heard(self, what):
        """Take what is told of the listing; return whether it was that. Without its end there is no list: no harm."""
        token = what[1].token if what[0] == "end" else what[1] if what[0] != "closed" else ""
        if token != LISTING:
            return False
        if self._listing is not None:
            if what[0] == "end" and not what[1].code and not what[1].signal:
                packages.keep(self._listed, self._listing.logs["stdout"])
            self.give_back(self._listing)
            self._listing = None
        return True

    def finish(self):
        """Wait for the listing, if it goes on."""
        until = time.monotonic() + LISTING_S
        while self._listing is not None and self._main.open and time.monotonic() < until:
            for _ in self.hear(1):
                pass

    def _bound(self):
        """Return what the box's words are filled with: the host's paths, made where they are missing."""
        found = {
            "image": box.image(self._chosen, self._bundle, self._say),
            "code": self._stage_code(),
            "work": self._work,
            "runner": os.path.join(self._bundle, names.RUNNER),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "cache": names.cache(),
            "path": os.environ.get("PATH", os.defpath),
            "outputs": os.path.join(self._run, names.OUTPUTS),
            "inputs": os.path.join(self._bundle, names.INPUTS),
            "checkpoints": os.path.join(self._run, names.CHECKPOINTS),
        }
        # A box mounts all of them, also those that a bundle has no use for.
        if not os.path.isdir(found["inputs"]):
            found["inputs"] = os.path.join(self._work, names.INPUTS)
        if not any(task.get("checkpoint") for task in self._plan["tasks"]):
            found["checkpoints"] = os.path.join(self._work, names.CHECKPOINTS)
        for name in ("outputs", "inputs", "checkpoints"):
            os.makedirs(found[name], exist_ok=True)
        # A box without GPUs in it opens everywhere: they are let in where a task wants them and there are any.
        if any(task["resources"]["gpus"] for task in self._plan["tasks"]) and self._capacity["gpus"]:
            found["gpus"] = self._chosen.get("gpus") or []
        return found

    def _stage_code(self):
        """Copy the code aside while hashing it, so that what was verified is what runs. Returns the copy's folder."""
        target = os.path.join(self._work, "code")
        os.makedirs(target)
        for path, sha in sorted(self._plan["code_files"].items()):
            copy = os.path.join(target, path)
            os.makedirs(os.path.dirname(copy), exist_ok=True)
            shutil.copy(os.path.join(self._bundle, names.CODE, path), copy)
            if names.digest_file(copy)[0] != sha:
                raise OSError(5, "changed while it was copied", os.path.join(names.CODE, path))
        return target

    def _open(self, chosen=None):
        name = "sciflow-%s-%s" % (os.path.basename(self._work), names.token()[:4])
        log = os.path.join(self._work, "engine-%s.log" % name[-4:])
        loop = box.Loop(chosen or self._chosen, dict(self._places, name=name), log)
        self._loops.append(loop)
        return loop

    def _try_python(self):
        """See that the box's python3 can call functions, before any step is started for it to fail."""
        tried = self.place()
        logs = (tried.inside, tried.inside + ".out", tried.inside + ".err")
        self._main.start("probe", "probe", {}, logs, 0, {}, ["python3", "-B", "-c", PROBE])
        self._main.flush()
        while True:
            for what in self._main.hear():
                if what[0] == "end" and not what[1].code and not what[1].signal:
                    self.give_back(tried)
                    return
                if what[0] == "end":
                    with open(tried.logs["stderr"], encoding="utf-8", errors="replace") as stream:
                        said = stream.read().strip().splitlines()
                    raise box.BoxError(
                        "the box's python3 cannot call functions, and there are Python tasks (%s): put a whole python3 "
                        "into the image" % (said[-1] if said else "exit code %d" % what[1].code)
                    )
                if what[0] in ("lost", "unable"):
                    raise box.BoxError("its first lane in the box was lost")
            if not self._main.open:
                raise box.BoxError("the box was lost at once: %s" % self._main.said())

    # ---- Places

    def room(self):
        """Say whether there may be one more place."""
        return bool(self._free) or self._made < ROOMS

    def place(self):
        """Return a place for a step."""
        if self._free:
            return self._free.pop()
        self._made += 1
        return place.Place(self._work, self.paths["work"], self._made, self.paths["code"], self._links)

    def give_back(self, found, *, read=False):
        """Bring a place back to what it was, for another step. `read`: its logs were, and so cleared where need be."""
        if not read:
            found.free_logs()
        found.restore()
        self._free.append(found)

    # ---- Lanes

    def lanes(self):
        """Return the lanes in which steps run."""
        return list(self._lanes)

    def pause(self):
        """Return for how many seconds no lane waits for anybody: then several ends are heard at once."""
        ahead = min([lane.ahead() for lane in self._lanes] or [0])
        return ahead / 2 if ahead > WORTH_S else 0

    def alone(self, task):
        """Say whether no lane of a task's may be in the box that others are in."""
        isolate = task.get("isolate")
        apart = isolate == "step" or (isolate == "spaces" and not self._main.apart)
        return apart or grants.spread(task["resources"])

    def lane(self, task, grant):
        """Open a lane for a task's steps. Several ranks have it on the host: each enters a box of its own."""
        alone = self.alone(task)
        spread = grants.spread(task["resources"])
        loop = self._open(ranks.HOST if spread else None) if alone else self._main
        if not self._names:
            self._names.append(self._named)
            self._named += 1
        number = self._names.pop()
        name = str(number)
        served = task["python"] and loop.ahead and task.get("isolate", "worker") == "worker"
        if served and task["name"] not in self._unserved:
            name = "%s:%d" % (self._server(task), number)
        found = Lane(loop, name, task, grant)
        found.number = number
        self._lanes.append(found)
        return found

    def _server(self, task):
        """Return the name of the process that has imported a task's module, started where there is none yet."""
        name = SERVED % self._plan["tasks"].index(task)
        if name not in self._servers:
            self._servers.add(name)
            home = self.place()
            words = ["python3", "-B", self.paths["runner"] + "/serve.py", task["python"]]
            settings = self.given.shared(task, home)
            self._main.server(name, self._main.profile(settings), home.inside, home.inside + ".err", words)
        return name

    def close_lane(self, lane):
        """Close a lane; the box's own process for it stays, for the next. Raises BoxError if ranks do not end."""
        for attempt in [one for one in self._ranked.values() if one.lane is lane]:
            del self._ranked[attempt.name]
            if not attempt.well:
                ranks.end(attempt.name)
            step.clear(self._begun(attempt))
        self._lanes.remove(lane)
        self._names.append(lane.number)
        if lane.loop is not self._main and lane.loop in self._loops:
            self._loops.remove(lane.loop)
            lane.loop.close()

    def start(self, lane, attempt, settings, more, words):
        """Start an attempt in a lane, when `flush` is called."""
        found = attempt.place
        logs = (found.inside, found.inside + ".out", found.inside + ".err")
        mib = attempt.needs["memory_mib"]
        if grants.spread(attempt.needs):
            words = self._spread(attempt, dict(settings, **more), words)
            logs = (found.folder, found.folder + ".out", found.folder + ".err")
            # What srun itself holds is no matter: Slurm sees to what its ranks may.
            settings, more, mib = ranks.settings(os.environ, self._places["path"]), {}, 0
        apart = attempt.task.get("isolate") == "spaces" and lane.loop.apart
        lane.loop.start(lane.name, attempt.name, settings, logs, mib, more, words, apart=apart)

    def _spread(self, attempt, settings, words):
        """Write down what the ranks of an attempt are told; return the words that start them."""
        told = {
            "attempt": attempt.name,
            "begun": "%s.%s" % (attempt.place.inside, attempt.name),
            "enter": box.filled(self._chosen["enter_rank"], self._places),
            "folder": attempt.place.inside,
            "path": self._places["path"],
            "settings": settings,
            "words": words,
        }
        os.mkdir(self._begun(attempt))
        attempt.place.tell(ranks.TOLD, [json.dumps(told)])
        self._ranked[attempt.name] = attempt
        rank = os.path.join(self._places["runner"], "rank.py")
        return ranks.words(attempt.needs, attempt.name, rank, "%s.%s" % (attempt.place.folder, ranks.TOLD))

    @staticmethod
    def _begun(attempt):
        """Return the folder in which each rank of an attempt leaves a mark when it begins."""
        return "%s.%s" % (attempt.place.folder, attempt.name)

    def _judged(self, what):
        """Return the end of an attempt that is several ranks, or (`unable`, …) where they were not started."""
        attempt, end = self._ranked[what[1].token], what[1]
        why = ""
        if not attempt.told:
            why = ranks.unstarted(self._begun(attempt), attempt.needs["ranks"], end, attempt.place.logs["stderr"])
        attempt.well = not (why or end.code or end.signal)
        return ("unable", attempt.name, why) if why else what

    def signal(self, attempt, number):
        """Signal an attempt and all it started."""
        if attempt.name in self._ranked:
            try:
                ranks.send(attempt.name, number)
                if number != signal.SIGKILL:
                    return
            except slurm.SlurmError as error:
                self._say("the ranks of `%s/%d`: %s" % (attempt.task["name"], attempt.step, error))
        attempt.lane.loop.signal(attempt.name, number)

    def halt(self):
        """Let nothing begin any more."""
        for loop in self._loops:
            loop.halt()

    def flush(self):
        """Send what was asked for."""
        for loop in self._loops:
            loop.flush()

    def hear(self, timeout):
        """Yield what happened in the boxes, after at most `timeout` seconds; (`closed`, loop) of one that is gone."""
        for loop in select.select(self._loops, [], [], timeout)[0]:
            for told in loop.hear():
                what = self._judged(told) if told[0] == "end" and told[1].token in self._ranked else told
                if what[0] == "lost" and loop is not self._main:
                    yield "closed", loop  # it has no other lane, and the main one may have one of that name
                elif not self._heard(what):
                    yield what
            if not loop.open:
                yield "closed", loop

    def watch(self):
        """Yield (`over`, …) of the steps that hold more memory than they may, of those that no loop inside watches."""
        for loop in self._loops:
            for what in loop.watch():
                yield what

    def gone(self, attempt, what):
        """Say whether an attempt went with what was lost."""
        if what[0] == "closed":
            return attempt.lane.loop is what[1]
        if what[0] == "unable":
            return attempt.name == what[1]
        return attempt.lane.loop is self._main and what[1] in (attempt.lane.name, attempt.lane.name.partition(":")[0])

    def mend(self, what):
        """Put something in the place of what was lost."""
        if what[0] == "closed":
            if what[1] in self._loops:
                self._loops.remove(what[1])
                what[1].close()
            if what[1] is self._main:
                self._servers, self._listing = set(), None
                self._main = self._open()
            return
        if what[0] == "unable":
            return
        # Nothing is started under this name any more: it may have been lost when more was asked for already.
        self._names = [number for number in self._names if str(number) != what[1].rpartition(":")[2]]
        if what[1] in self._servers:
            self._unserved.update(
                task["name"] for number, task in enumerate(self._plan["tasks"]) if SERVED % number == what[1]
            )

    def close(self):
        """Leave the boxes; all that runs in them ends."""
        for loop in self._loops:
            loop.close()
