"""Whole small sweeps, by real processes: what is run, what is skipped, what is done again."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sciflow import runner
from sciflow.runner import journal
from tests.runner.conftest import NOW, studies, task

TRAIN = """\
import json, sys
x = float(sys.argv[1])
with open(sys.argv[2]) as stream:
    base = float(stream.read())
with open(sys.argv[3], "w") as stream:
    stream.write("%r\\n" % (x + base))
with open("metrics.json", "w") as stream:
    json.dump({"y": x * x}, stream)
print("trained", x)
"""
ROWS = [{"x": float(x)} for x in (1, 2, 3)]
CHAIN = [
    task("prepare", "echo 10 > base.txt", outputs={"base": "base.txt"}),
    task(
        "train",
        [
            sys.executable,
            "-S",
            "train.py",
            [{"parameter": "x"}],
            [{"upstream": ["prepare", "base"]}],
            [{"output": "model"}],
        ],
        uses=["x"],
        needs=["prepare"],
        outputs={"model": "out/model.txt"},
        metrics="metrics.json",
    ),
    task(
        "summary",
        ["wc -l < ", {"records": "train"}, " > n.txt"],
        needs=["train"],
        gather="train",
        outputs={"n": "n.txt"},
    ),
]


def chain(study):
    return study(CHAIN, ROWS, code={"train.py": TRAIN})


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Run the whole sweep once, for the tests that only look at what it left."""
    making = studies(tmp_path_factory.mktemp("ran"))
    found = chain(next(making))
    found.run()
    yield found
    next(making, None)


def test_a_sweep_leaves_the_outputs_its_tasks_declare(ran):
    assert [ran.output("train", step, "model") for step in range(3)] == ["11.0\n", "12.0\n", "13.0\n"]


def test_a_sweep_puts_its_metrics_on_record(ran):
    assert [ran.settled()["train", step]["metrics"] for step in range(3)] == [{"y": 1.0}, {"y": 4.0}, {"y": 9.0}]


def test_a_step_that_points_share_runs_once(ran):
    assert ran.attempts()["prepare", 0] == 1


def test_a_gathering_step_reads_one_line_a_step(ran):
    assert ran.output("summary", 0, "n").strip() == "3"


def test_what_a_step_prints_is_on_record(ran):
    assert ran.settled()["train", 1]["stdout"] == "trained 2.0\n"


def test_nothing_but_segments_and_outputs_is_left(ran):
    assert listed(ran.run_folder) == ["outputs", "segments"]


def test_the_bundle_still_verifies_after_a_run(study, trust):
    found = chain(study)
    found.run()
    found.run("status", env={**os.environ, "SCIFLOW_TRUST": trust(found.key)})


def test_starting_again_does_nothing_new(study):
    found = chain(study)
    found.run()
    before = found.records()
    found.run()
    assert found.records() == before


def test_starting_again_after_a_failure_does_nothing_new(study):
    found = failing(study)
    found.run(code=5)
    before = found.records()
    found.run(code=5)
    assert found.records() == before


def test_status_counts_what_is_on_record(study):
    found = failing(study)
    found.run(code=5)
    assert '"skipped": 1' in found.run("status").stdout


def failing(study, gate="/nowhere"):
    """Compile a sweep of two points, the second of which fails until a file appears; another task needs each."""
    first = task(
        "first",
        ["[ ", {"parameter": "x"}, f" = 1 ] || [ -e {gate} ] && echo x > o.txt"],
        uses=["x"],
        outputs={"o": "o.txt"},
    )
    second = task(
        "second",
        ["cat ", {"upstream": ["first", "o"]}, " > p.txt"],
        uses=["x"],
        needs=["first"],
        outputs={"p": "p.txt"},
    )
    return study([first, second], [{"x": 1}, {"x": 2}])


def test_a_failed_step_fails_only_what_needs_it(study):
    found = failing(study)
    found.run(code=5)
    assert found.states() == {
        ("first", 0): "done",
        ("first", 1): "failed",
        ("second", 0): "done",
        ("second", 1): "skipped",
    }


def test_a_skipped_step_says_for_want_of_what(study):
    found = failing(study)
    found.run(code=5)
    assert found.settled()["second", 1]["reason"] == "what it needs, first/1, did not succeed"


def test_failed_steps_run_again_when_asked(study, tmp_path):
    found = failing(study, tmp_path / "gate")
    found.run(code=5)
    (tmp_path / "gate").touch()
    found.run("run", "--failed")
    assert set(found.states().values()) == {"done"}


