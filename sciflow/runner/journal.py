"""What is written down of a run's rounds: what each was planned to do, and every job that was handed in for it.

A job is written down before it is submitted, with a mark that it bears in Slurm, and once more with its id. So whatever
is killed in between, it is known whether there is such a job. `round.json` and `elements.jsonl` never change.
"""

import contextlib
import errno
import json
import os
import re
import time

from . import names, records, slurm, step

FILE, ELEMENTS, JOBS = "round.json", "elements.jsonl", "jobs.jsonl"
LAUNCHES = "launches.jsonl"
NEXT = "-next"


def folder(run, number):
    """Return the folder of a round."""
    return os.path.join(run, names.ROUNDS, "%04d" % number)


def _entries(path):
    """Return the entries of a file that is written line by line, if it is there; one that was cut off is left out."""
    with contextlib.suppress(FileNotFoundError):
        with open(path, encoding="utf-8") as stream:
            return [json.loads(line) for line in stream if line.endswith("\n")]
    return []


class Journal(object):
    """The jobs of a round, on the disk: each is written down before it is submitted, and once more with its id."""

    def __init__(self, place):
        self._path = os.path.join(place, JOBS)

    def _write(self, entry):
        with open(self._path, "ab") as stream:
            stream.write(names.canonical(entry).encode("utf-8") + b"\n")
            stream.flush()
            os.fsync(stream.fileno())

    def submit(self, name, options, text):
        """Submit one job; return its id. A submission whose answer was lost is looked up by its mark, never doubled."""
        mark = slurm.MARK + names.token()
        self._write({"name": name, "mark": mark})
        words = ["sbatch", "--parsable", "--job-name=" + name, "--comment=" + mark, "--kill-on-invalid-dep=yes"]
        for left in range(slurm.TRIES, 0, -1):
            try:
                # Once a time: a submission that timed out may have been heard, and another would be a second job.
                job = int(slurm.ask(words + options, text).strip().split(";")[0])
                break
            except slurm.FullError:
                raise
            except slurm.SlurmError as error:
                job = _looked_up(mark) if _may_pass(error) else None
                if job:
                    break
                if left == 1 or not _may_pass(error):
                    raise
                time.sleep(slurm.PAUSE_S)
        self._write({"mark": mark, "id": job})
        return job

    def ready(self):
        """Write down that this is all of them."""
        self._write({"ready": True})

    def read(self):
        """Return ([{"name", "mark", "id": None where no answer is on record}, …], whether these are all)."""
        jobs, ready = {}, False
        for entry in _entries(self._path):
            ready = ready or "ready" in entry
            if "mark" in entry:
                jobs.setdefault(entry["mark"], {"id": None}).update(entry)
        return list(jobs.values()), ready


def follows(job):
    """Say whether a job is one that plans the next round."""
    return job["name"].endswith(NEXT)


def _may_pass(error):
    """Say whether what Slurm said is of the moment: the controller was away or busy."""
    return re.search(slurm.AWAY, str(error))


def _looked_up(mark):
    """Return the id of the job that bears a mark, or None. Raises SlurmError where Slurm cannot be asked."""
    found = slurm.queue().get(mark)
    return found[0][0] if found else None


def launched(run, job, mark):
    """Write down a launch that was submitted: until it starts, nothing else says that it is of this run."""
    above = os.path.join(run, names.ROUNDS)
    os.makedirs(above, exist_ok=True)
    with open(os.path.join(above, LAUNCHES), "a", encoding="utf-8") as stream:
        stream.write(json.dumps({"id": job, "mark": mark, "name": "launch"}) + "\n")


def recorded(run):
    """Return the jobs that are written down for a run, each {"id", "mark", "name"}; the last submitted last.

    The id may be None: of a job whose answer was lost. Then its mark tells whether there is one.
    """
    found = _entries(os.path.join(run, names.ROUNDS, LAUNCHES))
    for _, state in rounds(run):
        found.extend(state["jobs"])
    return found


def standing(jobs):
    """Return those of the recorded jobs that Slurm still has, each with its `id`.

    What plans the next round comes first, then the last submitted: none starts when what it waits for is cancelled.
    Each has "elements" too: [(state, reason), …]. Raises SlurmError.
    """
    if not jobs:
        return []
    there, found = slurm.queue(), []
    for job in reversed(jobs):
        if job["mark"] in there:
            told = there[job["mark"]]
            found.append(dict(job, id=told[0][0], elements=[(state, reason) for _, state, reason in told]))
    return sorted(found, key=lambda job: not follows(job))


def rounds(run):
    """Return the rounds of a run that were begun, as [(number, its file, with "jobs" and "ready")], ascending."""
    above = os.path.join(run, names.ROUNDS)
    found = []
    for name in sorted(os.listdir(above)) if os.path.isdir(above) else ():
        path = os.path.join(above, name, FILE)
        if name.isdigit() and os.path.exists(path):
            with open(path, encoding="utf-8") as stream:
                state = json.load(stream)
            state["jobs"], state["ready"] = Journal(os.path.join(above, name)).read()
            found.append((int(name), state))
    return found


def claim(run, number, state, elements):
    """Take a round's number; return its folder, or None where another launch has it already.

    The folder is made aside with its files in it, then renamed: rename(2) fails where one that is not empty stands.
    """
    state = dict(state, token=names.token())
    aside = os.path.join(run, names.ROUNDS, "." + state["token"])
    place = folder(run, number)
    os.makedirs(aside)
    lines = [names.canonical(element) + "\n" for element in elements]
    for name, text in ((ELEMENTS, lines), (FILE, [json.dumps(state, indent=1, sort_keys=True)])):
        with open(os.path.join(aside, name), "w", encoding="utf-8") as stream:
            stream.writelines(text)
            stream.flush()
            os.fsync(stream.fileno())
    records.sync_folder(aside)
    try:
        os.rename(aside, place)
    except OSError as error:
        step.clear(aside)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or not os.path.isdir(place):
            raise
        with open(os.path.join(place, FILE), encoding="utf-8") as stream:
            if json.load(stream).get("token") != state["token"]:  # else it was done, and the answer lost on its way
                return None
    records.sync_folder(os.path.join(run, names.ROUNDS))
    return place


def _array(run, number, array):
    with open(os.path.join(folder(run, number), FILE), encoding="utf-8") as stream:
        return json.load(stream)["arrays"][array]


def needs(run, number, array):
    """Return what the elements of an array of a round were given, as `packing.plan_round` says."""
    return _array(run, number, array)["needs"]


def element(run, number, array, index):
    """Return the (task, step) of one array element of a round."""
    wanted = _array(run, number, array)["first"] + index
    with open(os.path.join(folder(run, number), ELEMENTS), encoding="utf-8") as stream:
        for at, line in enumerate(stream):
            if at == wanted:
                runs = json.loads(line).items()
                return [(task, one) for task, found in runs for first, last in found for one in range(first, last + 1)]
    raise IndexError("round %d has no element %d" % (number, wanted))
