"""What options of sbatch a run's jobs get: what a launch may overrule, and what it may not."""

import pytest

from sciflow.runner import options, slurm


def test_a_job_s_own_options_overrule_the_workflow_s_and_those_of_the_launch_both(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_PARTITION", "short")
    for name in ("ACCOUNT", "QOS", "RESERVATION"):
        monkeypatch.delenv(f"SLURM_JOB_{name}", raising=False)
    plan = {"slurm": {"partition": "main", "mail_type": "END", "max_jobs": 36}}
    assert options.common(plan) == ["--mail-type=END", "--partition=short"]
    assert options.common(plan, ["--mail-type=FAIL", "--exclusive"]) == [
        "--partition=short",
        "--mail-type=FAIL",
        "--exclusive",
    ]
    assert options.defaults(plan) == {"partition": "main", "mail_type": "END"}


def test_a_launch_s_options_are_quoted_as_in_a_shell_and_last_for_later_rounds(monkeypatch):
    monkeypatch.setenv(options.OVERRIDES, "--constraint='a b' --exclusive")
    assert options.overrides() == ["--constraint=a b", "--exclusive"]
    assert options.overrides({"overrides": ["--qos=x"]}) == ["--constraint=a b", "--exclusive"]
    monkeypatch.delenv(options.OVERRIDES)
    assert (options.overrides(), options.overrides({"overrides": ["--qos=x"]})) == ([], ["--qos=x"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--array=0-9", "--array is what each round decides itself"),
        ("-p short", "`-p` is not of the form"),
        ("--x='", "No closing quotation"),
        ("$(reboot)", "is not of the form"),
        ("--wrap=true", "--wrap is what"),
    ],
)
def test_options_that_a_round_cannot_use_are_refused(monkeypatch, text, says):
    monkeypatch.setenv(options.OVERRIDES, text)
    with pytest.raises(slurm.SlurmError) as raised:
        options.overrides()
    assert says in str(raised.value)


@pytest.mark.parametrize("word", ["--arr=0-9", "--tim=5", "--w=true", "--mem=1G", "--no-requeue"])
def test_what_sbatch_takes_for_a_round_s_own_option_is_refused_too(word):
    assert "is what each round decides itself" in options.refusal(word)


@pytest.mark.parametrize("word", ["--time-min=5", "--mail-type=END", "--exclusive", "--constraint=a b", "--nice"])
def test_other_options_of_sbatch_are_a_launch_s_own_affair(word):
    assert not options.refusal(word)


def test_how_many_jobs_a_run_may_have_is_the_launch_s_word_before_the_workflow_s(monkeypatch):
    monkeypatch.delenv("SCIFLOW_MAX_JOBS", raising=False)
    assert [options.most_jobs({"slurm": told}) for told in ({}, {"max_jobs": 36})] == [None, 36]
    monkeypatch.setenv("SCIFLOW_MAX_JOBS", "7")
    assert options.most_jobs({"slurm": {"max_jobs": 36}}) == 7
    monkeypatch.setenv("SCIFLOW_MAX_JOBS", "$(id)")
    with pytest.raises(slurm.SlurmError, match="a whole number is wanted, not"):
        options.most_jobs({"slurm": {}})
