import gzip
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from sciflow.containers import archive, cache, definition, dockerfile, rootfs, squash, unpack, workbench
from sciflow.containers.image import PinnedImage, own_platform
from sciflow.containers.locked import LockedFile
from sciflow.containers.rootfs import Node
from sciflow.containers.source import Request
from sciflow.errors import SurroundingsError, WorkflowError
from sciflow.runner import names
from sciflow.workflow import spec
from tests.conftest import plain_user
from tests.containers import layering, serving
from tests.containers.conftest import APPLETS

TOOLS = (*APPLETS, "chmod", "chown", "cp", "ln", "rm", "sort")
DEFINITION = """\
Bootstrap: docker
From: {base}

%files
    tool.sh /usr/local/bin/tool
    data /srv/data

%environment
    export LEVEL=two PATH=/opt/bin:$PATH

%labels
    Author me

%post
    echo "made on $LEVEL" > /opt/made
    chown 5:6 /opt/made
    mkdir /opt/shared && chmod 2750 /opt/shared
    echo secret > /opt/closed && chmod 0 /opt/closed
    ln /opt/made /opt/second
    echo x > /tmp/left
    echo y > /var/tmp/left

%test
    test "$LEVEL" = two
"""
DOCKERFILE = """\
FROM {base}
COPY tool.sh /usr/local/bin/tool
COPY data /srv/data/
RUN echo "made on $LEVEL" > /opt/made && \\
    # of nobody here
    chown 5:6 /opt/made
RUN mkdir /opt/shared && chmod 2750 /opt/shared && \\
    echo secret > /opt/closed && chmod 0 /opt/closed && \\
    ln /opt/made /opt/second && \\
    echo x > /tmp/left
ENV LEVEL=two PATH=/opt/bin:$PATH
LABEL Author=me
RUN test "$LEVEL" = two
CMD ["sh"]
"""


def image(level="one"):
    busybox = Path(shutil.which("busybox") or pytest.skip("no busybox to make an image of"))
    folders = ("bin", "etc", "opt", "tmp", "var/tmp", "proc", "dev", "sys", "root", "home")
    tree = layering.layer(
        *(layering.folder(name, mtime=1_500_000_000) for name in folders),
        layering.member("bin/busybox", data=busybox.read_bytes(), mode=0o755, mtime=1_500_000_000),
        *(layering.symlink(f"bin/{applet}", "busybox") for applet in TOOLS),
        layering.member("etc/passwd", data=b"root:x:0:0:root:/root:/bin/sh\n"),
        layering.member("etc/hosts", data=b"the image's own\n"),
    )
    return layering.image(
        tree, platform=own_platform(), settings={"Env": [f"LEVEL={level}", "PATH=/bin:/usr/local/bin"]}
    )


@pytest.fixture
def study(tmp_path):
    """Give a workflow's folder with files to copy."""
    folder = tmp_path / "study"
    (folder / "data/sub").mkdir(parents=True)
    (folder / "tool.sh").write_text("#!/bin/sh\necho tool of $LEVEL\n")
    (folder / "tool.sh").chmod(0o700)
    (folder / "data/one").write_text("one\n")
    (folder / "data/sub/two's").write_text("two\n")
    return folder


@pytest.fixture
def base(registry):
    serving.put(registry, "a/b", "1", *image())
    return f"{registry.name}/a/b:1"


def laid(folder, text, *, source=definition, pinned=None, into=None, progress=print, platform=""):
    """Build a recipe; return its base, and the bytes of its one layer."""
    (folder / "recipe").write_text(text)
    asked = spec.Image(source=source.NAME, reference="recipe")
    with cache.workshop() as workshop:
        request = Request(
            image=asked,
            pinned=pinned,
            folder=folder,
            workshop=workshop,
            platform=platform or own_platform(),
            progress=progress,
        )
        found = source.lay(request)
        if into:
            shutil.copy(found.layers[0], into)
        return found, names.digest_file(found.layers[0])[0]


def members(tar):
    with tarfile.open(tar) as opened:
        return {info.name: info for info in opened}