def test_what_was_done_is_not_run_again_with_the_failed(study, tmp_path):
    found = failing(study, tmp_path / "gate")
    found.run(code=5)
    (tmp_path / "gate").touch()
    found.run("run", "--failed")
    assert found.attempts() == {("first", 0): 1, ("first", 1): 2, ("second", 0): 1, ("second", 1): 1}


def test_only_what_a_point_needs_is_run(study):
    found = chain(study)
    found.run("run", "--point", "1")
    assert found.states() == {("prepare", 0): "done", ("train", 1): "done"}


def test_a_point_that_is_not_there_is_named(study):
    assert "points 0 to 2" in chain(study).run("run", "--point", "7", code=2).stderr


def test_a_run_of_another_name_stands_beside(study):
    found = chain(study)
    found.run("run", "--run", "second")
    assert listed(found.path / "runs") == ["second"]


def test_a_run_s_name_is_no_path(study):
    assert "one plain word" in chain(study).run("run", "--run", "../x", code=2).stderr


def test_an_unknown_engine_is_named(study):
    assert "`nosuch`" in chain(study).run("run", "--engine", "nosuch", code=3).stderr


def test_a_step_too_large_for_this_machine_is_named(study):
    found = study([task("big", "true", resources={"cpus": 4096})])
    assert "cpus 4096" in found.run(code=3).stderr


def closed_now():
    """Return a schedule that opens for five minutes, twelve hours from now."""
    minute = (time.gmtime().tm_hour * 60 + time.gmtime().tm_min + 720) % 1440
    return {
        "policy": "off-peak",
        "opens": minute,
        "closes": (minute + 5) % 1440,
        "weekends": False,
        "max_wait_s": 0,
        "hard": False,
        "timezone": "UTC",
        "transitions": [[0, 0]],
    }


def test_outside_hours_nothing_is_done(study):
    found = study([task("a", "true")], schedule=closed_now())
    assert "outside hours" in found.run(code=75).stderr


def test_now_starts_whatever_the_hour(study):
    found = study([task("a", "true")], schedule=closed_now())
    found.run("run", "--now")
    assert found.states() == {("a", 0): "done"}


# ---- What the bundle is, and who reads it


def test_a_changed_bundle_is_not_run(study):
    found = chain(study)
    (found.path / "code" / "train.py").write_text("print('other')\n")
    assert "code/train.py: has changed" in found.run(code=4).stderr
    assert not (found.path / "runs").exists()


@pytest.mark.parametrize(
    "place", ["runner/json.py", "json.py", "runner/argparse.py", "runner/__pycache__/names.cpython-311.pyc"]
)
def test_a_planted_module_is_refused_and_not_imported(study, tmp_path, place):
    found = chain(study)
    (found.path / place).parent.mkdir(exist_ok=True)
    (found.path / place).write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()\n")
    assert f"{place}: is not in the manifest" in found.run(code=4, cwd=found.path).stderr
    assert not (tmp_path / "imported").exists()


def test_a_bundle_nobody_trusted_sealed_is_not_run_where_trust_is_asked_for(study, trust, tmp_path):
    found = chain(study)
    file = trust(found.key, options='namespaces="git"')
    assert "untrusted" in found.run(code=6, env={**os.environ, "SCIFLOW_TRUST": file}).stderr


def test_a_malformed_trust_file_is_named(study, tmp_path):
    (tmp_path / "trust").write_text("nonsense\n")
    said = chain(study).run(code=3, env={**os.environ, "SCIFLOW_TRUST": str(tmp_path / "trust")}).stderr
    assert "line 1" in said


def test_a_bent_segment_is_named(study):
    found = chain(study)
    found.run()
    (segment,) = (found.run_folder / "segments").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"done", b"gone")
    segment.write_bytes(b"".join(lines))
    segment.with_suffix(".idx").unlink()  # which tells of lines that need not be read again
    assert f"segments/{segment.name}: the line at byte {len(lines[0])}" in found.run(code=4).stderr


def test_each_python_runs_a_sweep_without_site_packages(study, interpreter):
    found = chain(study)
    found.run(python=interpreter)
    assert [found.output("train", step, "model") for step in range(3)] == ["11.0\n", "12.0\n", "13.0\n"]


