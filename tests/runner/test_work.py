"""What becomes of a step: by its end, by what it leaves, by what it is given; through each of the two loops."""

import json
import os
import shlex
import signal
import sys
import time

import pytest

from sciflow.bundle.seal import seal
from sciflow.plan.commit import Commit
from tests.runner.conftest import HOST, boxed, studies, task

HOSTILE = {
    "quotes": 'it\'s "quoted" `here`',
    "shell": "$(touch planted) ${HOME} $PATH; rm -rf x && y | z > w & #",
    "spaces": "  two  \t tabs\tand\nnew\n\nlines\n",
    "backslashes": "\\n \\t \\\\ \\",
    "unicode": "å 漢字 \U0001f600 \u202e",
    "glob": "* ? [a-z] ~ {a,b} !",
    "option": "-n --help -- -",
    "carriage": "a\rb\x0b\x7f\x1b[31m",
    "empty": "",
}


def one(study, words, boxes=(HOST,), code=5, **more):
    """Run a sweep of one step; return the study."""
    found = study([task("a", words, **more)], boxes=boxes)
    found.run(code=code)
    return found


def ended(study, words, **more):
    """Run a sweep of one step that does not succeed; return its (state, reason)."""
    record = one(study, words, **more).settled()["a", 0]
    return record["state"], record["reason"]


@pytest.fixture(scope="module", autouse=True)
def stubborn(tmp_path_factory):
    """Stop a runner whose step ignores it: begun before all else here, for the grace of ten seconds to pass meanwhile."""
    folder = tmp_path_factory.mktemp("stubborn")
    making = studies(folder)
    found = next(making)([task("a", f"trap '' TERM; touch '{folder}/mark'; while :; do sleep 0.1; done")])
    process = found.start()
    while not (folder / "mark").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    yield found, process
    next(making, None)


# ---- How a step may end


def test_a_step_that_ends_well_is_done(study, loop_box):
    record = one(study, "true", [loop_box], code=0).settled()["a", 0]
    assert (record["state"], record["code"], record["signal"], record["reason"]) == ("done", 0, None, "")


def test_an_exit_code_is_on_record(study, loop_box):
    record = one(study, "exit 3", [loop_box]).settled()["a", 0]
    assert (record["state"], record["code"], record["reason"]) == ("failed", 3, "exit code 3")


def test_a_signal_is_on_record(study, loop_box):
    record = one(study, "kill -9 $$", [loop_box]).settled()["a", 0]
    assert (record["state"], record["signal"], record["reason"]) == ("failed", 9, "signal 9")


def test_a_program_that_is_not_there_is_named(study, loop_box):
    record = one(study, ["no-such-program"], [loop_box]).settled()["a", 0]
    assert record["code"] == 127
    assert "no-such-program" in record["stderr"]


def test_a_step_whose_folder_the_box_does_not_see_is_the_surroundings_fault(study, loop_box):
    found = one(study, "true", [{**loop_box, "paths": {**loop_box["paths"], "work": "/nowhere"}}], code=3)
    record = found.settled()["a", 0]
    assert (record["state"], record["code"]) == ("node", None)
    assert record["reason"].startswith("the box could not start it: ")


def test_a_step_that_takes_too_long_is_ended(study, loop_box):
    begin = time.monotonic()
    found = one(study, "sleep 60", [loop_box], resources={"time_s": 1})
    record = found.settled()["a", 0]
    assert (record["state"], record["reason"]) == ("time", "time limit of 1 s")
    assert time.monotonic() - begin < 8


def test_times_are_on_record(study, loop_box):
    spin = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"
    record = one(study, spin, [loop_box], code=0).settled()["a", 0]
    assert 0.02 < record["user_s"] <= record["wall_s"] + 0.02


def test_peak_memory_is_on_record(study):
    record = one(study, [sys.executable, "-S", "-c", "x = b'x' * (64 << 20)"], code=0).settled()["a", 0]
    assert 64 < record["peak_mib"] < 128


