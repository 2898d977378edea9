"""Locks written by themselves, renewed piece by piece, and tried by building once more: against a small registry."""

import http.server
import shutil
import threading

import pytest

from sciflow import api
from sciflow.containers import cache, rootfs
from sciflow.errors import SurroundingsError, UsageError
from tests.containers import layering, serving, wheelwright

pytestmark = pytest.mark.skipif(not shutil.which("mksquashfs"), reason="mksquashfs is not installed")

HEAD = 'format = 1\n[workflow]\nname = "small"\n'
TAIL = '[tasks.t]\nrun = ["true"]\n'
IMAGE = '[image]\nfrom = "docker://{place}/a/b:1"\n'
INPUT = '[inputs]\nreads = {{ url = "{url}/reads.fq"{more} }}\n'


def image(text):
    return layering.image(layering.layer(layering.member("etc/says", data=text.encode())))


@pytest.fixture
def registry(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    with serving.serving() as server:
        serving.put(server, "a/b", "1", *image("one"))
        yield server


@pytest.fixture
def web(tmp_path, registry):
    """Serve a folder; return it and its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words, **more):
            super().__init__(*words, directory=str(tmp_path / "web"), **more)

        def log_message(self, *_):
            pass

    (tmp_path / "web").mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield tmp_path / "web", f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def study(folder, *sections):
    (folder / "study").mkdir(exist_ok=True)
    (folder / "study" / "workflow.toml").write_text(HEAD + "".join(sections) + TAIL)
    return folder / "study" / "workflow.toml"


def test_a_lock_is_written_without_a_bundle_and_says_nothing_the_second_time(registry, tmp_path):
    file = study(tmp_path, IMAGE.format(place=registry.name))
    first = api.lock(file)
    assert (first.path, first.changes) == (file.with_name("workflow.lock"), ())
    before = first.path.read_bytes()
    assert api.lock(file).changes == ()
    assert first.path.read_bytes() == before
    assert not (tmp_path / "study" / "bundles").exists()


def test_update_says_which_image_it_was_and_is(registry, tmp_path):
    file = study(tmp_path, IMAGE.format(place=registry.name))
    api.lock(file)
    serving.put(registry, "a/b", "1", *image("two"))
    assert api.lock(file).changes == ()
    (change,) = api.lock(file, update=["image"]).changes
    assert change.startswith("image: sha256:")
    assert api.lock(file, update=True).changes == ()


def test_a_piece_that_is_none_is_named_with_those_there_are(registry, tmp_path):
    file = study(tmp_path, IMAGE.format(place=registry.name))
    with pytest.raises(UsageError, match=r"the lock has no piece `numpy`.*\n.*such pieces are: `image`"):
        api.lock(file, update=["numpy"])
    assert not file.with_name("workflow.lock").exists()


def test_an_image_that_is_built_the_same_again_agrees(registry, tmp_path):
    file = study(tmp_path, IMAGE.format(place=registry.name))
    api.lock(file)
    found = api.lock_check(file)
    assert (found.agrees, found.differences) == (True, ())


def test_without_a_pinned_image_there_is_nothing_to_be_checked(tmp_path):
    file = study(tmp_path)
    with pytest.raises(UsageError, match="pins no image"):
        api.lock_check(file)
    api.lock(file)
    with pytest.raises(UsageError, match="pins no image"):
        api.lock_check(file)


def test_an_input_from_elsewhere_is_fetched_once_pinned_and_carried(web, tmp_path):
    folder, url = web
    (folder / "reads.fq").write_bytes(b"ACGT\n")
    file = study(tmp_path, INPUT.format(url=url, more=""))
    thin = api.compile(file)
    assert (thin.path / "inputs/reads/reads.fq").read_bytes() == b"ACGT\n"
    assert f'url = "{url}/reads.fq"' in file.with_name("workflow.lock").read_text()
    (folder / "reads.fq").unlink()
    assert api.compile(file, locked=True, offline=True).id == thin.id


def test_an_input_that_changed_there_stays_as_it_was_until_it_is_asked_for(web, tmp_path):
    folder, url = web
    (folder / "reads.fq").write_bytes(b"ACGT\n")
    file = study(tmp_path, INPUT.format(url=url, more=""))
    first = api.compile(file).id
    (folder / "reads.fq").write_bytes(b"TTTT\n")
    assert api.compile(file).id == first
    assert api.lock(file, update=["reads"]).changes == ("input `reads`: changed",)


def test_an_input_of_other_bytes_than_the_workflow_says_is_refused_and_nothing_is_left(web, tmp_path):
    folder, url = web
    (folder / "reads.fq").write_bytes(b"ACGT\n")
    file = study(tmp_path, INPUT.format(url=url, more=f', sha256 = "{"0" * 64}"'))
    with pytest.raises(SurroundingsError, match="the input `reads` is not what was pinned"):
        api.lock(file)
    assert not file.with_name("workflow.lock").exists()
    assert not list((tmp_path / "cache").glob("sha256/*"))


def test_an_input_that_left_the_cache_and_its_place_is_named(web, tmp_path):
    folder, url = web
    (folder / "reads.fq").write_bytes(b"ACGT\n")
    file = study(tmp_path, INPUT.format(url=url, more=""))
    api.lock(file)
    shutil.rmtree(cache.root())
    with pytest.raises(SurroundingsError, match=r"the input `reads` \(sha256:.*\) is not in the cache"):
        api.compile(file, offline=True)
    (folder / "reads.fq").unlink()
    with pytest.raises(SurroundingsError, match="the input `reads`"):
        api.compile(file)
    (folder / "reads.fq").write_bytes(b"TTTT\n")
    with pytest.raises(SurroundingsError, match="is not what was pinned"):
        api.compile(file)
    (folder / "reads.fq").write_bytes(b"ACGT\n")
    assert api.compile(file)


def test_offline_an_input_from_elsewhere_cannot_be_pinned(tmp_path):
    file = study(tmp_path, INPUT.format(url="http://127.0.0.1:9", more=""))
    with pytest.raises(SurroundingsError, match="the input `reads` is not pinned yet, and that needs the network"):
        api.lock(file, offline=True)


def test_check_needs_no_network_for_an_input_from_elsewhere(tmp_path):
    assert api.check(study(tmp_path, INPUT.format(url="http://127.0.0.1:9", more=""))).points == 1


@pytest.fixture
def wheels(registry, tmp_path, monkeypatch):
    """Give a study whose image has a Python, and wheels beside it: `tiny` 1.0, and a way to add more."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    rootfs.write(wheelwright.debian(), [], tmp_path / "python.tar")
    serving.put(registry, "a/b", "1", *layering.image((tmp_path / "python.tar").read_bytes()))
    file = study(tmp_path, IMAGE.format(place=registry.name) + 'python = "requirements.txt"\n')
    (file.parent / "requirements.txt").write_text("--no-index\n--find-links wheels\ntiny\n")

    def add(version, name="tiny"):
        wheelwright.wheel(file.parent / "wheels", name, version)

    add("1.0")
    return file, add


def told(file):
    return [line.strip() for line in file.with_name("workflow.lock").read_text().splitlines() if "tiny-" in line]


def test_wheels_are_pinned_and_stay_until_they_are_asked_for(wheels):
    file, add = wheels
    api.lock(file)
    add("2.0")
    assert api.lock(file).changes == ()
    (line,) = told(file)
    assert "tiny 1.0 tiny-1.0-py3-none-any.whl sha256:" in line
    changes = api.lock(file, update=["tiny"]).changes
    assert "wheel tiny: 1.0 -> 2.0" in changes
    assert changes[0].startswith("image: sha256:")


def test_all_wheels_are_asked_for_by_one_word_and_the_base_stays(wheels, registry):
    file, add = wheels
    api.lock(file)
    add("2.0")
    registry.seen.clear()
    assert "wheel tiny: 1.0 -> 2.0" in api.lock(file, update=["python"]).changes
    assert registry.seen == []


def test_another_image_keeps_the_wheels_it_has(wheels, registry):
    file, add = wheels
    api.lock(file)
    add("2.0")
    assert api.lock(file, update=["image"]).changes == ()
    assert "tiny-1.0" in told(file)[0]


def test_other_requirements_leave_the_base_and_the_other_wheels_as_they_were(wheels, registry):
    file, add = wheels
    api.lock(file)
    add("2.0")
    add("1.0", "more")
    (file.parent / "requirements.txt").write_text("--no-index\n--find-links wheels\ntiny\nmore\n")
    registry.seen.clear()
    changes = api.lock(file).changes
    assert [line for line in changes if line.startswith("wheel")] == ["wheel more: none -> 1.0"]
    assert "image file `requirements.txt`: changed" in changes
    assert registry.seen == []


def test_another_variable_of_the_image_asks_for_nothing(wheels, registry):
    file, _ = wheels
    api.lock(file)
    with file.open("a") as stream:
        stream.write('[image.environment]\nLEVEL = "2"\n')
    registry.seen.clear()
    changes = api.lock(file, offline=True).changes
    assert changes[0].startswith("image: sha256:")
    assert registry.seen == []


def test_wheels_that_no_longer_fit_are_named_piece_by_piece_when_locked(wheels):
    file, _ = wheels
    api.lock(file)
    (file.parent / "requirements.txt").write_text("--no-index\n--find-links wheels\ntiny<2\n")
    with pytest.raises(SurroundingsError, match=r"no longer fits:\n  image file `requirements\.txt`: changed\n"):
        api.compile(file, locked=True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("a/b:1", "a/b:2"), "image: `from = docker://.*/a/b:1` is pinned, and `from = docker://.*/a/b:2` asked for"),
        (('python = "requirements.txt"\n', ""), "wheels: those of `requirements.txt` are pinned, not of `nothing`"),
        (('python = "requirements.txt"\n', 'python = "requirements.txt"\nlabels = { a = "b" }\n'), "image: label `a`"),
        (("[tasks.t]", '[inputs]\nr = { url = "https://data.example/r" }\n[tasks.t]'), "input `r`: not pinned"),
        (("[tasks.t]", '[code]\ninclude = ["requirements.txt"]\n[tasks.t]'), "code `requirements.txt`: new"),
    ],
)
def test_a_lock_that_no_longer_fits_is_named_piece_by_piece(wheels, change, said):
    file, _ = wheels
    api.lock(file)
    assert api.compile(file, locked=True)
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(SurroundingsError, match=f"no longer fits:\n  {said}\n"):
        api.compile(file, locked=True)


