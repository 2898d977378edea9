"""A small study that runs on the host in a blink, and how tests write it, compile it and speak the command line."""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from sciflow import api
from sciflow.runner import facts

HEAD = """\
format = 1

[workflow]
name = "small"

[code]
include = ["*.py"]

[inputs]
start = {{ path = "start.txt" }}

[parameters]
size = [1, 2]
rate = [0.5, 1.0]

[tasks.prepare]
run = ["{python}", "t.py", "copy", "{{inputs.start}}", "{{outputs.clean}}"]
outputs = {{ clean = "clean.txt" }}

[tasks.train]
run = ["{python}", "t.py", "train", "{{prepare.clean}}", "{{size}}", "{{rate}}"]
needs = ["prepare"]
metrics = "metrics.json"

[tasks.total]
gather = "train"
run = ["{python}", "t.py", "total", "{{train.records}}", "{{outputs.sum}}"]
outputs = {{ sum = "sum.txt" }}

[results.metrics]
score = {{ goal = "maximize", tolerance = 1e-9 }}
"""

CODE = """\
import json
import sys

verb, *words = sys.argv[1:]
if verb == "copy":
    with open(words[0]) as source, open(words[1], "w") as target:
        target.write(source.read())
elif verb == "train":
    with open(words[0]) as source, open("metrics.json", "w") as target:
        json.dump({"score": float(source.read()) + int(words[1]) * float(words[2])}, target)
elif verb == "total":
    with open(words[0]) as source, open(words[1], "w") as target:
        target.write(str(sum(json.loads(line)["metrics"]["score"] for line in source)))
"""


def write(folder, *changes, python=sys.executable):
    """Write the study into a folder, some text of its workflow replaced: pairs (old, new); return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    text = HEAD.format(python=python)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "workflow.toml").write_text(text, encoding="utf-8")
    (folder / "t.py").write_text(CODE, encoding="utf-8")
    (folder / "start.txt").write_text("10\n", encoding="utf-8")
    return folder / "workflow.toml"


def several(folder):
    """Write the study with two named sweeps, of two points and of one; return the file."""
    sweeps = "[sweeps.slow]\nwhere = 'rate < 1'\n\n[sweeps.fast]\nwhere = 'rate == 1 and size == 2'\n\n[tasks.prepare]"
    return write(folder, ("[tasks.prepare]", sweeps))


def compiled(folder, *changes, **words):
    """Write the study and compile it; return the bundle's path."""
    return api.compile(write(folder, *changes), **words).path


def ran(folder, *changes):
    """Write the study, compile it and run it on the host; return the bundle's path."""
    bundle = compiled(folder, *changes)
    assert api.run(bundle, engine="host")[1] == 0
    return bundle


def sciflow(*words, cwd=None, timeout_s=120, **environment):
    """Say words on the command line, in a process of its own; an environment variable set to None is taken away."""
    settings = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-m", "sciflow", *map(str, words)],
        cwd=cwd,
        env={name: value for name, value in settings.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def digest(path):
    """Return the SHA-256 of a file, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def with_image(folder):
    """Write the study with an image file of a hundred bytes, which only its cache's owner can run; return the bundle."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tool.sqfs").write_bytes(b"hsqs" + b"\0" * 96)
    return compiled(folder, ("[code]", '[image]\nfile = "tool.sqfs"\n\n[code]'))


def contents(folder):
    """Return what stands below a folder: {path: bytes of a file, target of a link, or None}, and each one's mode."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        what = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[path.relative_to(folder).as_posix()] = (what, path.lstat().st_mode)
    return found


RANDOM = ('"train", "{prepare.clean}"', '"noise", "{prepare.clean}"')
NOISE = """\
elif verb == "noise":
    with open("metrics.json", "w") as target:
        json.dump({"score": int.from_bytes(__import__("os").urandom(4), "big")}, target)
"""


def random_study(folder):
    """Write a study whose steps give another number each time."""
    file = write(folder, RANDOM)
    with (folder / "t.py").open("a", encoding="utf-8") as code:
        code.write(NOISE)
    return file


def gated(gate, before="true"):
    """Return changes of the study after which the steps of `train` wait for a file, so that a test says when they end."""
    old = ', "train", "{prepare.clean}", "{size}", "{rate}"]'
    wait = f"{before}; while [ ! -e '{gate}' ]; do sleep 0.02; done; exec {sys.executable} t.py train {{prepare.clean}} {{size}} {{rate}}"
    return ((f'run = ["{sys.executable}", "t.py"{old}', f'shell = """{wait}"""'),)


def at_work(bundle, name="wlive", owner=None, run="main", **now):
    """Write what a worker of a run writes of itself: who it is (this process, if left out), and what it is at."""
    folder = Path(bundle) / "runs" / run / "work" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "owner.json").write_text(json.dumps(owner or facts.owner()), encoding="utf-8")
    if now:
        told = {"time": time.time(), "since": time.time() - 10, "running": [], "cpus": 2, "busy_s": 0.0}
        (folder / "now.json").write_text(json.dumps({**told, "done": 0, "failed": 0, "of": 0, **now}), encoding="utf-8")
    return folder


def until(holds, what):
    """Wait for something that other processes bring about."""
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.02)
