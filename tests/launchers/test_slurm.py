"""`launch.sh`: what stands in it, that a shell can read it, and that it finds its bundle from wherever it is started."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sciflow import containers
from sciflow.errors import WorkflowError
from sciflow.launchers import slurm
from sciflow.workflow import load
from tests import small
from tests.containers import images

HEAD = 'format = 1\n[workflow]\nname = "x"\n[tasks.t]\nrun = ["true"]\n'
SCONTROL = """\
#!/bin/sh
echo "JobId=7 JobName=x UserId=ada(1) Command=$TYPED WorkDir=/somewhere StdErr=/dev/null"
"""


def text(boxes=(), **options):
    return slurm.render({"name": "digits", "slurm": options, "boxes": list(boxes)})["launch.sh"]


def started(script, *words, typed=None, folder, **environment):
    """Start a launcher whose runner only tells how it was started; `typed` is what Slurm says of the job."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    (programs / "python3").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (programs / "python3").chmod(0o755)
    if typed is not None:
        (programs / "scontrol").write_text(SCONTROL)
        (programs / "scontrol").chmod(0o755)
    settings = {"PATH": f"{programs}:{os.environ['PATH']}", "TYPED": typed or "", "SLURM_JOB_ID": "7", **environment}
    return subprocess.run(
        ["/bin/sh", str(script), *words], cwd="/", env=settings, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.fixture
def bundle(tmp_path):
    return small.compiled(tmp_path / "a study; $HOME" / "50% 'done'")


@pytest.fixture
def spooled(bundle, tmp_path):
    """Return a copy of the launcher where sbatch would have put it."""
    (tmp_path / "spool").mkdir()
    return Path(shutil.copy(bundle / "launch.sh", tmp_path / "spool" / "slurm_script"))


def test_the_head_asks_for_little_and_comes_before_any_command():
    assert text(partition="main", account="physics").splitlines()[:9] == [
        "#!/bin/sh",
        "#SBATCH --job-name=sciflow-digits",
        "#SBATCH --ntasks=1",
        "#SBATCH --cpus-per-task=1",
        "#SBATCH --mem=512M",
        "#SBATCH --time=10",
        "#SBATCH --open-mode=append",
        "#SBATCH --account=physics",
        "#SBATCH --partition=main",
    ]


def test_the_order_of_the_values_in_the_file_does_not_matter():
    assert text(partition="main", account="physics") == text(account="physics", partition="main")


def test_a_key_of_two_words_becomes_an_option_of_two_words():
    assert "#SBATCH --mail-type=END\n" in text(mail_type="END")


@pytest.mark.parametrize("value", ["avx2*4", "(a|b)&c", "[rack1*2&rack2*4]", "gpu:a100:2", "user+tag@site.org", 1])
def test_what_sbatch_takes_is_rendered(value):
    assert f"#SBATCH --constraint={value}\n" in text(constraint=value)


@pytest.mark.parametrize(
    "value", ["main\n#SBATCH --uid=0", "a b", "$(id)", "`id`", "a;b", "a'b", 'a"b', "a\\b", "a>b", "a\rb", "ü", ""]
)
def test_a_hostile_value_is_refused_by_the_file_and_rendered_by_nobody(tmp_path, value):
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r") + '"'
    with pytest.raises(WorkflowError, match=r"slurm\.partition"):
        load.parse(f"{HEAD}[slurm]\npartition = {quoted}\n", file=tmp_path / "workflow.toml")
    if value:
        with pytest.raises(ValueError, match="not fit for a batch script"):
            text(partition=value)


def test_whatever_the_file_lets_through_can_be_rendered(tmp_path):
    every = "Aa0_.@:,+&|*()[]=/-"
    workflow = load.parse(f'{HEAD}[slurm]\nconstraint = "{every}"\n', file=tmp_path / "workflow.toml")
    assert every in text(**dict(workflow.slurm))


BOXED = containers.boxes(images.debian())


@pytest.mark.parametrize("boxes", [(), BOXED])
def test_a_shell_can_read_it(tmp_path, boxes):
    (tmp_path / "launch.sh").write_text(text(boxes, partition="main"))
    found = subprocess.run(["/bin/sh", "-n", tmp_path / "launch.sh"], capture_output=True, check=False)
    assert (found.returncode, found.stderr) == (0, b"")


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize("boxes", [(), BOXED])
def test_shellcheck_has_nothing_to_say(tmp_path, boxes):
    (tmp_path / "launch.sh").write_text(text(boxes, partition="main"))
    found = subprocess.run(["shellcheck", tmp_path / "launch.sh"], capture_output=True, text=True, check=False)
    assert found.stdout == ""


def test_here_it_runs_the_bundle_it_stands_in(bundle, tmp_path):
    found = started(bundle / "launch.sh", "-j", "2", folder=tmp_path)
    assert found.stdout.splitlines() == ["-I", "-B", f"{bundle}/runner/__main__.py", "run", "-j", "2"]


def test_it_may_be_started_through_a_link_to_its_folder(bundle, tmp_path):
    (tmp_path / "link").symlink_to(bundle)
    found = started(tmp_path / "link" / "launch.sh", folder=tmp_path)
    assert found.stdout.splitlines()[2] == f"{bundle}/runner/__main__.py"


def test_on_slurm_it_plans_a_round_of_the_bundle_that_was_typed(bundle, spooled, tmp_path):
    found = started(spooled, typed=f"{bundle}/launch.sh", folder=tmp_path)
    assert found.stdout.splitlines() == ["-I", "-B", f"{bundle}/runner/__main__.py", "round"]


def test_words_after_the_file_are_passed_on_and_not_taken_for_its_name(bundle, spooled, tmp_path):
    found = started(spooled, "--run", "two", typed=f"{bundle}/launch.sh --run two", folder=tmp_path)
    assert found.stdout.splitlines() == ["-I", "-B", f"{bundle}/runner/__main__.py", "round", "--run", "two"]


def test_it_may_be_told_where_the_bundle_is(bundle, spooled, tmp_path):
    found = started(spooled, typed="", folder=tmp_path, SCIFLOW_BUNDLE=str(bundle))
    assert found.stdout.splitlines()[2:] == [f"{bundle}/runner/__main__.py", "round"]


@pytest.mark.parametrize("typed", ["", "(null)", "/nowhere/launch.sh", "/etc/passwd with words"])
def test_where_slurm_does_not_say_it_says_what_to_type_and_starts_nothing(spooled, tmp_path, typed):
    found = started(spooled, typed=typed, folder=tmp_path)
    assert (found.returncode, found.stdout) == (3, "")
    assert "sbatch --export=ALL,SCIFLOW_BUNDLE=/path/of/bundle launch.sh" in found.stderr


def test_the_real_thing_runs_a_bundle(bundle):
    found = subprocess.run(
        [bundle / "launch.sh", "--engine", "host"], cwd="/", capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 0, found.stderr
    assert "6 of 6 steps done" in found.stderr


def bare(folder):
    """Return a PATH on which there is all that the launcher calls, and no python3."""
    programs = folder / "bare"
    programs.mkdir()
    for name in ("cat", "dirname", "env", "head", "printf", "sed", "sh"):
        (programs / name).symlink_to(shutil.which(name))
    return programs


def test_a_python_that_is_off_the_path_can_be_named(bundle, tmp_path):
    named = tmp_path / "own python"
    named.write_text('#!/bin/sh\nprintf "%s\\n" "$SCIFLOW_PYTHON" "$@"\n')
    named.chmod(0o755)
    settings = {"PATH": str(bare(tmp_path)), "SCIFLOW_PYTHON": str(named)}
    words = ["/bin/sh", str(bundle / "launch.sh")]
    said = subprocess.run(words, env=settings, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said == [str(named), "-I", "-B", f"{bundle}/runner/__main__.py", "run"]


@pytest.mark.parametrize("script", ["exit 1", "exit 127"])
def test_without_a_fit_python_it_says_what_to_do(bundle, tmp_path, script):
    old = tmp_path / "old"
    old.write_text(f"#!/bin/sh\n{script}\n")
    old.chmod(0o755)
    settings = {"PATH": str(bare(tmp_path)), "SCIFLOW_PYTHON": str(old)}
    found = subprocess.run(
        ["/bin/sh", str(bundle / "launch.sh")], env=settings, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout) == (3, "")
    assert "no python3 (3.6 or newer) here" in found.stderr


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("Resources", "a node that has enough free (Resources)"),
        ("QOSMaxJobsPerUserLimit", "a bound of your account on how much runs at once (QOSMaxJobsPerUserLimit)"),
        ("AssocGrpCpuLimit", "a bound of your account on how much runs at once (AssocGrpCpuLimit)"),
        ("ReqNodeNotAvail, Reserved for maintenance", "nodes that are away, or kept for maintenance"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_what_a_job_waits_for_is_said_in_plain_words(reason, words):
    assert slurm.said(reason).startswith(words)


def test_what_is_the_round_s_own_affair_is_no_option_of_the_script():
    assert "max" not in text(partition="main", max_jobs=36, max_running=4).partition("# sciflow")[0]


@pytest.mark.parametrize("place", ['name = "x"', "[tasks.t]"])
@pytest.mark.parametrize("name", ["a b", "$(id)", "a;b", "-x", "a\\nb", "50%", "a'b", "größe", "a/b", "x" * 65])
def test_a_hostile_name_is_refused_by_the_file(tmp_path, place, name):
    text = HEAD.replace(place, place.replace("x", name) if "name" in place else f'[tasks."{name}"]')
    with pytest.raises(WorkflowError, match=r"letters, digits, `_` and `-`, a letter first|control character"):
        load.parse(text, file=tmp_path / "workflow.toml")
