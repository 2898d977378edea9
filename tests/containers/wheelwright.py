"""Wheels and Pythons for the tests of this room, written by hand: honest ones, and those that nobody should lay."""

import base64
import contextlib
import functools
import hashlib
import struct
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sciflow.containers.image import Wheel
from sciflow.containers.rootfs import Node
from sciflow.containers.target import Target

GLIBC = b"\0GNU C Library stable release version 2.36.\n\0"
LOADER = "/lib64/ld-linux-x86-64.so.2"
TARGET = Target(python="/usr/bin/python3.11", version="3.11.2", architecture="x86_64", libc="glibc", level=(2, 36))


def digest(data):
    return hashlib.sha256(data).hexdigest()


def _entry(name, data):
    value = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return f"{name},sha256={value},{len(data)}\n"


def wheel(
    folder, name="tiny", version="1.0", *, tag="py3-none-any", files=None, needs=(), more=None, record=None, pure="true"
):
    """Write a wheel into a folder and return its path. `more` are entries of its dist-info, `record` its RECORD."""
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {one}\n" for one in needs)
    inside = {f"{name}/__init__.py": f"version = {version!r}\n".encode()} if files is None else dict(files)
    inside[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}".encode()
    inside[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: {pure}\nTag: {tag}\n".encode()
    inside |= {f"{info}/{key}": value for key, value in (more or {}).items()}
    named = [(key.filename if isinstance(key, zipfile.ZipInfo) else key, value) for key, value in inside.items()]
    lines = "".join(_entry(key, value) for key, value in named if not key.endswith("/")) + f"{info}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for key, value in inside.items():
            packed.writestr(key, value)
        packed.writestr(f"{info}/RECORD", lines if record is None else record)
    return path


def entry(name, mode):
    """Return a name inside a wheel with a mode of its own."""
    found = zipfile.ZipInfo(name)
    found.external_attr = mode << 16
    return found


def pinned(path, url=""):
    """Return the pin of a wheel's file."""
    name, version = path.name.split("-")[:2]
    data = path.read_bytes()
    return Wheel(
        name=name.replace("_", "-"),
        version=version,
        file=path.name,
        sha256=digest(data),
        size=len(data),
        url=url or path.as_uri(),
    )


def program(loader=LOADER, *, says=b"\0.cpython-311-x86_64-linux-gnu.so\x003.11.2\0", kind=3, bits=2, order="<"):
    """Return the bytes of a program as elf(5) has them, as far as anyone here reads them."""
    text = loader.encode() + b"\0"
    ident = b"\x7fELF" + bytes([bits, 1 if order == "<" else 2, 1]) + bytes(9)
    header = ident + struct.pack(f"{order}HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack(f"{order}IIQQQQQQ", kind, 4, 120, 0, 0, len(text), len(text), 1)
    return header + segment + text + says


def file(data, mode=0o755):
    return Node(kind="file", mode=mode, data=data, size=len(data))


def link(target):
    return Node(kind="symlink", mode=0o777, target=target)


def tree(files):
    """Return a root file system of these nodes, by path."""
    root = Node()
    for path, node in files.items():
        *above, name = path.strip("/").split("/")
        here = root
        for one in above:
            here = here.children.setdefault(one, Node())
        here.children[name] = node
    return root


def debian(**more):
    """Return what of a Debian image says which Python it has."""
    library = "/usr/lib/x86_64-linux-gnu"
    files = {
        "/bin": link("usr/bin"),
        "/lib": link("usr/lib"),
        "/lib64": link("usr/lib64"),
        "/usr/bin/python3": link("python3.11"),
        "/usr/bin/python3.11": file(program()),
        "/usr/lib64/ld-linux-x86-64.so.2": link("../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        f"{library}/ld-linux-x86-64.so.2": file(b"a loader"),
        f"{library}/libc.so.6": file(GLIBC),
    }
    return tree({path: node for path, node in {**files, **more}.items() if node is not None})


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def index(folder):
    """Serve a folder as an index (PEP 503) of the wheels in `folder/files`; yield its address."""
    for path in sorted((folder / "files").glob("*.whl")):
        name = path.name.split("-")[0].replace("_", "-")
        page = folder / "simple" / name / "index.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        listed = page.read_text() if page.exists() else "<!DOCTYPE html><html><body>\n"
        page.write_text(
            f'{listed}<a href="/files/{path.name}#sha256={digest(path.read_bytes())}">{path.name}</a><br>\n'
        )
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(Path(folder))))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
