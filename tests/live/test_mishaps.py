"""Slurm's mishaps, each brought about on a private cluster: what is on record is right, and the next round goes on.

A row of the matrix of faults a test.
"""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import PLAIN_USER
from tests.live import sweep as made
from tests.live.cluster import Cluster

pytestmark = pytest.mark.live("slurm")
SUBMITS = 6


def nodes_of(sweep, task="first"):
    """Return {index of an element: its node} of a task's array."""
    told = [line.split() for line in sweep.queue("%j %K %N")]
    return {int(index): node for name, index, node in (one for one in told if len(one) == 3) if name.endswith(task)}


def attempts(sweep):
    """Return how many attempts of each state are on record; print each, for a failure to show."""
    found = {}
    for one in sweep.records():
        print(*(one.get(key) for key in ("task", "step", "attempt", "state", "start", "end")))
        found[one["state"]] = found.get(one["state"], 0) + 1
    print(sweep.said())
    return found


def test_of_two_live_copies_of_a_step_one_counts(cluster, tables):
    """F7: the node's daemon is gone, what it has started goes on, and the controller takes all of it for lost."""
    with made.swept(cluster, points=2, held=True) as sweep:
        sweep.launch()
        sweep.held(2)
        nodes = nodes_of(sweep)
        victim = nodes[0]
        doubled = [x for x, node in nodes.items() if node == victim]
        cluster.kill(victim)
        cluster.until(lambda: all(len(sweep.at_work(x)) == 2 for x in doubled), "a second copy of each", 120)
        assert all(Path(f"/proc/{pid}").exists() for _, pid in sweep.at_work())
        sweep.open()
        sweep.idle()
        cluster.node(victim)
        sweep.drained()
        sweep.finish()
        sweep.whole(tables(2))
        ended = [one for one in sweep.records() if (one["task"], one["step"]) == ("first", doubled[0])]
        assert sorted(one["state"] for one in ended) == ["done", "done", "superseded"]
        assert len({one["outputs"]["a"]["sha256"] for one in ended}) == 1


def test_a_node_that_dies_with_its_steps_costs_what_ran_there(cluster, tables):
    """F8."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch()
        sweep.held(4)
        victim = nodes_of(sweep)[0]
        cluster.lose(victim)
        sweep.open()
        sweep.finish()
        sweep.whole(tables(4))
        assert attempts(sweep) == {"done": sweep.steps}


def test_where_the_controller_is_away_a_launch_says_so_and_a_later_one_goes_on(cluster, tables):
    """F9."""
    with made.swept(cluster, points=2) as sweep:
        cluster.kill("slurmctld")
        said = sweep.runner("round")
        assert (said.returncode, "Unable to contact slurm controller" in said.stderr) == (3, True), said.stderr
        assert sweep.plain("sbatch", sweep.bundle / "launch.sh", check=False).returncode != 0
        cluster.controller()
        sweep.launch()
        sweep.drained()
        sweep.whole(tables(2))
        assert attempts(sweep) == {"done": sweep.steps}


SHIM = """\
#!/bin/sh
echo x >> '{folder}/calls'
if [ $(wc -l < '{folder}/calls') = 3 ]; then
    touch '{folder}/asked'
    while [ ! -e '{folder}/gone' ]; do sleep 0.1; done
fi
exec /usr/bin/sbatch "$@"
"""


def test_a_round_whose_controller_goes_away_in_the_middle_is_mended_by_the_next(cluster, tables):
    """F9: the third job is being submitted, of the next round's, three arrays and one that gathers."""
    with made.swept(cluster, points=24) as sweep:
        programs = sweep.folder / "programs"
        programs.mkdir()
        (programs / "sbatch").write_text(SHIM.format(folder=programs))
        (programs / "sbatch").chmod(0o755)
        made.give(programs)
        said = {}
        path = f"{programs}:{cluster.environment['PATH']}"
        thread = threading.Thread(target=lambda: said.update(done=sweep.runner("round", PATH=path)))
        thread.start()
        cluster.until((programs / "asked").exists, "the third submission")
        cluster.kill("slurmctld")
        (programs / "gone").touch()
        thread.join(120)
        assert (said["done"].returncode, "Unable to contact" in said["done"].stderr) == (3, True)
        cluster.controller()
        for job, _ in sweep.jobs()["next"]:  # it would have begun two minutes after the launch
            sweep.plain("scontrol", "update", f"JobId={job}", "StartTime=now", check=False)
        sweep.launch()
        sweep.finish()
        sweep.whole(tables(24))
        assert attempts(sweep) == {"done": sweep.steps}


