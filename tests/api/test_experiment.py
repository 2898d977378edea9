"""An experiment said in Python: what it refuses at once, the file it becomes, and the id that file has."""

import importlib
import json
import tomllib

import pytest

import sciflow
from sciflow import api
from sciflow.errors import UsageError, WorkflowError
from sciflow.workflow import load
from tests import small


def functions():
    """Return functions as a program, a notebook or a test has them: of no module file that could travel."""

    def train(size, rate):
        return {"score": size * rate}

    def score(train, **rest):
        return {"total": train["score"] + len(rest)}

    def drawn(seed):
        return {"n": seed}

    def best(train):
        return {"best": max(record["metrics"]["score"] for record in train)}

    return train, score, drawn, best


train, score, drawn, best = functions()


@pytest.fixture
def workflow(here):
    made = sciflow.ExperimentalWorkflow("small")
    made.add_task("train", train)
    made.add_parameter_space({"size": [1, 2], "rate": [0.5, 1.0]})
    return made


def document(workflow):
    return tomllib.loads(workflow.to_toml())


def test_a_bad_name_is_refused_and_nothing_is_written(here):
    with pytest.raises(UsageError, match="an experiment cannot be called `a b`"):
        sciflow.ExperimentalWorkflow("a b")
    assert list(here.iterdir()) == []


def test_saying_things_writes_nothing(workflow, here):
    workflow.to_toml()
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "more", "said"),
    [
        (("train", train), {}, "there is a task `train` already"),
        (("other",), {}, "wants either a function or a `command`"),
        (("other", train), {"command": ["true"]}, "wants either a function or a `command`"),
        (("other", lambda: 1), {}, "is a lambda"),
        (("other", train), {"depends_on": "train"}, "`depends_on` is a text"),
        (("o/ther", train), {}, "a task cannot be called `o/ther`"),
        (("other", "nowhere:f"), {}, "there is no module file `nowhere`"),
        (("other", train), {"outputs": {"a": None}}, "`outputs`, `a` holds a NoneType"),
    ],
)
def test_a_task_that_is_none_is_refused_at_once(workflow, words, more, said):
    with pytest.raises(UsageError, match=said):
        workflow.add_task(*words, **more)


def test_how_steps_are_tried_is_said_as_in_the_file(workflow):
    said = {"retry": {"times": 2, "on": ("memory",)}, "checkpoint": {"path": "ckpt", "before": "2m"}}
    workflow.add_task("other", command=["true"], isolate="step", envelope="on", blas="zen", **said)
    table = document(workflow)["tasks"]["other"]
    assert (table["retry"], table["checkpoint"]) == ({"times": 2, "on": ["memory"]}, said["checkpoint"])
    assert (table["isolate"], table["envelope"], table["blas"]) == ("step", "on", "zen")
    assert workflow.check().points == 4


def test_what_a_task_does_not_say_of_its_steps_is_not_in_the_file(workflow):
    assert document(workflow)["tasks"]["train"].keys() == {"python", "parameters"}


def test_a_fault_in_how_steps_are_tried_is_told_at_its_place(workflow):
    workflow.add_task("other", command=["true"], retry={"times": 2, "on": ["timeout"]})
    with pytest.raises(WorkflowError, match=r"to_toml\(\):\d+:\d+: `tasks.other.retry.on\[0\]` is `timeout`"):
        workflow.check()


@pytest.mark.parametrize(
    ("words", "table"),
    [
        ({}, None),
        ({"max_failures": 3}, {"max_failures": 3}),
        ({"keep_going": False}, {"keep_going": False}),
        ({"keep_going": True, "max_failures": 3}, {"keep_going": True, "max_failures": 3}),
    ],
)
def test_what_a_run_keeps_to_is_said_with_the_name(here, words, table):
    made = sciflow.ExperimentalWorkflow("small", **words)
    made.add_task("one", command=["true"])
    assert document(made).get("run") == table
    assert made.check().points == 1


def test_two_words_for_when_a_run_stops_are_refused(here):
    made = sciflow.ExperimentalWorkflow("small", max_failures=3, keep_going=False)
    made.add_task("one", command=["true"])
    with pytest.raises(WorkflowError, match="`keep_going = false` stops at the first failure"):
        made.check()


def test_a_second_space_adds_to_the_first(workflow):
    workflow.add_parameter_space({"kernel": "rbf"})
    assert document(workflow)["parameters"] == {"size": [1, 2], "rate": [0.5, 1.0], "kernel": ["rbf"]}


