"""One bundle, three engines: the same table from Apptainer as a plain user, from Docker, and from the host."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from sciflow import api
from tests.conftest import plain_user
from tests.live.conftest import IMAGE, STEPS, compiled, settled, table

pytestmark = pytest.mark.live("mmdebstrap")


def facts(bundle, run):
    steps, more = settled(bundle, run)
    return steps, [worker["box"] for worker in more["workers"].values()]


@pytest.mark.live("apptainer", "docker")
def test_apptainer_docker_and_host_give_the_same_table(plain):
    bundle = compiled(plain.folder)
    plain.give(plain.folder)
    found = plain.run(bundle / "launch.sh", "--engine", "apptainer")
    assert found.returncode == 0, found.stderr
    for engine in ("docker", "host"):
        # The socket of the test bed's Docker engine is root's.
        done = subprocess.run(
            [bundle / "launch.sh", "--engine", engine, "--run", engine], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    steps, boxes = facts(bundle, "main")
    assert len(steps) == STEPS
    assert boxes[0]["engine"] == "apptainer"
    assert boxes[0]["isolation"] == "container"
    assert facts(bundle, "host")[1][0]["isolation"] == "none"
    assert table(bundle) == table(bundle, "docker") == table(bundle, "host")


@pytest.mark.live("podman")
def test_podman_gives_the_table_of_the_host_and_says_what_it_isolates(plain):
    bundle = compiled(plain.folder)
    host = subprocess.run(
        [bundle / "launch.sh", "--engine", "host", "--run", "host"], capture_output=True, text=True, check=False
    )
    assert host.returncode == 0, host.stderr
    plain.give(plain.folder)
    found = plain.run(*plain_user()[4:], bundle / "launch.sh", "--engine", "podman")
    assert found.returncode == 0, found.stderr
    (box,) = facts(bundle, "main")[1]
    assert box.pop("version").startswith("podman version ")
    image = facts(bundle, "host")[1][0]["image"]
    assert box == {
        "engine": "podman",
        "isolation": "container",
        "network": "none",
        "image": image,
        "loop": "python",
        "orphans": "ended",
        "tmp": "own",
        "spaces": "a box each",
        "hostname": "localhost",
        "memory": "watched",
        "packages": "container/packages.txt",
    }
    assert table(bundle) == table(bundle, "host")


def peeked(plain, program, points, more=""):
    """Run a program once a point as a plain user; return the facts of its run. `more` stands in its task."""
    study = plain.folder / "study"
    study.mkdir()
    (study / "peek.py").write_text(program)
    (study / "workflow.toml").write_text(
        f'format = 1\n[workflow]\nname = "peek"\n{IMAGE}[code]\ninclude = ["peek.py"]\n[parameters]\n'
        f"x = {{ range = [0, {points}] }}\n"
        f'[tasks.peek]\nrun = ["python3", "peek.py", "{{x}}"]\nmetrics = "metrics.json"\n{more}\n'
    )
    bundle = api.compile(study / "workflow.toml").path
    plain.give(plain.folder)
    found = plain.run(bundle / "launch.sh")
    assert found.returncode == 0, found.stderr
    return facts(bundle, "main")


@pytest.mark.live("apptainer")
def test_a_step_with_spaces_of_its_own_shares_the_box_and_sees_no_process_of_others(plain):
    program = (
        "import json, os\n"
        "json.dump({'pids': ' '.join(sorted(name for name in os.listdir('/proc') if name.isdigit())),\n"
        "           'boxes': os.readlink('/proc/self/ns/net')}, open('metrics.json', 'w'))\n"
    )
    steps, boxes = peeked(plain, program, 6, 'isolate = "spaces"')
    assert [box["spaces"] for box in boxes] == ["own"]
    assert {record["metrics"]["pids"] for record in steps.values()} == {"1 2"}
    assert len({record["metrics"]["boxes"] for record in steps.values()}) == 1


@pytest.mark.live("apptainer")
def test_a_step_in_the_box_sees_neither_home_nor_network_nor_a_writable_bundle(plain):
    program = (
        "import json, os, socket\n"
        # /sys may show the host's devices by name; /proc/net is what this process can reach.
        "devices = sorted(line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line)\n"
        "def writable(path):\n"
        "    try:\n"
        "        open(path + '/x', 'w').close()\n"
        "        return True\n"
        "    except OSError:\n"
        "        return False\n"
        "json.dump({'net': ' '.join(devices), 'home': os.path.exists('/home/sci'), 'code': writable('/sciflow/code'),\n"
        "           'inputs': writable('/sciflow/inputs'), 'out': writable('.'), 'tmp': writable('/tmp'),\n"
        "           'secret': os.environ.get('MY_VOICE', ''), 'host': socket.gethostname(),\n"
        "           'shared': os.environ.get('TMPDIR', '')}, open('metrics.json', 'w'))\n"
    )
    plain.settings["MY_VOICE"] = "not yours"
    steps, _ = peeked(plain, program, 1)
    assert steps["peek", 0]["metrics"] == {
        "net": "lo",
        "home": False,
        "code": False,
        "inputs": False,
        "out": True,
        "tmp": True,
        "secret": "",
        "host": "localhost",
        "shared": "",
    }


@pytest.mark.live("apptainer")
def test_a_killed_run_goes_on_and_gives_the_undisturbed_table(plain):
    bundle = compiled(plain.folder)
    plain.give(plain.folder)
    assert plain.run(bundle / "launch.sh", "--run", "undisturbed").returncode == 0
    process = subprocess.Popen(
        [*plain.prefix, str(bundle / "launch.sh")],
        env={**os.environ, **plain.settings},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    outputs = bundle / "runs/main/outputs/train"
    end = time.monotonic() + 60
    while len(list(outputs.glob("*"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    # Only the runner's own session is killed; the box lives in another, and must notice.
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    before = {path.name: [attempt.name for attempt in path.iterdir()] for path in outputs.iterdir()}
    found = plain.run(bundle / "launch.sh")
    assert found.returncode == 0, found.stderr
    after = {path.name: [attempt.name for attempt in path.iterdir()] for path in outputs.iterdir()}
    assert all(after[step] == attempt for step, attempt in before.items())
    assert table(bundle) == table(bundle, "undisturbed")
    assert not (bundle / "runs/main/work").exists()


@pytest.mark.live("apptainer")
def test_an_image_that_is_not_there_is_named_and_nothing_is_run(plain, tmp_path):
    bundle = compiled(plain.folder)
    plain.give(plain.folder)
    plain.settings["SCIFLOW_CACHE"] = str(tmp_path)
    found = plain.run(bundle / "launch.sh", "--engine", "apptainer")
    assert found.returncode == 3
    assert "sciflow fetch" in found.stderr
    assert not (bundle / "runs/main/segments").exists()


@pytest.mark.live("apptainer")
def test_in_an_image_with_busybox_only_memory_is_watched_and_a_step_has_a_folder_for_what_is_temporary(plain):
    study, root = plain.folder / "study", plain.folder / "root"
    for folder in ("bin", "dev", "proc", "sys", "tmp", "var/tmp", "etc"):
        (root / folder).mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
    for name in ("sh", "cat", "head", "tr", "sleep", "setsid", "echo", "pwd", "hostname"):
        (root / "bin" / name).symlink_to("busybox")
    study.mkdir()
    subprocess.run(["mksquashfs", root, study / "tiny.sqfs", "-quiet", "-no-progress"], check=True, capture_output=True)
    (study / "workflow.toml").write_text(
        'format = 1\n[workflow]\nname = "tiny"\n[image]\nfile = "tiny.sqfs"\n[parameters]\nx = [1]\n'
        "[tasks.look]\nshell = 'echo \"$TMPDIR\"; pwd; hostname'\nresources = { memory = '100 MB', time = '1m' }\n"
        "[tasks.hold]\nshell = \"held=$(head -c 90000000 /dev/zero | tr '\\\\0' a); sleep 30; echo ${{#held}}\"\n"
        "resources = { memory = '40 MB', time = '1m' }\nretry = { times = 0 }\n"
    )
    bundle = api.compile(study / "workflow.toml").path
    plain.give(plain.folder)
    found = plain.run(bundle / "launch.sh")
    assert found.returncode == 5, found.stderr
    steps, (box,) = facts(bundle, "main")
    assert (box["loop"], box["memory"], box["tmp"], box["hostname"]) == ("sh", "watched", "shared", "localhost")
    temporary, folder, name = steps["look", 0]["stdout"].splitlines()
    assert (temporary, name) == (folder, "localhost")
    assert (steps["hold", 0]["state"], steps["hold", 0]["wall_s"] < 25) == ("memory", True)
    assert (bundle / box["packages"]).read_text() == ""