def test_what_ends_while_the_controller_is_away_is_on_record_and_is_not_run_again(cluster, tables):
    """F10."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch()
        sweep.held(4)
        cluster.kill("slurmctld")
        sweep.open()
        sweep.idle()
        assert attempts(sweep) == {"done": 12}
        cluster.controller()
        sweep.launch()
        sweep.finish()
        sweep.whole(tables(4))
        assert attempts(sweep) == {"done": sweep.steps}


def test_a_cluster_that_forgets_its_jobs_and_gives_their_ids_again_confuses_nothing(cluster, tables):
    """F11: the controller starts without its state, so ids begin at 1 again; some are another's before the next launch."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch()
        sweep.held(4)
        known = {job["id"] for _, state in sweep.rounds() for job in state["jobs"]}
        cluster.kill("slurmctld")
        cluster.controller("-c")
        others = []
        while not others or others[-1] < max(known) + 8:  # the elements had ids of their own
            words = ["sbatch", "--parsable", "--hold", "--comment=sciflow:other", "--output=/dev/null", "--wrap=true"]
            others.append(int(sweep.plain(*words).stdout))
        assert known & set(others)
        sweep.open()
        sweep.idle()
        sweep.launch()
        wanted = {str(job) for job in others}
        cluster.until(lambda: set(sweep.queue("%F")) == wanted, "all but the others' jobs to end", 120)
        sweep.whole(tables(4))
        said = sweep.sciflow(
            "import sys; from pathlib import Path; from sciflow import api; print(api.cancel(Path(sys.argv[1])).jobs)"
        )
        assert (said.stdout, set(sweep.queue("%F"))) == ("()\n", wanted), said.stderr


def test_a_preempted_step_is_interrupted_and_uses_up_no_retry(cluster, tables):
    """F13."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch("--partition=main")
        sweep.held(4)
        first = sweep.plain(
            "sbatch",
            "--parsable",
            "--partition=hi",
            "--nodes=2",
            "--exclusive",
            "--output=/dev/null",
            f"--wrap=while [ ! -e {sweep.live}/open ]; do sleep 0.1; done",
        )
        cluster.until(lambda: attempts(sweep) == {"interrupted": 4}, "all that ran to be preempted", 120)
        cluster.until(lambda: f"{first.stdout.strip()} RUNNING" in sweep.queue("%i %T"), "the other to run")
        sweep.open()
        sweep.finish()
        sweep.whole(tables(4))
        assert attempts(sweep) == {"interrupted": 4, "done": sweep.steps}


def test_a_cancelled_element_runs_again_in_the_next_round_and_the_others_go_on(cluster, tables):
    """F14."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch()
        sweep.held(4)
        ((job, _), *_) = sweep.jobs()["first"]
        sweep.plain("scancel", f"{job}_1")
        cluster.until(lambda: attempts(sweep) == {"interrupted": 1}, "the element to end")
        assert len(nodes_of(sweep)) >= 3
        sweep.open()
        sweep.drained()
        sweep.whole(tables(4))
        assert attempts(sweep) == {"interrupted": 1, "done": sweep.steps}
        assert len(sweep.rounds()) == 2


def test_after_a_cancel_of_all_a_launch_runs_what_is_missing_and_nothing_else(cluster, tables):
    """F14."""
    with made.swept(cluster, points=4, held=True) as sweep:
        sweep.launch()
        sweep.held(4)
        sweep.open(0)
        cluster.until(lambda: attempts(sweep) == {"done": 3}, "the steps of a point to end")
        sweep.plain("scancel", f"--user={PLAIN_USER}")
        sweep.drained()
        assert attempts(sweep) == {"done": 3, "interrupted": 3}
        sweep.open()
        sweep.launch()
        sweep.drained()
        sweep.whole(tables(4))
        assert attempts(sweep) == {"done": sweep.steps, "interrupted": 3}


