"""The study of `make demo` as a plain user: by one sbatch on an image that was fetched once, and from a fat bundle."""

import shutil
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import records
from tests.live.conftest import settled
from tests.live.test_slurm import drained

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
# What runs a command as the user who says so, where users may make no network namespace, as some sites have it.
NO_NETWORK = """\
echo 0 > /proc/sys/user/max_net_namespaces || exit 99
exec unshare --user --map-user="$1" --map-group="$2" "$3" --engine apptainer --point 0 --point 40 --point 80
"""
STEPS, FEW = 83, 4
pytestmark = pytest.mark.live("slurm", "apptainer", "mmdebstrap")


@pytest.fixture
def study(plain):
    """Give the study's file, and a bundle of it whose image is in the cache."""
    shutil.copytree(DIGITS, plain.folder / "digits")
    file = plain.folder / "digits" / "workflow.toml"
    bundle = api.compile(file, into=plain.folder / "thin", update=True).path  # Debian's archive may have moved on
    api.fetch(bundle, engine="apptainer")
    return file, bundle


def recorded(bundle):
    """Return ({step: digests of what it left}, what is on record of the workers): every attempt must be a success."""
    run = str(bundle / "runs" / "main")
    steps, more = settled(bundle)
    assert {record["state"] for record in records.read(run) if "facts" not in record} == {"done"}
    left = {key: {name: put["sha256"] for name, put in one["outputs"].items()} for key, one in steps.items()}
    return left, list(more["workers"].values())


def test_the_demo_s_study_runs_on_slurm_from_a_shared_image_and_from_a_fat_bundle(plain, study):
    file, thin = study
    plain.give(plain.folder)
    cached = {path: path.stat().st_mtime_ns for path in Path(plain.settings["SCIFLOW_CACHE"]).rglob("*")}
    found = plain.run("sbatch", "--output=launch.out", thin / "launch.sh")
    assert found.returncode == 0, found.stderr
    assert drained(plain, "sciflow-digits")
    left, workers = recorded(thin)
    assert len(left) == STEPS
    assert {(worker["box"]["engine"], worker["box"]["network"]) for worker in workers} == {("apptainer", "none")}
    assert {worker["facts"]["scheduler"]["SLURM_JOB_NODELIST"] for worker in workers} == {"n1", "n2"}
    assert {path: path.stat().st_mtime_ns for path in Path(plain.settings["SCIFLOW_CACHE"]).rglob("*")} == cached

    fat = api.compile(file, into=plain.folder / "fat", fat=True).path
    plain.give(plain.folder)
    plain.settings["SCIFLOW_CACHE"] = str(plain.folder / "none")
    user = plain.run("id", "-u").stdout.strip(), plain.run("id", "-g").stdout.strip()
    words = ["unshare", "--user", "--map-root-user", "sh", "-c", NO_NETWORK, "sh", *user, fat / "launch.sh"]
    assert plain.run(*words).returncode == 0
    again, workers = recorded(fat)
    assert len(again) == FEW
    assert again.items() <= left.items()
    assert {(worker["box"]["engine"], worker["box"]["network"]) for worker in workers} == {("apptainer", "host")}
