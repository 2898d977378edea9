"""The commands: their words in, their answers and exit codes out, and never a traceback."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciflow import api
from sciflow.cli import main
from tests import small
from tests.small import random_study

HERE = Path(__file__)


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    return str(tmp_path_factory.mktemp("configuration"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory, configuration):
    """Make one study that has run, for the tests of this file that change nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", configuration)
        yield small.ran(tmp_path_factory.mktemp("study"))


@pytest.fixture
def say(configuration):
    """Return what speaks the command line with the keys of that study's author."""
    return lambda *words, **more: small.sciflow(*words, **{"XDG_CONFIG_HOME": configuration, **more})


@pytest.fixture
def inside(configuration, monkeypatch, capfd):
    """Return what speaks the command line in this very process, and gives the exit code and all that was said."""

    def spoken(folder, *words):
        monkeypatch.setenv("XDG_CONFIG_HOME", configuration)
        monkeypatch.chdir(folder)
        monkeypatch.setattr("sys.argv", ["sciflow", *words])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, "".join(capfd.readouterr())

    return spoken


def last(found):
    return found.stdout.splitlines()[-1]


@pytest.mark.slow
def test_init_check_and_run_work_one_after_the_other(tmp_path):
    assert last(small.sciflow("init", "study", cwd=tmp_path)) == "study"
    assert last(small.sciflow("check", "study/workflow.toml", cwd=tmp_path)).startswith("ok: ")
    found = small.sciflow("run", "study/workflow.toml", "--engine", "host", cwd=tmp_path)
    assert (found.returncode, (tmp_path / last(found)).is_dir()) == (0, True)


def test_init_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "x").write_text("")
    assert small.sciflow("init", tmp_path).returncode == 2


def test_check_says_how_many_points_and_steps(tmp_path):
    found = small.sciflow("check", small.write(tmp_path))
    assert (found.returncode, found.stdout) == (0, "ok: 4 points, 6 steps\n")


def test_check_says_all_faults_with_their_places(tmp_path):
    file = small.write(tmp_path, ("format = 1", "formt = 1"), ('"train"', '"tran"'))
    found = small.sciflow("check", file)
    assert (found.returncode, found.stdout) == (2, "")
    assert f"{file}:1:1: " in found.stderr
    assert found.stderr.splitlines()[-1].endswith("faults")


def test_compile_prints_the_bundles_path_alone(tmp_path):
    found = small.sciflow("compile", small.write(tmp_path))
    assert found.stdout == f"{next((tmp_path / 'bundles').iterdir())}\n"


def test_check_says_how_many_points_each_sweep_has(tmp_path):
    found = small.sciflow("check", small.several(tmp_path))
    assert last(found) == "ok: 3 points, 7 steps"
    assert ("small-slow: 2 points\n" in found.stderr, "small-fast: 1 points\n" in found.stderr) == (True, True)


def test_compile_prints_the_path_of_each_sweeps_bundle(tmp_path):
    found = small.sciflow("compile", small.several(tmp_path))
    assert [Path(line).name.rpartition("-")[0] for line in found.stdout.splitlines()] == ["small-slow", "small-fast"]


def test_compile_of_one_sweep_prints_its_bundle_alone(tmp_path):
    found = small.sciflow("compile", small.several(tmp_path), "--sweep", "fast")
    assert [Path(line).name.rpartition("-")[0] for line in found.stdout.splitlines()] == ["small-fast"]


def test_compile_of_a_sweep_that_is_not_there_ends_with_code_2(tmp_path):
    found = small.sciflow("compile", small.several(tmp_path), "--sweep", "fine")
    assert (found.returncode, found.stdout) == (2, "")
    assert "has no sweep `fine`" in found.stderr


def test_run_of_a_file_of_several_sweeps_asks_which(tmp_path):
    found = small.sciflow("run", small.several(tmp_path), "--engine", "host")
    assert (found.returncode, found.stdout) == (2, "")
    assert "several sweeps, and one is wanted" in found.stderr


def test_run_of_one_of_several_sweeps_runs_it(tmp_path):
    found = small.sciflow("run", small.several(tmp_path), "--engine", "host", "--sweep", "fast")
    assert (found.returncode, Path(last(found)).parents[1].name.rpartition("-")[0]) == (0, "small-fast")


def test_compile_into_another_folder(tmp_path):
    found = small.sciflow("compile", small.write(tmp_path / "study"), "-o", tmp_path / "elsewhere")
    assert Path(last(found)).parent == tmp_path / "elsewhere"


def test_compile_says_what_changed_in_the_lock(tmp_path):
    file = small.write(tmp_path)
    small.sciflow("compile", file)
    (tmp_path / "t.py").write_text("other")
    assert "lock: code `t.py`: changed\n" in small.sciflow("compile", file, "--update").stderr


