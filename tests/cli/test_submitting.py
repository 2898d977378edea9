"""The commands for schedulers: their words in, their answers and exit codes out."""

import json
import os
import shutil

import pytest

from tests import small


@pytest.fixture
def bundle(tmp_path):
    return small.compiled(tmp_path)


@pytest.fixture
def bare(tmp_path):
    """Return settings with which there is no Slurm."""
    programs = tmp_path / "bare"
    programs.mkdir()
    for name in ("sh", "python3"):
        (programs / name).symlink_to(shutil.which(name))
    return {"PATH": str(programs), "PYTHONPATH": os.environ.get("PYTHONPATH"), "SCIFLOW_SBATCH": None}


def test_a_dry_run_says_the_jobs_and_the_sum_of_them(bundle, bare):
    found = small.sciflow("submit", bundle, "--dry-run", "--sbatch=--constraint=a b", **bare)
    assert found.returncode == 0, found.stderr
    head, *rows, options, last = found.stdout.splitlines()
    assert head.split() == ["task", "jobs", "steps", "cores", "memory", "gpus", "time", "after"]
    assert [row.split() for row in rows] == [
        ["1", "prepare", "1", "1", "1", "1,024", "MiB", "0", "124", "min"],
        ["2", "train", "4", "4", "1", "1,024", "MiB", "0", "124", "min", "1"],
        ["3", "total", "1", "1", "1", "1,024", "MiB", "0", "124", "min", "2"],
    ]
    assert options == "options: --constraint=a b"
    assert last.startswith("6 jobs, at most 12.4 core-hours, from 2")
    assert "there is no Slurm on this machine: planned without its bounds" in found.stderr


def test_a_dry_run_answers_programs(bundle, bare):
    found = json.loads(small.sciflow("submit", bundle, "--dry-run", "--json", **bare).stdout)
    assert [one["jobs"] for one in found["forecast"]["jobs"]] == [1, 4, 1]
    assert found["no_site"] == "there is no Slurm on this machine"


def test_a_dry_run_of_a_finished_run_says_that_nothing_remains(tmp_path, bare):
    found = small.sciflow("submit", small.ran(tmp_path / "study"), "--dry-run", **bare)
    assert found.stdout == "no jobs: nothing remains\n"


def test_an_option_that_a_round_decides_itself_is_refused(bundle, bare):
    found = small.sciflow("submit", bundle, "--sbatch=--array=0-9", **bare)
    assert (found.returncode, found.stdout) == (2, "")
    assert "--array is what each round decides itself" in found.stderr


def test_without_slurm_a_submission_ends_with_code_3(bundle, bare):
    assert small.sciflow("submit", bundle, **bare).returncode == 3


@pytest.mark.parametrize("verb", [["submit"], ["render", "--scheduler=pbs"]])
@pytest.mark.parametrize("run", ["-x", "a/b", "a\nb", ".."])
def test_a_run_s_name_that_is_no_plain_word_is_refused(bundle, bare, verb, run):
    found = small.sciflow(*verb, bundle, f"--run={run}", **bare)
    assert (found.returncode, "one plain word" in found.stderr) == (2, True)


def test_render_prints_the_path_of_the_script_alone(bundle, tmp_path):
    found = small.sciflow("render", bundle, "--scheduler", "lsf", "-o", tmp_path / "round.sh", "--array-limit", "2")
    assert (found.returncode, found.stdout) == (0, f"{tmp_path / 'round.sh'}\n")
    assert "round 1: 6 steps in 6 jobs" in found.stderr
    assert '"sciflow-small-train[1-2]"' in (tmp_path / "round.sh").read_text()