@pytest.mark.live("apptainer")
def test_a_definition_and_a_dockerfile_that_say_the_same_are_the_same_bytes(
    study, base, own_cache, tmp_path, monkeypatch
):
    said = []
    one, first = laid(study, DEFINITION.format(base=base), into=tmp_path / "tar", progress=said.append)
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    try:
        other, second = laid(study, DOCKERFILE.format(base=base), source=dockerfile)
    finally:
        os.umask(before)
    assert first == second
    assert (one.environment, one.labels, one.digests) == (other.environment, other.labels, other.digests)
    assert dict(one.environment) == {"LEVEL": "two", "PATH": "/opt/bin:/bin:/usr/local/bin"}
    assert one.labels == (("Author", "me"),)
    assert [file.path for file in one.files] == ["data/one", "data/sub/two's", "recipe", "tool.sh"]
    assert [name for name, version in one.tools if version] == ["apptainer"]
    assert "recipe:14: step 3 of 4" in said
    found = members(tmp_path / "tar")
    assert {info.mtime for info in found.values()} == {0, 1_500_000_000}
    assert {(info.uid, info.gid) for info in found.values()} == {(0, 0)}
    assert oct(found["./opt/shared"].mode) == "0o2750"
    assert (found["./opt/closed"].mode, found["./opt/closed"].size) == (0, 7)
    assert found["./opt/second"].islnk()
    assert found["./usr/local/bin/tool"].mode == 0o755
    assert not [name for name in found if name.startswith(("./.", "./tmp/", "./var/tmp/", "./dev/", "./environment"))]
    assert not Path("/tmp/left").exists()
    with tarfile.open(tmp_path / "tar") as opened:
        assert opened.extractfile("./etc/hosts").read() == b"the image's own\n"
        assert opened.extractfile("./opt/made").read() == b"made on one\n"
    assert list((own_cache / "making").iterdir()) == []


@pytest.mark.live("apptainer")
def test_what_was_built_runs_as_a_plain_user(study, base, own_cache, tmp_path):
    built, _ = laid(study, DEFINITION.format(base=base), into=tmp_path / "tar")
    place = Path(tempfile.mkdtemp(prefix="sciflow live, "))
    place.chmod(0o755)
    try:
        with cache.workshop() as workshop:
            shutil.copy(tmp_path / "tar", workshop / "tree.tar")
            digests, _ = archive.pack(workshop / "tree.tar", workshop, architecture=own_platform().partition("/")[2])
            shutil.copy(cache.place(digests["squashfs"]), place / "image.sqfs")
        words = ["apptainer", "exec", "--containall", "--cleanenv", "--no-home"]
        given = [word for name, value in built.environment for word in ("--env", f"{name}={value}")]
        found = subprocess.run(
            [*plain_user(), *words, *given, place / "image.sqfs", "tool"], capture_output=True, text=True, check=False
        )
        assert (found.stdout, found.returncode) == ("tool of two\n", 0), found.stderr
    finally:
        shutil.rmtree(place)


@pytest.mark.live("apptainer")
def test_a_command_that_fails_is_named_by_its_line_with_what_it_said_last(study, base, own_cache):
    text = (
        DOCKERFILE.format(base=base) + "RUN for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo said $i; done; exit 7\nRUN x\n"
    )
    with pytest.raises(WorkflowError) as caught:
        laid(study, text, source=dockerfile)
    assert str(caught.value).startswith("recipe:15:1: this ended with 7 when the image was built:\n    said 3\n")
    assert "said 12" in str(caught.value)
    assert list((own_cache / "making").iterdir()) == []


@pytest.mark.live("apptainer")
def test_the_first_command_of_a_definition_that_fails_ends_it(study, base, own_cache):
    with pytest.raises(WorkflowError, match=r"recipe:3:1: this ended with 1 .*\n    \+ true\n    \+ false\n"):
        laid(study, f"Bootstrap: docker\nFrom: {base}\n%post\n  true\n  false\n  touch /never\n")


@pytest.mark.live("apptainer")
def test_who_interrupts_a_build_leaves_nothing(study, base, own_cache):
    def progress(said):
        if "step 1" in said:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        laid(
            study,
            f"FROM {base}\nRUN mkdir /opt/x; chown 5:6 /opt/x; exec sleep 3600.25\n",
            source=dockerfile,
            progress=progress,
        )
    assert list((own_cache / "making").iterdir()) == []
    assert subprocess.run(["pgrep", "-f", "sleep 3600[.]25"], check=False).returncode == 1


