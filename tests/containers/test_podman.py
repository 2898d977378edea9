"""Podman, as a plain user: Docker's words where they serve, its own where they must."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from sciflow.containers import podman
from sciflow.runner import box as boxes
from tests.conftest import PLAIN_USER, plain_user
from tests.containers import entering, images
from tests.containers.test_needs import program

ENTER = """podman run --userns keep-id --security-opt label=disable --read-only-tmpfs=false --http-proxy=false --rm --interactive
 --pull never --platform linux/amd64 --name {name} {gpus} --hostname localhost --network none --read-only
 --tmpfs /tmp:rw,exec,nosuid,nodev,mode=1777,U --user {uid}:{gid} --cap-drop ALL --security-opt no-new-privileges
 --mount type=bind,src={code},dst=/sciflow/code,readonly --mount type=bind,src={inputs},dst=/sciflow/inputs,readonly
 --mount type=bind,src={work},dst=/sciflow/work --mount type=bind,src={outputs},dst=/sciflow/outputs,readonly
 --mount type=bind,src={checkpoints},dst=/sciflow/checkpoints
 --mount type=bind,src={runner},dst=/sciflow/runner,readonly --workdir /sciflow/work --entrypoint NOTHING {image}"""


def test_the_words_shut_the_box():
    words = [
        ",".join(word) if isinstance(word, list) else word or "NOTHING" for word in podman.box(images.debian())["enter"]
    ]
    assert words == ENTER.split()


def test_every_word_that_starts_a_program_starts_podman():
    box = podman.box(images.debian())
    assert {box[key][0] for key in ("probe", "present", "load", "enter", "stop")} == {"podman"}
    assert box["needs"] == ["podman"]


def test_podman_runs_no_image_file():
    assert (podman.box(images.file()), podman.box(None)) == (None, None)


def test_a_podman_that_is_absent_is_named_with_what_to_ask_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = podman.probe()
    assert (found.works, "`podman` is not on PATH" in found.advice, "uidmap" in found.ask) == (False, True, True)


def test_a_podman_that_enters_no_namespace_does_not_work(monkeypatch, tmp_path):
    script = 'test "$1" = --version && echo podman version 4.3.1 && exit 0; echo "cannot clone" >&2; exit 125'
    monkeypatch.setenv("PATH", program(tmp_path / "p", "podman", script))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = podman.probe()
    assert (found.works, found.version, found.advice) == (False, "4.3.1", "it enters no namespace: cannot clone")


@pytest.fixture
def entered(tiny_image):
    """Give a box and what fills its words, in a folder of a plain user's; the image is loaded for that user."""
    box, by = podman.box(tiny_image), plain_user()
    folder = Path(tempfile.mkdtemp(prefix="sciflow podman, "))
    entry = pwd.getpwnam(PLAIN_USER) if by else pwd.getpwuid(os.getuid())
    where = {**entering.places(folder, image=tiny_image.digest("config")), "uid": entry.pw_uid, "gid": entry.pw_gid}
    shutil.copyfile(boxes.content("/nonexistent", tiny_image.digest("archive")), folder / "archive")
    for place in [folder, *folder.rglob("*")]:
        os.chown(place, entry.pw_uid, entry.pw_gid)
    loaded = subprocess.run(
        [*by, *boxes.filled(box["load"], {"archive": folder / "archive"})], check=False, capture_output=True
    )
    assert loaded.returncode == 0, loaded.stderr
    yield box, where, by
    subprocess.run([*by, "podman", "rmi", "--force", where["image"]], check=True, capture_output=True)
    shutil.rmtree(folder)


def said(entered, script):
    box, where, by = entered
    # Of a box that ends at once Podman 4.3 loses the output (1 in 12); sciflow's own stays until it is told to end.
    return entering.said(box, where, f"({script}); code=$?; sleep 0.5; exit $code", by=by)


@pytest.mark.live("podman")
def test_an_archive_is_known_by_the_image_s_id_once_it_is_loaded(entered):
    box, where, by = entered
    present = [*by, *boxes.filled(box["present"], where)]
    assert subprocess.run(present, check=False, capture_output=True).returncode == 0


@pytest.mark.live("podman")
def test_stdin_stdout_and_the_exit_code_come_through(entered):
    assert said(entered, "cat; exit 7") == (7, "hello\n")


@pytest.mark.live("podman")
@pytest.mark.parametrize("name", ["code", "inputs", "outputs", "runner"])
def test_a_folder_of_the_bundle_cannot_be_written(entered, name):
    assert "Read-only file system" in said(entered, f"touch /sciflow/{name}/x")[1]


@pytest.mark.live("podman")
def test_code_is_seen_and_work_is_written_as_the_user_outside(entered):
    assert said(entered, "cat /sciflow/code/seen.txt; pwd; echo done >mine") == (0, "code is seen\n/sciflow/work\n")
    made = Path(entered[1]["work"], "mine")
    assert (made.read_text(), made.stat().st_uid) == ("done\n", entered[1]["uid"])


@pytest.mark.live("podman")
def test_the_root_file_system_cannot_be_written_but_for_tmp(entered):
    assert said(entered, "touch /tmp/x && touch /x /var/tmp/x /root/x 2>/dev/null || echo shut") == (0, "shut\n")


@pytest.mark.live("podman")
def test_there_is_no_network_but_the_loop_back(entered):
    assert said(entered, "awk -F: '/:/ {print $1}' /proc/net/dev")[1].split() == ["lo"]


@pytest.mark.live("podman")
def test_nothing_of_the_environment_gets_in(entered, monkeypatch):
    for name in ("SECRET", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "leaked")
    assert "leaked" not in said(entered, "env")[1]


@pytest.mark.live("podman")
def test_no_capability_is_left(entered):
    assert said(entered, "grep CapEff /proc/self/status")[1].split() == ["CapEff:", "0" * 16]


@pytest.mark.live("podman")
def test_killing_the_client_and_stopping_leaves_nothing(entered):
    box, where, by = entered
    assert not entering.killed(box, where, by=by)


@pytest.mark.live("podman")
def test_the_loop_serves_as_the_first_process_of_the_box(entered, tmp_path):
    box, where, by = entered
    shutil.copytree(Path(boxes.__file__).parent, where["runner"], dirs_exist_ok=True)
    for place in Path(where["runner"]).rglob("*"):
        place.chmod(0o755)
    loop = boxes.Loop({**box, "enter": [*by, *box["enter"]], "stop": [*by, *box["stop"]]}, where, str(tmp_path / "log"))
    inside = loop.paths["work"]
    # an orphan is left behind, and its end is nobody's to tell of but the loop's
    words = ["sh", "-c", "(sleep 0 &) ; echo $A; exit 3"]
    loop.start("l", "t", {"A": "b"}, (inside, inside + "/out", inside + "/err"), 0, {}, words)
    loop.flush()
    ends = []
    while not ends and loop.open:
        ends = loop.hear()
    loop.close()
    assert [(what, end.token, end.code) for what, end in ends] == [("end", "t", 3)]
    assert Path(where["work"], "out").read_text() == "b\n"
    assert (loop.facts["engine"], loop.facts["isolation"], loop.facts["network"]) == ("podman", "container", "none")
    assert (loop.facts["loop"], loop.facts["orphans"], loop.facts["tmp"]) == ("sh", "of the group ended", "shared")
