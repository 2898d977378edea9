import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import pytest

from sciflow.containers import apptainer, archive, cache, docker, oci
from sciflow.containers.image import own_platform
from sciflow.errors import SurroundingsError
from sciflow.runner import box as boxes
from tests.containers import entering, images, layering, resolving, serving
from tests.containers.layering import folder, link, member, symlink

pytestmark = pytest.mark.skipif(not shutil.which("mksquashfs"), reason="mksquashfs is not installed")

BASE = layering.layer(
    folder("./", mtime=1_600_000_000),
    folder("etc/", mtime=1_700_000_000),
    member("etc/shadow", data=b"secret\n", mode=0o000, uid=0, gid=42),
    member("etc/old", data=b"old"),
    member("bin/tool", data=b"#!/bin/sh\n", mode=0o4755, uid=3, mtime=1_700_000_000.25),
    folder("shut", mode=0o000),
    member("shut/in side", data=b"x", mode=0o200),
    symlink("sbin", "bin"),
)
TOP = layering.layer("etc/.wh.old", member("etc/new", data=b"new"), link("etc/tool", "bin/tool"))
SETTINGS = {"Env": ["PATH=/opt/bin:/bin", "LEVEL=2"], "WorkingDir": "/etc", "Entrypoint": ["/never"]}
IMAGE, BLOBS = layering.image(BASE, TOP, settings=SETTINGS)
ARM, ARM_BLOBS = layering.image(BASE, platform="linux/arm64")
LIST = json.dumps({"schemaVersion": 2, "manifests": [
    {"digest": "sha256:" + "7" * 64, "platform": {"os": "unknown", "architecture": "unknown"}},
    {"digest": "sha256:" + "8" * 64, "platform": {"os": "linux", "architecture": "amd64", "variant": "v3"}},
    {"digest": layering.digest(IMAGE), "platform": {"os": "linux", "architecture": "amd64"}},
    {"digest": layering.digest(ARM), "platform": {"os": "linux", "architecture": "arm64"}},
]}, indent=1).encode()  # fmt: skip


@pytest.fixture
def served(registry, own_cache):
    registry.served["a/b/manifests/1"] = LIST
    serving.put(registry, "a/b", "one", IMAGE, BLOBS)
    serving.put(registry, "a/b", None, ARM, ARM_BLOBS)
    return registry


def _resolve(server, what="a/b:1", platform="linux/amd64"):
    return resolving.resolve("from", f"docker://{server.name}/{what}", platform=platform)


def _listed(path):
    words = ["unsquashfs", "-d", "", "-lln", path]
    return subprocess.run(words, capture_output=True, text=True, check=True, env={"TZ": "UTC", **os.environ}).stdout


def test_a_tag_is_pinned_by_the_bytes_of_index_and_manifest(served):
    found = _resolve(served)
    assert found.digest("index") == layering.digest(LIST)
    assert found.digest("manifest") == layering.digest(IMAGE)


def test_each_engine_has_its_file_in_the_cache(served):
    found = _resolve(served)
    for name in ("squashfs", "archive"):
        assert cache.held(found.digest(name))
    assert found.size == cache.place(found.digest("squashfs")).stat().st_size


def test_each_platform_has_its_own_manifest(served):
    assert _resolve(served, platform="linux/arm64").digest("manifest") == layering.digest(ARM)


def test_a_tag_of_a_single_image_has_no_index(served):
    found = _resolve(served, "a/b:one")
    assert (found.digest("manifest"), found.digest("index")) == (layering.digest(IMAGE), "")


def test_a_single_image_for_another_platform_is_refused(served):
    with pytest.raises(SurroundingsError, match=r"no image for linux/arm64\n.*it has linux/amd64"):
        _resolve(served, "a/b:one", platform="linux/arm64")


def test_the_reference_is_kept_whole(served):
    assert _resolve(served).reference == f"docker://{served.name}/a/b:1"


def test_an_image_for_no_such_platform_names_those_there_are(served):
    with pytest.raises(SurroundingsError, match=r"no image for linux/s390x\n.*it has linux/amd64, linux/arm64"):
        _resolve(served, platform="linux/s390x")


def test_other_bytes_under_a_digest_are_refused(served):
    served.served[f"a/b/manifests/{layering.digest(IMAGE)}"] = ARM
    with pytest.raises(SurroundingsError, match=f"{layering.digest(IMAGE)} .* with an image of digest"):
        _resolve(served)