def test_a_parameter_said_twice_is_refused(workflow):
    with pytest.raises(UsageError, match="there is a parameter `size` already"):
        workflow.add_parameter_space({"new": [1], "size": [3]})
    assert "new" not in document(workflow)["parameters"]


def test_values_that_stand_twice_are_dropped_with_a_word(workflow):
    with pytest.warns(UserWarning, match="parameter `c`: 2 values stood there twice"):
        workflow.add_parameter_space({"c": [1, 2, 1, 2]})
    assert document(workflow)["parameters"]["c"] == [1, 2]


def test_a_table_among_lists_keeps_the_order_of_the_axes(workflow):
    workflow.add_parameter_space({"c": {"linspace": [0, 1, 3]}, "last": [1, 2]})
    assert list(document(workflow)["parameters"]) == ["size", "rate", "c", "last"]
    assert workflow.check().points == 2 * 2 * 3 * 2


def test_a_space_that_is_no_table_is_refused(workflow):
    with pytest.raises(UsageError, match="a parameter space is a dict, not a list"):
        workflow.add_parameter_space([1, 2])


def test_an_input_said_twice_is_refused(workflow, write):
    write("x.csv", "1\n")
    workflow.add_input("x", "x.csv")
    with pytest.raises(UsageError, match="there is an input `x` already"):
        workflow.add_input("x", "x.csv")


def test_a_design_in_a_file_comes_along(workflow, tmp_path, write):
    (tmp_path / "design.csv").write_text("lr,depth\n0.1,1\n")
    workflow.add_parameter_space({"design": {"from": str(tmp_path / "design.csv"), "columns": ["lr", "depth"]}})
    workflow.add_task("all", score, depends_on=["train"])
    found = document(workflow)
    assert found["parameters"]["design"] == {"from": "designs/design/design.csv", "columns": ["lr", "depth"]}
    assert found["tasks"]["all"]["parameters"] == ["size", "rate", "lr", "depth"]
    assert (workflow.write_toml("out").parent / "designs" / "design" / "design.csv").read_text() == "lr,depth\n0.1,1\n"


@pytest.mark.parametrize("task", ["trian", "other", 3])
def test_resources_of_a_task_that_is_none_are_refused(workflow, task):
    with pytest.raises(UsageError, match=f"there is no task `{task}`"):
        workflow.set_resource_requirements({task: {"cpu_cores": 1}})


def test_a_chart_and_a_metric_are_said_once(workflow):
    chart = {"type": "line", "x_axis": "size", "y_axis": "score"}
    workflow.add_visualization("v", chart)
    workflow.add_metric("score", goal="maximize")
    with pytest.raises(UsageError, match="there is a visualization `v` already"):
        workflow.add_visualization("v", chart)
    with pytest.raises(UsageError, match="the metric `score` is described already"):
        workflow.add_metric("score")


def test_a_metric_that_a_chart_measures_is_made_known(workflow):
    workflow.add_visualization("v", {"type": "line", "x_axis": "size", "y_axis": "score"})
    assert document(workflow)["results"] == {"metrics": {"score": {}}}


def test_a_described_metric_stays_as_it_was_described(workflow):
    workflow.add_metric("score", goal="maximize", require="> 0.5", tolerance=1e-9, unit="1")
    workflow.add_visualization("v", {"type": "line", "x_axis": "size", "y_axis": "score"})
    assert document(workflow)["results"]["metrics"]["score"] == {
        "goal": "maximize",
        "require": "> 0.5",
        "tolerance": 1e-9,
        "unit": "1",
    }


def test_a_function_depends_on_the_parameters_it_names(workflow):
    assert document(workflow)["tasks"]["train"] == {"python": "small_functions:train", "parameters": ["size", "rate"]}


def test_a_function_that_takes_all_depends_on_all(workflow):
    workflow.set_sweep(derive={"twice": "size * 2"})
    workflow.add_task("score", score, depends_on=["train"])
    assert document(workflow)["tasks"]["score"]["parameters"] == ["size", "rate", "twice"]


def test_a_function_that_draws_depends_on_all(workflow):
    workflow.add_task("drawn", drawn)
    assert document(workflow)["tasks"]["drawn"]["parameters"] == ["size", "rate"]


def test_a_function_that_gathers_depends_on_none(workflow):
    workflow.add_task("best", best, gather="train")
    table = document(workflow)["tasks"]["best"]
    assert table == {"python": "small_functions:best", "gather": "train"}
    assert workflow.check().steps == {"train": 4, "best": 1}


