"""The line for cron and for scrontab: its text, and that a shell runs it as it is meant, whatever the path holds."""

import os
import shutil
import subprocess

import pytest

from sciflow.errors import UsageError
from sciflow.launchers import cron

MARK = "sciflow:0123456789ab:0123456789ab"
GOLDEN = (
    "*/5 * * * * cd /home/ada/bundles/digits-0123456789ab 2>/dev/null && mkdir -p runs/main/logs && exec env PATH=/opt/bin:/usr/bin "
    "./launch.sh --quiet --cron=crontab --run=main --engine=apptainer >>runs/main/logs/cron.log 2>&1 "
    f"# {MARK}\n"
)
HOSTILE = 'it\'s 100% "q" $(touch planted) `x` ; & | > * ? ~ # {a,b} -n å 漢'


def line(**more):
    said = {
        "bundle": "/home/ada/bundles/digits-0123456789ab",
        "run": "main",
        "mark": MARK,
        "engine": "apptainer",
        "every": 5,
        "settings": {"PATH": "/opt/bin:/usr/bin"},
    }
    return cron.line(**{**said, **more})


def as_cron(text):
    r"""Return the command that cron gives to the shell: what stands before the first bare `%`, each `\\%` a `%`."""
    command = text.split(" ", 5)[5]
    plain, bare, _ = command.replace("\\%", "\0").partition("%")
    assert not bare
    return plain.replace("\0", "%").rstrip("\n")


def test_the_line_is_this_one():
    assert line() == GOLDEN


@pytest.mark.parametrize(("every", "begin"), [(1, "* * * * * cd "), (30, "*/30 * * * * cd ")])
def test_it_is_called_every_so_many_minutes(every, begin):
    assert line(every=every).startswith(begin)


@pytest.mark.parametrize("every", [0, 7, 60, -5])
def test_minutes_that_do_not_divide_an_hour_are_refused(every):
    with pytest.raises(UsageError, match=f"every {every} minutes"):
        line(every=every)


def test_a_shell_finds_no_fault_in_it(tmp_path):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    # SC2016 says that nothing in single quotes is expanded, which is what they are for here.
    script = tmp_path / "line.sh"
    script.write_text("#!/bin/sh\n" + as_cron(line(bundle=f"/x/{HOSTILE}", run="a b")) + "\n")
    found = subprocess.run(["shellcheck", "--exclude=SC2016", str(script)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_a_hostile_path_run_and_variable_arrive_as_they_are(tmp_path):
    bundle = tmp_path / HOSTILE
    bundle.mkdir()
    (bundle / "launch.sh").write_text('#!/bin/sh\npwd; printf "%s\\n" "$SCIFLOW_CACHE" "$@"\n')
    (bundle / "launch.sh").chmod(0o755)
    settings = {"PATH": os.environ["PATH"], "SCIFLOW_CACHE": HOSTILE}
    text = line(bundle=str(bundle), run="my 'run' 50%", settings=settings)
    assert text.count("\n") == 1
    found = subprocess.run(["/bin/sh", "-c", as_cron(text)], capture_output=True, cwd="/", check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")
    said = (bundle / "runs" / "my 'run' 50%" / "logs" / "cron.log").read_text().splitlines()
    assert said == [str(bundle), HOSTILE, "--quiet", "--cron=crontab", "--run=my 'run' 50%", "--engine=apptainer"]
    assert not list(tmp_path.rglob("planted"))


def test_of_a_bundle_that_was_moved_away_nothing_is_said(tmp_path):
    found = subprocess.run(
        ["/bin/sh", "-c", as_cron(line(bundle=str(tmp_path / "gone")))], capture_output=True, check=False
    )
    assert (found.stdout, found.stderr) == (b"", b"")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"bundle": "/x/a\nb"}, "the bundle's path holds a control character, and a line of crontab cannot"),
        ({"bundle": "/x/a\\b"}, "the bundle's path holds a backslash"),
        ({"bundle": "/x/\udcff"}, "the bundle's path holds bytes that are no UTF-8"),
        ({"run": "a\tb"}, "the run's name holds a control character"),
        ({"settings": {"PATH": "/a\n* * * * * rm"}}, "`PATH` holds a control character"),
        ({"bundle": "/x/50%", "table": "scrontab"}, "the bundle's path holds `%`, and a line of scrontab cannot"),
        ({"settings": {"PATH": "/a:" * 400}}, "the line for cron would be too long"),
    ],
)
def test_what_no_line_can_say_is_refused(more, words):
    with pytest.raises(UsageError) as caught:
        line(**more)
    assert str(caught.value).startswith(words)
    assert caught.value.hint


def test_scrontab_asks_for_a_job_in_which_any_step_fits():
    small, large = ({"cpus": 1, "memory_mib": 100, "gpus": 0}, {"cpus": 4, "memory_mib": 50, "gpus": 1})
    plan = {
        "name": "digits",
        "tasks": [{"resources": small}, {"resources": large}],
        "slurm": {"partition": "main", "mail_type": "FAIL"},
    }
    assert cron.entry(plan, line(table="scrontab", every=1), MARK) == (
        "#SCRON --job-name=sciflow-digits\n"
        f"#SCRON --comment={MARK}\n"
        "#SCRON --ntasks=1\n"
        "#SCRON --cpus-per-task=4\n"
        "#SCRON --mem=612M\n"
        "#SCRON --output=/dev/null\n"
        "#SCRON --gres=gpu:1\n"
        "#SCRON --mail-type=FAIL\n"
        "#SCRON --partition=main\n" + GOLDEN.replace("*/5", "*").replace("crontab", "scrontab")
    )