def test_other_bytes_under_the_digest_asked_for_are_refused(served):
    asked = "sha256:" + "5" * 64
    served.served[f"a/b/manifests/{asked}"] = IMAGE
    with pytest.raises(SurroundingsError, match=f"with an image of digest {layering.digest(IMAGE)}"):
        _resolve(served, f"a/b@{asked}")


def test_a_page_that_is_no_manifest_is_told_from_one(served):
    served.served["a/b/manifests/1"] = b"<html>"
    with pytest.raises(SurroundingsError, match="something that is no manifest"):
        _resolve(served)


def test_an_artefact_that_is_no_image_is_refused(served):
    served.served["a/b/manifests/1"] = b'{"blobs": []}'
    with pytest.raises(SurroundingsError, match="is not an image"):
        _resolve(served)


def test_a_layer_that_holds_other_than_the_config_says_is_refused(served, own_cache):
    _, blobs = layering.image(BASE, pack=lambda _: layering.packed(TOP))
    manifest, _ = layering.image(BASE)
    manifest = json.loads(manifest)
    digest = layering.digest(layering.packed(TOP))
    manifest["layers"][0] = {"digest": digest, "size": len(blobs[digest])}
    serving.put(served, "a/b", "lie", json.dumps(manifest).encode(), blobs)
    with pytest.raises(
        SurroundingsError, match=f"layer 1 of `.*` holds {layering.digest(TOP)}, and the image's config"
    ):
        _resolve(served, "a/b:lie")
    assert not list((own_cache / "making").iterdir())


def test_a_manifest_with_another_number_of_layers_than_the_config_is_refused(served):
    manifest = json.loads(IMAGE)
    del manifest["layers"][1]
    serving.put(served, "a/b", "short", json.dumps(manifest).encode(), {})
    with pytest.raises(SurroundingsError, match="its config names 2 layers, its manifest 1"):
        _resolve(served, "a/b:short")


def test_a_hostile_image_is_refused_and_leaves_a_good_cache(served, own_cache):
    manifest, blobs = layering.image(layering.layer("../../evil\x1b"))
    serving.put(served, "a/b", "evil", manifest, blobs)
    with pytest.raises(SurroundingsError, match=r"the image is refused: `\.\./\.\./evil\\x1b` leaves it"):
        _resolve(served, "a/b:evil")
    assert not list((own_cache / "making").iterdir())
    assert all(cache.held(f"sha256:{path.name}") for path in (own_cache / "sha256").iterdir())
    assert _resolve(served).digest("manifest") == layering.digest(IMAGE)


def test_small_bombs_are_counted_together(served, monkeypatch):
    monkeypatch.setattr(oci.inflate, "ALWAYS_ALLOWED", 1 << 20)
    bombs = [layering.layer(member("zeros", data=bytes(600_000))), layering.layer(member("more", data=bytes(600_000)))]
    manifest, blobs = layering.image(*bombs)
    serving.put(served, "a/b", "bomb", manifest, blobs)
    with pytest.raises(SurroundingsError, match="the image is refused: layer 2 of"):
        _resolve(served, "a/b:bomb")


def test_the_squashfs_is_root_s_with_the_layers_modes_and_times(served):
    lines = _listed(cache.place(_resolve(served).digest("squashfs"))).splitlines()
    found = {" ".join(line.split()[5:]): line.split()[:5] for line in lines}
    assert found["/bin/tool"] == ["-rwsr-xr-x", "0/0", "10", "2023-11-14", "22:13"]
    assert found["/etc/shadow"][:3] == ["----------", "0/0", "7"]
    assert found["/shut"][0] == "d---------"
    assert found["/shut/in side"][:3] == ["--w-------", "0/0", "1"]
    assert "/etc/old" not in found


def test_a_file_that_nobody_may_read_is_whole_in_the_squashfs(served, tmp_path):
    path = cache.place(_resolve(served).digest("squashfs"))
    found = subprocess.run(["unsquashfs", "-cat", path, "etc/shadow"], capture_output=True, check=True)
    assert found.stdout == b"secret\n"