def test_compile_locked_refuses_changed_code_with_code_3(tmp_path):
    file = small.write(tmp_path)
    small.sciflow("compile", file)
    (tmp_path / "t.py").write_text("other")
    found = small.sciflow("compile", file, "--locked")
    assert (found.returncode, found.stdout, "code `t.py`: changed" in found.stderr) == (3, "", True)


def test_run_ends_with_the_runs_folder(tmp_path):
    found = small.sciflow("run", small.write(tmp_path), "--engine", "host", "-j", "1", "--run", "first")
    assert (found.returncode, Path(last(found)).name) == (0, "first")
    assert "nothing is isolated" in found.stderr


def test_run_of_what_fails_ends_with_code_5(tmp_path):
    file = small.write(tmp_path, ('"train", "{prepare.clean}"', '"train", "nowhere"'))
    assert small.sciflow("run", file, "--engine", "host").returncode == 5


def far_from_now():
    """Return a schedule that is closed for hours to come."""
    hour = (time.gmtime().tm_hour + 12) % 24
    return f'[schedule]\npolicy = "off-peak"\nhours = "{hour:02}:00-{(hour + 1) % 24:02}:00"\n\n[tasks.prepare]'


def test_run_outside_hours_does_nothing_and_ends_with_code_75(tmp_path):
    file = small.write(tmp_path, ("[tasks.prepare]", far_from_now()))
    found = small.sciflow("run", file, "--engine", "host")
    assert (found.returncode, "outside hours" in found.stderr) == (75, True)


def test_run_now_does_not_ask_for_the_hour(tmp_path):
    file = small.write(tmp_path, ("[tasks.prepare]", far_from_now()))
    assert small.sciflow("run", file, "--engine", "host", "--now").returncode == 0


def test_run_of_a_changed_bundle_ends_with_code_4(tmp_path):
    bundle = small.compiled(tmp_path)
    (bundle / "plan.json").write_text("{}")
    found = small.sciflow("run", bundle)
    assert (found.returncode, "plan.json" in found.stderr) == (4, True)


def test_run_of_some_tasks_runs_no_others(say, tmp_path):
    bundle = small.compiled(tmp_path)
    assert say("run", bundle, "--engine", "host", "--task", "prepare", "--quiet").returncode == 0
    assert last(say("status", bundle)) == "1 of 6 steps done"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--max-failures", "3"), 3),
        (("--max-failures", "0"), 0),
        (("--keep-going",), 0),
        (("--stop-at-failure",), 1),
        ((), None),
    ],
)
def test_how_many_failures_are_borne_is_told_to_the_runner(words, told, ran, inside, monkeypatch):
    from sciflow.runner import __main__ as runner

    heard = []
    popen = subprocess.Popen
    monkeypatch.setattr("subprocess.Popen", lambda line, **more: heard.append(line) or popen(line, **more))
    assert inside(ran, "run", str(ran), "--engine", "host", *words)[0] == 0
    (line,) = (line for line in heard if "__main__.py" in " ".join(line))
    assert runner.arguments(line[line.index("run") :]).max_failures == told


def test_collect_ends_with_the_table(ran, say):
    found = say("collect", ran)
    assert (found.returncode, Path(last(found)).name) == (0, "results.parquet")


def test_collect_of_what_has_not_run_ends_with_code_5(tmp_path):
    assert small.sciflow("collect", small.compiled(tmp_path)).returncode == 5


@pytest.mark.slow
def test_report_ends_with_a_page_that_names_the_bundle(ran, say):
    page = Path(last(say("report", ran)))
    assert api.verify(ran).id[:12] in page.read_text(encoding="utf-8")


def test_verify_says_who_sealed_it(ran, say):
    found = say("verify", ran)
    assert (found.returncode, last(found).endswith("sealed by default")) == (0, True)


def test_verify_of_a_changed_bundle_names_the_file_and_ends_with_code_4(tmp_path):
    bundle = small.compiled(tmp_path)
    (bundle / "code" / "t.py").write_text("other")
    found = small.sciflow("verify", bundle)
    assert (found.returncode, "code/t.py: has changed" in found.stdout) == (4, True)


def test_verify_of_a_strangers_bundle_ends_with_code_6(ran):
    assert small.sciflow("verify", ran).returncode == 6


def test_verify_takes_a_file_of_trusted_keys(ran, configuration):
    trusted = Path(configuration) / "sciflow" / "allowed_signers"
    assert small.sciflow("verify", ran, "--trust", trusted).returncode == 0


