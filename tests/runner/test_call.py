"""A task's function is called with what it asks for by name, and what it returns is kept; by a real python3, from a file."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sciflow.runner import call
from tests.runner.conftest import PYENV

PROGRAM = Path(call.__file__)
VALUES = {"rate": 1.0, "depth": 3, "kernel": "rbf", "option": {"a": [1, 2.5]}, "maybe": None}


class Calls:
    """A step's folder, with the code linked into it as a worker does, and what one call is told."""

    def __init__(self, folder):
        self.folder, self.code = folder / "step", folder / "code"
        self.folder.mkdir()
        self.code.mkdir()
        self.told = {
            "upstream": {},
            "inputs": {"reads": "/in/reads"},
            "outputs": {"model": str(self.folder / "m.bin")},
            "seed": 7,
            "point": 2,
            "result": str(self.folder / "result"),
            "metrics": str(self.folder / "metrics.json"),
        }

    def write(self, text, name="study.py"):
        (self.code / name).write_text(text, encoding="utf-8")
        link = self.folder / name
        if not link.is_symlink():
            link.symlink_to(self.code / name)

    def upstream(self, task, left):
        """Say what a task left: a path of its value, its outputs, or its records."""
        self.told["upstream"][task] = left

    def kept(self, task, data):
        path = self.folder.parent / f"{task}.result"
        path.write_bytes(data)
        self.upstream(task, {"result": str(path)})

    def run(self, text, *, values=VALUES, name="study:f", python=sys.executable, code=0, **environment):
        self.write(text)
        for file, content in (("p.json", values), ("c.json", self.told)):
            (self.folder.parent / file).write_text(json.dumps(content), encoding="utf-8")
        found = subprocess.run(
            [python, "-B", str(PROGRAM), name],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "SCIFLOW_PARAMETERS": str(self.folder.parent / "p.json"),
                "SCIFLOW_CALL": str(self.folder.parent / "c.json"),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == code, found.stderr
        return found

    @property
    def data(self):
        return (self.folder / "result").read_bytes()

    @property
    def metrics(self):
        return json.loads((self.folder / "metrics.json").read_bytes())

    def value(self, text, **more):
        """Call, and return what the function returned, as JSON has it."""
        self.run(text, **more)
        return json.loads(self.data)

    def said(self, text, **more):
        """Call a function that cannot be called or kept; return the words of the refusal."""
        return self.run(text, code=1, **more).stderr


@pytest.fixture
def calls(tmp_path):
    return Calls(tmp_path)


# ---- What a function may ask for


SHAPES = [
    ("def f(): return 'none'", "none"),
    ("def f(rate, depth): return [rate, depth]", [1.0, 3]),
    ("def f(depth, missing=5): return [depth, missing]", [3, 5]),
    ("def f(depth=0): return depth", 3),
    ("def f(*, kernel): return kernel", "rbf"),
    ("def f(*, kernel='x', other='y'): return [kernel, other]", ["rbf", "y"]),
    ("def f(depth, **more): return [depth, sorted(more)]", [3, ["kernel", "maybe", "option", "rate"]]),
    ("def f(**more): return len(more)", 5),
    ("def f(*rest, depth): return [list(rest), depth]", [[], 3]),
    ("def f(maybe): return [maybe]", [None]),
    ("def f(maybe=1): return [maybe]", [None]),
    ("def f(option): return option", {"a": [1, 2.5]}),
    ("def f(inputs, outputs): return [inputs, sorted(outputs)]", [{"reads": "/in/reads"}, ["model"]]),
    ("def f(seed, point): return [seed, point]", [7, 2]),
    ("def f(depth: 'int', *, rate: float = 2.0) -> list: return [depth, rate]", [3, 1.0]),
]


@pytest.mark.parametrize(("text", "value"), SHAPES, ids=[text.partition(":")[0] for text, _ in SHAPES])
def test_arguments_are_given_by_name(calls, text, value):
    assert calls.value(text) == value


def test_arguments_that_have_no_name_for_a_caller_are_given_in_order(calls):
    assert calls.value("def f(rate, depth, /, kernel): return [rate, depth, kernel]") == [1.0, 3, "rbf"]


def test_a_whole_float_stays_a_float(calls):
    assert calls.value("def f(rate, depth): return [type(rate).__name__, type(depth).__name__]") == ["float", "int"]


def test_a_parameter_comes_before_a_word_of_its_name(calls):
    assert calls.value("def f(seed): return seed", values={"seed": "mine"}) == "mine"


def test_the_signature_of_a_decorated_function_is_its_own(calls):
    text = (
        "import functools\ndef twice(g):\n    @functools.wraps(g)\n    def h(*a, **k): return g(*a, **k) * 2\n"
        "    return h\n@twice\ndef f(depth): return depth\n"
    )
    assert calls.value(text) == 6


def test_what_nothing_gives_is_refused_with_what_there_is(calls):
    calls.upstream("pre-pare", {"outputs": {}})
    assert calls.said("def f(depht, rate, other): pass") == (
        "sciflow: study:f wants `depht`, `other`, and nothing gives it; there are the parameters `depth`, `kernel`, "
        "`maybe`, `option`, `rate`, the tasks `pre_pare`, the words `inputs`, `outputs`, `point`, `seed`\n"
    )


def test_no_point_is_given_where_points_share_the_step(calls):
    del calls.told["point"]
    assert "wants `point`, and nothing gives it" in calls.said("def f(point): pass")


# ---- What tasks before it left


def test_the_value_of_another_function_is_given_by_its_tasks_name(calls):
    calls.kept("prepare", b'{"x": [1.5, null]}')
    assert calls.value("def f(prepare): return prepare") == {"x": [1.5, None]}


def test_a_value_that_is_a_pickle_is_opened(calls):
    calls.kept("prepare", pickle.dumps((1, {2, 3}), 4))
    assert calls.value("def f(prepare): return [type(prepare).__name__, sorted(prepare[1])]") == ["tuple", [2, 3]]


def test_a_value_of_a_class_of_the_code_is_read_by_a_later_task(calls):
    calls.run("class Model:\n    def __init__(self): self.w = 4\ndef f(): return Model()\n")
    calls.kept("train", calls.data)
    calls.write("def g(train): return [type(train).__module__, train.w]\n", "later.py")
    calls.run((calls.code / "study.py").read_text(), name="later:g")
    assert json.loads(calls.data) == ["study", 4]


def test_a_value_whose_class_is_gone_is_refused_by_the_name_of_its_task(calls):
    calls.kept("train", b"\x80\x04\x8c\x04gone\x8c\x01M\x93.")
    assert "task `train`: the value cannot be read back (ModuleNotFoundError" in calls.said("def f(train): pass")


def test_a_value_that_is_not_asked_for_is_not_read(calls):
    calls.upstream("train", {"result": "/nowhere"})
    assert calls.value("def f(): return 1") == 1


def test_a_command_gives_the_paths_of_its_outputs(calls):
    calls.upstream("clean-up", {"outputs": {"table": "/out/t.csv"}})
    assert calls.value("def f(clean_up): return clean_up") == {"table": "/out/t.csv"}


def test_a_gathered_task_gives_its_records(calls, tmp_path):
    (tmp_path / "r.jsonl").write_text('{"step":0,"metrics":{"y":1}}\n{"step":1,"metrics":{"y":2}}\n')
    calls.upstream("train", {"records": str(tmp_path / "r.jsonl")})
    assert calls.value("def f(train): return [r['metrics']['y'] for r in train]") == [1, 2]


# ---- What it returns


@pytest.mark.parametrize(
    "value",
    ["1.0", "[1, 2.5, -0.0, 1e300]", "{'a': {'b': [None, True, '\\ud800 \\u6f22']}}", "[]", "None", "2 ** 1000", "''"],
)
def test_what_json_gives_back_exactly_is_json(calls, value):
    calls.run(f"def f(): return {value}")
    assert repr(json.loads(calls.data)) == repr(eval(value))  # noqa: S307


@pytest.mark.parametrize(
    "value",
    ["(1, 2)", "{1: 2}", "{'a': (1,)}", "{1, 2}", "[float('inf')]", "b'x'", "1j", "2 ** 20000", "type('', (str,), {})"],
)
def test_all_else_is_a_pickle(calls, value):
    if "type" in value:
        value, head = "S('x')", "class S(str): pass\n"
    else:
        head = ""
    calls.run(f"{head}def f(): return {value}")
    assert calls.data[:2] == b"\x80\x04"
    if not head:
        assert pickle.loads(calls.data) == eval(value)  # noqa: S301, S307


def test_what_is_not_equal_to_itself_is_a_pickle_too(calls):
    calls.run("def f(): return {'x': float('nan')}")
    assert repr(pickle.loads(calls.data)) == "{'x': nan}"  # noqa: S301


def test_a_value_that_holds_itself_is_kept(calls):
    calls.run("def f():\n    a = [1]\n    a.append(a)\n    return a\n")
    found = pickle.loads(calls.data)  # noqa: S301
    assert found[1] is found


@pytest.mark.parametrize(
    ("text", "what"),
    [("def f(): yield 1", "generator"), ("async def f(): return 1", "coroutine")],
    ids=["yield", "async"],
)
def test_what_has_not_run_yet_is_refused(calls, text, what):
    assert f"sciflow: study:f returned a {what}: return what it makes, a list say" in calls.said(text)


@pytest.mark.parametrize("value", ["lambda: 1", "open('/dev/null')", "[x for x in [__import__('threading').Lock()]]"])
def test_what_cannot_be_kept_is_refused(calls, value):
    said = calls.said(f"def f(): return {value}")
    assert said.startswith("sciflow: study:f returned a value that cannot be kept: ")
    assert "among `outputs`" in said


# ---- Its metrics


def test_the_single_values_of_a_dict_are_the_metrics(calls):
    calls.run("def f(): return {'a': 1, 'b': 2.5, 'c': True, 'd': 'x', 'e': None, 'list': [1], 'dict': {}}")
    assert calls.metrics == {"a": 1, "b": 2.5, "c": True, "d": "x", "e": None}


def test_what_holds_one_plain_value_gives_it(calls):
    text = (
        "class One:\n    def __init__(self, *held): self.held = held\n"
        "    def item(self):\n        if len(self.held) > 1: raise ValueError('many')\n        return self.held[0]\n"
        "def f(): return {'a': One(4), 'many': One(1, 2), 'deep': One([1])}\n"
    )
    calls.run(text)
    assert calls.metrics == {"a": 4}


def with_numpy():
    """Return a python3 of this machine that has numpy; sciflow itself needs none."""
    for python in (sys.executable, shutil.which("python3"), *sorted(map(str, PYENV.glob("*/bin/python3")))):
        if (
            python
            and not subprocess.run([python, "-c", "import numpy"], stderr=subprocess.DEVNULL, check=False).returncode
        ):
            return python
    return pytest.skip("no python3 here has numpy")


def test_numpys_numbers_become_plain_ones(calls):
    text = (
        "import numpy as np\ndef f(): return {'f': np.float32(0.5), 'd': np.float64(1.5), 'i': np.int64(3),\n"
        "    'b': np.bool_(True), 'one': np.array([4]), 'many': np.array([1, 2]), 'date': np.datetime64('2020-01-01')}\n"
    )
    calls.run(text, python=with_numpy())
    assert calls.metrics == {"f": 0.5, "d": 1.5, "i": 3, "b": True, "one": 4}


@pytest.mark.parametrize("value", ["None", "[1]", "3.5", "{1: 2}", "{}"])
def test_what_is_no_dict_of_names_has_no_metrics(calls, value):
    calls.run(f"def f(): return {value}")
    assert calls.metrics == {}


def test_metrics_that_a_function_wrote_itself_are_kept_where_it_returns_none(calls):
    calls.run("def f(): open('metrics.json', 'w').write('{\"y\": 1}')")
    assert calls.metrics == {"y": 1}


def test_metrics_go_where_the_task_says(calls):
    calls.told["metrics"] = str(calls.folder / "deep" / "m.json")
    calls.run("import os\ndef f():\n    os.chdir('/')\n    return {'y': 1}\n")
    assert json.loads((calls.folder / "deep" / "m.json").read_bytes()) == {"y": 1}


@pytest.mark.parametrize("name", ["result", "metrics.json"])
def test_a_file_of_the_code_is_not_written_through(calls, name):
    calls.write("the code's own", name)
    calls.run("def f(): return {'y': 1}")
    assert (calls.code / name).read_text() == "the code's own"


# ---- Where it is found, and how it fails


def test_a_module_in_a_folder_is_found(calls):
    (calls.code / "lib").mkdir()
    (calls.code / "lib" / "deep.py").write_text("def g(depth): return depth\n")
    (calls.folder / "lib").symlink_to(calls.code / "lib")
    assert calls.value("", name="lib.deep:g") == 3


def test_a_module_that_is_not_the_codes_is_refused(calls):
    said = calls.said("", name="json:loads")
    assert "sciflow: the module `json` was taken from " in said
    assert "rename its file" in said


def test_the_rooms_of_the_runner_are_in_nobodys_way(calls):
    assert "No module named 'records'" in calls.said("import records\ndef f(): pass\n")


def test_a_function_that_is_not_there_is_named(calls):
    assert calls.said("f = 3") == "sciflow: `study.py` holds no function `f`\n"


def test_what_a_function_raises_is_told_from_its_own_line_on(calls):
    assert calls.said("def f(depth):\n    return depth / 0\n") == (
        "Traceback (most recent call last):\n"
        f'  File "{calls.folder}/study.py", line 2, in f\n    return depth / 0\n'
        + ("           ~~~~~~^~~\n" if sys.version_info >= (3, 11) else "")
        + "ZeroDivisionError: division by zero\n"
    )


def test_what_a_module_raises_is_told_from_its_own_line_on(calls):
    said = calls.said("import no_such_package\n").splitlines()
    assert (said[1], said[-1]) == (
        f'  File "{calls.folder}/study.py", line 1, in <module>',
        "ModuleNotFoundError: No module named 'no_such_package'",
    )


def test_an_exit_of_the_functions_own_is_the_steps(calls):
    calls.run("import sys\ndef f(): sys.exit(5)\n", code=5)


def test_every_python_from_3_6_on_calls(calls, interpreter):
    calls.kept("prepare", pickle.dumps((1, 2), 4))
    text = (
        "def f(prepare, depth, *rest, kernel='x', **more): return {'sum': sum(prepare) + depth, 'k': kernel, 't': (1,)}"
    )
    calls.run(text, python=interpreter)
    assert (calls.metrics, calls.data[:2]) == ({"sum": 6, "k": "rbf"}, b"\x80\x04")


def test_every_python_from_3_6_on_tells_of_an_error_alike(calls, interpreter):
    said = calls.said("def f(): raise ValueError('no')\n", python=interpreter)
    assert (said.count('File "'), said.splitlines()[-1]) == (1, "ValueError: no")
