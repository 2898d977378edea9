import os
import shutil
import socket
import subprocess
import time

import pytest

from sciflow.containers import flake
from sciflow.containers.flake import Flake
from sciflow.errors import SurroundingsError
from tests.containers import flakes

DRV = "/nix/store/" + "a" * 32 + "-env.drv"


@pytest.fixture
def alone(monkeypatch):
    """Keep nix from caches on the network, and from what somebody's settings say."""
    monkeypatch.setenv("NIX_CONFIG", "substituters =")
    monkeypatch.setenv("NIX_USER_CONF_FILES", "")


@pytest.fixture
def study(tmp_path, alone):
    return flakes.example(tmp_path / "study")


def build(study, tmp_path, attribute="default", *, progress=print):
    workshop = tmp_path / "the work, shop"
    workshop.mkdir()
    return flake.build(Flake(folder=study, attribute=attribute, reference=f"env#{attribute}"), workshop, progress)


def away(tmp_path):
    """Have nix keep its store below the test's folder, also where there is none on this machine."""
    return {**os.environ, "NIX_REMOTE": f"local?root={tmp_path}/away"}


def fault(study, tmp_path, attribute="default"):
    with pytest.raises(SurroundingsError) as caught:
        build(study, tmp_path, attribute)
    return str(caught.value)


def change(study, was, becomes):
    text = (study / "flake.nix").read_text()
    assert was in text
    (study / "flake.nix").write_text(text.replace(was, becomes))


def refused(tmp_path, *lines):
    return str(flake.refused(list(lines), Flake(folder=tmp_path, attribute="env", reference=".#env")))


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        (["error: this system does not support the kernel namespaces that are required"], "the kernel gives none"),
        (["error: writing to file: No space left on device"], "no space left"),
        (["error: flake 'x' does not provide attribute 'a', 'b' or 'env'"], "has no `env` for this machine"),
        (["error: flake 'x' requires lock file changes but they're not allowed"], "does not pin all"),
        (["error:", "  … while updating the lock file of flake 'x'", "  error: gone"], "does not pin all"),
        (["error: cannot build 'x': unable to download 'https://x': 404"], "that cannot be fetched: cannot build"),
        (["error: it is late", "nothing more"], "does not evaluate: it is late"),
        (["no such thing", ""], "does not evaluate: no such thing"),
        ([], "does not evaluate: it said nothing"),
        (["error: \x1b]0;owned"], r"does not evaluate: \x1b]0;owned"),
    ],
)
def test_what_nix_says_becomes_one_fault(tmp_path, lines, wanted):
    assert wanted in refused(tmp_path, *lines)


def test_a_place_in_somebody_else_s_flake_stays_as_nix_names_it(tmp_path):
    place = "/nix/store/" + "b" * 32 + "-source/flake.nix:1:2"
    said = refused(tmp_path, "error:", f"   at {place}:", "   error: too late")
    assert "does not evaluate: too late" in said
    assert place in refused(tmp_path, f"error: too late in {place}")


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (f"error: builder for '{DRV}' failed with exit code 3", "failed with exit code 3"),
        (f"error: Cannot build '{DRV}'.", "Cannot build"),
    ],
)
def test_a_failed_build_ends_with_the_last_lines_of_its_log(tmp_path, last, why):
    log = [f"env> line {number}" for number in range(9)]
    said = refused(tmp_path, *log, "other> elsewhere", last)
    assert "`env` of the flake `.#env` does not build" in said
    assert why in said
    assert "line 4\n" in said
    assert "line 8\n" in said
    assert "line 3\n" not in said
    assert "elsewhere" not in said


def test_a_flake_with_a_lock_that_cannot_fetch_is_told_of_the_network(tmp_path):
    (tmp_path / "flake.lock").write_text("{}")
    said = refused(tmp_path, "… while updating the lock file of flake", "error: Could not resolve host: example")
    assert "cannot be fetched: Could not resolve host: example" in said


def test_a_store_that_one_may_write_to_works(tmp_path):
    assert flake.works(tmp_path)
    assert not flake.works(tmp_path / "gone")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root builds as other users")
@pytest.mark.parametrize("group", ["no-such-group", "nogroup"])
def test_a_store_of_root_s_without_anybody_to_build_as_does_not_work(tmp_path, group):
    assert not flake.works(tmp_path, group=group)


def test_a_daemon_that_died_does_not_count(tmp_path):
    place = tmp_path / "socket"
    assert not flake.listens(place)
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(str(place))
        daemon.listen()
        assert flake.listens(place)
    assert not flake.listens(place)


def test_without_nix_one_is_told_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SurroundingsError, match=r"`nix` is not on PATH[^$]*carries the closure"):
        flake.version()


@pytest.mark.live("nix")
def test_nix_has_a_version():
    assert flake.version()[0].isdigit()


@pytest.mark.live("nix")
def test_the_closure_is_written_as_a_binary_cache(study, tmp_path):
    told = []
    found = build(study, tmp_path, progress=told.append)
    assert [path.suffix for path in found.glob("*.narinfo")] == [".narinfo"]
    assert "Compression: none" in next(found.glob("*.narinfo")).read_text()
    assert told == ["nix: building env", "nix: writing the closure"]


@pytest.mark.live("nix")
def test_a_store_that_the_user_has_is_used_and_kept(study, tmp_path, monkeypatch):
    private = tmp_path / "data, mine/nix/root"
    private.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_HOME", str(private.parents[1]))
    change(study, "./build.sh", "./gone.sh")
    assert "env/flake.nix:14:11" in fault(study, tmp_path)
    change(study, "./gone.sh", "./build.sh")
    shutil.rmtree(tmp_path / "the work, shop")
    build(study, tmp_path)
    assert list(private.glob("nix/store/*-env/bin/sh"))


