"""Inside the box, `serve.py MODULE:FUNCTION SCRATCH`: import a module once, and fork for each step that calls it.

It is a loop of its own, as `loop.py` is, whose lanes fork where that one's start a program; so a step costs what its
fork costs, and one that crashes takes nobody along. A module is no good for that if it could not be imported, or did
something meanwhile that a fork cannot do again as a fresh Python does: it looked at what belongs to one step alone,
drew or seeded random numbers, started threads, holds files open, or catches signals. Then each step gets a fresh
Python, which is told the same words; and this process becomes one that has imported nothing.

It runs in the image's own python3, of any version from 3.6 on.
"""

import atexit
import builtins
import gc
import importlib
import io
import os
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import call  # noqa: E402
import lane  # noqa: E402
import loop  # noqa: E402

# None of these may stand in the way of modules of the code that have the same names.
sys.path[:] = [path for path in sys.path if os.path.realpath(path) != os.path.realpath(HERE)]
for room in ("call", "kernel", "lane", "loop", "space"):
    del sys.modules[room]

LONGEST_S = 60  # what takes longer to import might never end, and nobody could tell this process to
OWN = ((os, "getcwd"), (os, "getpid"), (os, "urandom"), (time, "time"), (time, "monotonic"), (time, "perf_counter"))
GENERATORS = (("random", "getstate"), ("numpy.random", "get_state"))
PYTHONS = ("SIGPIPE", "SIGXFSZ")  # signals that Python ignores


class Watched(type(os.environ)):
    """The environment while a module is imported: it takes note when that asks for what each step has anew."""

    asked = False

    def __getitem__(self, key):
        """Look a variable up."""
        if key.startswith("SCIFLOW_") and key != "SCIFLOW_CPUS":
            Watched.asked = True
        return super().__getitem__(key)


def watched(act, home):
    """Return a function of Python's that takes note when the code in `home` calls it while it is imported.

    What a library asks for while it is imported itself (`multiprocessing` does) is no matter of the step's.
    """

    def noted(*given):
        frame = sys._getframe(1) if os.environ.__class__ is Watched else None  # noqa: SLF001  others may keep this
        while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
            Watched.asked = Watched.asked or frame.f_code.co_filename.startswith(home + os.sep)
            frame = frame.f_back
        return act(*given)

    return noted


def drawn(module, state):
    """Return the state of a module's generator of random numbers, as something that can be compared."""
    return repr([bytes(part) if hasattr(part, "tobytes") else part for part in getattr(module, state)()])


def generators():
    """Say whether there is a generator of random numbers beside those of `random` and `numpy.random` themselves."""
    kinds, own = (), []
    if "random" in sys.modules:
        random = sys.modules["random"]
        kinds, own = (random.Random,), [random._inst]  # noqa: SLF001
    if "numpy.random" in sys.modules:
        numpy = sys.modules["numpy.random"]
        kinds += tuple(getattr(numpy, name) for name in ("RandomState", "Generator") if hasattr(numpy, name))
        own.append(getattr(numpy.mtrand, "_rand", None))
    return any(
        isinstance(one, kinds) and type(one).__name__ != "SystemRandom" and not any(one is known for known in own)
        for one in gc.get_objects()
    )


def held():
    """Return the descriptors that are open."""
    return set(os.listdir("/proc/self/fd"))