def test_docker_s_archive_keeps_owners_environment_and_folder(served, tmp_path):
    path = cache.place(_resolve(served).digest("archive"))
    with tarfile.open(path) as found:
        manifest = json.load(found.extractfile("manifest.json"))[0]
        settings = json.load(found.extractfile(manifest["Config"]))
        with tarfile.open(fileobj=found.extractfile(manifest["Layers"][0])) as tree:
            owners = {info.name: (info.uid, info.gid, info.mode) for info in tree}
    assert settings["config"] == {"Env": ["LEVEL=2", "PATH=/opt/bin:/bin"], "WorkingDir": "/etc"}
    assert (owners["./bin/tool"], owners["./etc/shadow"]) == ((3, 0, 0o4755), (0, 42, 0))


ELSEWHERE = (
    "import os, sys\n"
    "from pathlib import Path\n"
    "from sciflow.containers import pinning\n"
    "from sciflow.workflow.spec import Image\n"
    "name, mask, *places = sys.argv[1:]\n"
    "os.umask(int(mask))\n"
    "for user, place in zip((0, 65534), places):\n"
    # the second user comes when all modules are there: the interpreter may stand where a plain user cannot read
    "    if user:\n"
    "        os.setgid(user)\n"
    "        os.setuid(user)\n"
    "    os.environ['SCIFLOW_CACHE'] = place\n"
    "    asked = Image(source='from', reference=name)\n"
    "    found = pinning.resolve(asked, folder=Path(), platform='linux/amd64', progress=lambda _: None)\n"
    "    print(found.digests)\n"
)


def _built_elsewhere(name, *places, zone="UTC", mask=0o022):
    """Pin and build in other folders, another zone and umask, in the second folder as another user; return the pins."""
    words = [sys.executable, "-c", ELSEWHERE, f"docker://{name}/a/b:1", str(mask), *map(str, places)]
    # SOURCE_DATE_EPOCH speaks to mksquashfs, which must not hear it
    environment = {**os.environ, "TZ": zone, "PYTHONPATH": os.pathsep.join(sys.path), "SOURCE_DATE_EPOCH": "12345"}
    found = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines()


def test_two_builds_in_two_folders_zones_and_umasks_are_the_same_bytes(served, tmp_path):
    one = _built_elsewhere(served.name, tmp_path / "one")
    assert one == _built_elsewhere(served.name, tmp_path / "two", zone="Asia/Tokyo", mask=0o077)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can build as two users")
def test_root_and_a_plain_user_build_the_same_bytes_and_leave_nothing_behind(served, tmp_path):
    plain = Path(tempfile.mkdtemp())  # pytest's own folders are shut to other users
    os.chown(plain, 65534, 65534)
    try:
        one, other = _built_elsewhere(served.name, tmp_path / "one", plain)
        assert one == other
        assert list((plain / "making").iterdir()) == []
    finally:
        shutil.rmtree(plain)


def test_an_image_that_left_the_cache_is_built_again_from_its_manifest(served):
    found = _resolve(served)
    served.served["a/b/manifests/1"] = ARM
    path = cache.place(found.digest("squashfs"))
    path.unlink()
    assert resolving.again(found, "squashfs") == path
    assert cache.held(found.digest("squashfs"))


def test_with_all_pieces_in_the_cache_nothing_is_asked_for(served):
    found = _resolve(served)
    cache.place(found.digest("archive")).unlink()
    served.seen.clear()
    resolving.again(found, "archive")
    assert served.seen == []


def test_an_image_whose_registry_is_gone_is_named(served):
    found = _resolve(served)
    shutil.rmtree(cache.root())
    served.served.clear()
    with pytest.raises(SurroundingsError, match="there is no image"):
        resolving.again(found, "squashfs")


def test_without_mksquashfs_nothing_is_pulled(served, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match="`mksquashfs` is not on PATH"):
        _resolve(served)
    assert not any("/blobs/" in path for path, _ in served.seen)


BUILD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from sciflow.containers import pinning\n"
    "from sciflow.containers import oci\n"
    "from sciflow.workflow.spec import Image\n"
    "print('here', flush=True)\n"
    "asked = Image(source='from', reference=sys.argv[1])\n"
    "pinning.resolve(asked, folder=Path(), platform='linux/amd64', progress=lambda _: None)\n"
)


