"""One attempt at a step: its words, its log, what it left, and the name it is given once."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from sciflow.runner import records, step
from tests.runner.conftest import task


def fill(part):
    return str(part["parameter"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.0"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e300, "1e+300"),
        (7, "7"),
        (True, "true"),
        (False, "false"),
        ("a b", "a b"),
    ],
)
def test_a_value_is_written_so_that_it_reads_back(value, text):
    assert step.rendered("x", {"x": value}) == text


def test_an_argument_list_keeps_its_words():
    found = task("a", ["echo", ["--x=", {"parameter": "a b"}], [{"parameter": "$c"}]])
    assert step.command(found, fill) == ["echo", "--x=a b", "$c"]


def test_a_value_in_a_shell_text_is_quoted():
    found = task("a", ["echo ", {"parameter": "it's $x"}])
    assert step.command(found, fill) == ["/bin/sh", "-c", "echo 'it'\"'\"'s $x'"]


def staged(tmp_path, attempt="a1", path="o.txt"):
    """Stage one output as an attempt does; return where."""
    folder = tmp_path / f"work-{attempt}"
    (folder / path).parent.mkdir(parents=True)
    (folder / path).write_text(attempt)
    aside = str(folder) + ".out"
    assert step.stage(task("t", "true", outputs={"o": path}), str(folder), aside, attempt)["o"]["size"] == len(attempt)
    return aside


def test_the_first_to_publish_wins(tmp_path):
    assert step.publish(str(tmp_path), "t", 0, staged(tmp_path), "a1")
    assert not step.publish(str(tmp_path), "t", 0, staged(tmp_path, "a2"), "a2")


def test_what_was_published_though_the_answer_was_an_error_is_known_for_its_own(tmp_path):
    found = staged(tmp_path)
    target = Path(records.step_folder(str(tmp_path), "t", 0))
    target.parent.mkdir(parents=True)
    Path(found).rename(target)
    assert step.publish(str(tmp_path), "t", 0, found, "a1")


def test_what_the_first_published_stays(tmp_path):
    step.publish(str(tmp_path), "t", 0, staged(tmp_path), "a1")
    step.publish(str(tmp_path), "t", 0, staged(tmp_path, "a2"), "a2")
    assert [path.name for path in Path(records.step_folder(str(tmp_path), "t", 0)).iterdir()] == ["a1"]


def test_of_several_workers_each_publishes_its_own_step_though_all_are_the_first_of_the_task(tmp_path):
    others = 4
    with ThreadPoolExecutor(others) as pool:
        for turn in range(200):
            found = [staged(tmp_path, f"{turn}-{number}") for number in range(others)]
            begin = Barrier(others)

            def put(number, begin=begin, found=found, turn=turn):
                begin.wait()
                return step.publish(str(tmp_path), f"t{turn}", number, found[number], f"{turn}-{number}")

            assert all(pool.map(put, range(others)))


def test_an_output_keeps_its_folder(tmp_path):
    step.publish(str(tmp_path), "t", 7, staged(tmp_path, path="deep/er/o.txt"), "a1")
    assert (tmp_path / "outputs" / "t" / "000007" / "a1" / "deep" / "er" / "o.txt").read_text() == "a1"


def test_an_output_loses_the_mode_its_step_gave_it(tmp_path):
    folder = tmp_path / "w"
    folder.mkdir()
    (folder / "o.txt").touch(mode=0o777)
    step.stage(task("t", "true", outputs={"o": "o.txt"}), str(folder), str(tmp_path / "s"), "a")
    assert (tmp_path / "s" / "a" / "o.txt").stat().st_mode & 0o777 == 0o644


def test_a_task_without_outputs_stages_nothing(tmp_path):
    assert step.stage(task("t", "true"), str(tmp_path), str(tmp_path / "s"), "a") == {}
    assert not (tmp_path / "s").exists()


def folder_of(tmp_path, files=("a", "b/c")):
    for path in files:
        (tmp_path / "w" / "maps" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "w" / "maps" / path).write_text(path)


def stage_maps(tmp_path, attempt="a"):
    found = step.stage(task("t", "true", outputs={"m": "maps/"}), str(tmp_path / "w"), str(tmp_path / attempt), attempt)
    return found["m"]


def test_a_folder_is_an_output_with_all_it_holds(tmp_path):
    folder_of(tmp_path)
    found = stage_maps(tmp_path)
    assert (found["files"], found["size"]) == (2, 4)
    assert (tmp_path / "a" / "a" / "maps" / "b" / "c").read_text() == "b/c"


def test_a_folder_s_digest_tells_of_names_and_contents(tmp_path):
    digests = set()
    for number, files in enumerate((["a", "b"], ["a", "c"], ["a"], ["a/b"], ["b/a"])):
        (tmp_path / str(number)).mkdir()
        folder_of(tmp_path / str(number), files)
        digests.add(stage_maps(tmp_path / str(number))["sha256"])
    assert len(digests) == 5


def test_an_empty_folder_is_no_output(tmp_path):
    (tmp_path / "w" / "maps").mkdir(parents=True)
    with pytest.raises(step.StepError, match="left empty"):
        stage_maps(tmp_path)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to("/etc/hostname"), os.mkfifo])
def test_a_folder_of_outputs_holds_files_and_folders_only(tmp_path, make):
    folder_of(tmp_path)
    make(tmp_path / "w" / "maps" / "b" / "odd")
    with pytest.raises(step.StepError, match="`b/odd` among the outputs"):
        stage_maps(tmp_path)


def test_a_link_on_the_way_to_an_output_is_not_followed(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "o.txt").touch()
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "deep").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(step.StepError, match="not a regular file in the step's folder"):
        step.stage(task("t", "true", outputs={"o": "deep/o.txt"}), str(tmp_path / "w"), str(tmp_path / "s"), "a")


def test_clearing_follows_no_link(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").touch()
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "link").symlink_to(tmp_path / "kept")
    step.clear(str(tmp_path / "w"))
    assert ((tmp_path / "w").exists(), (tmp_path / "kept" / "file").exists()) == (False, True)


def test_clearing_what_is_not_there_is_no_fault(tmp_path):
    step.clear(str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


def test_metrics_are_read(tmp_path):
    (tmp_path / "m.json").write_text('{"a": 1, "b": 0.5, "c": "x", "d": null}')
    assert step.metrics(str(tmp_path), "m.json") == {"a": 1, "b": 0.5, "c": "x", "d": None}


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_an_integer_that_fits_no_column_is_refused(tmp_path, value):
    (tmp_path / "m.json").write_text(f'{{"a": {value}}}')
    with pytest.raises(step.StepError, match="more than 64 bits"):
        step.metrics(str(tmp_path), "m.json")


METRICS = {
    b"": "is not JSON",
    b'{"a": 1': "is not JSON",
    b"[1]": "holds no JSON object",
    b'{"a": [1]}': "the metric `a` in `m.json` is no single value",
    b'{"a": {}}': "the metric `a` in `m.json` is no single value",
    b'{"a": 1, "a": 2}': "a key stands twice",
    b'{"a": "\\ud800"}': "is not JSON",
    b'{"\\ud800": 1}': "is not JSON",
    b"\377": "is not JSON",
    b"[" * 100000: "is not JSON",
}


@pytest.mark.parametrize("number", range(len(METRICS)))
def test_metrics_that_cannot_be_read_are_refused(tmp_path, number):
    data, said = list(METRICS.items())[number]
    (tmp_path / "m.json").write_bytes(data)
    with pytest.raises(step.StepError, match=said):
        step.metrics(str(tmp_path), "m.json")


def test_metrics_that_were_not_written_are_refused(tmp_path):
    with pytest.raises(step.StepError, match=r"`m\.json` was not written"):
        step.metrics(str(tmp_path), "m.json")


def test_a_pipe_for_metrics_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.json")
    with pytest.raises(step.StepError, match="is not a regular file"):
        step.metrics(str(tmp_path), "m.json")


def test_a_shell_with_a_checkpoint_outlives_the_signal_that_its_command_is_to_heed():
    task = {"shell": True, "words": [["true; kill -10 $$; echo on"]], "checkpoint": {"signal": 10}}
    found = subprocess.run(step.command(task, None), capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "on\n")
