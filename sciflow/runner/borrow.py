"""Inside the box, `borrow.py FOLDER`: copy the image's Python so that it runs outside, on a host that has none.

`launch.sh` starts it where there is no python3. What is copied is the interpreter, its standard library, the C
library's own loader and the shared libraries that are loaded once all modules of the runner are; `bin/python3` starts
it through that loader, so nothing of the host is needed but its kernel. Exit code 0: it was tried, and works.
"""

import importlib
import os
import shutil
import struct
import subprocess
import sys

# What the runner's rooms import; a test holds this to them.
MODULES = (
    *(
        "argparse",
        "array",
        "atexit",
        "base64",
        "binascii",
        "bisect",
        "builtins",
        "calendar",
        "collections",
        "concurrent.futures",
    ),
    *("contextlib", "csv", "ctypes", "datetime", "difflib", "errno", "functools", "gc", "hashlib", "importlib.util"),
    *("inspect", "io", "itertools", "json", "math", "os", "pickle", "platform", "pwd", "re", "resource", "select"),
    *("shlex", "shutil", "signal", "socket", "stat", "struct", "subprocess", "sys", "time", "traceback"),
)
OPTIONAL = ("ctypes",)  # cut-down Pythons lack it, and the runner does without
LEFT_OUT = (
    "site-packages",
    "dist-packages",
    "test",
    "tests",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "__pycache__",
)
EXECUTABLE = 0o755
PT_INTERP = 3  # elf(5)
PROGRAM = """\
#!/bin/sh
# The Python of an image, borrowed by a host that has none: by its own loader, with its own libraries.
home=${{0%/*}}/..
exec "$home/libs/{loader}" {named}--library-path "$home/libs" "$home/{program}" "$@"
"""


def loader(path):
    """Return the loader that a program names (elf(5), 64 bits, little-endian), or nothing of a static one."""
    with open(path, "rb") as stream:
        head = stream.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            sys.exit("%s is no program of 64 bits, little-endian" % path)
        (at,), (size, count) = struct.unpack_from("<Q", head, 32), struct.unpack_from("<HH", head, 54)
        for number in range(count):
            stream.seek(at + number * size)
            kind, _, offset, _, _, length = struct.unpack("<IIQQQQ", stream.read(40))
            if kind == PT_INTERP:
                stream.seek(offset)
                return stream.read(length).rstrip(b"\0").decode("ascii")
    return ""


def libraries():
    """Return the paths of the shared libraries that this process has loaded, extension modules left out."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as stream:
        paths = {line.split(None, 5)[5].rstrip("\n") for line in stream if line.count("/") and ".so" in line}
    return sorted(path for path in paths if os.path.isfile(path) and "lib-dynload" not in path)


def copy_libraries(folder, program_loader):
    """Copy them under each name that stands beside them: programs ask for them by those."""
    os.makedirs(folder)
    for path in libraries():
        above = os.path.dirname(path)
        for name in os.listdir(above):
            if ".so" in name and os.path.realpath(os.path.join(above, name)) == path:
                shutil.copyfile(path, os.path.join(folder, name))
    target = os.path.join(folder, os.path.basename(program_loader))
    shutil.copyfile(program_loader, target)
    os.chmod(target, EXECUTABLE)


def copy_library(source, target):
    """Copy the standard library, without what is large and of no use here, and without links to what is not there."""
    for root, folders, files in os.walk(source, followlinks=True):
        folders[:] = [name for name in folders if name not in LEFT_OUT]
        inner = os.path.join(target, os.path.relpath(root, source))
        os.makedirs(inner, exist_ok=True)
        for name in files:
            if os.path.isfile(os.path.join(root, name)) and not name.endswith((".a", ".o")):
                shutil.copyfile(os.path.join(root, name), os.path.join(inner, name))


def main(folder):
    """Copy, and try the copy."""
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError as error:
            if name not in OPTIONAL:
                sys.exit("the image's python3 is cut down: %s" % error)
    program = os.path.realpath("/proc/self/exe")
    needs = loader(program)
    if not needs:
        sys.exit("the image's python3 is linked statically")  # none has been met
    # Python looks for its library from its program's folder upwards, so both keep their places (sys.prefix).
    base = os.path.realpath(sys.base_prefix)
    library = os.path.realpath(os.path.dirname(os.__file__))
    shutil.rmtree(folder, ignore_errors=True)
    copied = os.path.join("bin", os.path.basename(program))
    os.makedirs(os.path.join(folder, "bin"))
    shutil.copyfile(program, os.path.join(folder, copied))
    os.chmod(os.path.join(folder, copied), EXECUTABLE)
    copy_library(library, os.path.join(folder, os.path.relpath(library, base)))
    copy_libraries(os.path.join(folder, "libs"), needs)
    own = os.path.join(folder, "bin", "python3")
    if os.path.basename(program) == "python3":
        os.rename(own, own + ".program")
        copied += ".program"
    tried = "import sys, " + ", ".join(name for name in MODULES if name not in OPTIONAL)
    # With a loader that lets a program have another name, Python knows itself by the one that starts it.
    for named in ('--argv0 "$home/bin/python3" ', ""):
        with open(own, "w", encoding="utf-8") as stream:
            stream.write(PROGRAM.format(loader=os.path.basename(needs), named=named, program=copied))
        os.chmod(own, EXECUTABLE)
        if subprocess.call([own, "-I", "-S", "-B", "-c", tried]) == 0:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