def test_what_a_step_leaves_running_is_ended(study, tmp_path, alive):
    one(study, f"sleep 3600{tmp_path.name[-1]} '{tmp_path}' & (sh -c 'sleep 60; : {tmp_path}' &) ; true", code=0)
    assert alive(tmp_path) == 0


def test_the_steps_of_a_worker_share_one_box(study):
    found = study([task("a", ["echo ", {"parameter": "x"}], uses=["x"])], [{"x": x} for x in range(5)])
    found.run()
    assert len([record for record in found.records() if "facts" in record]) == 1


def test_a_box_that_does_not_open_is_a_fault_of_the_surroundings(study):
    broken = {**HOST, "engine": "broken", "enter": ["sh", "-c", "echo no such image >&2; exit 1", "x"]}
    found = study([task("a", "true")], boxes=[broken])
    assert "the box does not open in broken: no such image" in found.run(code=3).stderr


def test_a_box_that_is_lost_puts_its_steps_on_record(study):
    kill = [sys.executable, "-S", "-c", "import os; os.kill(os.getppid(), 9)"]
    found = study([task("a", kill)])
    assert "the box was lost" in found.run(code=3).stderr
    assert found.states() == {("a", 0): "node"}


def test_after_a_lost_box_nothing_is_left_in_the_work_folder(study):
    found = study([task("a", [sys.executable, "-S", "-c", "import os; os.kill(os.getppid(), 9)"])])
    found.run(code=3)
    assert not (found.run_folder / "work").exists()


# ---- What a step leaves


def test_an_output_that_is_missing_is_a_failure(study):
    assert ended(study, "true", outputs={"o": "o.txt"}) == ("failed", "`o.txt` was not written")


@pytest.mark.parametrize("words", ["ln -s /etc/hostname o.txt", "mkdir o.txt", "mkfifo o.txt"])
def test_an_output_that_is_no_file_is_a_failure(study, words):
    assert ended(study, words, outputs={"o": "o.txt"}) == (
        "failed",
        "`o.txt` is not a regular file in the step's folder",
    )


def test_an_output_through_a_linked_folder_is_a_failure(study, tmp_path):
    (tmp_path / "o.txt").write_text("not the step's")
    assert ended(study, f"rmdir d && ln -s '{tmp_path}' d", outputs={"o": "d/o.txt"})[0] == "failed"
    assert (tmp_path / "o.txt").exists()


def test_an_output_through_a_linked_working_folder_is_a_failure(study, tmp_path):
    (tmp_path / "o.txt").write_text("not the step's")
    words = f'here=$PWD; cd /; rm -r "$here"; ln -s \'{tmp_path}\' "$here"'
    assert ended(study, words, outputs={"o": "o.txt"})[0] == "failed"
    assert (tmp_path / "o.txt").exists()


def test_of_a_failed_step_nothing_is_published(study):
    found = one(study, "echo x > o.txt; exit 1", outputs={"o": "o.txt"})
    assert not list((found.run_folder / "outputs").glob("**/o.txt"))


def test_an_output_is_on_record_with_digest_and_size(study):
    found = one(study, "printf abc > o.txt", code=0, outputs={"o": "o.txt"})
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert found.settled()["a", 0]["outputs"] == {"o": {"path": "o.txt", "sha256": sha256, "size": 3}}


def test_metrics_that_cannot_be_read_are_a_failure(study):
    state, reason = ended(study, ["/bin/sh", "-c", "echo '{\"a\": 1' > m.json"], metrics="m.json")
    assert (state, reason.split(":")[0]) == ("failed", "the metrics file `m.json` is not JSON")


