"""Small bundles for the runner's tests: written by `emit`, sealed, and run by real processes in the host's own engine."""

import contextlib
import copy
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sciflow.bundle import emit
from sciflow.bundle.seal import Key
from sciflow.containers import host
from sciflow.containers.locked import LockedFile
from sciflow.plan.lock import Lock, LockedInput
from sciflow.runner import facts, names, points, records

TIMEOUT_S = 60
HOST = host.box(None)
NOW = {
    "policy": "now",
    "opens": 0,
    "closes": 0,
    "weekends": False,
    "max_wait_s": 0,
    "hard": False,
    "timezone": "UTC",
    "transitions": [],
}
PYENV = Path.home() / ".pyenv" / "versions"
VERSIONS = [f"3.{minor}" for minor in range(6, 14)]


def task(name, words, **more):
    """Return a task of a plan. `words` is a text for the shell, or an argument list of texts and lists of parts."""
    entry = {
        "name": name,
        "uses": [],
        "needs": [],
        "gather": "",
        "shell": isinstance(words, str) or any(isinstance(word, dict) for word in words),
        "outputs": {},
        "metrics": "",
        "environment": {},
        "python": "",
        "retry": {"times": 0, "on": ["memory", "time"], "grow_memory": 1.0, "grow_time": 1.0},
        "checkpoint": None,
        "isolate": "worker",
        "envelope": True,
        "blas": "",
    }
    entry["words"] = (
        [[words] if isinstance(words, str) else words]
        if entry["shell"]
        else [word if isinstance(word, list) else [word] for word in words]
    )
    entry["resources"] = {"cpus": 1, "memory_mib": 40, "gpus": 0, "time_s": 60, **more.pop("resources", {})}
    entry |= more
    return {**entry, "digest": names.digest({key: entry[key] for key in ("shell", "words", "outputs", "environment")})}


def kind(values):
    """Return the kind of a parameter from one of its values, as a plan names it."""
    return {bool: "bool", int: "int", float: "float", str: "text"}[type(values)]


MOUNTS = ("code", "inputs", "work", "outputs", "checkpoints", "runner")


def boxed(folder, path="$PATH"):
    """Return a box that has paths of its own, with links for mounts: it isolates nothing, but is entered as containers are.

    With `path` chosen so that there is no python3, the shell's loop serves.
    """
    folder.mkdir()
    links = "; ".join(f'ln -sfn "${number}" "{folder}/{name}"' for number, name in enumerate(MOUNTS, 1))
    words = ["/bin/sh", "-c", f'{links}; shift {len(MOUNTS)}; exec env -i PATH="{path}" "$@"', "box"]
    paths = {name: f"{folder}/{name}" for name in MOUNTS}
    return {**HOST, "engine": "linked", "enter": words + [f"{{{name}}}" for name in MOUNTS], "paths": paths}


@pytest.fixture(params=["python", "sh"])
def loop_box(request, tmp_path):
    """Give a box whose steps are started by each loop in turn: loop.py, and loop.sh where there is no python3."""
    if request.param == "python":
        return boxed(tmp_path / "box")
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("cat", "echo", "env", "kill", "printf", "rm", "setsid", "sh", "sleep", "touch", "true"):
        (bare / name).symlink_to(shutil.which(name))
    return boxed(tmp_path / "box", bare)


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A bundle and what can be asked of it."""

    path: Path
    plan: dict
    key: Key
    started: list

    @property
    def run_folder(self):
        return self.path / "runs" / "main"

    @property
    def identity(self):
        return names.digest_file(self.path / "manifest.json")[0]

    def words(self, *words, python=sys.executable):
        return [str(python), "-I", "-S", "-B", str(self.path / "runner" / "__main__.py"), *words]

    def start(self, *words, **more):
        """Start the runner and return its process; the fixture ends it if the test has not."""
        process = subprocess.Popen(
            self.words(*(words or ("run",))), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more
        )
        self.started.append(process)
        return process

    def run(self, *words, python=sys.executable, code=0, **more):
        """Run the runner to its end, and hold it to its exit code; no fault of its own may show."""
        found = subprocess.run(
            self.words(*(words or ("run",)), python=python),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
            **more,
        )
        assert "Traceback" not in found.stderr, found.stderr
        assert found.returncode == code, found.stderr
        return found

    def records(self):
        """Return every record of the run, the workers' own among them."""
        return list(records.read(str(self.run_folder)))

    def settled(self):
        """Return the record that counts, of each (task, step)."""
        return records.settle(str(self.run_folder), records.read(str(self.run_folder)))[0]

    def states(self):
        """Return {(task, step): state}."""
        return {key: record["state"] for key, record in self.settled().items()}

    def output(self, name, step, output):
        """Return the text of a published output."""
        record = self.settled()[name, step]
        folder = records.attempt_folder(str(self.run_folder), name, step, record["attempt"])
        return (Path(folder) / record["outputs"][output]["path"]).read_text(encoding="utf-8")

    def attempts(self):
        """Return {(task, step): how many attempts are on record}."""
        return records.settle(str(self.run_folder), records.read(str(self.run_folder)))[1]["attempts"]


