"""N steps that each write one small JSON file, in the words of each tool: {path: text} to write, and a command.

A step is `sh -c SCRIPT step I PATH` wherever the tool lets one say so; make, GNU parallel, snakemake, maestro and doit
start a shell of their own, which is that one. Each writes `o/I.json`, but for maestro, which
has a folder a step; with its limit of two at once it starts two a second, so it has none, and runs them in turn.
"""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

SCRIPT = """printf '{"i": %s}\\n' "$1" > "$2\""""
Recipe = tuple[dict[str, str], list[str]]
BARE = """\
import os, sys
left, lanes = iter(range(int(sys.argv[1]))), set()
script, null = sys.argv[2], [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
while True:
    for i in left:
        words = ["sh", "-c", script, "step", str(i), "o/%d.json" % i]
        lanes.add(os.posix_spawn("/bin/sh", words, os.environ, file_actions=null))
        if len(lanes) == 2:
            break
    if not lanes:
        break
    pid, status = os.wait()
    lanes.remove(pid)
    if status:
        sys.exit("a step failed")
"""
HYPERQUEUE = """\
import sys
from pathlib import Path
from hyperqueue import Job, LocalCluster
from hyperqueue.cluster import WorkerConfig
with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=2))
    client, job = cluster.client(), Job(max_fails=0)
    for i in range(int(sys.argv[1])):
        words = ["sh", "-c", sys.argv[2], "step", str(i), "o/%d.json" % i]
        job.program(words, cwd=Path.cwd(), stdout=None, stderr=None)
    client.wait_for_jobs([client.submit(job)])
"""
SNAKEFILE = """\
shell.executable("/bin/sh")
rule all:
    input: expand("o/{{i}}.json", i=range({n}))
rule one:
    output: "o/{{i}}.json"
    shell: {words}
"""
MAESTRO = """\
description: {{name: steps, description: steps that write a file each}}
study:
    - name: one
      description: one step
      run: {{cmd: {words}}}
global.parameters:
    I: {{values: [{values}], label: I.%%}}
"""
DODO = """\
DOIT_CONFIG = {{"verbosity": 0}}
def task_one():
    for i in range({n}):
        yield {{"name": str(i), "actions": [{words!r} % (i, i)], "targets": ["o/%d.json" % i]}}
"""


def line(number: str, path: str) -> str:
    """Write a step as a line of shell; number and path are the tool's own placeholders."""
    return f"""printf '{{"i": %s}}\\n' {number} > {path}"""


def xargs(n: int, _: Path) -> Recipe:
    words = f"seq 0 {n - 1} | xargs -P2 -I@ sh -c {shlex.quote(SCRIPT)} step @ o/@.json"
    return {}, ["sh", "-c", words]


def bare(n: int, _: Path) -> Recipe:
    return {"bare.py": BARE}, [sys.executable, "-I", "-S", "bare.py", str(n), SCRIPT]


def make(n: int, _: Path) -> Recipe:
    targets = " ".join(f"o/{i}.json" for i in range(n))
    text = f"all: {targets}\no/%.json:\n\t@{line('$*', '$@')}\n"
    return {"Makefile": text}, ["make", "-s", "-r", "-j2"]


def parallel(n: int, peers: Path) -> Recipe:
    tool = shlex.quote(str(peers / "parallel/usr/bin/parallel"))
    words = f"seq 0 {n - 1} | perl {tool} --will-cite -j2 {shlex.quote(line('{}', 'o/{}.json'))}"
    return {}, ["sh", "-c", words]


def hyperqueue(n: int, peers: Path) -> Recipe:
    return {"queue.py": HYPERQUEUE}, [str(peers / "venv/bin/python"), "-P", "queue.py", str(n), SCRIPT]


def snakemake(n: int, peers: Path) -> Recipe:
    words = json.dumps(line("{wildcards.i}", "{output}").replace('{"i": %s}', '{{"i": %s}}'))
    tool = str(peers / "venv/bin/snakemake")
    return {"Snakefile": SNAKEFILE.format(n=n, words=words)}, [tool, "--cores", "2", "--quiet", "all"]


def maestro(n: int, peers: Path) -> Recipe:
    values = ", ".join(str(i) for i in range(n))
    text = MAESTRO.format(words=json.dumps(line("$(I)", "o.json")), values=values)
    words = [str(peers / "venv/bin/maestro"), "run", "-y", "-fg", "-s", "1", "-o", "study", "steps.yaml"]
    return {"steps.yaml": text}, words


def doit(n: int, peers: Path) -> Recipe:
    text = DODO.format(n=n, words=line("%d", "o/%d.json").replace("%s", "%%s"))
    return {"dodo.py": text}, [str(peers / "venv/bin/doit"), "-n", "2"]


PEERS: dict[str, Callable[[int, Path], Recipe]] = {
    "xargs": xargs,
    "posix_spawn loop": bare,
    "make": make,
    "GNU parallel": parallel,
    "hyperqueue": hyperqueue,
    "doit": doit,
    "maestro": maestro,
    "snakemake": snakemake,
}
NEEDS = {  # what each is installed as, in the folder of peers
    "GNU parallel": "parallel/usr/bin/parallel",
    "hyperqueue": "venv/lib/python3*/site-packages/hyperqueue",
    "doit": "venv/bin/doit",
    "maestro": "venv/bin/maestro",
    "snakemake": "venv/bin/snakemake",
}