def test_replay_of_a_sound_study_ends_with_code_0(ran, say):
    found = say("replay", ran, "--sample", "2", "--engine", "host")
    assert (found.returncode, last(found).startswith("reproduced")) == (0, True)


def test_replay_that_differs_names_the_numbers_and_ends_with_code_1(tmp_path):
    bundle = api.compile(random_study(tmp_path)).path
    api.run(bundle, engine="host")
    found = small.sciflow("replay", bundle, "--engine", "host", "--point", "0")
    assert (found.returncode, last(found).startswith("not reproduced")) == (1, True)
    assert any("score: different" in line for line in found.stdout.splitlines())


def test_replay_of_a_strangers_bundle_ends_with_code_6(ran):
    found = small.sciflow("replay", ran, "--engine", "host")
    assert (found.returncode, found.stdout) == (6, "")


def test_fetch_says_which_engine_is_ready_where_there_is_nothing_to_carry(ran, say):
    assert last(say("fetch", ran, "--engine", "host")) == "ready for host"


def test_fetch_makes_a_thin_bundle_fat_and_says_what_it_carries(tmp_path):
    bundle = small.with_image(tmp_path)
    found = small.sciflow("fetch", bundle, "--json")
    (carried,) = json.loads(found.stdout)["carried"]
    assert (carried["size"], carried["new"], carried["engines"][0]) == (100, True, "apptainer")
    assert (bundle / "carried" / "sha256" / carried["digest"][7:]).is_file()
    assert found.stderr.startswith(f"carrying {carried['digest']} for apptainer")


def test_fetch_ends_with_the_bundle_that_is_fat_now(tmp_path):
    bundle = small.with_image(tmp_path)
    assert last(small.sciflow("fetch", bundle)) == str(bundle)


def test_fetch_of_what_cannot_be_had_ends_with_code_3_and_says_where_it_was_looked_for(tmp_path):
    bundle = small.with_image(tmp_path / "study")
    found = small.sciflow("fetch", bundle, SCIFLOW_CACHE=tmp_path / "empty")
    assert (found.returncode, found.stdout) == (3, "")
    assert f"there is no `{bundle}/carried/sha256/" in found.stderr
    assert f"no `{tmp_path}/empty/sha256/" in found.stderr


def test_doctor_ends_with_what_works():
    found = small.sciflow("doctor")
    assert (found.returncode, "host" in last(found)) == (0, True)


def test_doctor_tries_every_engine_and_the_host_always_works():
    parts = {part["part"]: part["works"] for part in json.loads(small.sciflow("doctor", "--json").stdout)["parts"]}
    assert parts["host"]
    assert {"apptainer", "docker"} <= set(parts)


def test_schema_prints_the_schema():
    assert json.loads(small.sciflow("schema").stdout) == json.loads(api.schema())


@pytest.mark.parametrize(
    "words",
    [
        ("check", "{file}"),
        ("compile", "{file}"),
        ("run", "{ran}", "--engine", "host"),
        ("status", "{ran}"),
        ("logs", "{ran}", "train/0"),
        ("why", "{ran}", "train/0"),
        ("cancel", "{ran}", "--run", "none"),
        ("collect", "{ran}"),
        ("verify", "{ran}"),
        ("replay", "{ran}", "--point", "0", "--engine", "host"),
        ("fetch", "{ran}", "--engine", "host"),
        ("doctor",),
        ("schema",),
        ("init", "{folder}/new"),
    ],
    ids=lambda words: words[0],
)
def test_every_command_answers_a_program_with_one_object(words, ran, say, tmp_path):
    places = {"file": small.write(tmp_path / "study"), "ran": ran, "folder": tmp_path}
    found = say(*(word.format(**places) for word in words), "--json")
    assert found.returncode == 0, found.stderr
    assert isinstance(json.loads(found.stdout), dict)


def test_quiet_leaves_stderr_empty(tmp_path):
    assert small.sciflow("compile", small.write(tmp_path), "--quiet").stderr == ""


def test_a_refusal_is_one_object_for_a_program_too(tmp_path):
    found = small.sciflow("check", small.write(tmp_path, ("format = 1", "formt = 1")), "--json")
    told = json.loads(found.stdout)
    assert (found.returncode, told["code"]) == (2, 2)
    assert {"file", "line", "column", "text", "hint"} == set(told["faults"][0])


