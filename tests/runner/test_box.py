"""A box is chosen, its image made present, its words filled; no engine is known by name."""

import csv
import os
import sys
from pathlib import Path

import pytest

from sciflow.runner import box, names
from tests.runner.conftest import HOST


def engine(name, **more):
    return {**HOST, "engine": name, **more}


def silent(_):
    pass


def test_the_words_for_gpus_stand_in_the_place_of_one_word_or_of_none():
    assert box.filled(["run", "{gpus}", "x"], {"gpus": ["--gpus", "all"]}) == ["run", "--gpus", "all", "x"]
    assert box.filled(["run", "{gpus}", "x"], {}) == ["run", "x"]


def test_places_are_filled_in():
    assert box.filled(["--bind", "{code}:/code"], {"code": "/a b"}) == ["--bind", "/a b:/code"]


def test_braces_that_name_no_place_are_kept():
    assert box.filled(["{{.Id}}", "{ID}"], {}) == ["{{.Id}}", "{ID}"]


def test_a_list_is_one_word_of_fields_that_a_csv_reader_takes_apart():
    (word,) = box.filled([["type=bind", "source={code}", "target=/code"]], {"code": '/a,b "c"'})
    assert next(csv.reader([word])) == ["type=bind", 'source=/a,b "c"', "target=/code"]


def test_the_first_box_that_works_is_chosen():
    boxes = [
        engine("lacking", needs=["no-such-program"]),
        engine("broken", probe=["false"]),
        engine("good"),
        engine("later"),
    ]
    assert box.choose(boxes)["engine"] == "good"


def test_the_wanted_box_is_chosen():
    assert box.choose([engine("first"), engine("second")], "second")["engine"] == "second"


def test_where_no_box_works_each_says_why():
    boxes = [engine("lacking", needs=["no-such-program"]), engine("broken", probe=["false", "x"])]
    with pytest.raises(box.BoxError, match="lacking: `no-such-program` is not on PATH; broken: `false x` failed"):
        box.choose(boxes)


def test_a_box_that_the_bundle_does_not_know_is_named():
    with pytest.raises(box.BoxError, match="cannot run in `podman`; it knows: first, second"):
        box.choose([engine("first"), engine("second")], "podman")