def test_what_a_task_depends_on_can_be_said(workflow):
    workflow.add_task("score", score, depends_on=["train"], parameters=["size"])
    assert document(workflow)["tasks"]["score"]["parameters"] == ["size"]


def test_a_task_may_need_one_that_comes_later(here):
    made = sciflow.ExperimentalWorkflow("small")
    made.add_parameter_space({"size": [1], "rate": [2.0]})
    made.add_task("score", score, depends_on=["train"])
    made.add_task("train", train)
    assert made.check().steps == {"train": 1, "score": 1}


@pytest.mark.parametrize(
    ("needs", "said"),
    [(["trian"], "there is no such task"), (["score"], "needs itself"), (["late"], "score -> late -> score")],
)
def test_needs_that_cannot_be_are_faults_of_the_file(workflow, needs, said):
    workflow.add_task("score", command=["true"], depends_on=needs)
    workflow.add_task("late", command=["true"], depends_on=["score"])
    with pytest.raises(WorkflowError, match=said):
        workflow.check()


def test_an_argument_that_nothing_gives_is_a_fault_with_what_there_is(workflow):
    workflow.add_task("score", score)
    with pytest.raises(WorkflowError, match=r"to_toml\(\):\d+:\d+: `small_functions:score` wants `train`") as caught:
        workflow.compile()
    assert "did you mean" in str(caught.value) or "arguments" in str(caught.value)


def test_all_faults_come_together_at_their_places_in_the_text(workflow):
    workflow.set_sweep(where="size >", zip=[["size", "rat"]])
    with pytest.raises(WorkflowError) as caught:
        workflow.check()
    lines = workflow.to_toml().splitlines()
    assert len(caught.value.faults) == 2
    for fault in caught.value.faults:
        assert fault.file == "to_toml()"
        assert any(word in lines[fault.line - 1] for word in ("size >", "rat"))


@pytest.mark.parametrize("method", ["set_sweep", "add_sweep"])
def test_a_word_that_a_sweep_does_not_know_is_refused(workflow, method):
    words = ("fine",) if method == "add_sweep" else ()
    with pytest.raises(UsageError, match="has no `were`"):
        getattr(workflow, method)(*words, were="size > 1")


def test_named_sweeps_stand_in_the_file(workflow):
    workflow.add_sweep("fine", where="size > 1")
    assert document(workflow)["sweeps"] == {"fine": {"where": "size > 1"}}


def test_the_sweep_decides_the_points(workflow):
    workflow.set_sweep(where="size > 1")
    workflow.set_sweep(derive={"twice": "size * 2"})
    assert workflow.check().points == 2


def test_inputs_and_code_of_this_folder_keep_their_paths(workflow, write, here):
    write("data/x.csv", "1\n")
    write("tools/t.py", "")
    workflow.add_input("x", "data/x.csv")
    workflow.add_code("tools/t.py")
    found = document(workflow)
    assert found["inputs"] == {"x": {"path": "data/x.csv"}}
    assert found["code"]["include"] == ["small_functions.py", "tools/t.py"]


def test_inputs_from_elsewhere_get_a_path_of_their_own(workflow, tmp_path, here):
    (tmp_path / "x.csv").write_text("1\n")
    workflow.add_input("x", tmp_path / "x.csv")
    assert document(workflow)["inputs"] == {"x": {"path": "inputs/x/x.csv"}}
    assert workflow.check().input_bytes == 2


def test_an_input_that_is_not_there_is_refused_at_once(workflow):
    with pytest.raises(UsageError, match=r"input `x`: there is no file or folder `nowhere\.csv`"):
        workflow.add_input("x", "nowhere.csv")


def test_two_files_that_would_be_one_are_refused(workflow, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "t.py").write_text("")
    workflow.add_code(tmp_path / "a" / "t.py")
    with pytest.raises(UsageError, match=r"would both be `t\.py`"):
        workflow.add_code(tmp_path / "b" / "t.py")


@pytest.mark.parametrize(
    ("words", "image"),
    [
        ({"source": "docker://python:3.12-slim"}, {"from": "docker://python:3.12-slim"}),
        ({"debian": "bookworm", "packages": ["python3"]}, {"debian": "bookworm", "packages": ["python3"]}),
        ({"debian": "bookworm", "python": "r.txt"}, {"debian": "bookworm", "python": "r.txt"}),
        ({"nix": ".#env", "files": ("*.patch",)}, {"nix": ".#env", "files": ["*.patch"]}),
        ({"dockerfile": "Dockerfile", "labels": {"a": "b"}}, {"dockerfile": "Dockerfile", "labels": {"a": "b"}}),
    ],
)
def test_an_image_stands_in_the_file(workflow, write, words, image):
    write("r.txt", "")
    write("Dockerfile", "")
    workflow.set_image(**words)
    assert document(workflow)["image"] == image


