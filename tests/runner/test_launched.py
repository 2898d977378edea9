"""When a run was first launched: noted once, and kept however often it is started."""

import threading

from sciflow.runner import launched


def test_of_a_run_that_was_never_launched_nothing_is_known(tmp_path):
    assert launched.first(str(tmp_path / "main")) is None


def test_the_first_launch_is_kept(tmp_path):
    run = str(tmp_path / "main")
    assert [launched.note(run, now) for now in (1000, 2000)] == [1000, 1000]
    assert launched.first(run) == 1000


def test_a_note_leaves_one_file(tmp_path):
    launched.note(str(tmp_path), 1000)
    launched.note(str(tmp_path), 2000)
    assert [path.name for path in tmp_path.iterdir()] == ["launched.json"]


def test_of_many_launches_at_once_all_hear_the_same(tmp_path):
    heard, gate = [], threading.Barrier(8)

    def launch(now):
        gate.wait()
        heard.append(launched.note(str(tmp_path), now))

    threads = [threading.Thread(target=launch, args=(now,)) for now in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(heard)) == 1
