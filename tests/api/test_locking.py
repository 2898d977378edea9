"""Locks written by themselves, renewed piece by piece, and tried by building once more: against a small registry."""

import http.server
import shutil
import threading

import pytest

from sciflow import api
from sciflow.containers import cache
from sciflow.errors import SurroundingsError, UsageError
from tests.containers import layering, serving

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