@pytest.mark.live("apptainer")
def test_a_base_in_a_file_beside_the_recipe_will_do(study, own_cache):
    manifest, blobs = image()
    index = json.dumps({"manifests": [{"digest": layering.digest(manifest)}]}).encode()
    pieces = [
        layering.member(f"blobs/sha256/{layering.digest(data)[7:]}", data=data) for data in (manifest, *blobs.values())
    ]
    (study / "base.tar").write_bytes(layering.layer(layering.member("index.json", data=index), *pieces))
    found, _ = laid(study, "Bootstrap: oci-archive\nFrom: base.tar\n%post\n  true\n")
    assert set(found.digests) == {"file", "manifest"}


@pytest.mark.live("apptainer")
def test_the_base_that_is_pinned_is_taken_though_its_tag_moved(study, base, registry, own_cache):
    text = f"FROM {base}\nRUN echo $LEVEL > /opt/level\n"
    first, digest = laid(study, text, source=dockerfile)
    pinned = PinnedImage(
        source="dockerfile",
        reference="recipe",
        platform=own_platform(),
        digests=tuple(sorted(first.digests.items())),
        files=first.files,
    )
    serving.put(registry, "a/b", "1", *image("another"))
    assert laid(study, text, source=dockerfile)[1] != digest
    assert laid(study, text, source=dockerfile, pinned=pinned)[1] == digest


@pytest.mark.live("apptainer")
@pytest.mark.parametrize(("name", "text"), [("data/one", "other"), ("data/new", "new"), ("recipe", "FROM a\n")])
def test_what_is_not_as_it_was_pinned_is_named(study, own_cache, name, text):
    pins = (
        LockedFile(path="data/one", sha256=names.digest(b"one\n"), size=4),
        LockedFile(path="data/sub/two's", sha256=names.digest(b"two\n"), size=4),
        LockedFile(path="recipe", sha256=names.digest(b"FROM a\nCOPY data /x\n"), size=20),
    )
    pinned = PinnedImage(source="dockerfile", reference="recipe", platform=own_platform(), digests=(), files=pins)
    (study / name).write_text(text)
    with pytest.raises(SurroundingsError, match=f"`{name if name != 'recipe' else 'data/one'}` is not what was locked"):
        laid(study, text if name == "recipe" else "FROM a\nCOPY data /x\n", source=dockerfile, pinned=pinned)


@pytest.mark.live("apptainer")
def test_a_base_that_is_not_there_is_named_and_nothing_stays(study, registry, own_cache):
    with pytest.raises(SurroundingsError, match="a/none"):
        laid(study, f"FROM {registry.name}/a/none:1\nRUN x\n", source=dockerfile)
    assert list((own_cache / "making").iterdir()) == []


@pytest.mark.live("apptainer")
def test_what_is_copied_cannot_depend_on_the_base(study, base, own_cache):
    with pytest.raises(WorkflowError, match="recipe:2:1: what it copies depends on the environment of its base"):
        laid(study, f"FROM {base}\nCOPY data/${{LEVEL:-sub}} /data\n", source=dockerfile)


@pytest.mark.live("apptainer")
@pytest.mark.parametrize("change", ["other", "o", None])
def test_a_file_that_changes_before_it_is_copied_is_named(study, base, own_cache, change):
    def progress(said):
        if said.startswith("pulling the config"):
            (study / "data/one").write_text(change) if change else (study / "data/one").unlink()

    with pytest.raises(SurroundingsError, match="`data/one` is not what was locked"):
        laid(study, f"FROM {base}\nCOPY data /data\n", source=dockerfile, progress=progress)


def test_another_platform_s_image_is_not_built_here(study, own_cache):
    with pytest.raises(SurroundingsError, match="`recipe` for linux/vax cannot be built on"):
        laid(study, "FROM a\n", source=dockerfile, platform="linux/vax")


def test_without_apptainer_the_message_says_what_to_install(study, own_cache, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match=r"`apptainer` is not on PATH.*\n.*install apptainer"):
        laid(study, "FROM a\n", source=dockerfile)


def folder(**children):
    return Node(mtime=50, children=children)


def file(mtime=50, **more):
    return Node(kind="file", mtime=mtime, **more)