def test_what_an_image_s_recipe_copies_travels_with_it(workflow, write, here):
    write("Dockerfile", "FROM a/b:1\nCOPY tool.sh /opt/\n")
    write("tool.sh", "true\n")
    workflow.set_image(dockerfile="Dockerfile", context=["tool.sh"])
    workflow.write_toml("out")
    assert (here / "out" / "Dockerfile").exists()
    assert (here / "out" / "tool.sh").read_text() == "true\n"


def test_a_key_that_images_do_not_have_is_named(workflow):
    with pytest.raises(UsageError, match=r"the image has no `dockerfil`\n.*`dockerfile`"):
        workflow.set_image(dockerfil="Dockerfile")


def test_an_input_may_come_from_elsewhere(workflow):
    workflow.add_input("reads", url="https://data.example/r.fq", sha256="0" * 64)
    assert document(workflow)["inputs"] == {"reads": {"url": "https://data.example/r.fq", "sha256": "0" * 64}}


@pytest.mark.parametrize("words", [{}, {"path": "a", "url": "https://data.example/a"}])
def test_an_input_is_from_here_or_from_elsewhere(workflow, words):
    with pytest.raises(UsageError, match="the input `reads` wants a path or a url"):
        workflow.add_input("reads", **words)


def test_a_command_is_a_list_of_words_or_a_text(workflow):
    workflow.add_task("a", command=["echo", 1], environment={"A": "b"}, metrics="m.json", outputs={"o": "o.txt"})
    workflow.add_task("b", command="echo {size} > {outputs.o}", outputs={"o": "o.txt"})
    tasks = document(workflow)["tasks"]
    assert tasks["a"]["run"] == ["echo", "1"]
    assert tasks["b"]["shell"] == "echo {size} > {outputs.o}"


def test_what_is_written_reads_back_and_is_written_the_same(workflow, here):
    file = workflow.write_toml("out")
    assert file.read_text() == workflow.to_toml()
    assert load.read(file).name == "small"


def test_the_file_compiled_by_the_command_line_has_the_id_of_the_program(workflow, here):
    bundle = workflow.compile()
    said = small.sciflow("compile", workflow.write_toml("out"), "--json", cwd=here)
    assert json.loads(said.stdout).get("id") == bundle.id, said


def test_the_same_program_in_another_folder_has_the_same_id(workflow, tmp_path, monkeypatch):
    first = workflow.compile().id
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert workflow.compile().id == first


def test_compile_leaves_nothing_but_the_bundle(workflow, here):
    bundle = workflow.compile()
    assert [path.name for path in here.iterdir()] == ["bundles"]
    assert [path.name for path in (here / "bundles").iterdir()] == [bundle.path.name]


def test_what_was_pinned_of_an_image_file_is_kept_beside_the_bundles(workflow, write, here):
    write("tools.sif", "hsqs")
    workflow.set_image(file="tools.sif")
    workflow.compile()
    assert "tools.sif" in (here / "bundles" / "small.lock").read_text()
    workflow.compile(locked=True)


def test_a_workflow_that_is_a_module_s_function_and_one_by_name_are_the_same(write, here):
    write("study.py", "def train(size, rate=1.0):\n    return {'score': size * rate}\n")
    ids = []
    for task in (importlib.import_module("study").train, "study:train"):
        made = sciflow.ExperimentalWorkflow("small")
        made.add_task("train", task)
        made.add_parameter_space({"size": [1, 2]})
        ids.append(made.compile().id)
    assert ids[0] == ids[1]


def test_it_runs(workflow):
    results = workflow.run(say=api.silent)
    assert results.table["score"].to_list() == [0.5, 1.0, 1.0, 2.0]


def made_of(space, **sweep):
    made = sciflow.ExperimentalWorkflow("wide")
    made.add_parameter_space(space)
    if sweep:
        made.set_sweep(**sweep)
    made.add_task("show", command=["true"], parameters=list(made._columns()))
    return made


