"""Seeded chaos: whatever is killed, stopped, filled up or shut while hostile steps run, the table comes out the same.

SCIFLOW_CHAOS says how many seeds are tried.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.faults import scene as made
from tests.runner.conftest import studies, task

pytestmark = pytest.mark.slow

SEEDS = int(os.environ.get("SCIFLOW_CHAOS", "4"))
STARTS = 4  # how often it is started again while it is disturbed, at most
LONGEST_S = 1.5  # into a run, when it is disturbed
PRINTED = 50 << 20 if SEEDS <= 200 else 1 << 30
SIZE = "size=96m"  # of the tmpfs in which the runs lie, where there may be one

CANARY = (
    "$(dirname $(dirname $(dirname $(dirname $(dirname $(dirname $SCIFLOW_OUT))))))/canary"  # beside the scene's bundle
)
# What a step does that means harm; each writes its metrics before or after.
HOSTILE = (
    "(setsid sh -c 'sleep 300 & sleep 300' >/dev/null 2>&1 &); sleep 0.1",  # forks away
    f"exec {sys.executable} -I -S -c 'import time; kept = bytearray(300 << 20); time.sleep(60)'",  # fills memory
    "trap '' TERM; sleep 0.7",  # ignores TERM
    f"head -c {PRINTED} /dev/zero | tr '\\0' x; head -c 100000 /dev/zero >&2",  # prints
    "touch -- all/-rf 'all/a b' 'all/$(touch x)' \"$(printf 'all/new\\nline')\" all/å漢 all/"
    + "n" * 255,  # names to hurt
    f"rm -rf all; ln -s {CANARY} all",  # gives a link for an output
    f'rm -rf "$SCIFLOW_OUT"; ln -s {CANARY} "$SCIFLOW_OUT"',  # replaces its own folder
    f'for f in "$SCIFLOW_OUT.out" "$SCIFLOW_OUT.err" "$SCIFLOW_PARAMETERS"; do rm -f "$f"; ln -s {CANARY}/file "$f"; done',
    'mkfifo "$SCIFLOW_OUT/metrics.json" || :',  # leaves a pipe that nobody writes into
    'umask 777; chmod 0 "$SCIFLOW_OUT/all" "$SCIFLOW_OUT"',  # takes permissions away
)
TASKS = (
    task("prepare", ["echo 10 > ", {"output": "base"}], outputs={"base": "base.txt"}),
    task(
        "harm",
        [
            "read b < ",
            {"upstream": ["prepare", "base"]},
            "; x=",
            {"parameter": "x"},
            '; mkdir all; echo $x > all/x; echo $((b + x)) > o.txt; [ $x = 8 ] || echo "{\\"y\\": $x}" > metrics.json; case $x in ',
            " ".join(f"{number}) {text};;" for number, text in enumerate(HOSTILE)),
            " esac",
        ],
        uses=["x"],
        needs=["prepare"],
        outputs={"o": "o.txt", "all": "all/"},
        metrics="metrics.json",
        resources={"memory_mib": 96},
    ),
    task(
        "model",
        "",
        uses=["x"],
        python="model:square",
        outputs={"result": "result"},
        metrics="metrics.json",
    ),
    task(
        "total",
        ["wc -l < ", {"records": "model"}, " > n.txt"],
        needs=["model"],
        gather="model",
        outputs={"n": "n.txt"},
    ),
)
CODE = {"model.py": "import time\n\n\ndef square(x):\n    time.sleep(0.02)\n    return {'s': x * x}\n"}
ROLES = {"worker": "__main__.py", "loop": "loop.py", "server": "serve.py"}
KINDS = ("worker", "loop", "server", "step", "pause", "stop", "second", "full", "shut")
# Without this right even root may not write where the mode says no.
PLAIN = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.getuid() == 0 and shutil.which("setpriv")
    else []
)


def mounted(folder):
    """Put a small tmpfs on a folder, where that can be done; say whether it was."""
    folder.mkdir(exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", SIZE, "tmpfs", str(folder)]
    return os.getuid() == 0 and subprocess.run(words, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def chaotic(tmp_path_factory):
    """Give scenes whose runs lie in a small tmpfs of their own."""
    makings = [studies(tmp_path_factory.mktemp("chaos")) for _ in range(made.AT_ONCE)]
    rows = [{"x": x} for x in range(len(HOSTILE))]
    scenes = [made.Scene(next(making)(TASKS, rows, code=CODE, boxes=[made.BOX])) for making in makings]
    for scene in scenes:
        scene.small = mounted(scene.path / "runs")
        scene.canary = scene.path.parent / "canary"
        scene.canary.mkdir()
        (scene.canary / "file").write_text("sings")
    yield scenes
    for scene, making in zip(scenes, makings, strict=True):
        if scene.small:
            subprocess.run(["umount", "-l", str(scene.path / "runs")], check=True)
        next(making, None)


def role(words):
    """Return what a process is."""
    return next((name for name, mark in ROLES.items() if mark in words.split(" -- ")[0]), "step")


def signalled(scene, kind, number, chance):
    """Signal one process of a kind, by chance; return it."""
    found = sorted(pid for pid, words in scene.alive().items() if kind in ("any", role(words)))
    if not found:
        return None
    pid = chance.choice(found)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return pid


def disturb(scene, kind, chance):
    """Disturb a run once; return what is to be undone."""
    outputs = scene.folder / "outputs"
    if kind == "pause":
        pid = signalled(scene, "any", signal.SIGSTOP, chance)
        return lambda: pid and signal_if_there(pid, signal.SIGCONT)
    if kind == "stop":
        signalled(scene, "worker", chance.choice([signal.SIGTERM, signal.SIGINT]), chance)
    elif kind == "second":
        scene.others.append(scene.start(through=PLAIN))
    elif kind == "full" and scene.small:
        filler = scene.path / "runs" / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(bytes(1 << 20))
        return lambda: filler.unlink(missing_ok=True)
    elif kind == "shut" and PLAIN and outputs.exists():
        outputs.chmod(0o500)
        return lambda: outputs.chmod(0o755)
    else:
        signalled(scene, kind, signal.SIGKILL, chance)
    return lambda: None


def signal_if_there(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def once(scene, chance, told):
    """Start a run and disturb it a few times; return what is wrong with what it said."""
    process = scene.start("--failed", through=PLAIN)
    start = time.monotonic()
    for when in sorted(chance.uniform(0.05, LONGEST_S) for _ in range(chance.randint(1, 3))):
        time.sleep(max(0, start + when - time.monotonic()))
        kind = chance.choice(KINDS)
        undo = disturb(scene, kind, chance)
        time.sleep(chance.uniform(0, 0.4))
        undo()
        told.append(kind)
    found = []
    for one in [process, *scene.others]:
        try:
            said = one.communicate(timeout=made.RUN_S)[1]
        except subprocess.TimeoutExpired:
            at_work = scene.alive()
            one.kill()
            found.append(f"it does not end: {one.communicate()[1]}; there are {at_work}")
            continue
        told.append(one.returncode)
        # SIGTERM ends it as it does anything, where it comes before the runner has begun to heed it.
        if one.returncode not in (0, 3, 5, 75, 130, -signal.SIGKILL, -signal.SIGTERM) or "Traceback" in said:
            found.append(f"it ended with {one.returncode}: {said}")
    scene.others = []
    return found


def whole(scene):
    """Return the table of a run to its end, its failures tried again."""
    for _ in range(2):
        code, said = scene.go("--failed", through=PLAIN)
        assert code == 5, said
    return made.Wanted(scene.table(), scene.left())


def test_whatever_happens_to_a_run_of_hostile_steps_the_table_is_the_same_in_the_end(chaotic):
    for scene in chaotic:
        scene.others = []
        scene.clear()
    wanted = whole(chaotic[0])
    assert not chaotic[0].quiet()
    print(sorted((key, state) for key, (state, _, _) in wanted.table.items() if state != "done"))

    def act(scene, seed):
        chance, told, found = random.Random(seed), [], []
        for _ in range(chance.randint(1, STARTS)):
            found += once(scene, chance, told)
            if chance.random() < 0.5:
                found += [f"a process is left: {words}" for words in scene.quiet().values()]
        code, said = scene.go("--failed", through=PLAIN)
        if code != 5:
            found.append(f"started again it ends with {code}: {said}")
        found += [f"a process is left: {words}" for words in scene.quiet().values()] + scene.wrong(wanted)
        if [(path.name, path.read_text()) for path in scene.canary.iterdir()] != [("file", "sings")]:
            found.append("what lay elsewhere was changed")
        return [*found, told] if found else []

    assert made.each(chaotic, range(SEEDS), act) == []
