"""What is written down of rounds: read back in order, claimed once, and every job looked up by its mark."""

import json
from pathlib import Path

import pytest

from sciflow.runner import journal, names, slurm

STATE = {"arrays": [{"task": "a", "first": 0, "elements": 1}, {"task": "b", "first": 1, "elements": 2}]}
ELEMENTS = [{"a": [[0, 0]]}, {"b": [[0, 1], [4, 4]], "c": [[0, 1]]}, {"b": [[2, 3]]}]


def claimed(run, number=1, state=STATE):
    (run / names.ROUNDS).mkdir(exist_ok=True)
    return journal.claim(str(run), number, state, ELEMENTS)


def test_a_round_s_number_is_taken_once(tmp_path):
    assert claimed(tmp_path) == str(tmp_path / names.ROUNDS / "0001")
    assert claimed(tmp_path) is None
    assert [entry.name for entry in (tmp_path / names.ROUNDS).iterdir()] == ["0001"]


def test_rounds_are_read_in_order(tmp_path):
    claimed(tmp_path, 2, {"b": 1})
    claimed(tmp_path, 1, {"a": 1})
    (tmp_path / names.ROUNDS / ".aside").mkdir()
    (tmp_path / names.ROUNDS / "0003").mkdir()
    found = [
        (number, {key: state[key] for key in state if key != "token"})
        for number, state in journal.rounds(str(tmp_path))
    ]
    assert found == [(1, {"a": 1, "jobs": [], "ready": False}), (2, {"b": 1, "jobs": [], "ready": False})]


def test_a_run_without_rounds_has_none(tmp_path):
    assert (journal.rounds(str(tmp_path)), journal.recorded(str(tmp_path))) == ([], [])


def test_an_element_is_its_round_s_word(tmp_path):
    claimed(tmp_path, 3)
    assert journal.element(str(tmp_path), 3, 0, 0) == [("a", 0)]
    assert journal.element(str(tmp_path), 3, 1, 0) == [("b", 0), ("b", 1), ("b", 4), ("c", 0), ("c", 1)]
    assert journal.element(str(tmp_path), 3, 1, 1) == [("b", 2), ("b", 3)]
    with pytest.raises(IndexError, match="round 3 has no element 3"):
        journal.element(str(tmp_path), 3, 1, 2)


def submitted(folder, name="x"):
    return journal.Journal(folder).submit(name, ["--time=1"], "#!/bin/sh\n")


def test_a_job_is_written_down_before_it_is_submitted_and_once_more_with_its_id(tmp_path, programs):
    folder = claimed(tmp_path)
    programs(sbatch=f"cat > /dev/null; cp '{folder}/jobs.jsonl' '{tmp_path}/before'; echo '7;cluster'")
    assert submitted(folder) == 7
    (before,) = (json.loads(line) for line in (tmp_path / "before").read_text().splitlines())
    ((job,), ready) = journal.Journal(folder).read()
    assert before == {"name": "x", "mark": job["mark"]}
    assert (job["id"], job["name"], ready) == (7, "x", False)
    journal.Journal(folder).ready()
    assert journal.Journal(folder).read()[1]


def test_a_job_whose_answer_was_lost_is_found_by_its_mark_and_not_submitted_again(tmp_path, programs):
    folder = claimed(tmp_path)
    programs(
        sbatch=f"echo \"$@\" >> '{tmp_path}/said'; echo Socket timed out on send/recv >&2; exit 1",
        squeue=f"sed -n 's/.*--comment=\\([^ ]*\\) .*/9|PENDING|None|\\1/p' '{tmp_path}/said'",
    )
    assert submitted(folder) == 9
    assert len((tmp_path / "said").read_text().splitlines()) == 1


def test_a_job_that_was_not_heard_is_submitted_again(tmp_path, programs, monkeypatch):
    monkeypatch.setattr(slurm, "PAUSE_S", 0.01)
    folder = claimed(tmp_path)
    programs(
        sbatch=f"cat >> '{tmp_path}/said'; test $(wc -l < '{tmp_path}/said') -gt 2 && echo 5 && exit 0; "
        "echo Unable to contact slurm controller >&2; exit 1",
        squeue="exit 0",
    )
    assert submitted(folder) == 5


def test_a_job_that_is_refused_stays_without_an_id(tmp_path, programs):
    folder = claimed(tmp_path)
    programs(sbatch="echo no such partition >&2; exit 1")
    with pytest.raises(slurm.SlurmError, match="no such partition"):
        submitted(folder)
    assert journal.Journal(folder).read()[0][0]["id"] is None


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    folder = claimed(tmp_path)
    Path(folder, journal.JOBS).write_text('{"mark":"sciflow:a","name":"x"}\n{"id":6,"mark":"scif')
    assert journal.Journal(folder).read() == ([{"id": None, "mark": "sciflow:a", "name": "x"}], False)
    journal.launched(str(tmp_path), 5, "sciflow:l")
    with (tmp_path / names.ROUNDS / journal.LAUNCHES).open("a") as stream:
        stream.write('{"id": 6')
    assert [(job["id"], job["mark"]) for job in journal.recorded(str(tmp_path))] == [
        (5, "sciflow:l"),
        (None, "sciflow:a"),
    ]


def test_a_job_stands_where_its_mark_does_and_what_plans_the_next_round_comes_first(tmp_path, programs):
    programs(squeue="echo '5|RUNNING|None|sciflow:a'; echo '6|PENDING|Dependency|sciflow:b'; echo '7|PENDING|None|'")
    jobs = [
        {"id": number, "mark": mark, "name": name}
        for number, mark, name in ((None, "sciflow:a", "x"), (6, "sciflow:b", "x-next"), (7, "sciflow:c", "y"))
    ]
    assert journal.standing(jobs) == [
        {"id": 6, "mark": "sciflow:b", "name": "x-next", "elements": [("PENDING", "Dependency")]},
        {"id": 5, "mark": "sciflow:a", "name": "x", "elements": [("RUNNING", "None")]},
    ]
    assert journal.standing([]) == []