def test_metrics_that_are_no_number_are_nothing(study):
    text = '{"a": NaN, "b": Infinity, "c": 1e999, "d": -1.5, "e": "x", "f": true, "g": null, "h": 3}'
    found = one(study, ["/bin/sh", "-c", f"echo '{text}' > m.json"], code=0, metrics="m.json")
    wanted = {"a": None, "b": None, "c": None, "d": -1.5, "e": "x", "f": True, "g": None, "h": 3}
    assert found.settled()["a", 0]["metrics"] == wanted


def test_a_long_log_keeps_its_head_and_tail(study):
    words = [sys.executable, "-S", "-c", "print('head'); print('x' * (10 << 20)); print('tail')"]
    log = one(study, words, code=0).settled()["a", 0]["stdout"]
    assert (log[:4], log[-5:], len(log) < 20000) == ("head", "tail\n", True)
    assert f"{(10 << 20) + 11 - 16384} bytes left out" in log


def test_a_log_that_is_no_text_is_kept_as_far_as_it_is(study):
    assert one(study, ["/bin/sh", "-c", "printf 'a\\377b\\000c'"], code=0).settled()["a", 0]["stdout"] == "a\ufffdb\0c"


def test_what_is_said_on_standard_error_is_kept_apart(study, loop_box):
    record = one(study, "echo out; echo err >&2", [loop_box], code=0).settled()["a", 0]
    assert (record["stdout"], record["stderr"]) == ("out\n", "err\n")


# ---- What a step is given


@pytest.mark.parametrize("loop_box", ["sh"], indirect=True)
def test_a_step_that_shares_a_box_s_tmp_is_told_of_a_folder_of_its_own(study, loop_box):
    found = one(study, 'echo "$TMPDIR"; pwd', [{**loop_box, "isolation": "container"}], code=0)
    (worker,) = [record for record in found.records() if "facts" in record]
    told, folder = found.settled()["a", 0]["stdout"].splitlines()
    assert (told, worker["box"]["tmp"]) == (folder, "shared")


def test_outside_of_containers_a_step_s_own_folder_is_not_handed_out_for_sockets(study):
    assert one(study, 'echo "$TMPDIR"', code=0).settled()["a", 0]["stdout"] == "\n"


def printed(study, loop_box, entry):
    """Run a step for each hostile value; return what each printed, by the value's name."""
    found = study([{**entry, "uses": ["x"]}], [{"x": value} for value in HOSTILE.values()], boxes=[loop_box])
    found.run()
    settled = found.settled()
    return {name: settled["a", step]["stdout"] for step, name in enumerate(HOSTILE)}


def test_an_argument_arrives_as_it_was_written(study, loop_box):
    entry = task("a", ["printf", "%s|", [{"parameter": "x"}], ["<", {"parameter": "x"}, ">"]])
    assert printed(study, loop_box, entry) == {name: f"{value}|<{value}>|" for name, value in HOSTILE.items()}


def test_a_value_in_a_shell_text_is_one_word(study, loop_box):
    entry = task("a", ["printf '%s|' ", {"parameter": "x"}, " end"])
    assert printed(study, loop_box, entry) == {name: f"{value}|end|" for name, value in HOSTILE.items()}


def test_an_environment_arrives_as_it_was_written(study, loop_box):
    everything = "".join(HOSTILE.values())
    found = study(
        [
            task("a", ["printf", "%s", "x"], environment={"TOLD": everything}),
            task("b", 'printf %s "$TOLD"', environment={"TOLD": everything}),
        ],
        boxes=[loop_box],
    )
    found.run()
    assert found.settled()["b", 0]["stdout"] == everything


def test_a_folder_of_spaces_and_quotes_does_no_harm(study, loop_box, tmp_path):
    found = study([task("a", "pwd > o.txt; cat o.txt", outputs={"o": "o.txt"})], boxes=[loop_box])
    odd = tmp_path / 'it\'s a "$HOME" folder é'
    odd.mkdir()
    found.path.rename(odd / found.path.name)
    moved = type(found)(path=odd / found.path.name, plan=found.plan, key=found.key, started=[])
    moved.run()
    assert moved.states() == {("a", 0): "done"}


