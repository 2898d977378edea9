"""A bundle handed to Slurm: what sbatch is told, what is on record, and what a dry run says that it would ask for."""

import os
import shlex

import pytest

from sciflow import api
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import journal, options
from tests import small

SBATCH = """\
#!/bin/sh
printf '%s\\n' "$@" > '{folder}/said'
printf '%s\\n' "$SCIFLOW_SBATCH" > '{folder}/options'
printf '%s' "$SCIFLOW_BUNDLE" > '{folder}/bundle'
echo '77;cluster'
"""
SCONTROL = """\
#!/bin/sh
case $* in
*config*) printf 'MaxArraySize = 11\\nMaxJobCount = 10000\\n' ;;
*) echo 'PartitionName=main Default=YES MaxTime={minutes}:00 OverSubscribe=NO TotalCPUs=8 TotalNodes=2' ;;
esac
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with programs that stand first on the PATH: an sbatch that writes down what it is told."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv(options.OVERRIDES, raising=False)
    program(tmp_path, "sbatch", SBATCH.format(folder=tmp_path))
    return tmp_path


def program(folder, name, text):
    (folder / "programs" / name).write_text(text)
    (folder / "programs" / name).chmod(0o755)


def site(folder, minutes=600):
    """Put a Slurm on the PATH of two nodes with four cores each."""
    program(folder, "scontrol", SCONTROL.format(minutes=minutes))
    program(folder, "squeue", "#!/bin/sh\n")


def said(folder):
    return (folder / "said").read_text().splitlines()


def test_submit_says_what_is_missing_where_there_is_no_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(SurroundingsError, match="`sbatch`"):
        api.submit(small.compiled(tmp_path))


def test_a_launch_that_was_submitted_is_written_down_with_a_mark_of_its_own(folder):
    bundle = small.compiled(folder / "study")
    (bundle / "runs" / "main").mkdir(parents=True)
    (bundle / "runs" / "main" / "cancel").touch()
    assert api.submit(bundle) == 77
    (job,) = journal.recorded(str(bundle / "runs" / "main"))
    assert (job["id"], f"--comment={job['mark']}" in said(folder)) == (77, True)
    assert not (bundle / "runs" / "main" / "cancel").exists()  # a fresh start


def test_options_go_to_the_launch_and_by_the_environment_to_its_rounds(folder):
    bundle = small.compiled(folder / "study")
    options = ["--constraint=a b", "--mail-type=END", "--comment-free=$(id);'\""]
    api.submit(bundle, options=options[:2])
    assert [word for word in said(folder) if word in options] == options[:2]
    assert shlex.split((folder / "options").read_text()) == options[:2]


def test_options_come_after_those_of_the_environment(folder, monkeypatch):
    monkeypatch.setenv(options.OVERRIDES, "--qos=low")
    api.submit(small.compiled(folder / "study"), options=["--qos=high"])
    assert shlex.split((folder / "options").read_text()) == ["--qos=low", "--qos=high"]


def test_options_of_the_round_before_are_those_of_the_next_launch(folder):
    bundle = small.compiled(folder / "study")
    journal.claim(str(bundle / "runs" / "main"), 1, {"overrides": ["--account=physics"]}, [])
    api.submit(bundle)
    assert "--account=physics" in said(folder)


@pytest.mark.parametrize("word", ["--array=0-9", "-p", "main", "--wra=true", "--x y"])
def test_an_option_that_a_round_cannot_use_is_refused_before_anything_is_submitted(folder, word):
    bundle = small.compiled(folder / "study")
    with pytest.raises(UsageError, match=r"--\w+ is what each round decides|not of the form"):
        api.submit(bundle, options=[word])
    assert not (folder / "said").exists()


def test_a_run_of_another_name_is_submitted_as_that(folder):
    bundle = small.compiled(folder / "study")
    api.submit(bundle, "it's two")
    assert said(folder)[-3:] == [f"{bundle}/launch.sh", "--run", "it's two"]
    assert f"--output={bundle}/runs/it's two/logs/" in "\n".join(said(folder))


def test_the_job_is_told_where_its_bundle_is(folder):
    bundle = small.compiled(folder / "a\nstudy WorkDir=x")
    api.submit(bundle)
    assert (folder / "bundle").read_text() == str(bundle)


def test_a_dry_run_tells_the_jobs_of_the_round_and_leaves_nothing(folder):
    site(folder)
    bundle = small.compiled(folder / "study")
    before = small.contents(bundle)
    found = api.foresee(bundle, options=["--qos=high"])
    ahead = found.forecast
    assert [(one.task, one.jobs, one.steps, one.after) for one in ahead.jobs] == [
        ("prepare", 1, 1, ()),
        ("train", 4, 4, (0,)),
        ("total", 1, 1, (1,)),
    ]
    assert (found.options, found.going_on, found.no_site) == (("--qos=high",), (), "")
    assert ahead.core_hours == pytest.approx(6 * 124 / 60)
    assert (ahead.node_hours, ahead.later) == (pytest.approx(ahead.core_hours / 4), 0)
    assert ahead.ends - ahead.begins == pytest.approx(
        3 * 3600
    )  # three stages of an hour each, as nothing else is known
    assert small.contents(bundle) == before
    assert not (folder / "said").exists()


def test_a_dry_run_goes_by_what_was_learned(folder):
    site(folder)
    bundle = small.compiled(folder / "study")
    api.run(bundle, engine="host", tasks=["prepare"])
    api.run(bundle, engine="host", steps=["train/0"])
    ahead = api.foresee(bundle).forecast
    assert [(one.task, one.steps) for one in ahead.jobs] == [("train", 3), ("total", 1)]
    assert 3600 < ahead.ends - ahead.begins < 3700


def test_a_dry_run_of_what_is_done_asks_for_nothing(folder):
    site(folder)
    assert api.foresee(small.ran(folder / "study")).forecast.jobs == ()


def test_a_dry_run_where_there_is_no_slurm_says_so_and_plans(folder, monkeypatch):
    bundle = small.compiled(folder / "study")
    monkeypatch.setenv("PATH", str(folder / "programs"))
    found = api.foresee(bundle)
    assert found.no_site == "there is no Slurm on this machine"
    assert (len(found.forecast.jobs), found.forecast.node_hours) == (3, None)


def test_a_dry_run_where_slurm_does_not_answer_repeats_what_it_says(folder):
    program(folder, "scontrol", "#!/bin/sh\necho munge is away >&2; exit 1\n")
    found = api.foresee(small.compiled(folder / "study"))
    assert ("munge is away" in found.no_site, len(found.forecast.jobs)) == (True, 3)


def test_a_number_of_jobs_that_is_none_is_refused(folder, monkeypatch):
    monkeypatch.setenv("SCIFLOW_MAX_JOBS", "many")
    with pytest.raises(UsageError, match="a whole number is wanted, not `many`"):
        api.foresee(small.compiled(folder / "study"))


def test_a_dry_run_names_a_step_that_no_job_may_take_as_long_as(folder):
    site(folder, minutes=30)
    with pytest.raises(
        SurroundingsError, match="a step of `prepare` may take 60 minutes, and a job in partition `main`"
    ):
        api.foresee(small.compiled(folder / "study"))


def test_a_dry_run_says_which_jobs_of_the_run_are_in_hand(folder):
    site(folder)
    bundle = small.compiled(folder / "study")
    journal.launched(str(bundle / "runs" / "main"), 41, "sciflow:mark")
    program(folder, "squeue", '#!/bin/sh\ncase $* in *%k*) echo "41|PENDING|Resources|sciflow:mark" ;; esac\n')
    assert api.foresee(bundle).going_on == (41,)
