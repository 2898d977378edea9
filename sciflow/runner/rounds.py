"""Rounds on Slurm: see what remains, submit it as arrays and one job that comes after them, and end.

Nothing stays behind: the job that comes after plans the next round, until nothing remains or nothing moves. Slurm's
dependencies only time things; whether a step may start is read from records, by the worker that would start it.
`plan_round` is pure (what remains, the site's limits, the time -> jobs); `submit` is where sbatch is called.
"""

import errno
import json
import os
import re
import subprocess
import time

from . import facts, hours, names, points, records, step
from .order import Order
from .standing import Standing

ELEMENT_S = 1800  # how much declared or learned work an array element is given
OVERHEAD_S = 120  # for entering the box, and for Slurm's slack about limits
DEFAULT_ARRAY = 1001  # Slurm's own default of MaxArraySize: indices 0 to 1000
ROUND_MINUTES = 10
ROUND_MIB = 512
SBATCH_TRIES = 5  # while the controller is busy or away
STALLED_ROUNDS = 2
FILE = "round.json"
LAUNCHES = "launches.jsonl"


class SlurmError(Exception):
    """Slurm cannot be asked or does not accept; the text says what it said."""


def ask(words, stdin="", tries=1):
    """Run a command of Slurm's with a clean Slurm environment, in UTC; return its output. Raises SlurmError."""
    # SLURM_* and SBATCH_* of the job that submits would become options of the jobs it submits. sbatch reads --begin in
    # its own time zone (sbatch(1)), so that zone is set.
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == "SLURM_CONF" or not re.match("^(SLURM|SBATCH|SQUEUE)_", name)
    }
    kept["TZ"] = "UTC"
    for left in range(tries, 0, -1):
        try:
            found = subprocess.run(
                words,
                input=stdin.encode("utf-8"),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=kept,
                check=False,
            )
        except OSError as error:
            raise SlurmError("`%s`: %s" % (words[0], error.strerror))
        if not found.returncode:
            return found.stdout.decode("utf-8", "replace")
        said = found.stderr.decode("utf-8", "replace").strip()
        if left > 1 and re.search("(?i)unable to contact|timed out|temporarily|try again", said):
            time.sleep(2)
            continue
        break
    raise SlurmError("`%s` said: %s" % (words[0], said))