def _killed(name, wait):
    """Pull and build in a process of its own, and kill it after a while; return whether it was still at it."""
    words = [sys.executable, "-c", BUILD, f"docker://{name}/a/b:1"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"here\n"
        time.sleep(wait)
        process.kill()
    return process.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_build_that_is_killed_at_any_moment_leaves_a_good_cache(served, own_cache):
    start = time.monotonic()
    wanted = _resolve(served)
    whole = time.monotonic() - start
    shutil.rmtree(own_cache)
    rng = random.Random(4)
    cut = 0
    kills = int(os.environ.get("SCIFLOW_KILLS", "20"))
    for _ in range(kills):
        cut += _killed(served.name, rng.uniform(0, whole))
        for path in own_cache.glob("sha256/*"):
            assert layering.digest(path.read_bytes()) == f"sha256:{path.name}"
        if rng.random() < 0.5:
            shutil.rmtree(own_cache / "sha256", ignore_errors=True)
    assert cut >= kills / 2
    assert _resolve(served) == wanted


# ---- The real registry and the real engines


@pytest.fixture
def pushed(tiny_tar, tmp_path):
    """Put the small image into the real registry; return its reference."""
    return _push(tiny_tar, tmp_path, "tiny:1")


def _push(tar, tmp_path, what, **more):
    if not shutil.which("skopeo"):
        pytest.skip("no skopeo to push with")
    name = f"{os.environ['SCIFLOW_TEST_REGISTRY']}/sciflow-test/{what}"
    target = tmp_path / "pushed.docker"
    archive.docker_archive(tar, target, architecture=own_platform().partition("/")[2], **more)
    words = ["skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]
    subprocess.run([*words, f"docker-archive:{target}", f"docker://{name}"], check=True)
    return f"docker://{name}"


def _real(reference):
    return resolving.resolve("from", reference)


@pytest.mark.live("registry")
def test_the_real_registry_pins_what_skopeo_sees(pushed, own_cache):
    words = ["skopeo", "inspect", "--tls-verify=false", "--format", "{{.Digest}}", pushed]
    seen = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert _real(pushed).digest("manifest") == seen


@pytest.mark.live("registry")
def test_a_tag_that_moved_leaves_the_locked_image_as_it_was(tiny_tar, tmp_path, own_cache):
    reference = _push(tiny_tar, tmp_path, "moving:1")
    locked = _real(reference)
    _push(tiny_tar, tmp_path, "moving:1", environment=[("LEVEL", "2")])
    assert _real(reference).digest("manifest") != locked.digest("manifest")
    shutil.rmtree(own_cache)
    path = resolving.again(locked, "squashfs")
    assert layering.digest(path.read_bytes()) == locked.digest("squashfs")


@pytest.mark.live("registry", "apptainer")
def test_apptainer_enters_the_image_with_its_environment(tiny_tar, tmp_path, own_cache):
    pushed = _push(tiny_tar, tmp_path, "told:1", environment=[("LEVEL", "it's 2"), ("PATH", "/opt/none:/bin")])
    box = apptainer.box(_real(pushed))
    where = entering.places(tmp_path / "run", image=boxes.image(box, "/nonexistent", print))
    code, said = entering.said(box, where, 'cat; echo "$LEVEL $PATH"; exit 3')
    assert code == 3
    assert said.startswith("hello\nit's 2 /opt/none:/bin")  # Apptainer appends the usual places


@pytest.mark.live("registry", "docker")
def test_docker_enters_the_image_with_its_environment(tiny_tar, tmp_path, own_cache):
    pushed = _push(tiny_tar, tmp_path, "told:1", environment=[("LEVEL", "it's 2"), ("PATH", "/opt/none:/bin")])
    box = docker.box(_real(pushed))
    where = entering.places(tmp_path / "run", image=boxes.image(box, "/nonexistent", print))
    assert entering.said(box, where, 'cat; echo "$LEVEL $PATH"; exit 3') == (3, "hello\nit's 2 /opt/none:/bin\n")


@pytest.mark.live("registry", "docker")
def test_docker_knows_the_image_by_the_id_that_the_lock_names(pushed, own_cache):
    pinned = _real(pushed)
    boxes.image(docker.box(pinned), "/nonexistent", print)
    words = ["docker", "image", "inspect", "--format", "{{.Id}}", pinned.digest("config")]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == pinned.digest("config")


def test_an_image_of_a_registry_is_written_for_both_engines_by_digest():
    found = oci.recipe(images.oci())
    assert (
        found["container/Dockerfile"]
        == f"# 127.0.0.1:5000/tools/tiny:1\nFROM 127.0.0.1:5000/tools/tiny@{images.SHA['manifest']}\n"
    )
    assert f"From: 127.0.0.1:5000/tools/tiny@{images.SHA['manifest']}" in found["container/apptainer.def"]
