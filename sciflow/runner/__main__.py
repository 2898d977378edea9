"""The runner's commands: `run` here, one `round` on Slurm, one `element` of a round, `status`. It verifies first.

Started as `python3 -I -B BUNDLE/runner/__main__.py`, with an explicit path, so that nothing beside this file can be
imported in a module's stead. Exit codes: 0 all done, 2 words, 3 surroundings, 4 changed, 5 incomplete, 6 untrusted,
75 later (outside hours, or stopped in good order), 130 interrupted.
"""

import argparse
import errno
import hashlib
import importlib
import importlib.util
import json
import os
import signal
import sys
import time

PACKAGE = "sciflow_runner"
UTF8 = "C.UTF-8"
# As in `names`, said here because that may itself be what has changed.
SURROUNDINGS, CHANGED, LATER, INTERRUPTED = 3, 4, 75, 130
ALTERED = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EACCES)  # taken away, or put in its place
CLOCKS_S = 60  # a job that Slurm has begun at the opening may be on a node whose clock is behind
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
sys.dont_write_bytecode = True  # nothing may appear in a bundle beside runs/, however python3 was started


def altered(folder):
    """Return which of the runner's own files is not what the manifest beside it says, or nothing.

    `verdict` judges the whole bundle; but its rooms are imported for that, and a changed room must not even be
    imported. What is wrong with the manifest itself is left to `verdict`, too. Raises OSError where the disk fails.
    """
    try:
        with open(os.path.join(os.path.dirname(folder), "manifest.json"), encoding="utf-8") as stream:
            files = {entry["path"]: entry["sha256"] for entry in json.load(stream)["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    for name in sorted(path for path in files if path.startswith("runner/") and path.endswith(".py")):
        try:
            with open(os.path.join(folder, name[len("runner/") :]), "rb") as stream:
                same = hashlib.sha256(stream.read()).hexdigest() == files[name]
        except OSError as error:
            if error.errno not in ALTERED:
                raise  # of a file that cannot be read nobody knows whether it has changed
            same = False
        if not same:
            return name
    return ""


def load(folder):
    """Make the runner's rooms importable as a package, without putting any folder on the search path."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PACKAGE])
    return lambda name: importlib.import_module(PACKAGE + "." + name)


def say(text):
    """Talk on standard error. That it cannot be heard, for want of space say, must not change how a run ends."""
    try:
        os.write(2, ("sciflow: %s\n" % text).encode("utf-8", "backslashreplace"))
    except OSError:
        pass


def arguments(words):
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="runner", description=__doc__.split("\n\n", 1)[0])
    verbs = parser.add_subparsers(dest="verb")
    for verb, text in (
        ("run", "run what remains, here"),
        ("round", "submit what remains to Slurm"),
        ("element", "run one array element"),
        ("status", "count what is on record"),
        ("compare", "say whether a run agrees with an earlier one"),
    ):
        found = verbs.add_parser(verb, help=text)
        found.add_argument("--run", default="main", help="the run's name (default: main)")
        if verb in ("run", "element"):
            found.add_argument("--engine", help="the engine to use, instead of the first that works")
            found.add_argument("-j", "--jobs", type=int, help="cores to use (default: all there are)")
        if verb == "run":
            found.add_argument("--now", action="store_true", help="start now, whatever the schedule says")
            found.add_argument("--failed", action="store_true", help="run again what has failed")
            found.add_argument(
                "--degrade", action="store_true", help="run also what asks for more than is here, with what is here"
            )
            found.add_argument(
                "--point", type=int, action="append", help="only what this point needs (may be repeated)"
            )
            found.add_argument("--task", action="append", help="only this task, and what it needs (may be repeated)")
            found.add_argument("--step", action="append", help="only this step, like `train/12`, and what it needs")
            found.add_argument("--max-failures", type=int, metavar="N", help="stop when N steps have failed (0: never)")
            found.add_argument("--quiet", action="store_true", help="say nothing of how far it is")
            found.add_argument("--cron", metavar="TABLE", help="as a line of this table: `crontab`, `scrontab`")
        if verb == "compare":
            found.add_argument("--against", default="main", help="the earlier run's name (default: main)")
        if verb == "round":
            found.add_argument("--next", action="store_true", help="as the job that comes after a round")
        if verb == "element":
            found.add_argument("--round", type=int, required=True)
            found.add_argument("--array", type=int, required=True)
            found.add_argument("--index", type=int, help="which element of the array (default: what Slurm says)")
    parser.set_defaults(verb="run", run="main", engine=None, jobs=None, now=False, failed=False)
    parser.set_defaults(degrade=False, point=None, task=None, step=None, max_failures=None, quiet=False, cron=None)
    return parser.parse_args(words)


def verified(bundle, room):
    """Verify the bundle before anything of it is used; return (plan, its seals, exit code)."""
    verdict, tree = room("verdict"), room("tree")
    trust = os.environ.get("SCIFLOW_TRUST")
    try:
        found = verdict.judge(bundle, trust)
    except tree.Refused as error:
        say("%s: %s" % (trust, error))
        return None, (), verdict.UNREADABLE
    # Without SCIFLOW_TRUST the runner asks that the bundle is whole, not who made it: `sciflow verify` does.
    if found.code == verdict.CHANGED or (trust and found.code):
        for text in found.lines():
            say(text)
        return None, (), found.code
    with open(os.path.join(bundle, "plan.json"), encoding="utf-8") as stream:
        return json.load(stream), found.seals, 0


def each(short):
    """Yield (task, what, wanted, there) of what is lacking."""
    for name in sorted(short):
        for what in sorted(short[name]):
            yield (name, what) + tuple(short[name][what])


def lessened(task, short):
    """Return a task that asks for no more than there is. Its digest stays: the key is of what it was meant to have."""
    return dict(task, resources=dict(task["resources"], **{what: there for what, (_, there) in short.items()}))


def uncancel(path):
    """Take away what told the workers of a run to stop: it was for those at work then, and this is a fresh start."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def stood(seals):
    """Return what a seal says of where the code stood in git, that of somebody trusted before others'; nothing: {}."""
    for seal in sorted(seals, key=lambda seal: not seal.principal):
        if seal.code:
            said = {key: seal.code[key] for key in ("commit", "clean", "remote") if key in seal.code}
            return {"code": dict(said, seal=seal.path)}
    return {}


def closes(plan, run, room, chosen, noted):
    """Return when the hours close, as a Closing; None where they are not open, and nothing is to be done."""
    made, schedule, now = room("closing").Closing, plan["schedule"], int(time.time())
    if schedule["policy"] == "now":
        return made()
    since, slack = None, CLOCKS_S if chosen.verb == "element" else 0
    if schedule["max_wait_s"]:
        past = room("journal").rounds(run)[:1] if chosen.verb == "element" else []
        since = room("launched").note(run, min([now] + [int(state["time"]) for _, state in past]))
    start, close = room("hours").window(schedule, now, since)
    if start <= now + slack:
        return made(None if chosen.now else close, hard=schedule["hard"])
    if chosen.verb == "run" and chosen.now:
        noted["outside_hours"] = True
        return made()
    if chosen.verb == "element" and schedule.get("when_idle"):
        return made()
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(start))
    say("outside hours, nothing done: it opens at %s; --now starts at once" % when)
    return None


def work(bundle, plan, room, chosen, seals):
    """Run what remains, or one array element of it, here; return the exit code."""
    names, points, box = room("names"), room("points"), room("box")
    facts = room("facts")
    run = os.path.join(bundle, names.RUNS, chosen.run)
    noted = stood(seals)
    if chosen.verb == "element" and os.path.exists(os.path.join(run, names.CANCEL)):
        say("the run was cancelled: nothing is started")
        return names.EXIT_LATER
    closing = closes(plan, run, room, chosen, noted)
    if closing is None:
        return names.EXIT_LATER
    if chosen.verb == "element":
        lasts = room("packing").lasts(room("journal").needs(run, chosen.round, chosen.array))
        closing = closing.within(time.time() + lasts) if lasts else closing
    if chosen.verb == "run":
        uncancel(os.path.join(run, names.CANCEL))
    steps = points.Steps(plan, points.lines(bundle, plan))
    stands = room("standing").Standing(run, plan)
    if chosen.verb == "run" and chosen.failed:
        stands.forget_failures()
    capacity = facts.capacity()
    capacity["cpus"] = chosen.jobs or capacity["cpus"]
    wanted = None
    if chosen.verb == "element":
        index = int(os.environ["SLURM_ARRAY_TASK_ID"]) if chosen.index is None else chosen.index
        wanted = room("journal").element(run, chosen.round, chosen.array, index)
    else:
        words = room("wanted")
        fault = words.refusal(plan, chosen.point, chosen.task, chosen.step)
        if fault:
            say("%s\n  hint: %s" % fault)
            return names.EXIT_WORDS
        wanted = words.chosen(steps, chosen.point, chosen.task, [words.parted(step) for step in chosen.step or ()])
    tasks = {name for name, _ in wanted} if wanted is not None else {task["name"] for task in plan["tasks"]}
    meant = [task for task in plan["tasks"] if task["name"] in tasks]
    fault = room("ranks").refusal(meant, os.environ if chosen.verb == "element" else None)
    if fault:
        say(fault)
        return names.EXIT_SURROUNDINGS
    short = facts.lacking(meant, capacity)
    if short and not chosen.degrade:
        for name in sorted(short):
            told = ", ".join("%s %d (here: %d)" % found[1:] for found in each({name: short[name]}))
            say("a step of `%s` asks for %s: it cannot run on this machine" % (name, told))
        return names.EXIT_SURROUNDINGS
    if short:
        noted["degraded"] = short
        told = ["`%s` has %s %d (asked: %d)" % (name, what, there, wanted) for name, what, wanted, there in each(short)]
        say("less is here than was asked for, and it runs all the same: %s" % ", ".join(told))
        plan = dict(plan, tasks=[lessened(task, short.get(task["name"], {})) for task in plan["tasks"]])
    progress = room("progress").Progress(room("progress").begun(stands, wanted), capacity["cpus"], quiet=chosen.quiet)
    worker = room("work").Worker(bundle, plan, run, steps, stands, capacity, progress.say, noted)

    worker.closing = closing
    if chosen.verb == "run" and chosen.max_failures is not None:
        worker.most_failures = chosen.max_failures

    def stop(number, _):
        worker.stopping = worker.stopping or number

    for number in STOPS:
        signal.signal(number, stop)
    total = sum(task["steps"] for task in plan["tasks"])
    named = chosen.engine or os.environ.get("SCIFLOW_ENGINE")
    engine = box.choose(room("ranks").boxes(plan["boxes"], meant, named), named)
    if engine["isolation"] == "none":
        say("engine `%s`: nothing is isolated, and the image is not used" % engine["engine"])
    try:
        with names.about(run):
            code = worker.run(engine, wanted, progress)
    finally:
        progress.end()
    if code:
        return code
    stands.refresh()
    if wanted is not None:
        bad = any(stands.state(*key) != names.DONE for key in wanted)
    else:
        bad = total - stands.count(names.DONE)
        if bad:
            say("incomplete: %d of %d steps are not done; `status` and the records say why" % (bad, total))
    return names.EXIT_INCOMPLETE if bad else names.EXIT_OK


def compare(bundle, plan, room, chosen):
    """Print how a run agrees with an earlier one; return the exit code, 1 where it does not."""
    names, records, agree = room("names"), room("records"), room("agree")
    folders = [os.path.join(bundle, names.RUNS, name) for name in (chosen.against, chosen.run)]
    before, after = (records.settle(folder, records.read(folder))[0] for folder in folders)
    lines, agrees = agree.told(*agree.runs(plan, before, after))
    print("\n".join(lines))
    return names.EXIT_OK if agrees else names.EXIT_NO


def early(number, _):
    """End where nothing was started yet."""
    say("stopped by signal %d, before anything was started" % number)
    os._exit(INTERRUPTED if number == signal.SIGINT else LATER)


def main(words=None):
    """Do what the words say; return the exit code."""
    for number in STOPS:
        signal.signal(number, early)
    bundle = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        return obey(bundle, words)
    except OSError as error:
        say("%s: %s" % (error.filename or bundle, error.strerror or error))
    except ImportError as error:  # a file that cannot be read is one that is not there, to those who import it
        say("%s: a module cannot be read: %s" % (error.path or bundle, error))
    return SURROUNDINGS


def obey(bundle, words):
    """Do what the words say; return the exit code. Raises OSError, ImportError."""
    os.umask(0o022)
    here = os.path.join(bundle, "runner")
    changed = altered(here)
    if changed:
        say("%s: is not what manifest.json says; nothing was run" % changed)
        return CHANGED
    room = load(here)
    names = room("names")
    chosen = arguments(words)
    for name in (chosen.run, getattr(chosen, "against", chosen.run)):
        fault = names.run_refusal(name)
        if fault:
            say(fault)
            return names.EXIT_WORDS
    if chosen.cron is None:
        return serve(bundle, room, chosen)
    if chosen.cron not in room("crontab").TABLES:
        say("a line stands in `crontab` or in `scrontab`, not in `%s`" % chosen.cron)
        return names.EXIT_WORDS
    return room("turn").call(bundle, chosen.run, chosen.cron, say, lambda: serve(bundle, room, chosen))


def serve(bundle, room, chosen):
    """Verify the bundle, and do what the words ask of it; return the exit code. Raises OSError, ImportError."""
    names = room("names")
    try:
        plan, seals, code = verified(bundle, room)
        if code:
            return code
        if chosen.verb == "status":
            run = os.path.join(bundle, names.RUNS, chosen.run)
            print(json.dumps(room("standing").Standing(run, plan).counts(), indent=1))
            return names.EXIT_OK
        if chosen.verb == "compare":
            return compare(bundle, plan, room, chosen)
        if chosen.verb == "round":
            cancel = os.path.join(bundle, names.RUNS, chosen.run, names.CANCEL)
            if chosen.next and os.path.exists(cancel):
                say("the run was cancelled: nothing more is submitted")
                return names.EXIT_INCOMPLETE
            uncancel(cancel)
            return room("rounds").launch(bundle, plan, chosen.run, say, asked=not chosen.next)
        code = work(bundle, plan, room, chosen, seals)
        if chosen.verb == "element" and code == names.EXIT_LATER:
            room("rounds").told_to_stop(os.path.join(bundle, names.RUNS, chosen.run), chosen.round)
        return code
    except (room("box").BoxError, room("slurm").SlurmError) as error:
        say(str(error))
        if chosen.verb == "element":
            room("rounds").leave(os.path.join(bundle, names.RUNS, chosen.run), chosen.round)
        return names.EXIT_SURROUNDINGS
    except room("records").TornError as error:
        say(str(error))
        return names.EXIT_CHANGED


if __name__ == "__main__":
    if sys.getfilesystemencoding() == "ascii" and os.environ.get("LC_ALL") != UTF8:
        # Python 3.6 takes every file name for ASCII where no locale is set (3.7 does not: PEP 538, 540).
        os.environ["LC_ALL"] = UTF8
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-B"] + sys.argv)  # noqa: S606
    ended = main()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        ended = ended or SURROUNDINGS  # Python would try once more, and end with 120
    # Python's own way out gives the signals back to the system first: one that came that late would tell of a death.
    os._exit(ended)
