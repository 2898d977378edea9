"""A study in an OCI image, whole: compiled, locked, carried, and run where neither its registry nor a cache is left."""

import shutil
from pathlib import Path

import pytest

from sciflow import api
from sciflow.containers.image import own_platform
from sciflow.errors import SurroundingsError
from tests.containers import layering, serving
from tests.containers.conftest import APPLETS

WORKFLOW = """\
format = 1
[workflow]
name = "small"
[image]
from = "docker://{place}/a/b:1"
[parameters]
x = [1, 2]
[tasks.say]
shell = "echo {{x}} $LEVEL > {{outputs.said}}"
outputs = {{ said = "said.txt" }}
resources = {{ memory = "100 MB", time = "1m" }}
"""


def image(level):
    busybox = Path(shutil.which("busybox") or pytest.skip("no busybox to make an image of"))
    tree = layering.layer(
        *(layering.folder(name) for name in ("bin", "etc", "tmp", "var/tmp", "proc", "dev", "sys", "root", "home")),
        layering.member("bin/busybox", data=busybox.read_bytes(), mode=0o755),
        *(layering.symlink(f"bin/{applet}", "busybox") for applet in (*APPLETS, "rm", "mv", "mkfifo", "kill", "date")),
        layering.member("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\n"),
    )
    return layering.image(tree, platform=own_platform(), settings={"Env": [f"LEVEL={level}"]})


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Give a study whose image a small registry serves, and that registry."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    with serving.serving() as registry:
        serving.put(registry, "a/b", "1", *image("one"))
        (tmp_path / "study").mkdir()
        file = tmp_path / "study" / "workflow.toml"
        file.write_text(WORKFLOW.format(place=registry.name))
        yield file, registry


def said(bundle, run):
    return [path.read_text() for path in sorted((bundle / "runs" / run).rglob("said.txt"))]


@pytest.mark.live("apptainer", "docker")
def test_a_fat_bundle_runs_where_neither_registry_nor_cache_is_left(study, tmp_path, monkeypatch):
    file, registry = study
    thin = api.compile(file, into=tmp_path / "thin")
    fat = api.compile(file, into=tmp_path / "fat", fat=True)
    assert thin.id == fat.id
    registry.served.clear()
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "empty"))
    for engine in ("apptainer", "docker"):
        assert api.run(fat.path, engine, engine=engine)[1] == 0
    assert said(fat.path, "apptainer") == said(fat.path, "docker") == ["1 one\n", "2 one\n"]
    with pytest.raises(SurroundingsError, match="there is no image"):
        api.run(thin.path, engine="apptainer")


@pytest.mark.live("apptainer")
def test_a_tag_that_moved_changes_nothing_that_is_locked_and_update_says_what_it_changes(study, tmp_path):
    file, registry = study
    first = api.compile(file)
    serving.put(registry, "a/b", "1", *image("two"))
    assert api.compile(file, locked=True).id == first.id
    (change, *_) = api.compile(file, update=True).changes
    assert change.startswith("image: sha256:")
    assert api.run(first.path, engine="apptainer")[1] == 0
    assert said(first.path, "main") == ["1 one\n", "2 one\n"]