def test_numbers_are_written_so_that_they_read_back(study):
    rows = [{"i": 2**53 + 1, "f": 0.1 + 0.2, "w": 1.0, "b": True}]
    words = [["printf", "x"][0], "%s ", *[[{"parameter": name}] for name in "ifwb"]]
    found = study([task("a", words, uses=list("ifwb"))], rows)
    found.run()
    assert found.settled()["a", 0]["stdout"] == "9007199254740993 0.30000000000000004 1.0 true "


def test_nothing_of_the_caller_s_environment_gets_in(study):
    found = study([task("a", "env")])
    found.run(env={**os.environ, "SECRET": "s3cret", "LD_PRELOAD_": "x", "PYTHONPATH": "/x"})
    names = {line.split("=")[0] for line in found.settled()["a", 0]["stdout"].splitlines()}
    assert not names & {"SECRET", "LD_PRELOAD_", "PYTHONPATH", "USER", "XDG_CONFIG_HOME"}


def test_a_step_sees_the_same_surroundings_everywhere(study):
    text = one(
        study, "echo $TZ $LANG $PYTHONHASHSEED $OMP_NUM_THREADS $SCIFLOW_CPUS; [ $HOME = $PWD ] && umask", code=0
    )
    assert text.settled()["a", 0]["stdout"] == "UTC C.UTF-8 0 1 1\n0022\n"


def test_a_step_may_use_as_many_threads_as_it_has_cores(study):
    found = study([task("a", "echo $OMP_NUM_THREADS", resources={"cpus": 2})])
    found.run("run", "-j", "2")
    assert found.settled()["a", 0]["stdout"] == "2\n"


def test_parameters_stand_in_a_file(study):
    found = study([task("a", "cat $SCIFLOW_PARAMETERS", uses=["x"])], [{"x": 1.0, "y": 2}])
    found.run()
    assert json.loads(found.settled()["a", 0]["stdout"]) == {"x": 1.0}


def test_a_link_laid_over_a_later_step_s_parameters_is_not_written_through(study, tmp_path):
    (tmp_path / "kept").write_text("kept")
    words = [f"ln -sf '{tmp_path}/kept' $SCIFLOW_PARAMETERS; true ", {"parameter": "x"}]
    found = study([task("a", words, uses=["x"])], [{"x": 1}, {"x": 2}])
    found.run("run", "-j", "1")
    assert (tmp_path / "kept").read_text() == "kept"


def test_a_link_laid_over_a_log_is_not_read(study, tmp_path):
    (tmp_path / "secret").write_text("secret")
    found = one(study, f"rm ../0.out; ln -s '{tmp_path}/secret' ../0.out", code=0)
    assert "secret" not in found.settled()["a", 0]["stdout"]


def test_a_seed_is_the_same_in_text_and_environment(study):
    found = study([task("a", ["[ ", {"seed": ""}, " = $SCIFLOW_SEED ]"], uses=["x"])], [{"x": 1}, {"x": 2}])
    found.run()
    assert set(found.states().values()) == {"done"}


def test_a_point_is_the_first_that_calls_for_the_step(study):
    found = study([task("a", ["echo ", {"point": ""}], uses=["x"])], [{"x": 1}, {"x": 1}, {"x": 2}])
    found.run()
    assert found.settled()["a", 1]["stdout"] == "2\n"


def test_an_input_is_found(study):
    found = study([task("a", ["cat ", {"input": "data"}])], inputs={"data.csv": "1,2\n"})
    found.run()
    assert found.settled()["a", 0]["stdout"] == "1,2\n"


def test_code_stands_in_the_working_folder(study, loop_box):
    found = study([task("a", "cat sub/c.txt")], code={"sub/c.txt": "code\n"}, boxes=[loop_box])
    found.run()
    assert found.settled()["a", 0]["stdout"] == "code\n"