@pytest.mark.parametrize(
    ("space", "sweep", "points"),
    [
        ({"c": {"range": [0, 10, 2]}, "k": ["a", "b"]}, {"zip": []}, 10),
        ({"a": [1, 2], "b": [3, 4]}, {"zip": [["a", "b"]]}, 2),
        ({"a": [1, 2], "b": [3, 4]}, {"exclude": [{"a": 1, "b": 3}], "include": [{"a": 9}]}, 3 + 2),
        ({"k": ["rbf", "poly"], "d": {"values": [2, 3], "when": "k == 'poly'"}}, {}, 3),
        ({"u": {"uniform": [0, 1]}, "k": [1, 2]}, {"sample": {"method": "sobol", "points": 8, "seed": 7}}, 16),
        ({"a": 1, "repeat": {"replicates": 3}}, {}, 3),
        ({"net": [{"layers": 1, "units": [8]}, {"layers": 2, "units": [8, 8]}]}, {}, 2),
        ({"a": [1, 2], "b": [3]}, {"blocks": [{"parameters": {"a": [1]}}, {"where": "a < 3"}]}, 2),
    ],
)
def test_what_the_file_can_say_can_be_said(here, space, sweep, points):
    made = made_of(space, **sweep)
    assert made.check().points == points
    assert made.compile().plan["points"] == points
    assert small.sciflow("check", made.write_toml("out"), cwd=here).stdout.startswith(f"ok: {points} points")


def test_a_table_comes_to_a_function_as_a_dict_and_back_as_one(here):
    def count(net):
        return {"units": sum(net["units"])}

    made = sciflow.ExperimentalWorkflow("nets")
    made.add_task("count", count)
    made.add_parameter_space({"net": [{"layers": 1, "units": [8]}, {"layers": 2, "units": [8, 8]}]})
    results = made.run(say=api.silent)
    best = results.find_optimal_parameters("units")
    assert best == {"net": {"layers": 2, "units": [8, 8]}}
    assert results.get_metric(best, "units") == 16
    assert results.get_metric({"net": {"units": [8], "layers": 1.0}}, "units") == 8


def test_a_value_that_a_point_does_not_have_is_none_and_is_asked_for_as_none(here):
    def degree(kernel, depth):
        return {"d": -1 if depth is None else depth}

    made = sciflow.ExperimentalWorkflow("kernels")
    made.add_task("degree", degree)
    made.add_parameter_space({"kernel": ["rbf", "poly"], "depth": {"values": [2, 3], "when": "kernel == 'poly'"}})
    results = made.run(say=api.silent)
    worst = results.find_optimal_parameters("d", maximize=False)
    assert worst == {"kernel": "rbf", "depth": None}
    assert results.get_metric(worst, "d") == -1
    assert results.get_metric({"kernel": "poly", "depth": 3}, "d") == 3


def test_a_named_sweep_has_a_bundle_of_its_own(workflow):
    workflow.add_sweep("fine", where="size > 1")
    workflow.add_sweep("coarse")
    assert (workflow.check("fine").points, workflow.check("coarse").points) == (2, 4)
    assert workflow.run("fine", say=api.silent).bundle.name == "small-fine"


def test_a_function_of_a_program_runs_with_all_it_names_and_none_of_the_rest(write, python):
    write(
        "prog.py",
        """
        import math
        import sciflow
        with open("top.txt", "a") as stream:
            stream.write("x")
        SCALE = 10
        def root(x):
            return math.sqrt(x) * SCALE
        def first(size, seed, point):
            return {"rooted": root(size), "seed": seed, "point": point}
        def second(first, *, rate=2.0):
            return first["rooted"] * rate
        def third(second, size):
            return {"final": second + size}
        w = sciflow.ExperimentalWorkflow("prog")
        w.add_task("first", first)
        w.add_task("second", second, depends_on=["first"])
        w.add_task("third", third, depends_on=["second"])
        w.add_parameter_space({"size": [4, 9], "rate": [1.0, 2.0]})
        r = w.run()
        print(r.table["final"].to_list(), sorted(r.table["point"].to_list()), len(set(r.table["seed"].to_list())))
        """,
    )
    assert python("prog.py").stdout == "[24, 44, 39, 69] [0, 1, 2, 3] 4\n"
    assert (write("other.txt", "").parent / "top.txt").read_text() == "x"


def test_it_shows_itself_in_a_notebook_with_nothing_of_html_in_it(here):
    made = sciflow.ExperimentalWorkflow("small", title="<b>a & b</b>")
    assert repr(made) == "<ExperimentalWorkflow 'small': 0 tasks, 0 parameters>"
    assert "<b>" not in made._repr_html_()
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in made._repr_html_()
