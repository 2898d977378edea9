"""Inside the box, `call.py MODULE:FUNCTION`: call a task's function with what it asks for, and keep what it returns.

`SCIFLOW_PARAMETERS` names a JSON file of the step's values; `SCIFLOW_CALL` one of the rest, as `given` writes it:

    upstream   {task: {"result": path} | {"outputs": {name: path}} | {"records": path}}
    inputs, outputs   {name: path}        seed, point   numbers; `point` only where a step is one point's
    result, metrics   where the value and the metrics go

It runs in the image's own python3, of any version from 3.6 on, as a program: it imports no other room. Without `-I`,
so that what the image or the task says of Python (PYTHONPATH) holds.
"""

import importlib
import inspect
import json
import math
import os
import pickle
import sys
import traceback

PICKLED = b"\x80"  # how a pickle of protocol 2 and later begins, and no JSON does
PROTOCOL = 4  # Python 3.4 and later read it
DEEPEST = 64  # lists in lists, as JSON
WIDEST_BITS = 1024  # whole numbers, as JSON: Python 3.11 refuses to read those of more than 4300 digits
PLAIN = (bool, int, float, str, type(None))
GIVEN = ("inputs", "outputs", "seed", "point")


class CallError(Exception):
    """The function cannot be called with what there is, or its value cannot be kept; the text says why."""


def search():
    """Look for modules in the working folder first, and not beside this file; return that folder."""
    here, runner = os.getcwd(), os.path.dirname(os.path.realpath(__file__))
    # Python has put this file's own folder first, whose rooms would stand in the way of packages of their names.
    sys.path[:] = [here] + [path for path in sys.path if path != here and os.path.realpath(path) != runner]
    return here


def function(name, home=""):
    """Import a function by `module:function` from the working folder. Raises CallError, or what the module raises.

    `home` is another folder from which the module may have been imported already.
    """
    module, _, inner = name.partition(":")
    here = search()
    found = importlib.import_module(module)
    file = getattr(found, "__file__", None) or "Python itself"
    home = next((folder for folder in (here, home) if folder and file.startswith(folder + os.sep)), "")
    if not home:
        raise CallError("the module `%s` was taken from %s, not from the code: rename its file" % (module, file))
    if not callable(getattr(found, inner, None)):
        raise CallError("`%s` holds no function `%s`" % (os.path.relpath(file, home), inner))
    return getattr(found, inner)


def read(path):
    """Read back the value that a function returned. Raises CallError where it is a pickle that does not open here."""
    with open(path, "rb") as stream:
        pickled = stream.read(1) == PICKLED
        stream.seek(0)
        if not pickled:
            return json.loads(stream.read().decode("utf-8"))
        try:
            return pickle.load(stream)  # noqa: S301  what this run's own code has written
        except (pickle.UnpicklingError, ImportError, AttributeError, TypeError, ValueError, EOFError) as error:
            raise CallError("the value cannot be read back (%s: %s)" % (type(error).__name__, error))


def upstream(task, left):
    """Return what a task gives to those that need it: its function's value, its outputs' paths, or its records."""
    if "outputs" in left:
        return left["outputs"]
    if "records" in left:
        with open(left["records"], encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]
    try:
        return read(left["result"])
    except CallError as error:
        raise CallError("task `%s`: %s" % (task, error))


def arguments(name, signature, values, told):
    """Return the arguments of a call by name: (positional ones, keyword ones). Raises CallError for what is missing.

    A parameter comes before a task of that name, a task before `inputs`, `outputs`, `seed` and `point`; `-` in a task's
    name is read as `_`. What is not there keeps its default; `**more` takes the parameters that nothing else took.
    """
    tasks = {task.replace("-", "_"): task for task in told["upstream"]}
    positional, keywords, missing = [], {}, []
    for argument, one in signature.parameters.items():
        if one.kind == one.VAR_POSITIONAL:
            continue
        if one.kind == one.VAR_KEYWORD:
            keywords.update((key, values[key]) for key in values if key not in signature.parameters)
            continue
        if argument in values:
            value = values[argument]
        elif argument in tasks:
            value = upstream(tasks[argument], told["upstream"][tasks[argument]])
        elif argument in GIVEN and argument in told:
            value = told[argument]
        elif one.default is not one.empty:
            value = one.default
        else:
            missing.append(argument)
            continue
        if one.kind == one.POSITIONAL_ONLY:
            positional.append(value)
        else:
            keywords[argument] = value
    if missing:
        raise CallError("%s wants %s, and nothing gives it; %s" % (name, listed(missing), there(values, tasks, told)))
    return positional, keywords


