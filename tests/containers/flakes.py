"""Closures for the tests of this room, written by hand as Nix would write them, and the example flake, with a program."""

import shutil
from pathlib import Path

import pytest

from sciflow.containers import rootfs
from sciflow.containers.closure import StorePath
from sciflow.containers.image import own_platform
from sciflow.containers.source import Request
from sciflow.workflow import spec
from tests.containers import layering

EXAMPLE = Path(__file__).parents[2] / "images/flake"
FILES = ("**/*.nix", "*.sh", "bin/busybox")
TOOLS, ENV = ("0" * 32 + "-tools-1.0", "1" * 32 + "-env")


def words(*found):
    """Write words as a NAR has them; an integer is a length alone."""
    data = b""
    for one in found:
        if isinstance(one, int):
            data += one.to_bytes(8, "little")
        else:
            word = one.encode() if isinstance(one, str) else one
            data += len(word).to_bytes(8, "little") + word + bytes(-len(word) % 8)
    return data


def file(data=b"", *, executable=False):
    return words("(", "type", "regular", *(("executable", "") if executable else ()), "contents", data, ")")


def link(target):
    return words("(", "type", "symlink", "target", target, ")")


def folder(**below):
    """Write a folder; names are sorted as Nix does."""
    return entries(*((name, below[name]) for name in sorted(below)))


def entries(*below):
    each = (words("entry", "(", "name", name, "node") + node + words(")") for name, node in below)
    return words("(", "type", "directory") + b"".join(each) + words(")")


def nar(node):
    return words("nix-archive-1") + node


def paths(nodes, references=()):
    """Return (store paths, {place: bytes} in a closure's tar) of {name: node}."""
    found, files = [], {"nix-cache-info": b"StoreDir: /nix/store\n"}
    for name, node in nodes.items():
        data = nar(node)
        sha256 = layering.digest(data).removeprefix("sha256:")
        path = StorePath(
            name=name, sha256=sha256, size=len(data), references=tuple(sorted(dict(references).get(name, ())))
        )
        files |= {path.nar: data, path.info: path.text().encode()}
        found.append(path)
    return tuple(sorted(found)), files


def tar(files):
    return layering.layer(*(layering.member(name, data=data) for name, data in sorted(files.items())))


def environment():
    """Return what `paths` returns of an environment whose shell and folder of programs are links to other paths."""
    tools = folder(bin=folder(busybox=file(b"#!busybox", executable=True), env=link("busybox"), sh=link("busybox")))
    env = folder(bin=link(f"/nix/store/{TOOLS}/bin"))
    return paths({TOOLS: tools, ENV: env}, {ENV: [TOOLS, ENV]})


def example(where):
    """Copy the example flake, and give it this machine's busybox."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("no busybox to make an environment of")
    shutil.copytree(EXAMPLE, where)
    (where / "bin").mkdir()
    shutil.copy(busybox, where / "bin/busybox")
    return where


def request(folder, workshop, reference="env#default", *, pinned=None, files=FILES, progress=print, platform=None):
    workshop.mkdir(exist_ok=True)
    return Request(
        image=spec.Image(source="nix", reference=reference, files=files),
        pinned=pinned,
        folder=folder,
        workshop=workshop,
        platform=platform or own_platform(),
        progress=progress,
    )


def look(root, path):
    found = rootfs.reach(root, path)
    assert found is not None, path
    return found[1]