def site():
    """Return the limits of this site that a round must keep to."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask(["scontrol", "show", "config"], tries=SBATCH_TRIES))
    return {"array": int(found.group(1)) if found else DEFAULT_ARRAY}


def live(jobs):
    """Return those of the jobs (ids) that Slurm still has waiting or running."""
    if not jobs:
        return []
    out = ask(["squeue", "--noheader", "--array", "--format=%F %T", "--me"], tries=SBATCH_TRIES)
    there = {text.split()[0] for text in out.splitlines() if text.split()}
    return [job for job in jobs if str(job) in there]


def launched(run, job, mark):
    """Write down a launch that was submitted: until it starts, nothing else says that it is of this run."""
    folder = os.path.join(run, names.ROUNDS)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, LAUNCHES), "a", encoding="utf-8") as stream:
        stream.write(json.dumps({"id": job, "mark": mark, "name": "launch"}) + "\n")


def recorded(run):
    """Return the jobs that are written down for a run, each {"id", "mark", "name"}; the last submitted first.

    So a round's next one stands before the arrays that it waits for, and does not start when they are cancelled.
    """
    found = []
    try:
        with open(os.path.join(run, names.ROUNDS, LAUNCHES), encoding="utf-8") as stream:
            found = [json.loads(line) for line in stream if line.endswith("\n")]
    except FileNotFoundError:
        pass
    for _, state in rounds(run):
        found.extend(job for job in state["jobs"] if job["id"])
    return found[::-1]


def standing(jobs):
    """Return those of the recorded jobs that Slurm still has. An id alone is not enough: Slurm gives them again."""
    if not jobs:
        return []
    out = ask(["squeue", "--noheader", "--me", "--format=%F %k"], tries=SBATCH_TRIES)
    there = {tuple(line.split()) for line in out.splitlines()}
    return [job for job in jobs if (str(job["id"]), job["mark"]) in there]


def minutes(seconds):
    """Round up: Slurm counts whole minutes (sbatch(1), --time)."""
    return -int(-seconds // 60)


def packed(task, known):
    """Return how many steps of a task one element runs, by what was learned or else by what is declared."""
    return max(1, int(ELEMENT_S // max(known.get(task["name"], task["resources"]["time_s"]), 0.1)))


def plan_round(plan, remaining, known, limits):
    """Return a round's arrays, in the order of the tasks: [{"task", "elements": [[step, …], …], "options", "after"}].

    `remaining` is {task: [steps]}, `known` {task: seconds a step takes}, `limits` what `site` says. `after` lists
    the places in the result of the arrays that should have ended before. An array has at most `limits["array"]`
    elements.
    """
    arrays, of_task = [], {}
    for task in plan["tasks"]:
        wanted = remaining.get(task["name"])
        if not wanted:
            continue
        wants = task["resources"]
        size = packed(task, known)
        elements = [wanted[at : at + size] for at in range(0, len(wanted), size)]
        options = [
            "--ntasks=1",
            "--cpus-per-task=%d" % wants["cpus"],
            "--mem=%dM" % wants["memory_mib"],
            # The declared limit binds each step; an element sized by what was learned has it once more, as a reserve.
            "--time=%d"
            % minutes(min(size, len(wanted)) * known.get(task["name"], wants["time_s"]) + wants["time_s"] + OVERHEAD_S),
        ]
        if wants["gpus"]:
            options.append("--gres=gpu:%d" % wants["gpus"])
        after = sorted({place for need in task["needs"] for place in of_task.get(need, ())})
        of_task[task["name"]] = []
        for at in range(0, len(elements), limits["array"]):
            of_task[task["name"]].append(len(arrays))
            arrays.append(
                {
                    "task": task["name"],
                    "elements": elements[at : at + limits["array"]],
                    "options": options,
                    "after": after,
                }
            )
    return arrays


def script(bundle, words):
    """Return a batch script that starts the runner of a bundle with some words."""
    runner = os.path.join(bundle, names.RUNNER, "__main__.py")
    quoted = " ".join(
        step.quoted(word) for word in [os.environ.get("SCIFLOW_PYTHON") or "python3", "-I", "-B", runner] + words
    )
    # exec: bash with a child in the foreground would not pass Slurm's signals on.
    return "#!/bin/sh\nexec %s\n" % quoted


def rounds(run):
    """Return the rounds of a run that were begun, as [(number, what its file says)], ascending."""
    folder = os.path.join(run, names.ROUNDS)
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        path = os.path.join(folder, name, FILE)
        if name.isdigit() and os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                found.append((int(name), json.load(stream)))
    return found


def _keep(folder, state):
    """Write a round's file, whole or not at all."""
    part = os.path.join(folder, "." + FILE)
    with open(part, "w", encoding="utf-8") as stream:
        json.dump(state, stream, indent=1, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, os.path.join(folder, FILE))


def _claim(run, number, state):
    """Take a round's number; return its folder, or None where another launch has it already.

    The folder is made aside with its file in it, then renamed: rename(2) fails where a folder that is not empty stands.
    """
    aside = os.path.join(run, names.ROUNDS, ".%s" % names.token())
    folder = os.path.join(run, names.ROUNDS, "%04d" % number)
    os.makedirs(aside)
    _keep(aside, state)
    try:
        os.rename(aside, folder)
    except OSError as error:
        step.clear(aside)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return None
    return folder


def _busy(last, me):
    """Return the jobs that still have a round in hand: those it submitted, and the one that submits as it does so."""
    ids = [job["id"] for job in last["jobs"] if job["id"]]
    if not last["ready"]:
        if last["job"]:
            ids.append(last["job"])
        elif not facts.gone(last["owner"]):
            return ["a launch by process %d on %s" % (last["owner"][2], last["owner"][0])]
    return [str(job) for job in live([job for job in ids if job != me])]


def common(plan):
    """Return the options every job of a round gets: the workflow's defaults, overruled by what this job was given."""
    chosen = dict(plan["slurm"])
    for option, variable in (
        ("partition", "SLURM_JOB_PARTITION"),
        ("account", "SLURM_JOB_ACCOUNT"),
        ("qos", "SLURM_JOB_QOS"),
    ):
        if os.environ.get(variable):
            chosen[option] = os.environ[variable]
    return ["--%s=%s" % (option.replace("_", "-"), value) for option, value in sorted(chosen.items())]


def submit(state, folder, name, options, text):
    """Submit one job and write its id down; a submission whose answer was lost is looked up by its comment."""
    mark = "sciflow:" + names.token()
    state["jobs"].append({"name": name, "mark": mark, "id": None})
    _keep(folder, state)
    words = ["sbatch", "--parsable", "--job-name=" + name, "--comment=" + mark, "--kill-on-invalid-dep=yes"] + options
    try:
        answer = ask(words, text, SBATCH_TRIES)
    except SlurmError:
        answer = ""
        for line in ask(["squeue", "--noheader", "--me", "--format=%F %k"], tries=SBATCH_TRIES).splitlines():
            if line.split(" ", 1)[1:] == [mark]:
                answer = line.split()[0]
        if not answer:
            raise
    state["jobs"][-1]["id"] = int(answer.strip().split(";")[0])
    _keep(folder, state)
    return state["jobs"][-1]["id"]