def test_a_gathered_table_holds_parameters_metrics_and_outputs(study):
    train = task(
        "t",
        ["echo '{\"m\": 1.5}' > m.json; echo ", {"parameter": "x"}, " > o.txt"],
        uses=["x"],
        metrics="m.json",
        outputs={"o": "o.txt"},
    )
    found = study([train, task("g", ["cat ", {"records": "t"}], needs=["t"], gather="t")], [{"x": 1}, {"x": 2}])
    found.run()
    lines = [json.loads(line) for line in found.settled()["g", 0]["stdout"].splitlines()]
    assert [(line["step"], line["parameters"], line["metrics"], list(line["outputs"])) for line in lines] == [
        (0, {"x": 1}, {"m": 1.5}, ["o"]),
        (1, {"x": 2}, {"m": 1.5}, ["o"]),
    ]


def test_no_more_runs_at_once_than_there_are_cores(study, tmp_path):
    log = shlex.quote(str(tmp_path / "log"))
    words = [f"echo + >> {log}; sleep 0.1; echo - >> {log} # ", {"parameter": "x"}]
    found = study([task("a", words, uses=["x"])], [{"x": x} for x in range(6)])
    found.run("run", "-j", "2")
    running = most = 0
    for line in (tmp_path / "log").read_text().split():
        running += 1 if line == "+" else -1
        most = max(most, running)
    assert most == 2


# ---- What outlives attempts


CHECKPOINT = {"path": "ckpt", "signal": 10, "before_s": 30}


def test_a_box_may_write_to_the_checkpoints_of_the_run(study, tmp_path):
    box = boxed(tmp_path / "box")
    inside = shlex.quote(box["paths"]["checkpoints"])
    found = one(study, f"echo x > {inside}/kept", [box], code=0, checkpoint=CHECKPOINT)
    assert (found.run_folder / "checkpoints" / "kept").read_text() == "x\n"


def test_without_a_task_that_has_checkpoints_a_run_keeps_none(study, tmp_path):
    box = boxed(tmp_path / "box")
    inside = shlex.quote(box["paths"]["checkpoints"])
    found = one(study, f"echo x > {inside}/gone", [box], code=0)
    assert not [path for path in found.run_folder.rglob("*") if path.name in ("checkpoints", "gone")]


# ---- What is on record about the worker


def test_a_worker_says_where_a_seal_says_that_the_code_stood(study):
    found = study([task("a", "true")])
    stood = Commit(id="a" * 40, clean=False, remote="https://example.org/a.git")
    path, data = seal((found.path / "manifest.json").read_bytes(), "t", found.key, stood)
    (found.path / path).write_bytes(data)
    found.run()
    (worker,) = [record for record in found.records() if "facts" in record]
    assert worker["code"] == {
        "commit": "a" * 40,
        "clean": False,
        "remote": "https://example.org/a.git",
        "seal": path,
    }


def test_of_code_that_was_in_no_git_nothing_is_said(study):
    (worker,) = [record for record in one(study, "true", code=0).records() if "facts" in record]
    assert "code" not in worker


def test_a_worker_says_that_nothing_was_isolated(study):
    (worker,) = [record for record in one(study, "true", code=0).records() if "facts" in record]
    assert worker["box"] == {
        "engine": "host",
        "isolation": "none",
        "network": "host",
        "image": None,
        "version": "",
        "loop": "python",
        "orphans": "ended",
        "tmp": "shared",
        "spaces": "a box each",
        "hostname": os.uname().nodename,
        "memory": "watched",
        "packages": "",
    }


def test_two_engines_are_tried_in_the_plan_s_order(study, tmp_path):
    lacking = {**HOST, "engine": "lacking", "needs": ["no-such-program"]}
    (worker,) = [
        record
        for record in one(study, "true", [lacking, boxed(tmp_path / "box")], code=0).records()
        if "facts" in record
    ]
    assert worker["box"]["engine"] == "linked"


