"""Rounds on Slurm: see what remains, submit it as arrays and one job that comes after them, and end.

Nothing stays behind: the job that comes after plans the next round, until nothing remains or nothing moves. It is
handed in first and told last what it waits for, so whatever is killed or refused in between, it sees to it. Slurm's
dependencies only time things; whether a step may start is read from records, by the worker that would start it.
"""

import contextlib
import os
import re
import time

from . import facts, journal, launched, names, options, packing, slurm, step, upcoming

ROUND_MINUTES = 10
ROUND_MIB = 512
STALLED_ROUNDS = 2
FULL_S = 600  # when to look again where the site takes no more jobs for now
SOON_S = 120  # by when a launch that is no job itself has told its next round what to wait for
DEAD_S = 1200  # after which a launch on another machine that has not finished is taken for dead
STOPPED = "stopped"  # stands where an element of a round ended before it was done: with its hours, its job, by a signal
STUCK = "(?i)launch.failed.requeued.held"  # Slurm's reason, after a crash: a node had refused a job it knew already
LEFT = "left"  # the nodes that a round's workers gave up on


def script(bundle, words):
    """Return a batch script that starts the runner of a bundle with some words."""
    runner = os.path.join(bundle, names.RUNNER, "__main__.py")
    quoted = " ".join(
        step.quoted(word) for word in [os.environ.get("SCIFLOW_PYTHON") or "python3", "-I", "-B", runner] + words
    )
    # exec: bash with a child in the foreground would not pass Slurm's signals on.
    return "#!/bin/sh\nexec %s\n" % quoted


def launch(bundle, plan, run_name, say, *, asked=True):
    """Do one round; return the exit code: 0 submitted, going on, or all done; 5 nothing can progress.

    `asked`: somebody started it. Else it is the job that came after the last round, and ends where nothing moves.
    """
    run = os.path.join(bundle, names.RUNS, run_name)
    os.makedirs(os.path.join(run, names.LOGS), exist_ok=True)
    past = journal.rounds(run)
    me = int(os.environ.get("SLURM_JOB_ID", "0"))
    if past and _going_on(bundle, plan, run_name, run, past, me, say):
        return names.EXIT_OK
    found = upcoming.remains(bundle, plan, run)
    _, stands, left = found
    if not left:
        done = stands.count(names.DONE)
        bad = sum(task["steps"] for task in plan["tasks"]) - done
        say("finished: %d steps done, %d not" % (done, bad))
        return names.EXIT_INCOMPLETE if bad else names.EXIT_OK
    tried = _tried(run, past)[-STALLED_ROUNDS:]
    if not asked and len(tried) >= STALLED_ROUNDS and all(state["moved"] == stands.moved for state in tried):
        say(
            "stopped: %d rounds brought nothing on record; see the logs in %s"
            % (STALLED_ROUNDS, os.path.join(run, names.LOGS))
        )
        return names.EXIT_INCOMPLETE
    return Round(bundle, plan, run_name, run, past, me, say, asked=asked).submit(found)


def _tried(run, past):
    """Return the rounds that had jobs which might have done something, since somebody last started one.

    What stood in the way before may be gone by then. Jobs that had no time for anything (`told_to_stop`) do not count.
    """
    found = []
    for number, state in past:
        found = [] if state.get("asked") else found
        had = any(job["id"] and not journal.follows(job) for job in state["jobs"])
        if had and not os.path.exists(os.path.join(journal.folder(run, number), STOPPED)):
            found.append(state)
    return found