class Module(object):
    """The module of a function, imported once: `fit` says whether forks of this process can serve its steps."""

    def __init__(self, name):
        self.home, self._before, self._printed = os.getcwd(), dict(os.environ), [b"", b""]
        self._changed, self._gone = {}, []
        before = held(), [signal.getsignal(number) for number in lane.RESET]
        self.fit = self._import(name) and before == (held(), [signal.getsignal(number) for number in lane.RESET])
        threading = sys.modules.get("threading")
        self.fit = self.fit and (threading is None or threading.active_count() == 1) and not generators()
        # What the import changes of the environment, it would change in each step's.
        after = dict(os.environ)
        self._changed = {key: value for key, value in after.items() if self._before.get(key) != value}
        self._gone = [key for key in self._before if key not in after]

    def _import(self, name):
        """Import it, cut off from the pipes at which the loop is told and answers; keep what it prints."""
        kept, said = [os.dup(number) for number in range(3)], []
        for number, flags in enumerate((os.O_RDONLY, os.O_RDWR, os.O_RDWR)):
            file = os.open("import.said" if number else os.devnull, flags | (os.O_CREAT | os.O_EXCL if number else 0))
            os.dup2(file, number)
            if number:
                os.unlink("import.said")
                said.append(file)
            else:
                os.close(file)
        signal.alarm(LONGEST_S)
        try:
            found = self._watch(name)
        except BaseException:  # noqa: BLE001  whatever it raises: a fresh Python raises it again, for the step to show
            found = False
        finally:
            signal.alarm(0)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number, file in enumerate(kept):
            os.dup2(file, number)
            os.close(file)
        for number, file in enumerate(said):
            size = os.lseek(file, 0, os.SEEK_END)
            self._printed[number] = os.pread(file, size, 0)
            os.close(file)
        return found

    def _watch(self, name):
        call.search()
        real, states = builtins.__import__, {}

        def importing(*given, **more):
            found = real(*given, **more)
            for module, state in GENERATORS:  # as it is when first seen
                if module not in states and hasattr(sys.modules.get(module), state):
                    states[module] = drawn(sys.modules[module], state)
            return found

        functions = [(place, what, getattr(place, what)) for place, what in OWN]
        os.environ.__class__, builtins.__import__ = Watched, importing
        for place, what, act in functions:
            setattr(place, what, watched(act, self.home))
        try:
            importlib.import_module(name.partition(":")[0])
        finally:
            os.environ.__class__, builtins.__import__ = Watched.__bases__[0], real
            for place, what, act in functions:
                setattr(place, what, act)
        call.function(name)
        same = all(
            drawn(sys.modules[module], state) == states[module] for module, state in GENERATORS if module in states
        )
        return same and not Watched.asked and os.getcwd() == self.home

    def start(self, folder, stdout, stderr, environment, words):
        """Start a step by a fork, as `lane.spawn` starts a program."""
        return lane.fork(folder, stdout, stderr, lambda: self._act(environment, os.fsdecode(words[-1])))

    def _act(self, environment, name):
        """Do one call in a forked process, as a fresh Python would from beginning to end; return the exit code."""
        for number in held():
            if int(number) > 2:  # noqa: PLR2004  the lane's pipes: the module itself has opened nothing that stayed open
                try:
                    os.close(int(number))
                except OSError:
                    continue  # by it was listed
        os.environb.clear()
        os.environb.update(environment)
        os.environ.update(self._changed)
        for key in self._gone:
            os.environ.pop(key, None)
        for number in PYTHONS:
            if hasattr(signal, number):
                signal.signal(getattr(signal, number), signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number, data in enumerate(self._printed, 1):
            written = 0
            while written < len(data):
                written += os.write(number, data[written:])
        for module, _ in GENERATORS:  # else each fork would draw the same; `random` sees to that itself, from 3.7 on
            if module in sys.modules:
                sys.modules[module].seed()
        before, code = held(), 0
        try:
            call.main(name, self.home)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
            if code and not isinstance(left.code, int):
                sys.stderr.write("%s\n" % left.code)
        except BaseException:  # noqa: BLE001  as the interpreter does
            sys.excepthook(*sys.exc_info())
            code = 1
        return ended(code, before)


def ended(code, before):
    """End as the interpreter does: wait for threads, do what was registered for the end, write out what waits."""
    threading = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()  # noqa: SLF001  there is no other way to end without `sys.exit`
        atexit._run_exitfuncs()  # noqa: SLF001
        if held() - before:
            close()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001  as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = code or 1
    return code & 0xFF


def close():
    """Close the files that were left open, those first that write to others."""
    standard = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
    known = [id(layer) for stream in standard for layer in layers(stream)]
    found = [one for one in gc.get_objects() if isinstance(one, io.IOBase) and id(one) not in known]
    plain = (io.BufferedWriter, io.BufferedRandom, io.BufferedReader, io.RawIOBase)
    for one in sorted(found, key=lambda one: (isinstance(one, plain), not isinstance(one, io.TextIOBase))):
        if not isinstance(one, io.RawIOBase):
            one.close()


def layers(stream):
    """Yield a stream and what it writes to."""
    while stream is not None:
        yield stream
        stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)


def main(name, scratch):
    """Serve; with no name, steps that each get a fresh Python."""
    sys.argv[:] = [os.path.join(HERE, "call.py"), name]
    start = lane.spawn
    if name:
        module = Module(name)
        if not module.fit:
            # Threads, files and memory of the import go with this.
            os.execv(sys.executable, [sys.executable, "-B", os.path.join(HERE, "serve.py"), "", scratch])  # noqa: S606
        start = module.start
        if hasattr(gc, "freeze"):  # a collection in a fork would write to, and so copy, all that was imported
            gc.collect()
            gc.freeze()  # novm
    loop.Loop(start, scratch).serve()


if __name__ == "__main__":
    main(sys.argv[-2], sys.argv[-1])
