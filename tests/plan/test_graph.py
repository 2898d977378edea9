"""The plan: which steps there are, what they share, and which change of a workflow changes which key."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sciflow.containers.locked import LockedFile
from sciflow.plan import graph, lock
from sciflow.runner import names, points
from sciflow.workflow import load, sweep

HEAD = 'format = 1\n[workflow]\nname = "x"\n'
AXES = '[parameters]\na = [1, 2, 3]\nb = ["u", "v"]\n'
PREPARE = '[tasks.prepare]\nrun = ["prepare"]\n'
TRAIN = '[tasks.train]\nneeds = ["prepare"]\nrun = ["train", "{a}", "{b}"]\n'
SCORE = '[tasks.score]\nneeds = ["train"]\nrun = ["score"]\n'
TOTAL = '[tasks.total]\ngather = "train"\nrun = ["total", "{train.records}"]\n'


def parsed(tmp_path, *sections, head=HEAD):
    return load.parse("".join([head, *sections]), file=tmp_path / "workflow.toml")


def planned(tmp_path, *sections, head=HEAD, pinned=None):
    workflow = parsed(tmp_path, *sections, head=head)
    plan = graph.plan(workflow, workflow.sweeps[0], pinned or lock.Lock(), [])
    return plan, numbered(plan, sweep.points(workflow))


def numbered(plan, made):
    return points.Steps(plan, [map(json.loads, axis.lines()) for axis in made.axes])


def counts(plan):
    return {task["name"]: task["steps"] for task in plan["tasks"]}


def task(plan, name):
    return next(entry for entry in plan["tasks"] if entry["name"] == name)


class Values:
    """The table of points, from memory."""

    def __init__(self, rows):
        self.rows = rows

    def values(self, point):
        return self.rows[point]


def keys(tmp_path, *sections, head=HEAD, pinned=None):
    """Return {(task, values it depends on): key} of every step."""
    workflow = parsed(tmp_path, *sections, head=head)
    plan = graph.plan(workflow, workflow.sweeps[0], pinned or lock.Lock(), [])
    made = sweep.points(workflow)
    steps = numbered(plan, made)
    rows = [dict(zip([column.name for column in made.columns], row, strict=True)) for row in made]
    found = points.Keys(plan, steps, Values(rows), SimpleNamespace(state=lambda *_: None))
    return {
        (name, tuple(rows[steps.first(name, step)][use] for use in task(plan, name)["uses"])): found.of(name, step)
        for name, step in steps.all()
    }


def test_what_depends_on_nothing_runs_once_and_what_needs_all_of_it_for_each_point(tmp_path):
    assert counts(planned(tmp_path, AXES, PREPARE, TRAIN, SCORE)[0]) == {"prepare": 1, "train": 6, "score": 6}


def test_points_that_agree_on_what_a_task_names_share_its_step(tmp_path):
    plan, steps = planned(tmp_path, AXES, '[tasks.t]\nrun = ["t", "{b}"]\n')
    assert (counts(plan), list(steps.of["t"])) == ({"t": 2}, [0, 1, 0, 1, 0, 1])


def test_steps_are_numbered_as_the_points_first_call_for_them(tmp_path):
    _, steps = planned(tmp_path, AXES, '[tasks.t]\nrun = ["t", "{a}"]\n')
    assert [steps.first("t", step) for step in range(3)] == [0, 2, 4]


def test_a_task_depends_on_what_it_needs_depends_on(tmp_path):
    plan, _ = planned(tmp_path, AXES, PREPARE, TRAIN, SCORE, '[tasks.last]\nneeds = ["score"]\nrun = ["last"]\n')
    assert task(plan, "last")["uses"] == ["a", "b"]


def test_parameters_stand_in_the_order_of_the_columns(tmp_path):
    plan, _ = planned(tmp_path, AXES, '[tasks.t]\nrun = ["t", "{b}", "{a}"]\n')
    assert task(plan, "t")["uses"] == ["a", "b"]


def test_parameters_that_a_task_lists_count_like_those_it_names(tmp_path):
    plan, _ = planned(tmp_path, AXES, '[tasks.t]\nparameters = ["b"]\nrun = ["t"]\n')
    assert task(plan, "t")["uses"] == ["b"]


def test_a_derived_column_is_depended_on_by_its_own_name(tmp_path):
    plan, _ = planned(tmp_path, AXES, '[sweep]\nderive = { even = "a % 2" }\n', '[tasks.t]\nrun = ["t", "{even}"]\n')
    assert (task(plan, "t")["uses"], counts(plan)) == (["even"], {"t": 2})


@pytest.mark.parametrize("word", ["{point}", "{seed}"])
def test_who_asks_for_the_point_or_the_seed_depends_on_every_column(tmp_path, word):
    plan, _ = planned(tmp_path, AXES, f'[tasks.t]\nrun = ["t", "{word}"]\n')
    assert (task(plan, "t")["uses"], counts(plan)) == (["a", "b"], {"t": 6})


def test_a_gathering_task_runs_once_after_every_step_of_the_gathered(tmp_path):
    plan, steps = planned(tmp_path, AXES, PREPARE, TRAIN, TOTAL)
    assert list(steps.needs(task(plan, "total"), 0)) == [("train", number) for number in range(6)]
    assert counts(plan)["total"] == 1


def test_without_parameters_there_is_one_point(tmp_path):
    plan, _ = planned(tmp_path, PREPARE, SCORE.replace("train", "prepare"))
    assert (plan["points"], counts(plan)) == (1, {"prepare": 1, "score": 1})


def test_tasks_stand_after_what_they_need_and_else_as_in_the_file(tmp_path):
    plan, _ = planned(tmp_path, AXES, SCORE, '[tasks.early]\nrun = ["true"]\n', TRAIN, PREPARE)
    assert [entry["name"] for entry in plan["tasks"]] == ["early", "prepare", "train", "score"]


def test_the_order_of_tasks_in_the_file_decides_no_key(tmp_path):
    assert keys(tmp_path, AXES, PREPARE, TRAIN, TOTAL) == keys(tmp_path, AXES, TOTAL, TRAIN, PREPARE)


def test_the_order_of_tasks_in_the_file_is_kept_where_they_do_not_wait_for_each_other(tmp_path):
    one, other = '[tasks.one]\nrun = ["one"]\n', '[tasks.other]\nrun = ["other"]\n'
    assert [entry["name"] for entry in planned(tmp_path, other, one)[0]["tasks"]] == ["other", "one"]


def test_the_same_workflow_gives_the_same_plan(tmp_path):
    one, two = (planned(tmp_path, AXES, PREPARE, TRAIN, TOTAL)[0] for _ in range(2))
    assert names.canonical(one) == names.canonical(two)


def test_an_edge_leads_from_each_task_to_those_that_need_it(tmp_path):
    found = graph.graph(parsed(tmp_path, AXES, PREPARE, TRAIN, TOTAL))
    assert sorted(found.edges) == [("prepare", "train"), ("train", "total")]


CODE = lock.Lock(code=(LockedFile(path="t.py", sha256="1" * 64, size=1),))
INPUT = lock.Lock(
    inputs=(lock.LockedInput(name="a", path="a", files=(LockedFile(path="a", sha256="1" * 64, size=1),)),)
)


def test_another_code_is_another_key_for_every_step(tmp_path):
    changed = replace(CODE, code=(replace(CODE.code[0], sha256="2" * 64),))
    before, after = (keys(tmp_path, AXES, PREPARE, TRAIN, pinned=pinned) for pinned in (CODE, changed))
    assert not set(before.values()) & set(after.values())


def test_another_input_is_another_key(tmp_path):
    other = lock.Lock(inputs=(replace(INPUT.inputs[0], files=(replace(INPUT.inputs[0].files[0], sha256="2" * 64),)),))
    before, after = (keys(tmp_path, PREPARE, pinned=pinned) for pinned in (INPUT, other))
    assert before != after


def test_another_image_is_another_key(tmp_path):
    from tests.plan.test_lock import PINNED

    moved = replace(PINNED, digests=(("manifest", "sha256:" + "3" * 64),))
    before, after = (keys(tmp_path, PREPARE, pinned=lock.Lock(image=image)) for image in (PINNED, moved))
    assert before != after


def test_the_same_values_have_the_same_key_in_a_larger_sweep(tmp_path):
    small = keys(tmp_path, AXES, PREPARE, TRAIN)
    large = keys(tmp_path, AXES.replace("3]", "3, 4]"), PREPARE, TRAIN)
    assert small.items() < large.items()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"train", "{a}"', '"train", "-x", "{a}"'),
        ('run = ["train"', 'environment = { A = "1" }\nrun = ["train"'),
        ('run = ["train"', 'metrics = "m.json"\nrun = ["train"'),
        ('run = ["train"', 'outputs = { o = "o" }\nrun = ["train"'),
        ('run = ["train"', 'resources = { cpus = 2 }\nrun = ["train"'),
        ('run = ["train"', 'resources = { gpus = 1 }\nrun = ["train"'),
    ],
)
def test_what_decides_a_result_decides_the_key_of_that_task_and_of_no_task_before(tmp_path, old, new):
    before, after = keys(tmp_path, AXES, PREPARE, TRAIN), keys(tmp_path, AXES, PREPARE, TRAIN.replace(old, new))
    assert {name for (name, values), key in after.items() if before.get((name, values)) != key} == {"train"}


@pytest.mark.parametrize(
    "said", ['envelope = "off"', 'blas = "haswell"', 'outputs = { o = "o/" }', 'outputs = { o = "o" }']
)
def test_what_a_step_finds_and_leaves_decides_its_key(tmp_path, said):
    before, after = keys(tmp_path, AXES, PREPARE, TRAIN), keys(tmp_path, AXES, PREPARE, TRAIN + f"{said}\n")
    assert {name for (name, values), key in after.items() if before.get((name, values)) != key} == {"train"}


def test_a_folder_and_a_file_of_one_name_are_two_keys(tmp_path):
    file, folder = (keys(tmp_path, PREPARE + f'outputs = {{ o = "{path}" }}\n') for path in ("o", "o/"))
    assert file != folder


def test_a_task_of_which_no_more_is_said_has_the_digest_it_always_had(tmp_path):
    """As it was before there were retries, checkpoints and kernels: results of older bundles are still known."""
    entry = task(planned(tmp_path, PREPARE)[0], "prepare")
    deciding = {key: entry[key] for key in ("shell", "words", "gather", "needs", "outputs", "metrics", "environment")}
    assert entry["digest"] == names.digest({**deciding, "cpus": 1, "gpus": 0})


@pytest.mark.parametrize(
    "said",
    [
        'retry = { times = 2, on = ["failed", "memory"], grow_memory = 2.0 }',
        'checkpoint = { path = "ckpt" }',
        'isolate = "step"',
        'envelope = "on"',
        "\n[run]\nmax_failures = 3",
    ],
)
def test_how_a_step_is_tried_decides_no_key(tmp_path, said):
    assert keys(tmp_path, AXES, PREPARE, TRAIN) == keys(tmp_path, AXES, PREPARE, TRAIN + f"{said}\n")


@pytest.mark.parametrize("resources", ['{ time = "2h" }', '{ memory = "3 GiB" }'])
def test_how_much_a_step_may_use_decides_no_key(tmp_path, resources):
    patient = TRAIN + f"resources = {resources}\n"
    assert keys(tmp_path, AXES, PREPARE, TRAIN) == keys(tmp_path, AXES, PREPARE, patient)


@pytest.mark.parametrize(
    "head",
    [
        HEAD + 'title = "Something"\n',
        HEAD.replace('"x"', '"y"'),
        HEAD + '[schedule]\npolicy = "off-peak"\nhours = "22:00-08:00"\n',
        HEAD + '[slurm]\npartition = "main"\n',
    ],
)
def test_what_is_said_around_the_tasks_decides_no_key(tmp_path, head):
    assert keys(tmp_path, AXES, PREPARE, TRAIN, head=head) == keys(tmp_path, AXES, PREPARE, TRAIN)


def test_a_change_at_the_start_changes_the_keys_of_all_that_follows(tmp_path):
    bent = PREPARE.replace('"prepare"]', '"prepare", "-v"]')
    before, after = (keys(tmp_path, AXES, first, TRAIN, TOTAL) for first in (PREPARE, bent))
    assert not set(before.values()) & set(after.values())


def test_the_float_one_and_the_integer_one_are_the_same_value_of_a_float_parameter(tmp_path):
    floats = '[parameters]\na = [1.0, 2.5]\n[tasks.t]\nrun = ["t", "{a}"]\n'
    assert keys(tmp_path, floats) == keys(tmp_path, floats.replace("1.0", "1"))


def test_the_schedule_travels_as_minutes_after_midnight(tmp_path):
    plan, _ = planned(tmp_path, PREPARE, head=HEAD + '[schedule]\npolicy = "off-peak"\nhours = "22:30-08:00"\n')
    assert (plan["schedule"]["opens"], plan["schedule"]["closes"]) == (22 * 60 + 30, 8 * 60)


def test_how_steps_are_tried_travels_with_the_task(tmp_path):
    said = """retry = { times = 2, on = ["node", "time", "memory"], grow_memory = 2, grow_time = 1.5 }