def listed(names):
    """Write names in backticks, with commas."""
    return ", ".join("`%s`" % name for name in names)


def there(values, tasks, told):
    """Say what a function may ask for."""
    kinds = (("parameters", values), ("tasks", tasks), ("words", [word for word in GIVEN if word in told]))
    return "there are " + ", ".join("the %s %s" % (what, listed(sorted(names))) for what, names in kinds if names)


def exact(value, depth=0):
    """Say whether JSON gives a value back as it is: same types, same numbers."""
    if type(value) is dict:
        return depth < DEEPEST and all(type(key) is str and exact(item, depth + 1) for key, item in value.items())
    if type(value) is list:
        return depth < DEEPEST and all(exact(item, depth + 1) for item in value)
    if type(value) is float:
        return math.isfinite(value)
    return type(value) in PLAIN and (type(value) is not int or value.bit_length() <= WIDEST_BITS)


def anew(path, mode):
    """Open a file for writing where none stands: a link there, to a file of the code say, is not written through."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)
    return open(path, mode)


def keep(name, value, path):
    """Write a function's value, as JSON where that gives it back exactly, else as a pickle. Raises CallError."""
    if inspect.isgenerator(value) or inspect.iscoroutine(value) or inspect.isasyncgen(value):
        raise CallError("%s returned a %s: return what it makes, a list say" % (name, type(value).__name__))
    with anew(path, "xb") as stream:
        if exact(value):
            stream.write(json.dumps(value).encode("ascii"))
            return
        try:
            pickle.dump(value, stream, PROTOCOL)
        except (pickle.PicklingError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise CallError("%s returned a value that cannot be kept: %s; %s" % (name, error, ADVICE))


ADVICE = "return plain values, or write a file among `outputs`"


def metrics(value):
    """Return the metrics that a value holds, {name: single value}: of a dict with text keys its single values."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return {}
    found = {key: single(item) for key, item in value.items()}
    return {key: item for key, item in found.items() if isinstance(item, PLAIN)}


def single(value):
    """Return a value, or the plain one that it holds: numpy, and others, have `item()` for where there is but one."""
    if not isinstance(value, PLAIN) and hasattr(value, "item"):
        try:
            return value.item()
        except (TypeError, ValueError, RuntimeError):
            pass
    return value


def told_of(kind, error, trace):
    """Print what a function raised, without the way that led to it."""
    inner = trace
    while inner and inner.tb_frame.f_code.co_filename.startswith(OURS):
        inner = inner.tb_next
    traceback.print_exception(kind, error, inner)


OURS = (os.path.dirname(read.__code__.co_filename) + os.sep, importlib.__file__, "<frozen importlib")


def main(name, home=""):
    """Do one call. `home` is where the module may have been imported already."""
    with open(os.environ["SCIFLOW_PARAMETERS"], encoding="utf-8") as stream:
        values = json.load(stream)
    with open(os.environ["SCIFLOW_CALL"], encoding="utf-8") as stream:
        told = json.load(stream)
    sys.excepthook = told_of  # whatever the module or the function raises: exit code 1
    try:
        called = function(name, home)
        positional, keywords = arguments(name, inspect.signature(called), values, told)
        value = called(*positional, **keywords)
        keep(name, value, told["result"])
        # A function that wrote its metrics itself, and returns none, keeps them.
        if isinstance(value, dict) or not os.path.isfile(told["metrics"]) or os.path.islink(told["metrics"]):
            with anew(told["metrics"], "x") as stream:
                json.dump(metrics(value), stream)
    except CallError as error:
        sys.exit("sciflow: %s" % error)


if __name__ == "__main__":
    main(sys.argv[1])
