import json
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sciflow.containers import apptainer, archive, cache, nix
from sciflow.containers.image import PinnedImage, own_platform
from sciflow.errors import SurroundingsError, WorkflowError
from sciflow.runner import box as boxes
from sciflow.runner import names
from sciflow.workflow import spec
from tests import conftest
from tests.containers import entering, flakes
from tests.containers.flakes import ENV, TOOLS, request

ROOT = Path(__file__).parents[2]


@pytest.fixture
def alone(monkeypatch):
    """Keep nix from caches on the network, and from what somebody's settings say."""
    monkeypatch.setenv("NIX_CONFIG", "substituters =")
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")


@pytest.fixture
def study(tmp_path, alone, own_cache):
    """Return a workflow's folder with the example flake in `env`."""
    (tmp_path / "study").mkdir()
    flakes.example(tmp_path / "study/env")
    return tmp_path / "study"


@pytest.fixture
def folder(tmp_path):
    """Return a workflow's folder with a flake that nobody builds."""
    for path in ("env/flake.nix", "env/flake.lock", "env/parts/tools.nix", "env/note.txt", "other.nix"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    return tmp_path


def image(reference="env#default", *files):
    return spec.Image(source="nix", reference=reference, files=files)


def listed(image, folder):
    return [one.path for one in nix.files(image, folder)]


def pinned(found, files=(), closure="", tools=(("nix", "2.26.3"),)):
    return PinnedImage(
        source="nix",
        reference="env#default",
        platform=own_platform(),
        digests=(("closure", closure),) if closure else (),
        files=tuple(files),
        paths=nix.listed(found),
        tools=tools,
    )


def carried(tmp_path):
    """Put a closure into the cache, and pin it."""
    found, files = flakes.environment()
    with cache.workshop() as workshop:
        (workshop / "tar").write_bytes(flakes.tar(files))
        return pinned(found, closure=cache.keep(workshop / "tar"))


def test_a_flake_s_files_are_all_its_nix_files_and_its_lock(folder):
    assert listed(image(), folder) == ["env/flake.lock", "env/flake.nix", "env/parts/tools.nix"]


def test_patterns_say_what_else_belongs_to_a_flake(folder):
    assert "env/note.txt" in listed(image("env#x", "*.txt"), folder)
    assert "env/note.txt" not in listed(image("env#x"), folder)


def test_a_folder_that_a_pattern_finds_is_passed_over(folder):
    assert "env/parts" not in listed(image("env#x", "*"), folder)


def test_a_pattern_may_mean_all_below_a_folder(folder):
    assert "env/parts/tools.nix" in listed(image("env#x", "parts/**"), folder)


def test_the_flake_may_be_the_workflow_s_own_folder(folder):
    shutil.copy(folder / "env/flake.nix", folder)
    assert listed(image(".#x"), folder) == ["env/flake.nix", "env/parts/tools.nix", "flake.nix", "other.nix"]


def test_a_flake_without_inputs_has_no_lock(folder):
    (folder / "env/flake.lock").unlink()
    assert listed(image(), folder) == ["env/flake.nix", "env/parts/tools.nix"]


def test_a_bundle_beside_the_flake_is_no_part_of_it(folder):
    for path in ("env/bundles/x/flake.nix", "env/.git/x.nix"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_text("")
    assert listed(image(), folder) == ["env/flake.lock", "env/flake.nix", "env/parts/tools.nix"]


def test_a_pin_has_the_digest_and_the_x_bit(folder):
    (folder / "env/flake.nix").chmod(0o700)
    one = nix.files(image(), folder)[1]
    assert (one.sha256, one.size, one.executable) == (names.digest(b"env/flake.nix"), 13, True)


@pytest.mark.parametrize("reference", ["../env#x", "/env#x", "#x", "a/../../b#x"])
def test_a_flake_outside_the_workflow_s_folder_is_refused(folder, reference):
    with pytest.raises(WorkflowError, match="not in the workflow's folder"):
        nix.files(image(reference), folder)


@pytest.mark.parametrize("reference", ["gone#x", "github:example/tools#x", "env/flake.nix#x"])
def test_a_flake_that_is_not_there_is_refused(folder, reference):
    with pytest.raises(SurroundingsError, match=r"there is no `.*/flake\.nix`"):
        nix.files(image(reference), folder)


@pytest.mark.parametrize("pattern", ["../*", "/etc/passwd", "a**/x"])
def test_a_pattern_that_leads_elsewhere_is_refused(folder, pattern):
    with pytest.raises(WorkflowError, match="chooses nothing of the flake's folder"):
        nix.files(image("env#x", pattern), folder)


@pytest.mark.parametrize("name", ["env/flake.lock", "env/parts/more.nix", "env/flake.nix"])
def test_a_link_in_a_flake_is_refused(folder, name):
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/etc/passwd")
    with pytest.raises(WorkflowError, match=f"{name}: is a link"):
        nix.files(image(), folder)


def test_a_flake_behind_a_link_is_refused(folder):
    (folder / "link").symlink_to("env")
    with pytest.raises(WorkflowError, match="link: is a link"):
        nix.files(image("link#x"), folder)


def test_a_held_closure_needs_no_nix(tmp_path, own_cache, monkeypatch):
    pin = carried(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    base = nix.lay(request(tmp_path, tmp_path / "w", pinned=pin))
    assert base.environment == (("PATH", f"/nix/store/{ENV}/bin:/bin"),)
    assert (base.paths, base.tools, base.digests) == (pin.paths, pin.tools, {"closure": pin.digest("closure")})
    with tarfile.open(base.layers[0]) as tree:
        assert tree.extractfile(f"./nix/store/{TOOLS}/bin/busybox").read() == b"#!busybox"


def test_a_held_closure_is_laid_for_another_platform_too(tmp_path, own_cache):
    pin = carried(tmp_path)
    assert nix.lay(request(tmp_path, tmp_path / "w", pinned=pin, platform="linux/s390x")).layers


def test_a_flake_for_another_platform_is_not_built_here(folder):
    with pytest.raises(SurroundingsError, match="cannot be built on"):
        nix.lay(request(folder, folder / "w", platform="linux/none"))


def test_without_nix_and_without_the_closure_one_is_told_what_to_do(folder, own_cache, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    pin = pinned((), closure="sha256:" + "0" * 64)
    with pytest.raises(SurroundingsError, match="`nix` is not on PATH"):
        nix.lay(request(folder, folder / "w", pinned=pin))


def test_store_paths_that_moved_are_named():
    was, _ = flakes.environment()
    now = [replace(was[0], size=1), replace(was[1], name="3" * 32 + "-new")]
    said = str(nix.difference(nix.listed(was), nix.listed(now)))
    assert f"/nix/store/{TOOLS} (other bytes)" in said
    assert f"/nix/store/{ENV} (gone)" in said
    assert f"/nix/store/{'3' * 32}-new (new)" in said


def test_a_closure_of_the_same_paths_that_is_written_differently_is_told():
    was = nix.listed(flakes.environment()[0])
    assert "is written differently" in str(nix.difference(was, was))


def test_the_recipe_tells_the_command_and_every_store_path():
    found, _ = flakes.environment()
    text = nix.recipe(pinned(found, closure="sha256:" + "0" * 64))["container/flake.txt"]
    assert "build --no-update-lock-file 'path:env#default'" in text
    assert f"\n{found[0].sha256} {found[0].size} /nix/store/{TOOLS}\n" in text
    assert "nix 2.26.3" in text


@pytest.mark.live("nix")
def test_a_flake_becomes_a_root_file_system(study, tmp_path):
    base = nix.lay(request(study, tmp_path / "w"))
    (path,) = base.paths
    assert path.path.endswith("-env")
    assert base.environment == (("PATH", f"{path.path}/bin:/bin"),)
    assert [one.path for one in base.files] == ["env/bin/busybox", "env/build.sh", "env/flake.nix"]
    assert cache.place(base.digests["closure"]).exists()
    with tarfile.open(base.layers[0]) as tree:
        program = tree.extractfile(f".{path.path}/bin/busybox")
        assert program.read() == (study / "env/bin/busybox").read_bytes()


@pytest.mark.live("nix")
def test_two_builds_in_two_folders_and_time_zones_under_two_umasks_are_the_same_bytes(study, tmp_path, monkeypatch):
    found = []
    for zone, mask in (("UTC", 0o022), ("Asia/Tokyo", 0o077)):
        monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / zone))
        monkeypatch.setenv("TZ", zone)
        before = os.umask(mask)
        try:
            other = tmp_path / f"in {mask}"
            shutil.copytree(study, other)
            base = nix.lay(request(other, tmp_path / f"w{mask}"))
        finally:
            os.umask(before)
        found.append((base.digests, base.paths, names.digest_file(base.layers[0])))
    assert found[0] == found[1]


@pytest.mark.live("nix")
def test_a_plain_user_builds_the_same_bytes(study, tmp_path, tmp_path_factory):
    base = nix.lay(request(study, tmp_path / "w"))
    python = next((path for path in (sys.executable, "/usr/bin/python3") if _runs(path)), None)
    if python is None:
        pytest.skip("the plain user has no Python that reads this code")
    told = subprocess.run(
        [*conftest.plain_user(), "NIX_CONFIG=substituters =", f"PYTHONPATH={ROOT}", python, "-B", "-c", PLAIN],
        input=json.dumps({path: (study / path).read_bytes().hex() for path in (one.path for one in base.files)}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.stdout.split() == [base.digests["closure"], names.digest_file(base.layers[0])[0]], told.stderr


PLAIN = """
import json, os, sys, tempfile
from pathlib import Path
with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for path, data in json.load(sys.stdin).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(bytes.fromhex(data))
        (folder / path).chmod(0o755 if path.endswith("busybox") else 0o644)
    os.environ["SCIFLOW_CACHE"] = str(folder / "cache")
    from sciflow.containers import cache, nix
    from sciflow.containers.image import own_platform
    from sciflow.containers.source import Request
    from sciflow.runner import names
    from sciflow.workflow import spec
    image = spec.Image(source="nix", reference="env#default", files=("*.sh", "bin/*"))
    with cache.workshop() as workshop:
        request = Request(image=image, pinned=None, folder=folder, workshop=workshop, platform=own_platform(),
                          progress=lambda text: None)
        base = nix.lay(request)
        print(base.digests["closure"], names.digest_file(base.layers[0])[0])
    assert not list((folder / "cache/making").iterdir())
"""


def _runs(python):
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import sciflow.containers.nix"
    words = [*conftest.plain_user(), python, "-B", "-c", code]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.mark.live("nix")
def test_nothing_is_left_where_a_flake_was_built(study, own_cache):
    with cache.workshop() as workshop:
        digest = nix.lay(request(study, workshop)).digests["closure"]
    assert [path for path in own_cache.rglob("*") if path.is_file()] == [cache.place(digest)]


@pytest.mark.live("nix")
def test_nothing_is_left_of_a_flake_that_does_not_build(study, own_cache):
    (study / "env/build.sh").write_text("exit 1")
    with pytest.raises(SurroundingsError, match="does not build"), cache.workshop() as workshop:
        nix.lay(request(study, workshop))
    assert [path for path in own_cache.rglob("*") if path.is_file()] == []


def again(study, tmp_path, **changes):
    """Build, forget the closure, and build again what was pinned."""
    base = nix.lay(request(study, tmp_path / "w"))
    pin = pinned((), files=base.files, closure=base.digests["closure"])
    cache.place(base.digests["closure"]).unlink()
    return base, nix.lay(request(study, tmp_path / "w2", pinned=replace(pin, **{"paths": base.paths, **changes})))


@pytest.mark.live("nix")
def test_a_pinned_flake_whose_closure_was_lost_is_built_again(study, tmp_path):
    before, after = again(study, tmp_path)
    assert after.digests == before.digests
    assert names.digest_file(after.layers[0]) == names.digest_file(before.layers[0])


@pytest.mark.live("nix")
def test_what_is_built_again_and_differs_is_named(study, tmp_path):
    with pytest.raises(SurroundingsError, match=r"-env \(new\)"):
        again(study, tmp_path, digests=(("closure", "sha256:" + "0" * 64),), paths=nix.listed(flakes.environment()[0]))


@pytest.mark.live("nix")
def test_a_flake_s_file_that_changed_since_it_was_locked_is_named(study, tmp_path):
    pin = pinned((), files=nix.files(image("env#default", *flakes.FILES), study))
    (study / "env/build.sh").write_text("exit 1")
    with pytest.raises(SurroundingsError, match=r"not the one that was locked: env/build\.sh"):
        nix.lay(request(study, tmp_path / "w", pinned=pin))


@pytest.mark.live("nix")
def test_a_file_that_changes_while_it_is_copied_is_told(study, tmp_path):
    asked = request(study, tmp_path / "w")
    found = nix.files(asked.image, study)
    (study / "env/build.sh").write_text("exit 1")
    with pytest.raises(SurroundingsError, match=r"`env/build\.sh` changed while it was read"):
        nix.copied(found, asked)


@pytest.mark.live("nix")
def test_a_flake_s_file_that_is_gone_since_it_was_locked_is_named(study, tmp_path):
    pin = pinned((), files=nix.files(image("env#default", *flakes.FILES), study))
    (study / "env/build.sh").unlink()
    with pytest.raises(SurroundingsError, match=r"not the one that was locked: env/build\.sh"):
        nix.lay(request(study, tmp_path / "w", pinned=pin))


@pytest.mark.live("nix")
def test_another_s_file_among_the_pins_does_not_count(study, tmp_path):
    (study / "env/requirements.txt").write_text("")
    more = nix.files(image("env#default", *flakes.FILES, "*.txt"), study)
    assert nix.lay(request(study, tmp_path / "w", pinned=pinned((), files=more))).layers


@pytest.mark.live("nix")
def test_nix_itself_takes_a_closure_for_a_binary_cache(study, tmp_path):
    base = nix.lay(request(study, tmp_path / "w"))
    with tarfile.open(cache.place(base.digests["closure"])) as tar:
        tar.extractall(tmp_path / "unpacked", filter="data")
    words = ["nix", "--extra-experimental-features", "nix-command", "copy", "--no-check-sigs", "--from"]
    store = ["--to", f"local?root={tmp_path}/store", "--option", "build-users-group", ""]
    subprocess.run([*words, f"file://{tmp_path}/unpacked", *store, base.paths[0].path], check=True)
    copied = Path(f"{tmp_path}/store{base.paths[0].path}/bin/busybox")
    assert copied.read_bytes() == (study / "env/bin/busybox").read_bytes()


@pytest.mark.live("nix", "apptainer")
def test_a_flake_s_programs_run_in_apptainer(study, tmp_path):
    base = nix.lay(request(study, tmp_path / "w"))
    archive.squashfs(base.layers[0], tmp_path / "image.sqfs")
    pin = replace(pinned(()), digests=(("squashfs", cache.keep(tmp_path / "image.sqfs")),))
    box = apptainer.box(pin)
    where = entering.places(tmp_path / "run", image=boxes.image(box, "/nonexistent", print))
    script = f"cat; {base.paths[0].path}/bin/uname; /usr/bin/env ls -d /nix/store; pwd"
    assert entering.said(box, where, script) == (0, "hello\nLinux\n/nix/store\n/sciflow/work\n")
