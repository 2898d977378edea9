"""Inside the box, `serve.py MODULE:FUNCTION SCRATCH`: import a module once, and fork for each step that calls it.

It is a loop of its own, as `loop.py` is, whose lanes fork where that one's start a program; so a step costs what its
fork costs, and one that crashes takes nobody along. A module that has looked at what belongs to one step alone while it
was imported, that could not be imported, or that has started threads is no good for that: then each step gets a fresh
Python, which is told the same words.

It runs in the image's own python3, of any version from 3.6 on.
"""

import atexit
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import call  # noqa: E402
import lane  # noqa: E402
import loop  # noqa: E402

# None of these may stand in the way of modules of the code that have the same names.
sys.path[:] = [path for path in sys.path if path != HERE]
for room in ("call", "lane", "loop"):
    del sys.modules[room]


class Watched(type(os.environ)):
    """The environment while a module is imported: it takes note when that asks for what each step has anew."""

    asked = False

    def __getitem__(self, key):
        """Look a variable up."""
        if key.startswith("SCIFLOW_") and key != "SCIFLOW_CPUS":
            Watched.asked = True
        return super().__getitem__(key)


def imported(name):
    """Import the module of a function; say whether forks of this process can serve its steps."""
    os.environ.__class__ = Watched
    try:
        call.function(name)
    except BaseException:  # noqa: BLE001  whatever a module raises: a fresh Python raises it again, for the step to show
        return False
    finally:
        os.environ.__class__ = Watched.__bases__[0]
    threading = sys.modules.get("threading")
    return not Watched.asked and (threading is None or threading.active_count() == 1)


def starter(home):
    """Return what starts a step by a fork. `home` is where the module was imported from."""

    def start(folder, stdout, stderr, environment, words):
        return lane.fork(folder, stdout, stderr, lambda: act(environment, words[-1], home))

    return start


def act(environment, name, home):
    """Do one call in a forked process, as a fresh Python would from beginning to end; return the exit code."""
    os.environ.clear()
    os.environ.update(environment)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()  # else each fork would draw the same; the module `random` sees to that itself, from 3.7 on
    if "random" in sys.modules:
        sys.modules["random"].seed()
    code = 0
    try:
        call.main(name, home)
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        if code and not isinstance(left.code, int):
            sys.stderr.write("%s\n" % left.code)
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    return ended(code)


def ended(code):
    """End as the interpreter does: wait for threads, do what was registered for the end, write out what waits."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()  # noqa: SLF001  there is no other way to end without `sys.exit`
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = code or 1
    return code & 0xFF


def main(name, scratch):
    """Serve."""
    fit = imported(name)
    loop.Loop(starter(os.getcwd()) if fit else lane.spawn, scratch).serve()


if __name__ == "__main__":
    main(sys.argv[-2], sys.argv[-1])
