"""N steps that each write one small JSON file, on two cores: xargs and other floors, sciflow, and peers.

    .venv/bin/python benchmarks/steps.py [--steps 1000 10000] [--runs 3] [--only NAME …] [--python PYTHON]
    .venv/bin/python benchmarks/steps.py --box apptainer [--box docker]

All take turns in one run, so that a busy moment of the machine falls on all of them; medians. Each run has folders of
its own and nothing is removed before the end: ext4 is slow to make files where others were removed just before. CPU
time is that of the command and all it started; peak memory that of its largest process.

sciflow is measured whole, from the start of its command to the end: the bundle is verified, records, logs and
digests are written and forced to the disk. `outputs`: the file is an output, hashed and published; `metrics`: its
numbers are metrics, and no file stays; `spaces`, in a container: likewise, and each step has mounts, processes and
System V IPC of its own. Beside it stands the time from the first step's start to the last one's end, by its own
records. PYTHON runs the bundle, as a machine's python3 does: how it was built matters (the benchmark's own by default).

Peers are installed below build/peers: snakemake, maestrowf, hyperqueue and doit by pip, GNU parallel by apt-get
download. One that is not there is said to be; one that would take longer than two minutes is left out.

With `--box`, in a container: the floor is xargs inside one container of the same image, entered by the same words;
`a box each` is one container start a step (of ten, scaled). The image is Debian with python3, built once. As root,
Apptainer's boxes give no spaces (a step has a box then, which takes minutes): measure as a plain user.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cost import Cost, TooLongError, cost
from peers import steps as peers

from sciflow.runner import box as box_

ROOT = Path(__file__).parent.parent
PATIENCE_S = 120
BOXES_EACH = 10
WORKFLOW = """\
format = 1
[workflow]
name = "steps-{kind}"
{image}
[parameters]
i = {{ range = [0, {n}] }}
[tasks.one]
run = ["sh", "-c", {script}, "step", "{{i}}", {path}]
{left}
resources = {{ cpus = 1, memory = "100 MB", time = "1m" }}
"""
LEFT = {"outputs": ("{outputs.o}", 'outputs = { o = "o.json" }'), "metrics": ("m.json", 'metrics = "m.json"')}
LEFT_IN_BOX = {**LEFT, "spaces": ("m.json", 'metrics = "m.json"\nisolate = "spaces"')}
IMAGE = '[image]\ndebian = "bookworm"\npackages = ["python3"]\n'
Row = Callable[[Path], Cost]


def installed(folder: Path) -> None:
    """Install the peers that are not there; what cannot be had is found missing later."""
    if not (folder / "venv/bin/snakemake").exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        for packages in (["hyperqueue"], ["snakemake"], ["maestrowf", "setuptools<80"], ["doit"]):
            subprocess.run([folder / "venv/bin/pip", "install", "-q", *packages], check=False)
    if not (folder / "parallel").exists() and shutil.which("apt-get"):
        subprocess.run(["apt-get", "download", "-q", "parallel"], check=False, cwd=folder, stdout=subprocess.DEVNULL)
        for package in folder.glob("parallel_*.deb"):
            subprocess.run(["dpkg", "-x", package, folder / "parallel"], check=True)


def theirs(name: str, n: int, folder: Path) -> Row | None:
    """Return what measures a peer, or nothing where it is missing."""
    if name in peers.NEEDS and not list(folder.glob(peers.NEEDS[name])):
        return None
    files, words = peers.PEERS[name](n, folder)
    env = {**os.environ, "PATH": f"{folder / 'venv/bin'}:{os.environ['PATH']}"}

    def run(where: Path) -> Cost:
        (where / "o").mkdir(parents=True)
        for path, text in files.items():
            (where / path).write_text(text)
        found = cost(words, where, env, PATIENCE_S)
        made = sum(1 for one in where.rglob("*.json") if one.parent.name != "meta")
        if made != n:
            raise SystemExit(f"{name}: {made} files, not {n}")
        return found

    return run


def compiled(kind: str, n: int, folder: Path, image: str) -> Path:
    """Compile a study of N steps; return the bundle."""
    path, left = LEFT_IN_BOX[kind]
    folder.mkdir(parents=True, exist_ok=True)
    script = json.dumps(peers.SCRIPT.replace("{", "{{").replace("}", "}}"))
    text = WORKFLOW.format(kind=kind, n=n, image=image, script=script, path=json.dumps(path), left=left)
    (folder / f"{kind}.toml").write_text(text)
    kept = ROOT / "build/image/workflow.lock"  # an image takes minutes to build
    if image and kept.exists():
        shutil.copy(kept, folder)
    words = [sys.executable, "-m", "sciflow", "compile", f"{kind}.toml"]
    env = {**os.environ, "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, check=True, cwd=folder, env=env, stdout=subprocess.PIPE, text=True)
    if image:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "workflow.lock", kept)
    return folder / done.stdout.splitlines()[-1]


def ours(bundle: Path, python: str, engine: str, n: int, between: list[float]) -> Row:
    """Return what measures sciflow, and takes down the seconds from the first start to the last end."""

    def run(where: Path) -> Cost:
        where.mkdir(parents=True)
        name = "-".join(where.parts[-2:]).replace(" ", "-")
        words = [python, "-I", "-S", "-B", str(bundle / "runner"), "run", "--engine", engine, "--run", name]
        found = cost([*words, "-j", "2", "--quiet"], where)
        lines = [json.loads(line) for path in (bundle / "runs" / name).glob("segments/*.jsonl") for line in path.open()]
        done = [record for record in lines if record.get("state") == "done"]
        if len(done) != n:
            raise SystemExit(f"sciflow: {len(done)} steps are done, not {n}")
        between.append(max(one["end"] for one in done) - min(one["start"] for one in done))
        return found

    return run


def inside(bundle: Path, engine: str, words: list[str], times: int = 1) -> Row:
    """Return what measures a command in a box entered by the words of sciflow's; `times` after each other."""
    plan = json.loads((bundle / "plan.json").read_text())
    box = next(one for one in plan["boxes"] if one["engine"] == engine)
    image = box_.image(box, str(bundle), print)

    def run(where: Path) -> Cost:
        places = {name: str(where / name) for name in box_.PLACES}
        for place in places.values():
            Path(place).mkdir(parents=True)
        (where / "work/o").mkdir()
        more = {"image": image, "uid": os.getuid(), "gid": os.getgid(), "cache": "", "path": os.environ["PATH"]}
        entered = box_.filled(box["enter"], {**places, **more, "name": f"sciflow-bench-{where.name.replace(' ', '-')}"})
        in_box = shlex.join(["sh", "-c", f"cd {shlex.quote(box['paths']['work'])} && {shlex.join(words)}"])
        line = shlex.join(entered) + " " + in_box
        return cost(["sh", "-ec", "\n".join([line] * times)], where)

    return run