def test_what_tells_one_build_from_another_is_taken_out():
    root = folder(
        etc=folder(hosts=file(), **{"resolv.conf": file()}),
        environment=Node(kind="symlink", target=".singularity.d/env/90-environment.sh"),
        link=Node(kind="symlink", target="opt"),
        tmp=folder(x=file()),
        var=folder(tmp=folder(y=file())),
        opt=folder(old=file(mtime=40), new=file(mtime=51)),
        **{".singularity.d": folder(), ".sciflow-build": folder(), ".post.script": file()},
    )
    own = file(mtime=1)
    workbench.clean(root, folder(etc=folder(hosts=own)), 50)
    assert sorted(root.children) == ["etc", "link", "opt", "tmp", "var"]
    assert root.children["etc"].children == {"hosts": own}
    assert root.children["tmp"].children == root.children["var"].children["tmp"].children == {}
    assert {name: node.mtime for name, node in root.children["opt"].children.items()} == {"old": 40, "new": 0}


def test_a_tree_without_folders_of_its_own_is_cleaned_too():
    root = folder()
    workbench.clean(root, folder(), 50)
    assert root.children == {}


def test_a_recipe_says_what_was_built_of_what():
    pinned = PinnedImage(
        source="definition",
        reference="tool.def",
        platform="linux/amd64",
        digests=(("manifest", "sha256:b"), ("tree", "sha256:c")),
        over="docker://a/b:1",
        files=(LockedFile(path="tool.def", sha256="d", size=1),),
        tools=(("apptainer", "1.4.5"),),
    )
    text = (
        "Built from the definition `tool.def` over `docker://a/b:1` with apptainer 1.4.5, of\n"
        "sha256:b  manifest of the base\nsha256:d  tool.def\n"
    )
    assert definition.recipe(pinned) == dockerfile.recipe(pinned) == {"container/built.txt": text}


PLAIN = """\
Bootstrap: {kind}
From: {base}
%files
    tool.sh
    tool.sh /opt/x/
    data /srv/new
    data /srv/new
    data/ /mix/
    d*/one "/opt/with space"
%post
    umask 022  # which Apptainer leaves to chance
    echo "  kept  %x" > /opt/said
    cd /opt; false || umask >> said
"""


def listed(root, layer):
    """Return kind, mode, target and bytes of all that is in a tree."""
    data = layer.read_bytes()
    return {
        path: (node.kind, node.mode, node.target, data[node.offset : node.offset + node.size])
        for path, node in rootfs.walk(root)
    }


@pytest.mark.live("apptainer")
def test_apptainer_itself_makes_the_same_of_a_definition(study, base, own_cache, tmp_path):
    laid(study, PLAIN.format(kind="docker", base=base), into=tmp_path / "tar")
    place = Path(tempfile.mkdtemp(prefix="sciflow-live-"))
    try:
        shutil.copytree(study, place / "study")
        (place / "study/tool.sh").chmod(0o755)  # as it is carried, whatever it was for others than its owner
        (place / "study/recipe").write_text(PLAIN.format(kind="localimage", base="base.sqfs"))
        blobs = image()[1].values()
        (place / "base.tar").write_bytes(next(gzip.decompress(data) for data in blobs if data.startswith(b"\x1f\x8b")))
        archive.squashfs(place / "base.tar", place / "study/base.sqfs")
        for path in [place, *place.rglob("*")]:
            path.chmod(0o777 if path == place else 0o755 if path.is_dir() or path.name == "tool.sh" else 0o644)
        words = ["sh", "-c", 'umask 022; cd "$0"; exec "$@"', place / "study", "apptainer", "build"]
        flags = ["--mksquashfs-args", " ".join(squash.WORDS), place / "built.sif", "recipe"]
        subprocess.run([*plain_user(), "env", f"APPTAINER_TMPDIR={place}", *words, *flags], check=True)
        theirs = squash.tree(place / "built.sif")
        workbench.clean(theirs, unpack.tree([place / "base.tar"]), 0)
        theirs.children["etc"].children.pop("hosts")
        ours = unpack.tree([tmp_path / "tar"])
        ours.children["etc"].children.pop("hosts")
        assert listed(ours, tmp_path / "tar") == listed(theirs, place / "built.sif")
    finally:
        shutil.rmtree(place)
