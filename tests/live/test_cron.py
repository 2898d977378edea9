"""Bundles finished by a real cron alone, over two windows: in the first one is killed, and one is ended at closing."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import crontab, names, records

pytestmark = [pytest.mark.live("cron"), pytest.mark.slow]

ROOT = Path(__file__).parents[2]
PID = Path("/run/crond.pid")
GRACE_S = 10
HOSTILE = 'it\'s 100% "q" $(touch planted) ;& å'
OTHERS = "# mine\n0 0 1 1 *  true \\% 'a  b'\n"
WORKFLOW = """\
format = 1

[workflow]
name = "NAME"

[parameters]
x = { range = [0, POINTS] }

[tasks.short]
shell = "sleep 1; echo {x} > {outputs.o}"
outputs = { o = "o" }
resources = { memory = "20 MB", time = "5s" }

[tasks.long]
shell = '''
trap 'exit 75' USR1
n=$(cat ckpt/n 2>/dev/null || echo 0)
echo $n >> ckpt/begun
while [ $n -lt COUNTS ]; do n=$((n + 1)); echo $n > ckpt/part; mv ckpt/part ckpt/n; sleep 0.1; done
cat ckpt/begun > {outputs.begun}
'''
outputs = { begun = "begun" }
checkpoint = { path = "ckpt", before = "5s" }
resources = { memory = "20 MB", time = "1h" }

[schedule]
policy = "off-peak"
hours = HOURS
hard = true
"""
CHANGE = """\
import sys
from sciflow.runner import crontab
mark, text = sys.argv[1:]
crontab.change("crontab", lambda found: crontab.added(found, mark, text))
"""


@pytest.fixture(scope="module")
def crond():
    """Have a cron daemon run: the machine's, or one of this test's own, in the foreground."""
    if PID.exists() and Path("/proc", PID.read_text().strip()).exists():
        yield
        return
    with subprocess.Popen([shutil.which("cron") or "/usr/sbin/cron", "-f"]) as process:
        yield
        process.terminate()


@pytest.fixture
def table(plain, crond):
    """Give the plain user a table with lines of their own, and put back what they had before."""
    had = plain.run("crontab", "-l")
    plain.run("crontab", "-", input=OTHERS)
    yield lambda: plain.run("crontab", "-l").stdout
    if had.returncode:
        plain.run("crontab", "-r")
    else:
        plain.run("crontab", "-", input=had.stdout)


def until(what, patience_s):
    end = time.monotonic() + patience_s
    while not (found := what()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.2)
    return found


def compiled(plain, name, minute, points, counts):
    """Compile a study that is open in the first minute after this one, and in the third and fourth; return its bundle."""
    hours = [time.strftime("%H:%M", time.gmtime(60 * (minute + at))) for at in (1, 2, 3, 5)]
    study = plain.folder / HOSTILE / name
    study.mkdir(parents=True)
    said = WORKFLOW.replace("NAME", name).replace("POINTS", str(points)).replace("COUNTS", str(counts))
    windows = json.dumps([f"{hours[0]}-{hours[1]}", f"{hours[2]}-{hours[3]}"])
    (study / "workflow.toml").write_text(said.replace("HOURS", windows))
    bundle = api.compile(study / "workflow.toml").path
    plain.give(plain.folder)
    return bundle


def at_work(run):
    """Return the process of the worker that is at work in a run, or 0."""
    for file in run.glob("work/*/owner.json"):
        return json.loads(file.read_text())[2]
    return 0


def ended(run):
    return [record for record in records.read(str(run)) if "facts" not in record]


def test_bundles_are_finished_by_cron_alone_over_two_windows(plain, table, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin")
    if time.time() % 60 > 48:
        time.sleep(13)  # else it would be the next minute before the lines stand
    minute = int(time.time()) // 60
    killed, cut = compiled(plain, "killed", minute, 30, 250), compiled(plain, "cut", minute, 65, 570)
    lines = [api.cron_install(one, engine="host", every_min=1, only_print=True).text for one in (killed, cut)]
    words = ["env", f"PYTHONPATH={ROOT}", "PYTHONDONTWRITEBYTECODE=1", "/usr/bin/python3", "-c", CHANGE]
    for bundle, line in zip((killed, cut), lines, strict=True):
        assert plain.run(*words, crontab.mark(str(bundle), "main"), line).returncode == 0
    assert table() == OTHERS + "".join(lines)

    run = killed / "runs" / "main"
    until(lambda: at_work(run) and len(ended(run)) >= 3, 120)
    os.kill(at_work(run), 9)
    until(lambda: table() == OTHERS, 240)

    opens = [60 * (minute + 1), 60 * (minute + 3)]
    closes = [opens[0] + 60, opens[1] + 120]
    for bundle, steps in ((killed, 31), (cut, 66)):
        run = bundle / "runs" / "main"
        found = ended(run)
        done = [(record["task"], record["step"]) for record in found if record["state"] == "done"]
        assert len(done) == len(set(done)) == steps
        assert {record["start"] >= opens[1] for record in found} == {False, True}
        for record in found:
            window = record["start"] >= opens[1]
            assert opens[window] <= record["start"], record
            assert record["end"] <= closes[window] + GRACE_S, record
        (place,) = run.glob("outputs/long/*/*/begun")
        first, second = (int(text) for text in place.read_text().split())
        assert first == 0 < second  # it went on from where it was
        log = (run / names.LOGS / "cron.log").read_text()
        assert log.count("begun by crontab") == 2
        assert "all steps are done: its line is taken out of the crontab" in log
        assert not (run / names.WORK).exists()
    reasons = [record["reason"] for record in ended(cut / "runs" / "main") if record["state"] == "interrupted"]
    assert "stopped at a checkpoint" in reasons
    assert {record["state"] for record in ended(killed / "runs" / "main")} == {"done"}
    assert not list(plain.folder.rglob("planted"))
