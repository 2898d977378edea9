"""Python functions are called in forks of a process that has imported their module, and find all as a fresh Python has it."""

import pytest

from tests.runner.conftest import HOST, boxed, task
from tests.runner.test_call import with_numpy

COUNT = 6


def calls(study, code, *, count=COUNT, boxes=(HOST,), files=(), exit_code=0, **more):
    """Run `study:f` for each x; return the study and the records by x."""
    entry = task("a", [], python="study:f", uses=["x"], outputs={"result": "result"}, metrics="metrics.json", **more)
    rows = [{"x": x} for x in range(count)]
    found = study([entry], rows, code={"study.py": code, **dict(files)}, boxes=boxes)
    found.run("run", code=exit_code)
    settled = found.settled()
    return found, [settled["a", x] for x in range(count)]


def values(study, code, **more):
    """Run `study:f` for each x; return what each call has said."""
    return [record["metrics"] for record in calls(study, code, **more)[1]]


def counting(folder):
    """Return a line of code that tells how often a module is imported."""
    (folder / "imports").mkdir()
    return f"import os, tempfile\ntempfile.mkstemp(dir={str(folder / 'imports')!r})\n"


def imports(folder):
    return len(list((folder / "imports").iterdir()))


def python_of(folder, python):
    """Return a box whose python3 is this one."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
    (programs / "python3").chmod(0o755)
    return boxed(folder / "box", f"{programs}:/usr/bin:/bin")


@pytest.fixture
def numpy_box(tmp_path):
    return python_of(tmp_path, with_numpy())


# ---- One import


COUNTED = "def f(x): return {'y': x * 2}\n"


def listing(folder, code=COUNTED):
    """Return code that leaves a file each time it is imported, by nothing that a fork could not do again."""
    (folder / "imports").mkdir()
    return f"import os\nfor n in range(99):\n    try:\n        os.mkdir('{folder}/imports/%d' % n)\n        break\n    except OSError:\n        pass\n{code}"


def test_a_module_is_imported_once_and_each_step_gets_its_own_value(study, tmp_path):
    found = values(study, listing(tmp_path))
    assert (found, imports(tmp_path)) == ([{"y": 2 * x} for x in range(COUNT)], 1)


def test_the_image_s_python_of_any_version_serves(study, tmp_path, interpreter):
    box = python_of(tmp_path, interpreter)
    text = "import sys, threading\ndef f(x):\n    print('said')\n    return {'y': x, 'v': '%d.%d' % sys.version_info[:2]}\n"
    _, told = calls(study, listing(tmp_path, text), boxes=[box])
    assert imports(tmp_path) == 1
    assert {(record["metrics"]["v"], record["stdout"]) for record in told} == {
        (interpreter_version(interpreter), "said\n")
    }


def interpreter_version(python):
    import subprocess

    return subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    "value", ["(1, x)", "{x}", "float('inf')", "type('C', (), {}) and {'y': x, 'z': [x]}"], ids=lambda text: text[:8]
)
def test_what_a_served_call_returns_is_kept_for_those_that_need_it(study, value):
    code = f"def f(x): return {value}\ndef g(x, a): return {{'same': repr(a) == repr(f(x))}}\n"
    first = task("a", [], python="study:f", uses=["x"], outputs={"result": "result"}, metrics="metrics.json")
    second = task(
        "b", [], python="study:g", uses=["x"], needs=["a"], outputs={"result": "result"}, metrics="metrics.json"
    )
    found = study([first, second], [{"x": x} for x in range(3)], code={"study.py": code})
    found.run()
    assert [found.settled()["b", x]["metrics"] for x in range(3)] == [{"same": True}] * 3


# ---- A crash takes only its own step


CRASHES = {
    "os.kill(os.getpid(), signal.SIGSEGV)": ("signal 11", ""),
    "os._exit(3)": ("exit code 3", ""),
    "sys.exit('no more')": ("exit code 1", "no more\n"),
    "sys.exit(4)": ("exit code 4", ""),
    "1 / 0": ("exit code 1", "ZeroDivisionError: division by zero\n"),
    "bytearray(1 << 62)": ("exit code 1", "MemoryError\n"),
    "os.abort()": ("signal 6", ""),
    "f(x)": ("exit code 1", "RecursionError: maximum recursion depth exceeded"),
}


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_takes_only_its_own_step(study, tmp_path, crash):
    code = listing(
        tmp_path, f"import os, signal, sys\ndef f(x):\n    if x % 5 == 1:\n        {crash}\n    return {{'y': x}}\n"
    )
    _, told = calls(study, code, exit_code=5)
    reason, said = CRASHES[crash]
    assert [record["state"] for record in told] == ["done", "failed", "done", "done", "done", "done"]
    assert told[1]["reason"] == reason
    assert said in told[1]["stderr"]
    assert imports(tmp_path) == 1


def test_a_server_that_is_killed_costs_no_step(study, tmp_path):
    code = (
        "import os, signal, time\ndef f(x):\n"
        f"    mark = '{tmp_path}/killed'\n"
        "    if x == 2 and not os.path.exists(mark):\n"
        "        open(mark, 'w').close()\n"
        "        lane = os.getppid()\n"
        "        server = int(open('/proc/%d/stat' % lane).read().rpartition(')')[2].split()[1])\n"
        "        assert b'serve.py' in open('/proc/%d/cmdline' % server, 'rb').read()\n"
        "        os.kill(server, signal.SIGKILL)\n        time.sleep(30)\n"
        "    return {'y': x}\n"
    )
    found, told = calls(study, code, count=12)
    assert (tmp_path / "killed").exists()
    assert [record["metrics"] for record in told] == [{"y": x} for x in range(12)]
    assert [record["state"] for record in found.records() if record.get("step") == 2] == ["node", "done"]


# ---- Nothing reaches the next


LEAVES = {
    "environment": ("os.environ['LEFT'] = 'x'", "os.environ.get('LEFT', '')"),
    "folder": ("os.chdir('/')", "os.getcwd() == os.environ['SCIFLOW_OUT']"),
    "umask": ("os.umask(0o777)", "os.umask(0)"),
    "arguments": ("sys.argv.append('x')", "[os.path.basename(sys.argv[0])] + sys.argv[1:]"),
    "files": ("LEFT.append(open(__file__))", "len(LEFT)"),
    "descriptors": ("os.dup(1)", "len(os.listdir('/proc/self/fd'))"),
    "random": ("random.seed(0)", "random.random() == random.Random(0).random()"),
    "module": ("setattr(json, 'left', 1)", "hasattr(json, 'left')"),
    "path": ("sys.path.insert(0, '/left')", "'/left' in sys.path"),
    "signal": ("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "str(signal.getsignal(signal.SIGTERM))"),
    "limit": ("sys.setrecursionlimit(2000)", "sys.getrecursionlimit()"),
}


@pytest.mark.parametrize("what", LEAVES)
def test_nothing_of_a_step_reaches_the_next(study, tmp_path, what):
    leave, ask = LEAVES[what]
    head = "import json, os, random, signal, sys\nLEFT = []\n"
    code = listing(tmp_path, f"{head}def f(x):\n    found = repr({ask})\n    {leave}\n    return {{'found': found}}\n")
    told = values(study, code)
    assert len({one["found"] for one in told}) == 1
    assert imports(tmp_path) == 1


def test_a_fresh_python_and_a_fork_find_the_same(study, tmp_path):
    code = (
        "import os, signal, sys\n"
        "def f(x):\n"
        "    names = [n for n in dir(signal) if n.startswith('SIG') and '_' not in n and n not in ('SIGKILL', 'SIGSTOP')]\n"
        "    return {'signals': repr([str(signal.getsignal(getattr(signal, n))) for n in names]),\n"
        "        'argv': repr([os.path.basename(sys.argv[0])] + sys.argv[1:]), 'flags': repr(sys.flags), 'buffered': sys.stdout.line_buffering,\n"
        "        'encoding': sys.stdout.encoding + sys.getfilesystemencoding(), 'stdin': repr(sys.stdin.read()),\n"
        "        'environment': repr(sorted(k for k in os.environ)), 'group': os.getpgrp() == os.getpid()}\n"
    )
    served = values(study, listing(tmp_path, code), count=2)
    fresh = values(study, f"import os\nHERE = os.getcwd()\n{code}", count=2)
    assert served == fresh
    assert imports(tmp_path) == 1


# ---- Random numbers


def test_unseeded_draws_differ(study, tmp_path):
    told = values(study, listing(tmp_path, "import random\ndef f(x): return {'y': random.random()}\n"))
    assert len({one["y"] for one in told}) == COUNT
    assert imports(tmp_path) == 1


def test_unseeded_draws_of_numpy_differ(study, tmp_path, numpy_box):
    text = "import numpy as np\ndef f(x): return {'y': np.random.rand(), 'z': np.random.default_rng().random()}\n"
    told = values(study, listing(tmp_path, text), boxes=[numpy_box])
    assert len({one["y"] for one in told}) == len({one["z"] for one in told}) == COUNT
    assert imports(tmp_path) == 1


@pytest.mark.parametrize("seed", ["random.seed(4)", "seed(4)"])
def test_a_seed_that_a_module_sets_holds_in_each_step(study, seed):
    told = values(study, f"import random\nfrom random import seed\n{seed}\ndef f(x): return {{'y': random.random()}}\n")
    assert {one["y"] for one in told} == {0.23604808973743452}


def test_a_seed_that_a_module_sets_numpy_holds_in_each_step(study, numpy_box):
    told = values(
        study, "import numpy as np\nnp.random.seed(4)\ndef f(x): return {'y': np.random.rand()}\n", boxes=[numpy_box]
    )
    assert {one["y"] for one in told} == {0.9670298390136767}


@pytest.mark.parametrize("make", ["random.Random()", "[random.Random()]"])
def test_a_generator_that_a_module_made_is_not_shared(study, make):
    told = values(
        study, f"import random\nR = {make}\ndef f(x): return {{'y': (R if hasattr(R, 'random') else R[0]).random()}}\n"
    )
    assert len({one["y"] for one in told}) == COUNT


@pytest.mark.parametrize("make", ["default_rng()", "RandomState()"])
def test_a_generator_of_numpy_s_that_a_module_made_is_not_shared(study, numpy_box, make):
    code = f"import numpy as np\nR = np.random.{make}\ndef f(x): return {{'y': float(R.uniform())}}\n"
    assert len({one["y"] for one in values(study, code, boxes=[numpy_box])}) == COUNT


def test_a_name_that_a_module_drew_is_not_shared(study):
    told = values(study, "import uuid\nN = uuid.uuid4().hex\ndef f(x): return {'y': N}\n")
    assert len({one["y"] for one in told}) == COUNT


# ---- What a module does while it is imported


ANEW = {
    "seed": ("import os\nSEED = os.environ['SCIFLOW_SEED']", "SEED == os.environ['SCIFLOW_SEED']"),
    "seed, maybe": ("import os\nSEED = os.environ.get('SCIFLOW_SEED')", "SEED == os.environ['SCIFLOW_SEED']"),
    "all": ("import os\nALL = dict(os.environ)", "ALL == dict(os.environ)"),
    "values": (
        "import json, os\nwith open(os.environ['SCIFLOW_PARAMETERS']) as s:\n    X = json.load(s)['x']",
        "X == x",
    ),
    "folder": ("import os\nHERE = os.getcwd()", "HERE == os.getcwd()"),
    "path": ("from pathlib import Path\nHERE = Path('o').resolve()", "HERE == Path('o').resolve()"),
    "moved": ("import os\nos.mkdir('inner')\nos.chdir('inner')", "os.path.basename(os.getcwd()) == 'inner'"),
    "pid": ("import os\nPID = os.getpid()", "PID == os.getpid()"),
    "thread": (
        (
            "import queue, threading\nQ = queue.Queue()\n"
            "threading.Thread(target=lambda: [Q.put(n) for n in range(99)], daemon=True).start()\n"
            "threading.Thread(target=lambda: [Q.get() for n in range(999)], daemon=True).start()\n"
        ),
        "threading.active_count() >= 2",
    ),
    "log": ("LOG = open('log.txt', 'a')", "not LOG.write('x') or LOG.flush() or open('log.txt').read() == 'x'"),
    "handler": (
        "import os, signal\nGOT = []\nsignal.signal(signal.SIGTERM, lambda *_: GOT.append(1))",
        "not os.kill(os.getpid(), signal.SIGTERM) and GOT == [1]",
    ),
    "time": ("import time\nBEGAN = time.time()", "time.time() - BEGAN < 0.9 or time.sleep(0)"),
}


@pytest.mark.parametrize("what", ANEW)
def test_what_a_module_asks_for_while_it_is_imported_is_each_steps_own(study, tmp_path, what):
    head, holds = ANEW[what]
    _, told = calls(study, listing(tmp_path, f"{head}\ndef f(x):\n    return {{'holds': bool({holds})}}\n"))
    assert [record["metrics"] for record in told] == [{"holds": True}] * COUNT
    assert imports(tmp_path) == 1 + COUNT


KEPT = {
    "environment": (
        "import os\nos.environ['OMP_NUM_THREADS'] = '7'\nos.environ['NEW'] = 'x'\ndel os.environ['TZ']",
        "[os.environ['OMP_NUM_THREADS'], os.environ['NEW'], os.environ.get('TZ')]",
        "['7', 'x', None]",
    ),
    "umask": ("import os\nos.umask(0o027)", "os.umask(0)", "23"),
    "libraries": ("import multiprocessing, logging, concurrent.futures, http.client, decimal", "1", "1"),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_a_module_changes_while_it_is_imported_holds_in_each_step(study, tmp_path, what):
    head, ask, answer = KEPT[what]
    told = values(study, listing(tmp_path, f"{head}\ndef f(x): return {{'y': repr({ask})}}\n"))
    assert told == [{"y": answer}] * COUNT
    assert imports(tmp_path) == 1


@pytest.mark.parametrize(
    "print_", ["print('hello')", "print('hello', flush=True)", "os.write(1, b'hello\\n')", "os.system('echo hello')"]
)
def test_what_a_module_prints_is_printed_in_each_step(study, tmp_path, print_):
    text = f"{print_}\nimport sys\nsys.stderr.write('warned\\n')\ndef f(x):\n    print(x)\n    return {{}}\n"
    _, told = calls(study, listing(tmp_path, text))
    assert [(record["stdout"], record["stderr"]) for record in told] == [
        (f"hello\n{x}\n", "warned\n") for x in range(COUNT)
    ]
    assert imports(tmp_path) == 1


def test_what_a_module_prints_may_look_like_an_answer(study):
    told = values(study, "print('end\\tx\\t0\\t0', flush=True)\ndef f(x): return {'y': x}\n")
    assert told == [{"y": x} for x in range(COUNT)]


def test_a_module_that_reads_its_input_finds_nothing(study):
    assert values(study, "import sys\nS = sys.stdin.read()\ndef f(x): return {'y': S}\n") == [{"y": ""}] * COUNT


BROKEN = {
    "import nowhere": "ModuleNotFoundError: No module named 'nowhere'",
    "1 / 0": "ZeroDivisionError: division by zero",
    "def f(:": "SyntaxError: ",
    "import sys; sys.exit('not here')": "not here",
    "g = 1": "sciflow: `study.py` holds no function `f`",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_module_that_cannot_be_imported_says_so_in_each_step(study, code):
    _, told = calls(study, code + "\n", exit_code=5)
    assert [(record["state"], record["code"]) for record in told] == [("failed", 1)] * COUNT
    assert all(BROKEN[code] in record["stderr"] for record in told)


def test_a_module_that_crashes_while_it_is_imported_fails_each_step(study):
    _, told = calls(study, "import os\nos._exit(3)\n", exit_code=5)
    assert [(record["state"], record["code"]) for record in told] == [("failed", 3)] * COUNT


# ---- How a call ends


ENDS = {
    "buffered": ("sys.stdout.write('no newline')", "no newline"),
    "thread": ("threading.Thread(target=lambda: (time.sleep(0.1), print('waited'))).start()", "waited\n"),
    "daemon": ("threading.Thread(target=lambda: (time.sleep(30), print('no')), daemon=True).start()", ""),
    "atexit": ("atexit.register(print, 'at the end')", "at the end\n"),
    "order": (
        "atexit.register(print, 'last'); threading.Thread(target=lambda: (time.sleep(0.1), print('first'))).start()",
        "first\nlast\n",
    ),
    "pool": (
        "OPEN.append(ThreadPoolExecutor(1)); OPEN[0].submit(lambda: (time.sleep(0.1), print('pooled')))",
        "pooled\n",
    ),
    "child": ("subprocess.Popen(['sh', '-c', 'echo child']).wait()", "child\n"),
    "processes": ("print(multiprocessing.get_context('fork').Pool(1).map(abs, [-3]))", "[3]\n"),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_call_ends_as_in_a_fresh_python(study, tmp_path, what):
    act, said = ENDS[what]
    head = "import atexit, multiprocessing, subprocess, sys, threading, time\nfrom concurrent.futures import ThreadPoolExecutor\nOPEN = []\n"
    _, told = calls(study, listing(tmp_path, f"{head}def f(x):\n    {act}\n    return {{}}\n"), count=2)
    assert [record["stdout"] for record in told] == [said] * 2
    assert imports(tmp_path) == 1


WRITES = {
    "text": "OPEN.append(open('o.txt', 'w')); OPEN[0].write('kept')",
    "bytes": "OPEN.append(open('o.txt', 'wb')); OPEN[0].write(b'kept')",
    "layers": "OPEN.append(io.TextIOWrapper(open('o.txt', 'wb'))); OPEN[0].write('kept')",
    "gzip": "OPEN.append(gzip.open('o.gz', 'wt')); OPEN[0].write('kept')",
}


@pytest.mark.parametrize("what", WRITES)
def test_a_file_that_is_left_open_is_written_out(study, tmp_path, what):
    entry = task(
        "a", [], python="study:f", outputs={"result": "result", "o": "o.gz" if what == "gzip" else "o.txt"}, metrics="m"
    )
    code = listing(tmp_path, f"import gzip, io\nOPEN = []\ndef f():\n    {WRITES[what]}\n")
    found = study([entry], code={"study.py": code})
    found.run()
    record = found.settled()["a", 0]
    (path,) = (found.run_folder / "outputs").rglob("o.*")
    data = path.read_bytes()
    if what == "gzip":
        import gzip

        data = gzip.decompress(data)
    assert (data, record["state"], imports(tmp_path)) == (b"kept", "done", 1)


def test_a_write_to_a_closed_pipe_is_an_error_and_no_death(study):
    code = "import os\ndef f(x):\n    r, w = os.pipe()\n    os.close(r)\n    try:\n        os.write(w, b'x')\n    except BrokenPipeError:\n        return {'y': 1}\n"
    assert values(study, code) == [{"y": 1}] * COUNT


def test_an_interrupt_is_python_s(study):
    code = "import os, signal\ndef f(x):\n    try:\n        os.kill(os.getpid(), signal.SIGINT)\n    except KeyboardInterrupt:\n        return {'y': 1}\n"
    assert values(study, code) == [{"y": 1}] * COUNT


# ---- The runner's own rooms are in nobody's way


@pytest.mark.parametrize("linked", [False, True])
def test_code_may_be_named_as_the_runners_rooms(study, tmp_path, linked):
    rooms = ["call", "kernel", "lane", "loop", "serve", "space", "names", "records", "box"]
    head = "".join(f"import {name}\n" for name in rooms)
    files = {f"{name}.py": f"WHO = 'mine {name}'\n" for name in rooms}
    told = values(
        study,
        listing(tmp_path, f"{head}def f(x): return {{'y': repr([{', '.join(name + '.WHO' for name in rooms)}])}}\n"),
        files=files,
        boxes=[boxed(tmp_path / "box")] if linked else (HOST,),
    )
    assert told == [{"y": repr([f"mine {name}" for name in rooms])}] * COUNT
    assert imports(tmp_path) == 1


@pytest.mark.parametrize("isolate", ["worker", "step"])
def test_the_runners_rooms_are_not_to_be_had(study, tmp_path, isolate):
    code = "def f(x):\n    try:\n        import grants\n    except ImportError:\n        return {'y': 1}\n"
    assert values(study, code, boxes=[boxed(tmp_path / "box")], isolate=isolate, count=2) == [{"y": 1}] * 2