def on_host(n: int, only: list[str], python: str, scratch: Path, between: dict[str, list[float]]) -> dict[str, Row]:
    """Return the rows of the host: floors, sciflow, peers."""
    folder = ROOT / "build/peers"
    rows: dict[str, Row] = {}
    for name in peers.PEERS:
        if not only or name in only or name == "xargs":
            found = theirs(name, n, folder)
            if found is None:
                print(f"{name}: not installed, left out")
            else:
                rows[name] = found
    for kind in LEFT:
        name = f"sciflow, {kind}"
        if not only or name in only or "sciflow" in only:
            bundle = compiled(kind, n, scratch / f"bundles-{n}", "")
            rows[name] = ours(bundle, python, "host", n, between.setdefault(name, []))
    return rows


def in_box(engine: str, n: int, python: str, scratch: Path, between: dict[str, list[float]]) -> dict[str, Row]:
    """Return the rows of an engine: xargs inside, sciflow, a box each."""
    rows: dict[str, Row] = {}
    for kind in LEFT_IN_BOX:
        bundle = compiled(kind, n, scratch / f"bundles-{engine}-{n}", IMAGE)
        if not rows:
            rows["xargs inside"] = inside(bundle, engine, peers.xargs(n, Path())[1])
            rows["a box each"] = inside(bundle, engine, ["sh", "-c", peers.SCRIPT, "step", "0", "o/0.json"], BOXES_EACH)
        rows[f"sciflow, {kind}"] = ours(bundle, python, engine, n, between.setdefault(f"sciflow, {kind}", []))
    return rows


def told(title: str, n: int, found: dict[str, list[Cost]], between: dict[str, list[float]]) -> None:
    """Print a row a tool, with its ratio to the first, which is the floor."""
    floor: dict[str, float] = {}
    print(f"\n{title}, {n:,} steps")
    print(f"{'':20} {'runs':>4} {'wall s':>8} {'x':>6} {'cpu s':>8} {'x':>6} {'MiB':>5} {'ms/step':>8}  between steps")
    for name, costs in found.items():
        times = n / BOXES_EACH if name == "a box each" else 1
        wall = statistics.median(one.wall_s for one in costs) * times
        cpu = statistics.median(one.cpu_s for one in costs) * times
        floor = floor or {"wall": wall, "cpu": cpu}
        own = f"{statistics.median(between[name]):8.2f}" if between.get(name) else ""
        peak = max(one.peak_mib for one in costs)
        ratios = wall / floor["wall"], cpu / floor["cpu"]
        print(
            f"{name:20} {len(costs):4} {wall:8.2f} {ratios[0]:6.2f} {cpu:8.2f} {ratios[1]:6.2f} {peak:5.0f} "
            f"{wall / n * 1000:8.3f} {own}",
            flush=True,
        )


def taken(rows: dict[str, Row], runs: int, scratch: Path, slow: set[str]) -> dict[str, list[Cost]]:
    """Measure all rows in turns; what takes long is measured once, what takes too long is left out from then on."""
    found: dict[str, list[Cost]] = {name: [] for name in rows}
    for turn in range(runs):
        for name, row in rows.items():
            if name in slow or (found[name] and found[name][0].wall_s > PATIENCE_S / 4):
                continue
            try:
                found[name].append(row(scratch / str(turn) / name))
            except TooLongError:
                slow.add(name)
                print(f"{name}: more than {PATIENCE_S} s, left out")
    return {name: costs for name, costs in found.items() if costs}


def main() -> None:
    """Print a table a size and engine."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--steps", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[], help="these alone, and xargs")
    parser.add_argument("--box", action="append", default=[], help="in this engine's container instead of on the host")
    parser.add_argument("--python", default=sys.executable, help="what runs the bundle (default: this one)")
    parser.add_argument("--folder", help="where to work (default: the system's folder for temporary files)")
    chosen = parser.parse_args()
    if not chosen.box and (not chosen.only or set(chosen.only) & set(peers.NEEDS)):
        installed(ROOT / "build/peers")
    slow: set[str] = set()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as scratch:
        for n in chosen.steps:
            for engine in chosen.box or ["host"]:
                folder, between = Path(scratch) / f"{engine}-{n}", {}
                if engine == "host":
                    rows = on_host(n, chosen.only, chosen.python, folder, between)
                else:
                    rows = in_box(engine, n, chosen.python, folder, between)
                found = taken(rows, chosen.runs, folder, slow)
                told(engine, n, found, between)
                slow |= {
                    name for name, costs in found.items() if costs[0].wall_s * 10 > PATIENCE_S and len(chosen.steps) > 1
                }


if __name__ == "__main__":
    main()