def _going_on(bundle, plan, run_name, run, past, me, say):
    """Say whether a round is in hand already. Where it has nothing that comes after it, that is mended."""
    number, last = past[-1]
    there = [job for job in journal.standing(journal.recorded(run)) if job["id"] != me]
    there = [job for job in there if any(state != "COMPLETING" for state, _ in job["elements"])]
    stuck = [job for job in there if any(re.search(STUCK, reason) for _, reason in job["elements"])]
    if stuck:  # nobody but its user would ever let it go; what it was for is in the next round
        told = [str(job["id"]) for job in stuck]
        say("ending what Slurm could not start, and holds: %s" % ", ".join(told))
        slurm.ask(["scancel", "--state=PENDING"] + told, tries=slurm.TRIES)
    ended = [job for job in stuck if all(state == "PENDING" for state, _ in job["elements"])]
    there = [job for job in there if job["name"] != "launch" and job not in ended]
    if there:
        if not any(journal.follows(job) for job in there):
            Round(bundle, plan, run_name, run, past, me, say).follow([job["id"] for job in there])
        say("round %d is going on (%s): nothing to do" % (number, ", ".join(str(job["id"]) for job in there)))
        return True
    if last["ready"] or time.time() - last["time"] > DEAD_S or last["job"] == me != 0:
        return False
    if last["job"]:
        alive = any(job == last["job"] for told in slurm.queue().values() for job, _, _ in told)
    else:
        alive = not facts.gone(last["owner"])
    if alive:
        say(
            "round %d is being submitted (process %d on %s): nothing to do"
            % (number, last["owner"][2], last["owner"][0])
        )
    return alive