@pytest.mark.parametrize(("probe", "starts"), [(["--version"], 1), (["info"], 2)])
def test_an_engine_tells_its_version_and_is_not_started_twice_for_that(tmp_path, monkeypatch, probe, starts):
    program = tmp_path / "engine"
    program.write_text(f'#!/bin/sh\necho "$1" >> {tmp_path}/started\necho "engine $1 1.4"\necho more\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    chosen = box.choose([engine("engine", needs=["engine"], probe=["engine", *probe])])
    assert box.version(chosen) == "engine --version 1.4"
    assert (tmp_path / "started").read_text().split() == [*probe, "--version"][-starts:]


def test_the_host_has_no_version():
    assert box.version(box.choose([HOST])) == ""


# ---- Images


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bundle").mkdir()
    return tmp_path / "bundle"


def kept(folder, data, name=None):
    """Keep content under its digest, or under another name; return its digest."""
    digest = name or names.digest(data)
    (folder / "sha256").mkdir(parents=True, exist_ok=True)
    (folder / "sha256" / digest).write_bytes(data)
    return "sha256:" + digest


def test_an_image_that_is_not_used_has_no_name(bundle):
    assert box.image(engine("host"), str(bundle), silent) == ""


def test_an_image_carried_along_is_found(bundle):
    digest = kept(bundle / "carried", b"image")
    path = box.image(engine("e", image={"file": digest}), str(bundle), silent)
    assert path == str(bundle / "carried" / "sha256" / digest[7:])


def test_an_image_in_the_cache_is_found(bundle, tmp_path):
    digest = kept(tmp_path / "cache", b"image")
    assert box.image(engine("e", image={"file": digest}), str(bundle), silent).startswith(str(tmp_path / "cache"))


def test_an_image_that_is_not_what_its_name_says_is_refused(bundle, tmp_path):
    digest = kept(tmp_path / "cache", b"image", "a" * 64)
    with pytest.raises(box.BoxError, match="is not what its name says"):
        box.image(engine("e", image={"file": digest}), str(bundle), silent)


def test_an_image_that_is_nowhere_is_named(bundle):
    with pytest.raises(box.BoxError, match="neither carried by the bundle nor in the cache"):
        box.image(engine("e", image={"file": "sha256:" + "b" * 64}), str(bundle), silent)


def test_an_archive_that_is_nowhere_is_named_with_both_places_where_it_was_looked_for(bundle, tmp_path):
    with pytest.raises(box.BoxError) as caught:
        box.image(named(tmp_path, image={"archive": "sha256:" + "b" * 64}), str(bundle), silent)
    assert all(f"`{folder}/sha256/{'b' * 64}`" in str(caught.value) for folder in (bundle / "carried", names.cache()))


def test_content_of_the_cache_is_touched_when_it_is_handed_out(bundle, tmp_path):
    digest = kept(tmp_path / "cache", b"image")
    path = tmp_path / "cache" / "sha256" / digest[7:]
    os.utime(path, (1e9, 1e9))
    box.content(str(bundle), digest)
    assert path.stat().st_mtime > 1e9


def test_content_that_the_bundle_carries_is_not_touched(bundle):
    digest = kept(bundle / "carried", b"image")
    path = bundle / "carried" / "sha256" / digest[7:]
    os.utime(path, (1e9, 1e9))
    box.content(str(bundle), digest)
    assert path.stat().st_mtime == 1e9


def test_content_is_handed_out_where_it_may_not_be_touched():
    me = os.geteuid()
    try:
        if me == 0:
            os.seteuid(65534)
        with pytest.raises(PermissionError):
            os.utime("/etc/passwd")
        assert box.claim("/etc/passwd")
    finally:
        os.seteuid(me)


def named(tmp_path, **more):
    """Return a box whose engine knows its images by name: a file of that name stands once it does."""
    return engine(
        "e",
        image={"name": str(tmp_path / "loaded"), **more.pop("image", {})},
        present=["test", "-e", "{image}"],
        **more,
    )


def test_an_image_that_the_engine_has_is_not_loaded(bundle, tmp_path):
    (tmp_path / "loaded").touch()
    assert box.image(named(tmp_path, load=["false"]), str(bundle), silent) == str(tmp_path / "loaded")


def test_an_image_that_the_engine_has_not_is_loaded(bundle, tmp_path):
    digest = kept(bundle / "carried", b"archive")
    loading = named(tmp_path, image={"archive": digest}, load=["cp", "{archive}", str(tmp_path / "loaded")])
    box.image(loading, str(bundle), silent)
    assert (tmp_path / "loaded").read_bytes() == b"archive"


def test_an_archive_that_is_not_what_its_name_says_is_not_loaded(bundle, tmp_path):
    digest = kept(bundle / "carried", b"archive", "a" * 64)
    loading = named(tmp_path, image={"archive": digest}, load=["cp", "{archive}", str(tmp_path / "loaded")])
    with pytest.raises(box.BoxError, match="is not what its name says"):
        box.image(loading, str(bundle), silent)
    assert not (tmp_path / "loaded").exists()


def test_an_archive_that_brings_another_image_is_refused(bundle, tmp_path):
    digest = kept(bundle / "carried", b"archive")
    with pytest.raises(box.BoxError, match="could not be had"):
        box.image(named(tmp_path, image={"archive": digest}, load=["true"]), str(bundle), silent)


def test_an_image_with_no_way_to_it_is_named(bundle, tmp_path):
    with pytest.raises(box.BoxError, match="run `sciflow fetch`"):
        box.image(named(tmp_path, image={"archive": "sha256:" + "b" * 64}), str(bundle), silent)


# ---- The open box


@pytest.fixture
def places(tmp_path):
    found = {name: str(tmp_path / name) for name in ("code", "inputs", "work", "outputs", "checkpoints")}
    (tmp_path / "work").mkdir()
    return {**found, "runner": str(Path(box.__file__).parent), "path": os.environ["PATH"]}


def run(loop, places, *words):
    """Run one step in an open box to its end; return the End."""
    work = places["work"]
    loop.start("l", "t", {"A": "b"}, (work, work + "/out", work + "/err"), 0, {}, list(words))
    loop.flush()
    while True:
        for what in loop.hear():
            assert what[0] == "end"
            return what[1]


def test_an_open_box_runs_a_step(places, tmp_path):
    loop = box.Loop(engine("host"), places, str(tmp_path / "log"))
    end = run(loop, places, "sh", "-c", "echo $A; exit 2")
    loop.close()
    assert (end.token, end.code, (tmp_path / "work" / "out").read_text()) == ("t", 2, "b\n")


def test_a_closed_box_leaves_nothing_running(places, tmp_path, alive):
    loop = box.Loop(engine("host"), places, str(tmp_path / "log"))
    work = places["work"]
    loop.start("l", "t", {}, (work, work + "/out", work + "/err"), 0, {}, ["sh", "-c", f"sleep 60; : {tmp_path}"])
    loop.flush()
    loop.close()
    assert alive(f": {tmp_path}") == 0


def test_a_box_is_stopped_with_its_own_words(places, tmp_path):
    loop = box.Loop(engine("host", stop=["touch", "{work}/stopped"]), places, str(tmp_path / "log"))
    loop.close()
    assert (tmp_path / "work" / "stopped").exists()


def test_where_namespaces_are_forbidden_the_network_is_the_host_s_and_said_so(places, tmp_path):
    shut = engine("e", isolation="full", enter=["false"], enter_shared_network=["env"])
    loop = box.Loop(shut, places, str(tmp_path / "log"))
    loop.close()
    assert loop.facts["network"] == "host"


def test_a_shut_box_has_no_network(places, tmp_path):
    loop = box.Loop(engine("e", isolation="full"), places, str(tmp_path / "log"))
    loop.close()
    assert loop.facts["network"] == "none"


def test_a_box_that_says_something_else_does_not_open(places, tmp_path):
    with pytest.raises(box.BoxError, match="it said nothing"):
        box.Loop(engine("e", enter=["sh", "-c", "echo hello", "x"]), places, str(tmp_path / "log"))


def test_a_box_may_hand_its_first_line_on_in_pieces(places, tmp_path):
    loop = box.Loop(
        engine("e", enter=["sh", "-c", "printf ready; sleep 0.1; printf '\\tpython\\t\\t\\th\\t1\\n'; cat", "x"]),
        places,
        str(tmp_path / "log"),
    )
    assert loop.open
    loop.close()


def test_a_box_that_is_gone_is_seen(places, tmp_path):
    loop = box.Loop(
        engine("e", enter=[sys.executable, "-c", "print('ready\\tpython\\t\\t\\th\\t1', flush=True); input()", "x"]),
        places,
        str(tmp_path / "log"),
    )
    loop.start("l", "t", {}, ("/", "/dev/null", "/dev/null"), 0, {}, ["true"])
    loop.flush()
    while loop.open:
        loop.hear()
    loop.close()
    assert not loop.open
