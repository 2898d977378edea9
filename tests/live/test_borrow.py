"""A host without python3, and an image that has one."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.live.conftest import STEPS, compiled, settled, table

pytestmark = pytest.mark.live("mmdebstrap", "apptainer")


@pytest.fixture
def without(plain):
    """Give a plain user on whose PATH there is everything but Python."""
    programs = plain.folder / "programs"
    programs.mkdir()
    for folder in ("/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        for path in Path(folder).iterdir():
            if not path.name.startswith(("python", "pip")) and not (programs / path.name).exists():
                (programs / path.name).symlink_to(path)
    # Where the launcher looks beside PATH there may be one on this machine: naming another keeps it from that.
    plain.settings.update(PATH=str(programs), SCIFLOW_PYTHON="/nonexistent/python3")
    return plain


def own(plain, bundle):
    """Give the user a cache of their own, with the images of the shared one."""
    cache = plain.folder.parent / f"own cache of {plain.folder.name.replace(',', '')}"
    cache.mkdir()
    (cache / "sha256").symlink_to(Path(plain.settings["SCIFLOW_CACHE"]) / "sha256")
    plain.settings["SCIFLOW_CACHE"] = str(cache)
    plain.give(cache)
    return cache


def test_the_image_lends_its_python_to_a_host_that_has_none(without):
    bundle = compiled(without.folder)
    cache = own(without, bundle)
    without.give(without.folder)
    try:
        found = without.run(bundle / "launch.sh")
        assert found.returncode == 0, found.stderr
        (worker,) = settled(bundle)[1]["workers"].values()
        assert worker["facts"]["borrowed"].startswith("sha256:")
        assert worker["box"]["engine"] == "apptainer"
        assert [path.name for path in (cache / "python").iterdir()] == [worker["facts"]["borrowed"][7:]]
        before = (cache / "python").stat().st_mtime_ns
        assert without.run(bundle / "launch.sh", "--run", "again").returncode == 0
        assert (cache / "python").stat().st_mtime_ns == before
        subprocess.run([bundle / "launch.sh", "--engine", "host", "--run", "host"], check=True, env=os.environ)
        assert table(bundle) == table(bundle, "again") == table(bundle, "host")
        assert len(settled(bundle)[0]) == STEPS
    finally:
        subprocess.run(["rm", "-rf", cache], check=True)


def test_where_the_image_is_not_at_hand_either_that_is_said(without, tmp_path):
    bundle = compiled(without.folder)
    without.give(without.folder)
    without.settings["SCIFLOW_CACHE"] = str(tmp_path)
    found = without.run(bundle / "launch.sh")
    assert found.returncode == 3
    assert "cannot be borrowed: the image is neither carried by the bundle nor in the cache" in found.stderr
    assert "no python3 (3.6 or newer) here" in found.stderr


def test_an_image_that_is_not_what_its_name_says_is_not_run(without):
    bundle = compiled(without.folder)
    digest = next(iter(image_of(bundle)))
    (bundle / "carried" / "sha256").mkdir(parents=True)
    (bundle / "carried" / "sha256" / digest).write_bytes(b"something else")
    without.give(without.folder)
    found = without.run(bundle / "launch.sh")
    assert found.returncode == 3
    assert "cannot be borrowed: the image is not what its name says" in found.stderr


def image_of(bundle):
    import json

    plan = json.loads((bundle / "plan.json").read_text())
    return {box["image"]["file"][7:] for box in plan["boxes"] if "file" in (box["image"] or {})}
