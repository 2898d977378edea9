"""A task's function must travel with the workflow, and ask only for what there is; what it is refused with: tests/refused."""

import pytest

from sciflow.errors import WorkflowError
from sciflow.workflow import calls, load
from sciflow.workflow.spec import Code

HEAD = 'format = 1\n[workflow]\nname = "x"\n[code]\ninclude = ["**/*.py"]\n[parameters]\na = [1, 2]\nb = [3, 4]\n'
PREPARE = '[tasks.pre-pare]\nrun = ["x"]\n'
TASK = '[tasks.t]\npython = "m:f"\n'


def loaded(folder, text, *sections, head=HEAD, file="m.py"):
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / file).write_text(text, encoding="utf-8")
    return load.parse(head + "".join(sections or [TASK]), file=folder / "workflow.toml")


def refused(folder, text, *sections, **more):
    with pytest.raises(WorkflowError) as caught:
        loaded(folder, text, *sections, **more)
    return [fault.text for fault in caught.value.faults]


@pytest.mark.parametrize(
    "text",
    [
        "def f(): pass",
        "def f(a, b): pass",
        "def f(b, /, *, a): pass",
        "def f(missing=1, *, other=None): pass",
        "def f(*rest, **more): pass",
        "def f(inputs, outputs, seed, point): pass",
        "import x\n@x.anything\ndef f(unknown): pass",
        "def f(unknown): pass\ndef f(a): pass",
    ],
)
def test_a_function_that_asks_for_what_there_is_is_taken(tmp_path, text):
    assert loaded(tmp_path, text).tasks[0].python == "m:f"


@pytest.mark.parametrize("text", ["def f(c): pass", "def f(c, /): pass", "def f(*, c): pass", "def f(a, c, d=1): pass"])
def test_an_argument_that_nothing_gives_is_refused(tmp_path, text):
    assert refused(tmp_path, text) == ["`m:f` wants `c`, and nothing gives it"]


def test_a_task_is_asked_for_with_underscores(tmp_path):
    workflow = loaded(tmp_path, "def f(pre_pare): pass", PREPARE, TASK, 'needs = ["pre-pare"]\n')
    assert workflow.tasks[1].needs == ("pre-pare",)


def test_a_task_that_is_not_needed_gives_nothing(tmp_path):
    assert refused(tmp_path, "def f(pre_pare): pass", PREPARE, TASK) == ["`m:f` wants `pre_pare`, and nothing gives it"]


def test_a_parameter_that_is_not_listed_is_not_given(tmp_path):
    assert refused(tmp_path, "def f(b): pass", TASK, 'parameters = ["a"]\n') == [
        "`m:f` wants `b`, and nothing gives it"
    ]


def test_a_parameter_of_what_is_needed_is_given_though_it_is_not_listed(tmp_path):
    needed = '[tasks.other]\nrun = ["x", "{b}"]\n'
    workflow = loaded(tmp_path, "def f(a, b): pass", needed, TASK, 'parameters = ["a"]\nneeds = ["other"]\n')
    assert workflow.tasks[1].parameters == ("a",)


def test_a_point_is_not_given_where_points_share_the_step(tmp_path):
    found = refused(tmp_path, "def f(point): pass", TASK, 'parameters = ["a"]\n')
    assert found == ["`m:f` wants `point`, and nothing gives it"]


def test_a_derived_column_is_given(tmp_path):
    assert loaded(tmp_path, "def f(c): pass", "[sweep]\nderive = { c = 'a + b' }\n", TASK).tasks


@pytest.mark.parametrize("file", ["lib/deep.py", "lib/deep/__init__.py"])
def test_a_module_may_stand_in_a_folder(tmp_path, file):
    workflow = loaded(tmp_path, "def f(a): pass", '[tasks.t]\npython = "lib.deep:f"\n', file=file)
    assert workflow.tasks[0].python == "lib.deep:f"


def test_a_file_that_is_not_python_is_told_by_its_line(tmp_path):
    assert refused(tmp_path, "x = 1\ndef f(:\n") == ["line 2 of `m.py` cannot be read as Python"]


def test_a_pattern_that_is_none_is_told_and_nothing_of_the_function_beside_it(tmp_path):
    told = refused(tmp_path, "def f(a): pass", head=HEAD.replace("**/*.py", "**.py"))
    assert told == ["`**.py` is no pattern: `**` stands alone between slashes"]


def test_a_faulty_list_of_code_is_told_once(tmp_path):
    assert len(refused(tmp_path, "def f(a): pass", head=HEAD.replace("**/*.py", "/*.py"))) == 1


def test_the_code_that_travels_is_known_by_its_paths(tmp_path):
    loaded(tmp_path, "def f(a): pass")
    assert calls.source(Code(include=("*.py",)), tmp_path).files == {"m.py"}


def test_a_function_has_an_output_and_metrics_of_its_own(tmp_path):
    task = loaded(tmp_path, "def f(a): pass", TASK, 'outputs = { model = "m.bin" }\n').tasks[0]
    assert (task.words, task.outputs, task.metrics) == (
        (),
        (("result", "result"), ("model", "m.bin")),
        "metrics.json",
    )


def test_a_command_may_name_the_result_of_a_function(tmp_path):
    after = '[tasks.after]\nneeds = ["t"]\nrun = ["cat", "{t.result}"]\n'
    assert loaded(tmp_path, "def f(a): pass", TASK, after).tasks[1].words[1][0].name == "result"


def test_metrics_of_a_function_may_be_described(tmp_path):
    described = "[results.metrics]\ny = { goal = 'maximize' }\n"
    assert loaded(tmp_path, "def f(a): pass", TASK, described).metrics[0].name == "y"


def test_a_task_that_gathers_may_not_need_a_function_of_all_points(tmp_path):
    gathers = '[tasks.all]\ngather = "other"\nneeds = ["t"]\nrun = ["x"]\n'
    other = '[tasks.other]\nrun = ["x", "{a}"]\n'
    found = refused(tmp_path, "def f(a): pass", TASK, other, gathers)
    assert found == ["`all` runs once, and `t` has a step for each value of `a`, `b`"]