class Round(object):
    """One round that is being submitted: where, with what options, by whom."""

    def __init__(self, bundle, plan, run_name, run, past, me, say, *, asked=False):
        self.asked = asked
        self.bundle, self.plan, self.run_name, self.run, self.past, self.me = bundle, plan, run_name, run, past, me
        self.say, self.stem = say, "sciflow-" + plan["name"]
        self.given = options.overrides(past[-1][1] if past else None)
        self.options = options.common(plan, self.given)

    def follow(self, jobs):
        """Have a next round come after jobs of the last one, whose own was lost."""
        number, _ = self.past[-1]
        book = journal.Journal(journal.folder(self.run, number))
        self._next(book, number, ["--dependency=afterany:" + ":".join(str(job) for job in jobs)])

    def _shared(self, number):
        # One log a round: Slurm gives every job its own file otherwise, thousands of them.
        log = os.path.join(self.run, names.LOGS, "round-%04d.log" % number)
        return self.options + [slurm.log(log), "--open-mode=append", "--requeue"]

    def _next(self, book, number, when):
        given = self._shared(number) + ["--ntasks=1", "--mem=%dM" % ROUND_MIB, "--time=%d" % ROUND_MINUTES]
        words = ["round", "--run", self.run_name, "--next"]
        return book.submit(self.stem + journal.NEXT, given + when, script(self.bundle, words))

    def submit(self, found):
        """Plan and submit what `remains` found; return the exit code. Raises SlurmError."""
        number = self.past[-1][0] + 1 if self.past else 1
        schedule, since = self.plan["schedule"], None
        if schedule["max_wait_s"]:
            since = launched.note(self.run, self.past[0][1]["time"] if self.past else time.time())
        idle = bool(schedule.get("when_idle")) and slurm.idle(options.chosen(self.options, "partition")) > 0
        self.site = upcoming.site(self.plan, self.options)
        state, elements = upcoming.planned(self.plan, found, self.site, since, idle=idle)
        arrays, start = state["arrays"], state["begin"]
        state.update(overrides=self.given, job=self.me, owner=facts.owner(), left=self._left(), asked=self.asked)
        folder = journal.claim(self.run, number, state, elements)
        if folder is None:
            self.say("another launch has just begun round %d: nothing to do" % number)
            return names.EXIT_OK
        begin = ["--begin=" + _moment(start)] if start > state["time"] + 60 else []
        jobs = self._hand_in(number, journal.Journal(folder), arrays, begin, state["left"])
        if not jobs:
            self.say("the site takes no more jobs of yours for now: it is tried again in %d minutes" % (FULL_S // 60))
            return names.EXIT_OK
        count, when = sum(packing.counts(elements).values()), ", from " + begin[0][8:] + "Z" if begin else ""
        self.say("round %d: %d steps in %d jobs%s" % (number, count, sum(jobs), when))
        return names.EXIT_OK

    def _left(self):
        """Return the nodes that workers of this run gave up on; none where that would leave no node."""
        found = set()
        for number, _ in self.past:
            folder = os.path.join(journal.folder(self.run, number), LEFT)
            found.update(os.listdir(folder) if os.path.isdir(folder) else ())
        return sorted(found) if len(found) < self.site.get("nodes", 0) else []

    def _hand_in(self, number, book, arrays, begin, left):
        """Submit the next round's job, then the arrays, then tell it to wait for them. Return the elements of each."""
        # Until it is told, it waits for this launch to end; where it starts early it sees what there is, and waits.
        when = ["--begin=" + _moment(time.time() + (SOON_S if arrays else FULL_S))]
        when = ["--dependency=afterany:%d" % self.me] if self.me and arrays else when
        after = self._next(book, number, when)
        shared = self._shared(number) + begin + (["--exclude=" + ",".join(left)] if left else [])
        ids, counts = [], []
        try:
            for place, array in enumerate(arrays):
                wait = [ids[other] for other in array["after"] if other < len(ids)]
                job, count = self._array(book, number, place, array, shared, wait)
                if job:
                    ids.append(job)
                    counts.append(count)
                if count < array["elements"]:
                    break  # what stands after it may wait for it
        except slurm.SlurmError:
            if ids:  # they run, and the next round sees to the rest; it will be refused again, and say so
                self._wait(after, ids)
            else:
                slurm.ask(["scancel", str(after)], tries=slurm.TRIES)
            raise
        if arrays:
            self._wait(after, ids)
        book.ready()
        return counts

    @staticmethod
    def _wait(job, others):
        """Have the next round's job wait for others, or where there are none for some time."""
        words = ["scontrol", "update", "JobId=%d" % job]
        if others:
            words += ["Dependency=afterany:" + ":".join(str(other) for other in others)]
        else:
            words += ["Dependency=", "StartTime=" + _moment(time.time() + FULL_S)]
        with contextlib.suppress(slurm.SlurmError):  # then it starts early, sees what there is, and mends it
            slurm.ask(words, tries=slurm.TRIES)

    def _array(self, book, number, place, array, shared, wait):
        """Submit an array, or as much of it as the site takes now; return (its id or None, how many elements)."""
        given = shared + slurm.shape(array["needs"], self.site)
        given += ["--dependency=afterany:" + ":".join(str(job) for job in wait)] if wait else []
        words = ["element", "--run", self.run_name, "--round", str(number), "--array", str(place)]
        most, count = self.plan["slurm"].get("max_running"), array["elements"]
        while count:
            told = "--array=0-%d%s" % (count - 1, "%%%d" % most if most else "")
            name = "%s-%s" % (self.stem, array["task"])
            try:
                return book.submit(name, given + [told], script(self.bundle, words)), count
            except slurm.FullError as error:
                if count == 1:
                    self.say(str(error))
                count //= 2
            except slurm.SlurmError as error:
                raise slurm.SlurmError("the jobs of `%s`: %s" % (array["task"], error))
        return None, 0


def _moment(instant):
    """Write an instant as sbatch takes it, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(instant))


def told_to_stop(run, number):
    """Note that an element of a round ended with its hours or its job: that it did nothing is no standstill."""
    with open(os.path.join(journal.folder(run, number), STOPPED), "w", encoding="utf-8"):
        pass


def leave(run, number):
    """Note that this node is one that steps cannot be run on: the next round is to do without it."""
    node = os.environ.get("SLURMD_NODENAME")
    if node:
        folder = os.path.join(journal.folder(run, number), LEFT)
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, node), "w", encoding="utf-8"):
            pass