checkpoint = { path = "state/ckpt", signal = "USR2", before = "2m" }
isolate = "step"
blas = "zen"
"""
    entry = task(planned(tmp_path, PREPARE + said)[0], "prepare")
    assert entry["retry"] == {"times": 2, "on": ["memory", "time"], "grow_memory": 2.0, "grow_time": 1.5}
    assert entry["checkpoint"] == {"path": "state/ckpt", "signal": 12, "before_s": 120}
    assert (entry["isolate"], entry["envelope"], entry["blas"]) == ("step", True, "zen")


def test_a_task_that_says_nothing_of_its_steps_has_the_defaults_in_the_plan(tmp_path):
    entry = task(planned(tmp_path, PREPARE)[0], "prepare")
    assert entry["retry"] == {"times": 0, "on": ["memory", "time"], "grow_memory": 1.0, "grow_time": 1.0}
    assert (entry["checkpoint"], entry["isolate"], entry["envelope"], entry["blas"]) == (None, "worker", True, "")


@pytest.mark.parametrize(("word", "number"), [("HUP", 1), ("INT", 2), ("USR1", 10), ("USR2", 12), ("TERM", 15)])
def test_a_signal_travels_as_its_number_on_linux(tmp_path, word, number):
    entry = task(planned(tmp_path, PREPARE + f'checkpoint = {{ path = "c", signal = "{word}" }}\n')[0], "prepare")
    assert entry["checkpoint"]["signal"] == number


@pytest.mark.parametrize(
    ("said", "most"), [("", 0), ("[run]\nmax_failures = 7\n", 7), ("[run]\nkeep_going = false\n", 1)]
)
def test_a_run_is_told_after_how_many_failures_it_stops(tmp_path, said, most):
    assert planned(tmp_path, PREPARE, said)[0]["run"] == {"max_failures": most}


def test_a_folder_among_the_outputs_keeps_its_slash(tmp_path):
    assert task(planned(tmp_path, PREPARE + 'outputs = { o = "a/maps/" }\n')[0], "prepare")["outputs"] == {
        "o": "a/maps/"
    }


def test_an_input_is_found_where_it_is_carried(tmp_path):
    (tmp_path / "data").mkdir()
    shutil.copyfile(__file__, tmp_path / "data" / "reads.fq")
    text = '[inputs]\nreads = { path = "data/reads.fq" }\n'
    workflow = parsed(tmp_path, text, PREPARE)
    plan = graph.plan(workflow, workflow.sweeps[0], lock.files(workflow, tmp_path), [])
    assert plan["inputs"]["reads"]["path"] == "reads/reads.fq"


def test_a_long_chain_of_tasks_has_a_plan(tmp_path):
    chain = ['[tasks.t0]\nrun = ["true"]\n']
    chain += [f'[tasks.t{at}]\nneeds = ["t{at - 1}"]\nrun = ["true"]\n' for at in range(1, 1000)]
    assert len(planned(tmp_path, *chain)[0]["tasks"]) == 1000


def test_a_named_sweep_has_a_plan_of_its_own_name_and_points(tmp_path):
    workflow = parsed(tmp_path, AXES, "[sweeps.one]\nwhere = 'a == 1'\n[sweeps.two]\nwhere = 'b == \"u\"'\n", PREPARE)
    plans = [graph.plan(workflow, sweep, lock.Lock(), []) for sweep in workflow.sweeps]
    assert [(plan["name"], plan["points"]) for plan in plans] == [("x-one", 2), ("x-two", 3)]


def test_a_grid_is_written_as_its_axes(tmp_path):
    plan, _ = planned(tmp_path, AXES, PREPARE)
    assert plan["axes"] == [{"columns": ["a"], "turns": 3}, {"columns": ["b"], "turns": 2}]


def test_what_a_condition_holds_together_is_one_axis(tmp_path):
    plan, _ = planned(tmp_path, AXES, "[sweep]\nwhere = 'a > 1 or b == \"u\"'\n", PREPARE)
    assert plan["axes"] == [{"columns": ["a", "b"], "turns": 5}]


def test_points_without_a_value_share_the_steps_that_depend_on_it(tmp_path):
    when = "[parameters]\na = [1, 2]\nb = { values = [1, 2], when = 'a == 2' }\n"
    plan, steps = planned(tmp_path, when, '[tasks.t]\nrun = ["t", "{b}"]\n')
    assert (counts(plan), list(steps.of["t"])) == ({"t": 3}, [0, 1, 2])


INCLUDED = '[code]\ninclude = ["*.py"]\n'
FUNCTION = '[tasks.f]\npython = "m:f"\n'


def function(tmp_path, *sections):
    (tmp_path / "m.py").write_text("def f(**more): pass\ndef g(**more): pass\n")
    return planned(tmp_path, INCLUDED, AXES, *sections)[0]


def test_a_function_depends_on_all_parameters(tmp_path):
    plan = function(tmp_path, FUNCTION)
    assert (task(plan, "f")["uses"], counts(plan)) == (["a", "b"], {"f": 6})


def test_a_function_depends_on_those_it_lists(tmp_path):
    assert counts(function(tmp_path, FUNCTION, 'parameters = ["b"]\n')) == {"f": 2}


def test_a_function_that_lists_none_runs_once(tmp_path):
    assert counts(function(tmp_path, FUNCTION, "parameters = []\n")) == {"f": 1}


def test_a_function_that_gathers_runs_once(tmp_path):
    all_of_them = '[tasks.all]\ngather = "f"\npython = "m:g"\n'
    assert counts(function(tmp_path, FUNCTION, all_of_them)) == {"f": 6, "all": 1}


def test_a_functions_entry_has_its_name_and_its_result_and_no_words(tmp_path):
    entry = task(function(tmp_path, FUNCTION), "f")
    assert (entry["python"], entry["words"], entry["shell"]) == ("m:f", [], False)
    assert (entry["outputs"], entry["metrics"]) == ({"result": "result"}, "metrics.json")


def test_another_function_of_the_same_file_has_another_digest(tmp_path):
    digests = {task(function(tmp_path, FUNCTION.replace(":f", name)), "f")["digest"] for name in (":f", ":g")}
    assert len(digests) == 2


CFD = '[tasks.cfd]\nrun = ["cfd"]\nresources = { nodes = 2, ranks = 8, mpi = "pmix" }\n'
RANK_BOX = {"engine": "host", "enter": ["a"], "enter_rank": ["b"]}


def boxes(tmp_path, text):
    workflow = parsed(tmp_path, text)
    return graph.plan(workflow, workflow.sweeps[0], lock.Lock(), [RANK_BOX])["boxes"]


def test_ranks_stand_in_the_plan_of_a_task_that_has_them_and_in_no_other(tmp_path):
    plan, _ = planned(tmp_path, PREPARE, CFD)
    assert task(plan, "cfd")["resources"] == {
        **task(plan, "prepare")["resources"],
        "nodes": 2,
        "ranks": 8,
        "mpi": "pmix",
    }
    assert boxes(tmp_path, CFD) == [RANK_BOX]
    assert boxes(tmp_path, PREPARE) == [{"engine": "host", "enter": ["a"]}]


@pytest.mark.parametrize("other", ["ranks = 4", "nodes = 1", 'mpi = "pmi2"'])
def test_how_many_ranks_there_are_and_where_is_part_of_the_key(tmp_path, other):
    key, was = other.split(" = ")[0], {"ranks": "ranks = 8", "nodes": "nodes = 2", "mpi": 'mpi = "pmix"'}
    digests = {task(planned(tmp_path, text)[0], "cfd")["digest"] for text in (CFD, CFD.replace(was[key], other))}
    assert len(digests) == 2
