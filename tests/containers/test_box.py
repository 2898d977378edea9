import sys

import pytest

from sciflow import containers
from sciflow.containers import box as engines
from sciflow.runner import names
from tests.containers import images

KEYS = {
    "engine",
    "isolation",
    "image",
    "needs",
    "probe",
    "present",
    "load",
    "enter",
    "enter_shared_network",
    "stop",
    "gpus",
    "paths",
}
PINNED = [images.oci(), images.debian(), images.file()]


@pytest.mark.parametrize("image", PINNED, ids=lambda image: image.source)
def test_every_box_has_every_key_and_no_other(image):
    assert all(set(box) - {"enter_rank"} == KEYS for box in containers.boxes(image))


def test_engines_that_start_no_daemon_s_boxes_can_enter_one_for_a_rank():
    found = [box["engine"] for box in containers.boxes(images.debian()) if "enter_rank" in box]
    assert found == ["apptainer", "singularity", "host"]


@pytest.mark.parametrize("image", PINNED, ids=lambda image: image.source)
def test_a_box_is_plain_json(image):
    assert names.canonical(containers.boxes(image))


def test_code_inputs_outputs_and_runner_are_read_only_and_work_and_checkpoints_are_not():
    binds = [word for word in engines.mounts("ro") if isinstance(word, list)]
    assert {bind[1] for bind in binds if bind[-1] != "ro"} == {"src={work}", "src={checkpoints}"}
    assert len(binds) == 6


def test_a_program_that_is_absent_is_named():
    assert engines.answer(["no-such-program"]) == (False, "`no-such-program` is not on PATH")


def test_a_program_that_fails_is_heard_out():
    assert engines.answer([sys.executable, "-c", "import sys; sys.exit('broken')"]) == (False, "broken")


def test_a_program_that_hangs_is_given_up(monkeypatch):
    monkeypatch.setattr(engines, "PROBE_TIMEOUT_S", 0.2)
    assert "did not answer" in engines.answer([sys.executable, "-c", "import time; time.sleep(60)"])[1]