def test_what_needs_a_step_that_failed_is_skipped_and_nothing_waits_for_ever(cluster):
    """F18, F19."""
    with made.swept(cluster, points=4, first="[ {x} != 1 ] || exit 7;") as sweep:
        sweep.launch()
        sweep.drained()
        lost = {("first", 1): "failed", ("second", 1): "skipped", ("third", 1): "skipped", ("total", 0): "skipped"}
        assert {key: state for key, state in sweep.states().items() if state != "done"} == lost
        assert sweep.check() == []
        said = sweep.runner("round")
        assert (said.returncode, "9 steps done, 4 not" in said.stderr) == (5, True), said.stderr


def test_a_job_that_its_dependency_does_not_hold_back_starts_no_step_too_early(cluster, tables):
    """F18: Slurm forgets a dependency on a job it has forgotten. Here it is told to."""
    with made.swept(cluster, points=2, held=True) as sweep:
        sweep.launch()
        sweep.held(2)
        ((job, _), *_) = sweep.jobs()["total"]
        sweep.plain("scontrol", "update", f"JobId={job}", "Dependency=")
        cluster.until(lambda: not sweep.jobs()["total"], "the job to end")
        assert sweep.states() == {}
        sweep.open()
        sweep.drained()
        sweep.whole(tables(2))
        assert attempts(sweep) == {"done": sweep.steps}


def test_arrays_fit_what_the_site_allows(cluster, tables):
    """F20."""
    with made.swept(cluster, points=24) as sweep:
        sweep.launch()
        sweep.drained()
        sweep.whole(tables(24))
        sizes = [array["elements"] for _, state in sweep.rounds() for array in state["arrays"]]
        assert max(sizes) <= 11
        assert sum(sizes) >= 25


@pytest.mark.live("slurmdbd")
def test_no_more_is_submitted_than_a_user_may_have(tables):
    """F20."""
    if os.getuid():
        pytest.skip("only root starts a cluster of its own")
    with Cluster(submits=SUBMITS) as cluster, made.swept(cluster, points=12) as sweep:
        longest, over = [0], threading.Event()

        def look():
            while not over.is_set():
                longest[0] = max(longest[0], len(sweep.queue()))
                time.sleep(0.3)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            sweep.launch()
            sweep.drained()
        finally:
            over.set()
            thread.join()
        sweep.whole(tables(12))
        assert attempts(sweep) == {"done": sweep.steps}
        assert 1 < longest[0] <= SUBMITS


def test_a_request_that_can_never_be_met_is_refused_by_its_task_s_name_and_leaves_no_job(cluster):
    """F21."""
    with made.swept(cluster, points=2, cpus=99) as sweep:
        said = sweep.runner("round")
        assert (said.returncode, "`first`" in said.stderr) == (3, True), said.stderr
        assert sweep.queue() == []
        sweep.launch()
        sweep.drained(60)
        assert sweep.records() == []


STATUS = "import json, sys; from pathlib import Path; from sciflow import api; print(json.dumps(api.status(Path(sys.argv[1]))))"


def test_without_slurm_s_commands_the_records_say_how_far_it_is(cluster, tables):
    """F26."""
    with made.swept(cluster, points=2, held=True) as sweep:
        sweep.launch()
        sweep.held(2)
        sweep.open(0)
        cluster.until(lambda: attempts(sweep) == {"done": 3}, "the steps of a point to end")
        bare = sweep.folder / "bare"
        bare.mkdir()
        for name in ("sh", "env"):
            (bare / name).symlink_to(shutil.which(name))
        told = made.plain(
            {**cluster.environment, "PATH": str(bare), "PYTHONPATH": str(made.ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            "/usr/bin/python3",
            "-c",
            STATUS,
            sweep.bundle,
        )
        status = json.loads(told.stdout)
        assert status["states"]["done"] == 3
        assert {"failed", "skipped"}.isdisjoint(status["states"])
        assert status["jobs"] == []
        counted = json.loads(sweep.runner("status", PATH=str(bare)).stdout)
        assert counted["tasks"]["first"] == {"steps": 2, "done": 1}
        sweep.open()
        sweep.drained()
        sweep.whole(tables(2))