def test_each_python_runs_a_sweep_without_a_locale(study, interpreter):
    words = ["printf %s ", {"parameter": "x"}, " > 'é.txt'"]
    found = study([task("a", words, uses=["x"], outputs={"o": "é.txt"})], [{"x": "å漢"}], code={"ü.txt": "u\n"})
    found.run(python=interpreter, env={"PATH": os.environ["PATH"], "LC_ALL": "C"})
    assert found.output("a", 0, "o") == "å漢"


def test_the_words_say_what_they_are_for():
    main = Path(runner.__file__).parent / "__main__.py"
    found = subprocess.run([sys.executable, "-I", str(main), "--help"], capture_output=True, text=True, check=False)
    assert found.returncode == 0
    assert all(verb in found.stdout for verb in ("run", "round", "element", "status"))


def test_a_run_writes_no_bytecode_however_python_was_started(study):
    found = study([task("a", "true")])
    words = [sys.executable, "-I", str(found.path / "runner" / "__main__.py"), "run"]
    subprocess.run(words, capture_output=True, check=True)
    assert not list(found.path.glob("**/__pycache__"))


GREEDY = task("greedy", "true", resources={"cpus": 4096, "gpus": 64})


def test_a_step_too_large_for_this_machine_is_refused_with_what_is_here(study):
    made = study([GREEDY])
    assert "cannot run on this machine" in made.run("run", code=3).stderr
    assert not made.run_folder.exists()


def test_a_step_too_large_runs_degraded_when_asked_and_is_told_once(study):
    made = study([GREEDY])
    said = made.run("run", "-j", "1", "--degrade").stderr
    assert said.count("less is here than was asked for") == 1
    assert made.states() == {("greedy", 0): "done"}


def test_what_ran_degraded_is_on_record(study):
    made = study([GREEDY, task("modest", "true")])
    made.run("run", "-j", "1", "--degrade", env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    (worker,) = [record for record in made.records() if "facts" in record]
    assert worker["degraded"] == {"greedy": {"cpus": [4096, 1], "gpus": [64, 0]}}


def test_nothing_is_said_of_a_worker_that_had_what_was_asked(study):
    made = study([task("modest", "true")])
    made.run("run", "--degrade")
    (worker,) = [record for record in made.records() if "facts" in record]
    assert not {"degraded", "outside_hours"} & set(worker)


def test_a_start_outside_hours_is_on_record(study):
    opens = (int(time.time()) // 60 + 120) % 1440
    closed = {**NOW, "policy": "off-peak", "opens": opens, "closes": (opens + 60) % 1440, "transitions": [[0, 0]]}
    made = study([task("modest", "true")], schedule=closed)
    made.run("run", "--now")
    (worker,) = [record for record in made.records() if "facts" in record]
    assert worker["outside_hours"] is True


def test_a_wait_counts_from_the_first_launch_and_ends_when_it_may(study):
    found = study([task("a", "true")], schedule={**closed_now(), "max_wait_s": 3600})
    found.run(code=75)
    first = found.run_folder / "launched.json"
    launched = json.loads(first.read_text())["time"]
    first.write_text(json.dumps({"time": launched - 3600}))
    found.run()
    assert found.states() == {("a", 0): "done"}


def test_an_element_may_be_told_which_one_it_is(study):
    found = study([task("a", "true", uses=["x"])], [{"x": 1}, {"x": 2}, {"x": 3}])
    state = {"arrays": [{"first": 0, "elements": 3, "needs": {"minutes": 9, "lead_s": 90, "time_s": 60}}]}
    journal.claim(str(found.run_folder), 1, state, [{"a": [[step, step]]} for step in range(3)])
    settings = {name: value for name, value in os.environ.items() if name != "SLURM_ARRAY_TASK_ID"}
    found.run("element", "--round", "1", "--array", "0", "--index", "2", "-j", "1", env=settings)
    assert found.states() == {("a", 2): "done"}


def test_a_step_of_several_ranks_is_refused_before_the_first_step_also_degraded(study):
    spread = {"nodes": 2, "ranks": 4, "mpi": ""}
    found = study([task("a", "true"), task("cfd", "true", resources=spread)])
    for more in ((), ("--degrade",)):
        said = found.run("run", *more, code=3).stderr
        assert "a step of `cfd` is 4 ranks on 2 nodes, which Slurm alone starts: submit it there" in said
    assert found.records() == []
    found.run("run", "--task", "a")
    assert found.states() == {("a", 0): "done"}