def test_a_lost_record_of_a_published_step_is_named(study):
    found = one(study, "echo x > o.txt", code=0, outputs={"o": "o.txt"})
    for segment in (found.run_folder / "segments").iterdir():
        segment.unlink()
    said = found.run(code=4, env={**os.environ, "SCIFLOW_LATE_S": "0.1"}).stderr
    assert "outputs/a/000000 stands, and its record is lost" in said


def test_a_step_that_takes_its_own_permissions_away_is_cleared(study):
    found = one(study, "mkdir d && touch d/f && chmod 0 d && chmod 0 .", code=0)
    assert not (found.run_folder / "work").exists()


def test_a_stop_that_a_step_ignores_ends_it_all_the_same(stubborn):
    found, process = stubborn
    process.communicate(timeout=30)
    assert (process.returncode, found.states()) == (75, {("a", 0): "interrupted"})


# ---- Retries, memory, checkpoints, and ends of the whole

RETRY = {"times": 2, "on": ["failed", "memory", "time"], "grow_memory": 2.0, "grow_time": 3.0}


def states(found):
    return [record["state"] for record in attempts(found)]


def attempts(found):
    """Return the records of attempts, in the order of their ends."""
    return sorted((record for record in found.records() if "facts" not in record), key=lambda record: record["end"])


def test_a_step_that_fails_is_tried_again(study, tmp_path):
    tasks = [task("a", f"echo x >> '{tmp_path}/n'; [ $(wc -l < '{tmp_path}/n') = 3 ]", retry=RETRY)]
    found = study(tasks)
    found.run()
    assert states(found) == ["failed", "failed", "done"]


def test_retries_come_to_an_end(study):
    found = study([task("a", "exit 3", retry=RETRY), task("b", "true", needs=["a"])])
    found.run(code=5)
    assert states(found) == ["failed", "failed", "failed", "skipped"]


def test_retries_that_were_used_up_are_used_up_the_next_time_too(study):
    found = study([task("a", "exit 3", retry=RETRY)])
    found.run(code=5)
    found.run(code=5)
    assert len(states(found)) == 3
    found.run("run", "--failed", code=5)
    assert len(states(found)) == 6


def test_a_step_that_holds_too_much_is_given_more(study):
    hold = f"{shlex.quote(sys.executable)} -c 'import time; held = bytearray(60 << 20); time.sleep(0.7)'"
    found = study([task("a", hold, retry=RETRY, resources={"memory_mib": 40})])
    found.run()
    first, second = attempts(found)
    assert (first["state"], second["state"], second["granted"]["memory_mib"]) == ("memory", "done", 80)
    assert first["reason"].startswith("memory limit of 40 MiB: it held ")


def test_a_step_that_holds_too_much_is_ended_whichever_loop_started_it(study, loop_box):
    hold = f"{shlex.quote(sys.executable)} -c 'import time; held = bytearray(60 << 20); time.sleep(30)'"
    found = one(study, hold, [loop_box], resources={"memory_mib": 40})
    assert found.settled()["a", 0]["state"] == "memory"
    (worker,) = [record for record in found.records() if "facts" in record]
    assert worker["box"]["memory"] == "watched"


@pytest.mark.slow
def test_a_step_that_takes_too_long_is_given_more(study):
    found = study([task("a", "sleep 1.5", retry=RETRY, resources={"time_s": 1})])
    found.run()
    first, second = attempts(found)
    assert (first["state"], second["state"], second["granted"]["time_s"]) == ("time", "done", 3)


def test_after_so_many_failures_nothing_new_is_started(study):
    rows = [{"x": x} for x in range(20)]
    found = study([task("a", ["exit ", {"parameter": "x"}], uses=["x"])], rows)
    said = found.run("run", "-j", "1", "--max-failures", "2", code=5).stderr
    assert states(found).count("failed") == 2
    assert "2 steps have failed, and no more were started" in said