@pytest.mark.live("nix")
def test_an_attribute_that_is_not_there_is_named(study, tmp_path):
    assert "the flake `env#nope` has no `nope` for this machine" in fault(study, tmp_path, "nope")


@pytest.mark.live("nix")
def test_a_flake_that_cannot_be_read_is_told_with_line_and_column(study, tmp_path):
    change(study, "outputs =", "outputs = = ")
    assert "does not evaluate: env/flake.nix:4:13: syntax error" in fault(study, tmp_path)


@pytest.mark.live("nix")
def test_a_file_that_is_not_there_is_named_as_beside_the_flake(study, tmp_path):
    change(study, "./build.sh", "./gone.sh")
    said = fault(study, tmp_path)
    assert "path 'env/gone.sh' does not exist" in said
    assert "does not evaluate: env/flake.nix:14:11: path" in said
    assert "add it to `image.files`" in said


@pytest.mark.live("nix")
def test_a_flake_sees_nothing_of_the_machine(study, tmp_path):
    change(study, '"env"', 'builtins.readFile "/etc/hostname"')
    assert "is forbidden in pure evaluation mode" in fault(study, tmp_path)


@pytest.mark.live("nix")
def test_a_flake_that_gives_no_package_is_refused(study, tmp_path):
    change(study, "derivation {", "builtins.trace 1 {")
    assert "to be a derivation or path but found a set" in fault(study, tmp_path)


@pytest.mark.live("nix")
def test_a_build_that_fails_shows_its_last_words(study, tmp_path):
    with (study / "build.sh").open("a") as script:
        script.write("echo oh no\nexit 3\n")
    said = fault(study, tmp_path)
    assert "`env` of the flake `env#default` does not build" in said
    assert "exit code 3" in said
    assert "\n    oh no\n" in said


@pytest.mark.live("nix")
def test_an_input_without_a_lock_is_refused_with_the_command_that_writes_one(study, tmp_path):
    (study / "more").mkdir()
    (study / "more/flake.nix").write_text("{ outputs = { self }: { }; }\n")
    change(study, "outputs =", 'inputs.more.url = "path:./more"; outputs =')
    change(study, "{ self }", "{ self, more }")
    said = fault(study, tmp_path)
    assert "does not pin all of its inputs" in said
    assert "hint: run `nix flake lock path:env`" in said


@pytest.mark.live("nix")
def test_a_lock_that_does_not_fit_is_refused_and_a_fitting_one_is_kept_to(study, tmp_path):
    (study / "more").mkdir()
    (study / "more/flake.nix").write_text("{ outputs = { self }: { }; }\n")
    change(study, "outputs =", 'inputs.more.url = "path:./more"; outputs =')
    change(study, "{ self }", "{ self, more }")
    subprocess.run([*flake.NIX, "flake", "lock", "path:study"], cwd=tmp_path, check=True, env=away(tmp_path))
    assert build(study, tmp_path).is_dir()
    change(study, "./more", "./most")
    (study / "more").rename(study / "most")
    shutil.rmtree(tmp_path / "the work, shop")
    assert "does not pin all of its inputs" in fault(study, tmp_path)


@pytest.mark.live("nix")
def test_nothing_of_the_flake_is_changed_by_building_it(study, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in study.rglob("*")}
    build(study, tmp_path)
    assert {path: path.stat().st_mtime_ns for path in study.rglob("*")} == before


@pytest.mark.live("nix")
def test_a_kernel_without_namespaces_is_told_with_what_to_ask_for(study, tmp_path, monkeypatch):
    shut = "echo 0 >/proc/sys/user/max_user_namespaces && echo 0 >/proc/sys/user/max_mnt_namespaces"
    if subprocess.run(["unshare", "-Ur", "sh", "-c", shut], capture_output=True, check=False).returncode:
        pytest.skip("this user cannot make a place without namespaces")
    real = shutil.which("nix")
    (tmp_path / "path").mkdir()
    script = tmp_path / "path/nix"
    script.write_text(f'#!/bin/sh\nexec unshare -Ur sh -c \'{shut}; exec {real} "$@"\' sh "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=":")
    said = fault(study, tmp_path)
    assert "nix needs namespaces, and the kernel gives none" in said
    assert "`user.max_user_namespaces`" in said


def running(mark):
    return mark in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.mark.live("nix")
def test_who_stops_it_stops_nix(study, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # nix, ended at once, leaves the folder it built in
    mark = f"mark{os.getpid()}"
    change(study, '"sh" ./build.sh', '"sh" "-c" "while :; do : MARK; done"'.replace("MARK", mark))

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(study, tmp_path, progress=stop)
    end = time.monotonic() + 10
    while running(mark) and time.monotonic() < end:  # the kernel ends it, in its own time
        time.sleep(0.05)
    assert not running(mark)


@pytest.mark.live("nix")
def test_a_nix_whose_store_is_elsewhere_is_refused(study, tmp_path, monkeypatch):
    monkeypatch.setenv("NIX_REMOTE", f"local?store={tmp_path}/store&state={tmp_path}/state&log={tmp_path}/log")
    monkeypatch.setenv("NIX_CONFIG", "substituters =\nbuild-users-group =\nsandbox = false")
    assert "nix keeps its store elsewhere than in `/nix/store`" in fault(study, tmp_path)
