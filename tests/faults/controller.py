"""Stands in for Slurm's commands, and keeps what they were told in a folder: `controller.py FOLDER COMMAND WORD…`.

One file a job, `jobs/<id>.json`: {"id", "name", "mark", "count" (None: no array), "after": [ids], "script", "ended": […]}.
It takes what sciflow asks of sbatch, squeue, scontrol and scancel; the rest of what it is told it passes over. It starts
nothing: a test does, by `Queue`.
"""

import json
import os
import re
import sys
from pathlib import Path

CONFIG = "MaxArraySize = 1001\nMaxJobCount = 10000\nAccountingStorageType = accounting_storage/none\n"
PARTITION = "PartitionName=main Default=YES MaxTime=UNLIMITED OverSubscribe=NO TotalCPUs=64 TotalNodes=4 State=UP\n"
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel")


class Queue:
    """The jobs in a folder."""

    def __init__(self, folder):
        self.folder = Path(folder) / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)

    def all(self):
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("[0-9]*.json"))]

    def live(self):
        """Return the jobs that have elements which have not ended."""
        return [job for job in self.all() if len(job["ended"]) < (job["count"] or 1)]

    def keep(self, job):
        part = self.folder / f".{os.getpid()}"
        part.write_text(json.dumps(job))
        part.rename(self.folder / f"{job['id']:06}.json")

    def add(self, **job):
        """Take a job; return its id."""
        number = 1
        while True:
            try:
                os.close(os.open(self.folder / f"{number:06}", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                number += 1
            else:
                break
        self.keep({"id": number, "ended": [], **job})
        return number

    def ready(self):
        """Return the (job, element) that wait for nothing that is live."""
        live = self.live()
        ids = {job["id"] for job in live}
        free = [job for job in live if not ids & set(job["after"])]
        return [(job, one) for job in free for one in range(job["count"] or 1) if one not in job["ended"]]

    def end(self, number, element):
        """Take note that an element has ended."""
        (job,) = [job for job in self.all() if job["id"] == number]
        self.keep({**job, "ended": [*job["ended"], element]})


def option(words, name):
    return next((word.partition("=")[2] for word in words if word.startswith(f"--{name}=")), "")


def after(text):
    return [int(one) for one in re.findall(r"\d+", text)]


def sbatch(queue, words):
    log = option(words, "output")
    if log and not Path(log.replace("%%", "%")).parent.is_dir():
        sys.exit("sbatch: error: the folder of --output is not there: Slurm would fail this job without a word")
    script = sys.stdin.read()
    if not script.strip():  # of a launcher that was killed before it had told it
        sys.exit("sbatch: error: Batch script is empty!")
    array = re.match(r"0-(\d+)", option(words, "array"))
    job = queue.add(
        name=option(words, "job-name"),
        mark=option(words, "comment"),
        count=int(array.group(1)) + 1 if array else None,
        after=after(option(words, "dependency")),
        script=script,
    )
    print(job)


def squeue(queue, words):
    form = option(words, "format") or "%i"
    for job in queue.live():
        elements = [one for one in range(job["count"] or 1) if one not in job["ended"]]
        for one in elements if "--array" in words else elements[:1]:
            told = {"F": job["id"], "T": "PENDING", "r": "None", "k": job["mark"], "j": job["name"], "S": "N/A"}
            told |= {"A": job["id"], "i": f"{job['id']}_{one}" if job["count"] else job["id"]}
            print(re.sub("%([A-Za-z])", lambda match, told=told: str(told[match.group(1)]), form))


def scontrol(queue, words):
    if "config" in words:
        print(CONFIG, end="")
    elif "partition" in words:
        print(PARTITION, end="")
    elif "update" in words:
        told = dict(word.partition("=")[::2] for word in words if "=" in word)
        (job,) = [job for job in queue.live() if job["id"] == int(told["JobId"])]
        queue.keep({**job, "after": after(told.get("Dependency", "")) if "Dependency" in told else job["after"]})


def scancel(queue, words):
    for number in [int(word) for word in words if word.isdigit()]:
        for job in queue.live():
            if job["id"] == number:
                queue.keep({**job, "ended": list(range(job["count"] or 1))})


def put(folder, path):
    """Put the commands into a folder, to be found on PATH."""
    Path(path).mkdir()
    for name in COMMANDS:
        words = f"exec '{sys.executable}' -I -S '{__file__}' '{folder}' {name}"
        (Path(path) / name).write_text(f'#!/bin/sh\n{words} "$@"\n')
        (Path(path) / name).chmod(0o755)


if __name__ == "__main__":
    {command.__name__: command for command in (sbatch, squeue, scontrol, scancel)}[sys.argv[2]](
        Queue(sys.argv[1]), sys.argv[3:]
    )