def test_a_lock_of_an_image_that_is_no_longer_asked_for_does_not_fit(registry, tmp_path):
    file = study(tmp_path, IMAGE.format(place=registry.name))
    api.lock(file)
    study(tmp_path)
    with pytest.raises(SurroundingsError, match="image: none is asked for"):
        api.compile(file, locked=True)
    api.lock(file)
    study(tmp_path, IMAGE.format(place=registry.name))
    with pytest.raises(SurroundingsError, match="image: none is pinned"):
        api.compile(file, locked=True)


def test_a_fat_bundle_carries_its_wheels_and_is_built_again_from_them(wheels, registry, tmp_path, monkeypatch):
    file, _ = wheels
    fat = api.compile(file, fat=True)
    carried = {path.name for path in (fat.path / "carried/sha256").iterdir()}
    (wheel,) = (file.parent / "wheels").iterdir()
    assert wheelwright.digest(wheel.read_bytes()) in carried
    assert (fat.path / "container/files/requirements.txt").exists()
    assert "tiny==1.0 --hash=sha256:" in (fat.path / "container/requirements.txt").read_text()
    assert api.verify(fat.path).code == 0
    wheel.unlink()
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "another"))
    for digest in carried - {wheelwright.digest(data) for data in wheel_bytes(fat.path)}:
        (fat.path / "carried/sha256" / digest).unlink()
    assert {one.digest for one in api.carry(fat.path)} == {f"sha256:{digest}" for digest in carried}


def wheel_bytes(bundle):
    found = [path.read_bytes() for path in (bundle / "carried/sha256").iterdir()]
    return [data for data in found if data.startswith(b"PK")]
