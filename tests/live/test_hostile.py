"""Names and values that a shell, Slurm or a file name could take for something else: used as they are, or refused in words.

Each of them holds a command that would leave a file named `canary`. There must never be one.
"""

import json
import time
from pathlib import Path

import pytest

from sciflow import api
from sciflow.runner import journal
from tests.live.conftest import PLAIN_USER

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.live("slurm")

NAMES = [
    "$(touch canary)",
    "`touch canary`",
    "a; touch canary #",
    "a' 'b; touch canary; '",
    'a" "b; touch canary; "',
    "50% %j %%",
    "back\\slash \\n %j",
    "-rf --wrap=touch canary",
    "größe ✓ 数",
    "a WorkDir=b Command=c StdOut=d",
    "two  spaces ",
    "&& touch canary &",
    "<canary >canary",
    "new\nline; touch canary",
    "tab\tand\rreturn",
]
# What Slurm says of a job's command ends at these: `sbatch launch.sh` cannot find its bundle, `sciflow submit` tells it.
UNTOLD = ("a WorkDir=b Command=c StdOut=d", "new\nline; touch canary")
VALUES = [name for name in NAMES if name.isprintable()] + [
    "",
    "--help",
    "-",
    "*",
    "~",
    "{}",
    "{{x}}",
    "${PATH}",
    "!!",
    "\\",
]
WORKFLOW = """\
format = 1

[workflow]
name = "hostile"

[code]
include = ["keep.py"]

[parameters]
value = {values}

[tasks.first]
run = ["python3", "keep.py", "{{outputs.kept}}", "{{value}}"]
outputs = {{ kept = "kept.json" }}
resources = {{ memory = "100 MB", time = "1m" }}

[tasks.second]
needs = ["first"]
shell = "python3 keep.py {{outputs.kept}} {{value}} {{first.kept}}"
outputs = {{ kept = "kept.json" }}
resources = {{ memory = "100 MB", time = "1m" }}
"""
KEEP = """\
import json, os, sys
with open(sys.argv[1], "w") as stream:
    json.dump([sys.argv[2], json.load(open(os.environ["SCIFLOW_PARAMETERS"]))["value"]], stream)
assert len(sys.argv) < 4 or json.load(open(sys.argv[3])) == [sys.argv[2]] * 2
"""
SUBMIT = """\
import sys
from pathlib import Path
from sciflow import api
from sciflow.errors import SciflowError
try:
    print(api.submit(Path(sys.argv[1]), sys.argv[2], options=sys.argv[3:]))
except SciflowError as error:
    sys.exit(str(error))
"""


def study(folder, values=("plain",)):
    """Write the study into a folder and compile it there; return the bundle."""
    folder.mkdir(parents=True)
    (folder / "keep.py").write_text(KEEP)
    (folder / "workflow.toml").write_text(WORKFLOW.format(values=json.dumps(list(values))))
    return api.compile(folder / "workflow.toml").path


def submit(user, bundle, run="main", *options):
    """Submit a bundle as the plain user, from the user's folder."""
    code = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "XDG_CONFIG_HOME": str(user.folder / "config")}
    words = [f"{name}={value}" for name, value in code.items()]
    return user.run("env", *words, "/usr/bin/python3", "-c", SUBMIT, bundle, run, *options)


