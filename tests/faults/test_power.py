"""F29: the power fails at any moment, and whatever a disk may then hold, nothing that was reported is lost or torn.

SCIFLOW_FAULT_POINTS says how many of the folders that may be left are gone on from.
"""

import os
import shutil
import signal
import time

import pytest

from sciflow.runner import records
from tests.faults import power
from tests.faults import scene as made
from tests.runner.conftest import task

pytestmark = pytest.mark.live("strace")
MANY = made.POINTS or 24


@pytest.fixture(scope="module")
def disks(scenes, tmp_path_factory):
    """Give what each scene's disk saw of a run that was not disturbed."""
    found = []
    for scene in scenes:
        scene.clear()
        log = tmp_path_factory.mktemp("power") / "log"
        code, said = scene.go(strace=["strace", "-qq", "-o", str(log), *power.STRACE])
        assert (code, scene.quiet()) == (0, {}), said
        found.append(power.Disk(log, scene.path / "runs"))
    return dict(zip(scenes, found, strict=True))


def reported(scene):
    """Return {(task, step): attempt} of what a worker has reported done: its index comes after all else."""
    tasks, found = [entry["name"] for entry in scene.study.plan["tasks"]], {}
    for index in scene.folder.glob("segments/*.idx"):
        lines = index.with_suffix(".jsonl").read_bytes()
        for at, step, number, state, _ in records.ROW.iter_unpack(index.read_bytes()):
            if records.STATES[state] == "done":
                found[tasks[number], step] = records.parsed(lines[at:].partition(b"\n")[0])["attempt"]
    return found


def test_what_the_model_of_a_disk_holds_at_the_end_is_what_stands(scenes, wanted, disks, tmp_path):
    """F29: the harness itself, where the power does not fail."""
    scene = scenes[0]
    disk = disks[scene]
    disk.lay(disk.changes[-1].when + 1, "all", tmp_path / "runs")
    shutil.rmtree(scene.folder)
    (tmp_path / "runs/main").rename(scene.folder)
    assert scene.wrong(wanted) == []
    assert len(reported(scene)) == len(wanted.table)


def test_whatever_the_disk_holds_after_the_power_failed_what_was_reported_stands_and_the_rest_is_done(
    scenes, wanted, disks
):
    """F29: each moment before and after something was forced to the disk, and each way in which the rest is left."""
    moments = min((disk.moments() for disk in disks.values()), key=len)
    points = {left: [(left, number) for number in range(len(moments))] for left in power.LEFT}
    kept = []

    def act(scene, point):
        left, number = point
        disk = disks[scene]
        now = disk.moments()[number]
        disk.lay(now, "all", scene.path / "runs")
        told = reported(scene)
        kept.append(len(told))
        disk.lay(now, left, scene.path / "runs")
        code, said = scene.go("--failed")
        (scene.folder / "checkpoints/score").mkdir(exist_ok=True)  # empty; no need of it where its steps are done
        found = scene.wrong(wanted) + [f"a process is left: {words}" for words in scene.quiet().values()]
        found += [] if code == 0 else [f"started again it ends with {code}: {said}"]
        settled = records.settle(str(scene.folder), scene.records())[0]
        lost = {key for key, attempt in told.items() if settled.get(key, {}).get("attempt") != attempt}
        return found + [f"{key} was reported done, and was done again" for key in sorted(lost)]

    chosen = made.spread(points, MANY)
    found = made.each(scenes, chosen, act)
    print(f"{len(moments)} moments, {len(chosen)} folders tried, up to {max(kept)} steps were reported")
    assert found == []
    assert max(kept) > 1


def test_a_checkpoint_that_was_reported_is_there_after_the_power_failed(study, tmp_path):
    """F29: of a step that was stopped there."""
    checkpoint = {"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 1}
    words = "trap 'exit 75' USR1; echo here >> ckpt/n; sleep 20 & wait"
    scene = made.Scene(study([task("a", words, checkpoint=checkpoint)], boxes=[made.BOX]))
    log = tmp_path / "log"
    process = scene.start(strace=["strace", "-I", "2", "-qq", "-o", str(log), *power.STRACE])
    while not list(scene.folder.glob("checkpoints/a/000000/*/n")):
        time.sleep(0.02)
    (runner,) = [pid for pid, line in scene.alive().items() if "__main__" in line and not line.startswith("strace")]
    os.kill(runner, signal.SIGTERM)
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 75, said
    assert scene.table()["a", 0][0] == "interrupted"
    disk = power.Disk(log, scene.path / "runs")
    disk.lay(disk.moments()[-1], "nothing", scene.path / "runs")
    assert scene.table()["a", 0][0] == "interrupted"
    assert [path.read_text() for path in scene.folder.glob("checkpoints/a/000000/*/n")] == ["here\n"]


def test_the_model_loses_what_nobody_has_forced_to_the_disk(tmp_path):
    """F29: the control. A protocol that publishes by a rename, and forces nothing, does not come through it."""
    log, root = tmp_path / "log", tmp_path / "runs"

    def line(text):
        return f"7 {text}\n"

    def shown(text):
        return "".join(f"\\x{byte:02x}" for byte in str(text).encode())

    part, name, there = shown(root / "part"), shown(root / "name"), shown(tmp_path)
    log.write_text(
        line(f'openat(AT_FDCWD<{there}>, "{part}", O_WRONLY|O_CREAT, 0666) = 3<{part}>')
        + line(f'write(3<{part}>, "{shown("hello")}", 5) = 5')
        + line(f'rename("{part}", "{name}") = 0')
        + line(f"fsync(4<{shown(root)}>) = 0"),
        encoding="ascii",
    )
    disk, texts = power.Disk(log, root), {}
    for left in power.LEFT:
        disk.lay(disk.moments()[-1], left, root)
        texts[left] = {path.name: path.read_text() for path in root.iterdir()}
    assert texts["all"] == texts["bytes"] == {"name": "hello"}
    assert texts["nothing"] == texts["names"] == {"name": ""}
    assert (texts["zeros"], texts["torn"]) == ({"name": "\0" * 5}, {"name": "he"})