def launch(bundle, plan, run_name, say):
    """Do one round; return the exit code: 0 submitted, going on, or all done; 5 nothing can progress."""
    run = os.path.join(bundle, names.RUNS, run_name)
    os.makedirs(os.path.join(run, names.LOGS), exist_ok=True)
    past = rounds(run)
    me = int(os.environ.get("SLURM_JOB_ID", "0"))
    busy = _busy(past[-1][1], me) if past else []
    if busy:
        say("round %d is going on (%s): nothing to do" % (past[-1][0], ", ".join(busy)))
        return names.EXIT_OK
    steps = points.Steps(plan, points.lines(bundle, plan))
    stands = Standing(run, plan)
    order = Order(plan, steps, stands)
    final = sum(stands.count(state) for state in records.FINAL)
    remaining = {}
    for name, number in sorted(order.wanted()):
        remaining.setdefault(name, []).append(number)
    if not remaining and not order.lost:
        done = stands.count(names.DONE)
        bad = sum(task["steps"] for task in plan["tasks"]) - done
        say("finished: %d steps done, %d not" % (done, bad))
        return names.EXIT_INCOMPLETE if bad else names.EXIT_OK
    if len(past) >= STALLED_ROUNDS and all(state["final"] == final for _, state in past[-STALLED_ROUNDS:]):
        say(
            "stopped: %d rounds brought no step to an end; see the logs in %s"
            % (STALLED_ROUNDS, os.path.join(run, names.LOGS))
        )
        return names.EXIT_INCOMPLETE
    for name, number, _ in order.lost:  # a worker puts it on record that they are skipped
        remaining.setdefault(name, []).append(number)
    return _submit_all(bundle, plan, run_name, run, remaining, stands, past, final, say)


def _submit_all(bundle, plan, run_name, run, remaining, stands, past, final, say):
    number, now = past[-1][0] + 1 if past else 1, time.time()
    start, _ = hours.window(plan["schedule"], int(now), int(past[0][1]["time"]) if past else None)
    begin = ["--begin=" + time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start))] if start > now + 60 else []
    arrays = plan_round(plan, remaining, stands.learned(), site())
    state = {"time": now, "begin": start, "final": final, "arrays": arrays, "jobs": [], "ready": False}
    state.update(job=int(os.environ.get("SLURM_JOB_ID", "0")), owner=facts.owner())
    folder = _claim(run, number, state)
    if folder is None:
        say("another launch has just begun round %d: nothing to do" % number)
        return names.EXIT_OK
    log = os.path.join(run, names.LOGS, "round-%04d.log" % number)
    # One log a round: Slurm gives every job its own file otherwise, thousands of them.
    shared = common(plan) + begin + ["--output=" + log.replace("%", "%%"), "--open-mode=append", "--requeue"]
    stem = "sciflow-" + plan["name"]
    ids = []
    try:
        for place, array in enumerate(arrays):
            after = (
                ["--dependency=afterany:" + ":".join(str(ids[other]) for other in array["after"])]
                if array["after"]
                else []
            )
            options = shared + array["options"] + after + ["--array=0-%d" % (len(array["elements"]) - 1)]
            words = ["element", "--run", run_name, "--round", str(number), "--array", str(place)]
            ids.append(submit(state, folder, "%s-%s" % (stem, array["task"]), options, script(bundle, words)))
    finally:
        # Also when a submission was refused half-way: what was accepted runs, and the next round sees to the rest.
        if ids:
            options = shared + ["--ntasks=1", "--mem=%dM" % ROUND_MIB, "--time=%d" % ROUND_MINUTES]
            options += ["--dependency=afterany:" + ":".join(str(job) for job in ids)]
            submit(state, folder, stem + "-next", options, script(bundle, ["round", "--run", run_name, "--next"]))
        state["ready"] = True
        _keep(folder, state)
    steps = sum(len(element) for array in arrays for element in array["elements"])
    say(
        "round %d: %d steps in %d jobs%s"
        % (
            number,
            steps,
            sum(len(array["elements"]) for array in arrays),
            ", from " + begin[0][8:] + "Z" if begin else "",
        )
    )
    return names.EXIT_OK


def element(run, number, array, index):
    """Return the (task, step) of one array element of a round."""
    with open(os.path.join(run, names.ROUNDS, "%04d" % number, FILE), encoding="utf-8") as stream:
        found = json.load(stream)["arrays"][array]
    return [(found["task"], step) for step in found["elements"][index]]