def file_of(path, shown):
    digest, size = names.digest_file(path)
    return LockedFile(path=shown, sha256=digest, size=size, executable=os.access(path, os.X_OK))


def studies(folder):
    """Yield the function that compiles tasks, points, code and inputs (texts by path) into a sealed bundle in a folder."""
    started = []

    def make(tasks, rows=({},), *, code=(), inputs=(), boxes=(HOST,), name="t", schedule=NOW, slurm=(), image=None):
        rows = [dict(row) for row in rows]
        source = folder / "source"
        for path, text in [*dict(code).items(), *dict(inputs).items()]:
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text, encoding="utf-8")
        lock = Lock(
            code=tuple(file_of(source / path, path) for path in sorted(dict(code))),
            inputs=tuple(
                LockedInput(name=Path(path).stem, path=path, files=(file_of(source / path, Path(path).name),))
                for path in sorted(dict(inputs))
            ),
        )
        plan = {
            "format": 1,
            "kind": "plan",
            "name": name,
            "title": "",
            "parameters": [
                {"name": key, "kind": kind(value), "unit": "", "derived": False, "repeats": False}
                for key, value in rows[0].items()
            ],
            "axes": [{"columns": list(rows[0]), "turns": len(rows)}] if rows[0] else [],
            "points": len(rows),
            "tasks": copy.deepcopy(list(tasks)),
            "run": {"max_failures": 0},
            "code": lock.code_digest,
            "code_files": {file.path: file.sha256 for file in lock.code},
            "inputs": {
                entry.name: {"path": f"{entry.name}/{Path(entry.path).name}", "sha256": entry.sha256}
                for entry in lock.inputs
            },
            "image": image,
            "boxes": list(boxes),
            "metrics": [],
            "charts": [],
            "schedule": dict(schedule),
            "slurm": dict(slurm),
        }
        steps = points.Steps(plan, [rows])
        for entry in plan["tasks"]:
            entry["steps"] = steps.count(entry["name"])
        key = Key(private=Ed25519PrivateKey.generate(), file=folder / "key.pem")
        texts = {
            "workflow.toml": "format = 1\n",
            "workflow.lock": "format = 1\n",
            "README.md": "# t\n",
            "launch.sh": "#!/bin/sh\n",
        }
        content = emit.Content(plan=plan, lines=map(names.canonical, rows), texts=texts, lock=lock, folder=source)
        return Study(path=emit.write(content, folder / "bundles", key), plan=plan, key=key, started=started)

    yield make
    for process in started:
        with process:
            process.kill()


@pytest.fixture
def study(tmp_path):
    """Give the function that compiles a sealed bundle for one test."""
    yield from studies(tmp_path)


@contextlib.contextmanager
def beside_tmp():
    """Give a folder that no lane's own /tmp hides."""
    with tempfile.TemporaryDirectory(dir="/run" if os.geteuid() == 0 else Path.home()) as folder:
        yield Path(folder)


@pytest.fixture
def trust(tmp_path):
    """Return the function that writes an allowed_signers file for a key and returns its path."""

    def write(key, name="alice", options='namespaces="sciflow-bundle@v1"'):
        file = tmp_path / "allowed_signers"
        file.write_text(f"{name} {options} {key.line}\n", encoding="utf-8")
        return str(file)

    return write


@pytest.fixture(params=VERSIONS)
def interpreter(request):
    """Give each Python from 3.6 on in turn; one that is not there is skipped aloud."""
    this = ".".join(str(part) for part in sys.version_info[:2])
    found = sorted(PYENV.glob(f"{request.param}.*/bin/python3")) or [shutil.which(f"python{request.param}")]
    if request.param == this:
        return sys.executable
    if not found[0]:
        pytest.skip(f"Python {request.param} is not installed here")
    return str(found[0])


@pytest.fixture
def alive():
    """Return the function that counts the processes whose command line holds a text: those of one test's own folder."""

    def count(text):
        found = 0
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid() and facts.process(int(folder.name)):
                try:
                    line = (folder / "cmdline").read_bytes()
                    state = re.search(r"\) (\S)", (folder / "stat").read_text())
                except (OSError, ValueError):
                    continue
                found += str(text).encode() in line and state.group(1) != "Z"
        return found

    return count


def program(folder, name, text):
    """Write a program of the test's own and return its path."""
    file = folder / name
    file.write_text("#!/bin/sh\n" + text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return str(file)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts programs first on the PATH."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    return lambda **texts: [program(tmp_path / "bin", name, text) for name, text in texts.items()]


def still(order):
    """Return the (task, step) that an order has still to run."""
    return {(name, step) for name, steps in order.remaining().items() for step in steps}