BAD = [
    ((), 2),
    (("nothing",), 2),
    (("--nothing",), 2),
    (("check",), 2),
    (("check", "nowhere.toml"), 2),
    (("check", "{folder}"), 2),
    (("check", "{ran}/plan.json"), 2),
    (("check", "/dev/null"), 2),
    (("check", "{ran}/points.idx"), 2),
    (("check", "x" * 300), 3),
    (("compile", "{file}", "--locked", "--update"), 2),
    (("compile", "{file}", "--key", "nobody"), 3),
    (("compile", "{file}", "--key", "/dev/null"), 3),
    (("compile", "{file}", "-o", "/proc/nowhere"), 3),
    (("compile", "{file}", "-o", "{file}"), 2),
    (("compile", "{file}", "--sweep"), 2),
    (("run", "nowhere"), 2),
    (("run", "{folder}"), 2),
    (("run", "{ran}", "--engine", "steam"), 3),
    (("run", "{ran}", "-j", "0"), 2),
    (("run", "{ran}", "-j", "many"), 2),
    (("run", "{ran}", "--run", "a/b", "--engine", "host"), 2),
    (("run", "{ran}", "--run", "x" * 300, "--engine", "host"), 2),
    (("run", "{ran}", "--point", "99", "--engine", "host"), 2),
    (("run", "{ran}", "--point", "-1"), 2),
    (("run", "{ran}", "--task", "tran", "--engine", "host"), 2),
    (("run", "{ran}", "--step", "train/99", "--engine", "host"), 2),
    (("run", "{ran}", "--max-failures", "-1"), 2),
    (("run", "{ran}", "--max-failures", "3", "--keep-going"), 2),
    (("status", "nowhere"), 2),
    (("status", "{file}"), 2),
    (("status", "{ran}", "--run", ".."), 2),
    (("logs", "{ran}", "train/99"), 2),
    (("logs", "{ran}", "/"), 2),
    (("logs", "{ran}", "--raw"), 2),
    (("logs", "{ran}", "--follow"), 2),
    (("logs", "{ran}", "train/0", "--follow", "--json"), 2),
    (("logs", "{ran}", "train/0", "--raw", "--json"), 2),
    (("logs", "{ran}", "train/0", "--stream", "stdin"), 2),
    (("why", "{ran}"), 2),
    (("why", "{ran}", "train/99"), 2),
    (("why", "nowhere", "train/0"), 2),
    (("cancel", "nowhere"), 2),
    (("cancel", "{ran}", "--run", ".."), 2),
    (("collect", "{ran}", "--run", "nowhere"), 5),
    (("report", "{folder}"), 2),
    (("verify", "nowhere"), 3),
    (("verify", "{ran}", "--trust", "nowhere"), 3),
    (("verify", "{ran}", "--trust", "/bin/sh"), 3),
    (("verify", "{folder}"), 4),
    (("replay", "{ran}", "--sample", "2", "--point", "1"), 2),
    (("replay", "{ran}", "--sample", "0"), 2),
    (("replay", "{ran}", "--point", "99", "--engine", "host"), 2),
    (("replay", "{ran}", "--run", "nowhere"), 5),
    (("fetch", "{ran}", "--engine", "steam"), 3),
    (("schema", "../nothing"), 2),
    (("key", "new", "a b"), 2),
]


@pytest.mark.parametrize(("words", "code"), BAD, ids=[" ".join(words)[:60] for words, _ in BAD])
def test_bad_words_end_with_their_code_and_no_traceback(words, code, ran, inside, tmp_path):
    (tmp_path / "empty").mkdir()
    places = {"file": small.write(tmp_path / "study"), "ran": ran, "folder": tmp_path / "empty"}
    found, told = inside(tmp_path / "empty", *(word.format(**places) for word in words))
    assert told.strip()
    assert "Traceback" not in told
    assert (found, list((tmp_path / "empty").iterdir())) == (code, [])


def test_a_reader_that_leaves_is_no_fault(ran, configuration):
    line = f'"{sys.executable}" -m sciflow schema | head -c 1'
    found = subprocess.run(["/bin/bash", "-c", f"set -o pipefail; {line}"], capture_output=True, text=True, check=False)
    assert (found.stdout, found.stderr) == ("{", "")


def test_a_disk_that_refuses_is_the_surroundings_fault(tmp_path):
    bundle = small.ran(tmp_path)
    (bundle / "runs" / "main" / "results.csv").mkdir()
    found = small.sciflow("collect", bundle)
    assert (found.returncode, "Traceback" in found.stderr) == (3, False)


def test_run_refuses_a_step_too_large_and_runs_it_degraded_when_told(say, tmp_path):
    bundle = small.compiled(tmp_path, ("[tasks.total]\n", "[tasks.total]\nresources = { cpus = 4096 }\n"))
    refused = say("run", bundle, "--engine", "host")
    assert (refused.returncode, "cannot run on this machine" in refused.stderr) == (3, True)
    degraded = say("run", bundle, "--engine", "host", "--degrade")
    assert (degraded.returncode, "less is here than was asked for" in degraded.stderr) == (0, True)