CHECKPOINT = {"path": "ckpt", "signal": int(signal.SIGUSR1), "before_s": 1}
COUNT = """
trap 'exit 75' USR1
n=$(cat ckpt/n 2>/dev/null || echo 0)
while [ $n -lt 30 ]; do n=$((n + 1)); echo $n > ckpt/part; mv ckpt/part ckpt/n; sleep 0.1; done
echo $n $SCIFLOW_CHECKPOINT > o
"""


@pytest.mark.slow
def test_a_step_is_signalled_before_its_time_is_over_and_goes_on_from_its_checkpoint(study):
    found = study([task("a", COUNT, checkpoint=CHECKPOINT, outputs={"o": "o"}, resources={"time_s": 3})])
    found.run()
    assert states(found)[-1] == "done"
    assert set(states(found)[:-1]) == {"interrupted"}
    assert found.output("a", 0, "o").startswith("30 ")
    assert not list((found.run_folder / "checkpoints").rglob("n"))


@pytest.mark.slow
def test_a_stopped_step_goes_on_from_its_checkpoint_at_the_next_start(study):
    found = study([task("a", COUNT, checkpoint=CHECKPOINT, outputs={"o": "o"})])
    process = found.start()
    while not list((found.run_folder / "checkpoints").glob("*/*/*/n")):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 75
    kept = next(iter((found.run_folder / "checkpoints").glob("*/*/*/n"))).read_text()
    assert states(found) == ["interrupted"]
    found.run()
    assert (states(found), int(kept) > 0) == (["interrupted", "done"], True)


def test_a_step_that_comes_no_further_than_its_checkpoint_fails(study):
    found = study([task("a", "exit 75", checkpoint=CHECKPOINT)])
    found.run(code=5)
    assert found.settled()["a", 0]["reason"] == "it stopped at a checkpoint, and had come no further"


@pytest.mark.slow
def test_a_run_that_is_cancelled_stops_in_good_order(study):
    found = study([task("a", "sleep 60")])
    process = found.start()
    while not list((found.run_folder / "work").glob("*/now.json")):
        time.sleep(0.05)
    (found.run_folder / "cancel").touch()
    assert process.wait(30) == 75
    assert states(found) == ["interrupted"]


def test_an_envelope_can_be_left(study):
    env = "env > o"
    found = study(
        [
            task("off", env, envelope=False, outputs={"o": "o"}),
            task("on", env, outputs={"o": "o"}, blas="haswell", resources={"cpus": 2}),
        ]
    )
    found.run("run", "-j", "2")
    off, on = (dict(line.split("=", 1) for line in found.output(name, 0, "o").splitlines()) for name in ("off", "on"))
    assert not {"TZ", "PYTHONHASHSEED", "OMP_NUM_THREADS"} & set(off)
    assert (on["TZ"], on["OMP_NUM_THREADS"], on["OPENBLAS_CORETYPE"], on["SCIFLOW_CPUS"]) == (
        "UTC",
        "2",
        "Haswell",
        "2",
    )
    assert off["SCIFLOW_CPUS"] == "1"


@pytest.mark.slow
def test_short_steps_are_told_of_ahead_and_none_is_lost_or_doubled(study):
    rows = [{"x": x} for x in range(300)]
    tasks = [
        task("a", ["echo ", {"parameter": "x"}, " > o"], uses=["x"], outputs={"o": "o"}),
        task("b", ["cat ", {"upstream": ["a", "o"]}, " > o"], uses=["x"], needs=["a"], outputs={"o": "o"}),
    ]
    found = study(tasks, rows)
    found.run("run", "-j", "3")
    assert [found.output("b", x, "o") for x in range(300)] == [f"{x}\n" for x in range(300)]
    assert set(found.attempts().values()) == {1}