def drained(user, limit_s=300):
    """Wait until the study has no job in the queue."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if "hostile" not in user.run("squeue", "--noheader", "--me", "--format=%j").stdout:
            return
        time.sleep(1)
    pytest.fail(user.run("squeue").stdout)


def logs(bundle, run="main"):
    return "\n".join(path.read_text() for path in sorted((bundle / "runs" / run / "logs").glob("*.log")))


def canaries(user):
    """Return every file that a name was taken for a command by, wherever a job may have stood."""
    home = Path(f"~{PLAIN_USER}").expanduser()
    return [
        *user.folder.rglob("canary*"),
        *(found for place in (Path("/"), Path("/tmp"), home) for found in place.glob("canary*")),
    ]


def kept(bundle, task, run="main"):
    """Return what the steps of a task were given: {step: [as a word, as a value]}."""
    found = (bundle / "runs" / run / "outputs" / task).glob("*/*/kept.json")
    return {int(path.parts[-3]): json.loads(path.read_text()) for path in found}


def test_values_reach_steps_as_they_are(plain):
    bundle = study(plain.folder / "study", VALUES)
    plain.give(plain.folder)
    assert submit(plain, bundle).returncode == 0
    drained(plain)
    wanted = {step: [value, value] for step, value in enumerate(VALUES)}
    assert (kept(bundle, "first"), kept(bundle, "second")) == (wanted, wanted), logs(bundle)
    assert not canaries(plain)


def test_bundles_in_folders_of_any_name_run(plain):
    bundles = [study(plain.folder / str(number) / name) for number, name in enumerate(NAMES)]
    plain.give(plain.folder)
    for bundle in bundles:
        found = submit(plain, bundle)
        assert found.returncode == 0, found.stderr
    drained(plain)
    for name, bundle in zip(NAMES, bundles, strict=True):
        assert kept(bundle, "second") == {0: ["plain", "plain"]}, (name, logs(bundle))
    assert not canaries(plain)


def test_a_launcher_of_any_path_runs_or_says_that_it_cannot_be_found(plain):
    bundles = [study(plain.folder / str(number) / name) for number, name in enumerate(NAMES)]
    elsewhere = plain.folder / "elsewhere"
    elsewhere.mkdir()
    plain.give(plain.folder)
    jobs = [plain.run("sbatch", "--parsable", bundle / "launch.sh", cwd=elsewhere).stdout.strip() for bundle in bundles]
    drained(plain)
    for name, bundle, job in zip(NAMES, bundles, jobs, strict=True):
        said = (elsewhere / f"slurm-{job}.out").read_text()
        if name in UNTOLD:
            assert "sciflow: Slurm does not say where this bundle is; tell it:" in said, (name, said)
            assert not kept(bundle, "first")
        else:
            assert kept(bundle, "second") == {0: ["plain", "plain"]}, (name, said, logs(bundle))
    assert not canaries(plain)


def test_runs_of_any_name_run_or_are_refused(plain):
    bundle = study(plain.folder / "study")
    plain.give(plain.folder)
    refused = {name: found for name in NAMES if (found := submit(plain, bundle, name)).returncode}
    assert set(refused) == {name for name in NAMES if not name.isprintable() or name.startswith("-")}
    assert all("one plain word" in found.stderr for found in refused.values())
    drained(plain)
    for name in set(NAMES) - set(refused):
        assert kept(bundle, "second", name) == {0: ["plain", "plain"]}, (name, logs(bundle, name))
    assert not canaries(plain)


@pytest.mark.parametrize("option", ["constraint", "partition", "reservation"])
def test_what_slurm_does_not_know_is_refused_by_it_before_anything_runs(plain, option):
    bundle = study(plain.folder / "study")
    plain.give(plain.folder)
    for name in NAMES:
        found = submit(plain, bundle, "main", f"--{option}={name}")
        assert (found.returncode, "`sbatch` said: " in found.stderr) == (1, True), (name, found.stderr)
    assert not journal.rounds(str(bundle / "runs" / "main"))
    assert not canaries(plain)


def test_options_of_any_value_are_on_record_and_run_by_nobody(plain):
    bundle = study(plain.folder / "study")
    plain.give(plain.folder)
    options = [[f"--mail-user={name}", "--mail-type=END", f"--export=ALL,NAME={name}"] for name in NAMES[1::2]]
    for number, chosen in enumerate(options):
        found = submit(plain, bundle, str(number), *chosen)
        assert found.returncode == 0, found.stderr
    drained(plain)
    for number, chosen in enumerate(options):
        (_, first), *_ = journal.rounds(str(bundle / "runs" / str(number)))
        assert first["overrides"] == chosen
        assert kept(bundle, "second", str(number)) == {0: ["plain", "plain"]}, (chosen, logs(bundle, str(number)))
    assert not canaries(plain)
