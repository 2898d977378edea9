"""The cache's stock: what is listed, what is taken away, and that nothing in use or foreign is."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sciflow.containers import cache, stock
from sciflow.errors import SurroundingsError
from sciflow.runner import box, facts

DAY_S = 86400
SQUASHFS = b"hsqs" + b"\0" * 96


def kept(data, days=0.0):
    """Keep content that was last used so many days ago; return its digest."""
    with cache.workshop() as folder:
        (folder / "x").write_bytes(data)
        digest = cache.keep(folder / "x")
    aged(cache.place(digest), days)
    return digest


def aged(path, days):
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def left_behind(maker, days=0.0, **files):
    """Make a workshop as one that was killed leaves it; `maker` is what it wrote of itself, or nothing."""
    folder = cache.root() / "making" / f"workshop-{len(list(cache.root().rglob('*')))}"
    (folder / "work").mkdir(parents=True)
    if maker is not None:
        (folder / "maker.json").write_text(json.dumps(maker), encoding="utf-8")
    for name, text in files.items():
        (folder / "work" / name).write_text(text, encoding="utf-8")
    for path in sorted(folder.rglob("*"), reverse=True):
        aged(path, days)
    return aged(folder, days)


def ended():
    """Return the name that a process of this machine gave itself, which has ended."""
    words = "import json; from sciflow.runner import facts; print(json.dumps(facts.owner()))"
    root = Path(cache.__file__).parents[2]
    return json.loads(subprocess.run([sys.executable, "-c", words], cwd=root, capture_output=True, check=True).stdout)


def test_what_is_held_is_listed_with_its_digest_kind_and_size(own_cache):
    digest = kept(SQUASHFS)
    (item,) = stock.items()
    assert (item.digest, item.kind, item.size, item.path) == (digest, "squashfs", 100, cache.place(digest))


def test_what_was_used_last_comes_first(own_cache):
    old, new, middle = kept(b"a", 3), kept(b"b", 1), kept(b"c", 2)
    assert [item.digest for item in stock.items()] == [new, middle, old]


def test_an_empty_cache_holds_nothing(own_cache):
    assert stock.items() == []


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (SQUASHFS, "squashfs"),
        (b"\0" * 32 + b"SIF_MAGIC", "sif"),
        (b"\0" * 257 + b"ustar\0", "tar"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"PK\x03\x04", "zip"),
        (b'{"a":1}', "json"),
        (b"words", ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_tell_the_kind(own_cache, data, kind):
    kept(data)
    assert stock.items()[0].kind == kind


def test_bundles_that_name_an_item_are_named(own_cache):
    digest = kept(b"a")
    assert stock.items({digest[7:]: ("bundles/x",)})[0].bundles == ("bundles/x",)


def test_to_list_is_no_use(own_cache):
    digest = kept(SQUASHFS, 40)
    stock.items()
    assert stock.items()[0].used == pytest.approx(time.time() - 40 * DAY_S, abs=60)
    assert digest


def test_content_that_is_held_was_used_now(own_cache):
    digest = kept(b"a", 40)
    cache.held(digest)
    assert stock.items()[0].used == pytest.approx(time.time(), abs=60)


def test_content_that_a_runner_takes_was_used_now(own_cache, tmp_path):
    digest = kept(b"a", 40)
    box.content(str(tmp_path), digest)
    assert stock.items()[0].used == pytest.approx(time.time(), abs=60)


def test_what_was_not_used_for_so_long_goes(own_cache):
    old, new = kept(b"old", 31), kept(b"new", 29)
    cleared = stock.clear(30 * DAY_S)
    assert ([item.digest for item in cleared.removed], cleared.kept, cleared.freed) == ([old], 1, 3)
    assert (cache.held(old), cache.held(new)) == (None, cache.place(new))


def test_a_dry_run_says_the_same_and_removes_nothing(own_cache):
    old = kept(b"old", 31)
    assert [item.digest for item in stock.clear(30 * DAY_S, dry_run=True).removed] == [old]
    assert cache.held(old)


def test_what_is_used_after_it_was_listed_stays(own_cache):
    digest = kept(b"old", 31)
    (item,) = stock.items()
    box.claim(str(cache.place(digest)))
    with cache.workshop() as away:
        assert not stock._taken(item, away / "0", 30 * DAY_S)
    assert cache.held(digest)


def test_what_another_one_has_taken_away_is_not_counted_twice(own_cache):
    kept(b"old", 31)
    (item,) = stock.items()
    item.path.unlink()
    with cache.workshop() as away:
        assert not stock._taken(item, away / "0", 30 * DAY_S)


def test_an_open_file_stays_readable(own_cache):
    digest = kept(b"image", 31)
    with cache.place(digest).open("rb") as stream:
        aged(cache.place(digest), 31)
        assert len(stock.clear(30 * DAY_S).removed) == 1
        assert stream.read() == b"image"


def test_what_was_handed_out_while_room_is_made_is_there_afterwards(own_cache):
    handed_out = gone = 0
    for _ in range(300):
        digest, found = kept(b"image", 31), []
        taker = threading.Thread(target=lambda digest=digest, found=found: found.append(cache.held(digest)))
        taker.start()
        stock.clear(30 * DAY_S)
        taker.join()
        handed_out += found[0] is not None
        gone += found[0] is None
        assert found[0] is None or found[0].read_bytes() == b"image"
    assert handed_out
    assert handed_out + gone == 300


def test_makers_and_takers_at_work_while_all_is_removed_see_whole_content_or_none(own_cache):
    data, seen, stop = b"x" * 100_000, [], threading.Event()
    digest = kept(data)

    def use():
        while not stop.is_set():
            if cache.held(digest):
                seen.append(digest)
                continue
            with cache.workshop() as folder:
                (folder / "x").write_bytes(data)
                cache.keep(folder / "x")

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    removed = sum(len(stock.clear(0).removed) for _ in range(100))
    stop.set()
    for user in users:
        user.join()
    assert (removed > 0, len(seen) > 0) == (True, True)
    assert cache.held(digest) is None or cache.place(digest).read_bytes() == data


def test_what_a_killed_maker_left_goes_whatever_its_age(own_cache):
    folder = left_behind(ended(), half="some bytes")
    (gone,) = stock.clear(30 * DAY_S).removed
    assert (gone.kind, gone.path, folder.exists()) == ("unfinished", folder, False)
    assert gone.size >= len("some bytes")


def test_leftovers_in_folders_without_permission_go(own_cache):
    folder = left_behind(ended(), half="x")
    (folder / "work").chmod(0o500)
    stock.clear(30 * DAY_S)
    assert not folder.exists()


def test_a_maker_at_work_keeps_its_folder(own_cache):
    with cache.workshop() as work:
        aged(work, 400)
        assert stock.clear(0).removed == ()
        assert work.is_dir()


def test_a_maker_on_another_machine_keeps_its_folder_until_it_is_silent_for_a_day(own_cache):
    host = ["elsewhere", *facts.owner()[1:]]
    working, silent = left_behind(host, 0.9), left_behind(host, 1.1)
    stock.clear(0)
    assert (working.exists(), silent.exists()) == (True, False)


def test_a_folder_whose_maker_is_not_written_yet_stays_for_a_day(own_cache):
    new, old = left_behind(None, 0.1), left_behind(None, 1.1)
    stock.clear(0)
    assert (new.exists(), old.exists()) == (True, False)


def test_a_folder_of_one_who_was_killed_before_he_wrote_his_name_goes_after_a_minute(own_cache):
    new, old = (left_behind(None, seconds / DAY_S) for seconds in (30, 90))
    for folder in (new, old):
        seen = folder.stat().st_mtime
        (folder / "work").rmdir()
        os.utime(folder, (seen, seen))
    stock.clear(0)
    assert (new.exists(), old.exists()) == (True, False)


FOREIGN = ("notes.txt", "sha256/notes.txt", "sha256/" + "A" * 64, "sif/mine.sif", "making/thesis/x", "more/" + "a" * 64)


@pytest.mark.parametrize("path", FOREIGN)
def test_what_is_not_sciflow_s_is_neither_listed_nor_removed(own_cache, path):
    place = own_cache / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("mine")
    aged(place, 400)
    assert (stock.items(), stock.clear(0).removed, place.read_text()) == ([], (), "mine")


def test_a_link_is_not_followed(own_cache, tmp_path):
    (tmp_path / "mine").write_text("mine")
    (own_cache / "sha256").mkdir(parents=True)
    (own_cache / "sha256" / ("a" * 64)).symlink_to(tmp_path / "mine")
    assert (stock.items(), (tmp_path / "mine").read_text()) == ([], "mine")


def test_what_cannot_be_removed_is_said_with_the_reason(own_cache):
    # Content that was moved to another file system by hand, behind a link: nothing is renamed from one to another.
    digest, other = kept(b"old", 31), Path("/dev/shm") / f"sciflow-test-{os.getpid()}"
    shutil.copytree(own_cache / "sha256", other)
    try:
        shutil.rmtree(own_cache / "sha256")
        (own_cache / "sha256").symlink_to(other)
        cleared = stock.clear(30 * DAY_S)
        assert [(item.digest, why) for item, why in cleared.refused] == [(digest, "Invalid cross-device link")]
        assert (cleared.removed, cleared.kept) == ((), 1)
    finally:
        shutil.rmtree(other)


def test_a_cache_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "sha256").write_text("")
    monkeypatch.setenv("SCIFLOW_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SurroundingsError, match="in the cache cannot be used"):
        stock.items()


def lent(days, name="e" * 64):
    """Lay a Python that an image has lent, as launch.sh does."""
    folder = cache.root() / "python" / name
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").write_bytes(b"#!" + b"x" * 98)
    (folder / "image").write_text(f"sha256:{name}\n")
    aged(folder / "image", days)
    return folder


def test_a_python_that_an_image_has_lent_is_listed_by_its_image_and_goes_when_nobody_has_used_it(own_cache):
    old, new = lent(40, "e" * 64), lent(1, "d" * 64)
    assert [(item.kind, item.digest, item.size) for item in stock.items()] == [
        ("python", f"sha256:{letter * 64}", 172) for letter in "de"
    ]
    assert [item.path for item in stock.clear(30 * DAY_S).removed] == [old]
    assert (old.exists(), (new / "bin" / "python3").exists()) == (False, True)


def test_a_python_that_was_not_copied_whole_goes_after_a_day(own_cache):
    folder = own_cache / "python" / ".making-abc"
    (folder / "work").mkdir(parents=True)
    assert stock.clear(0).removed == ()
    for path in (folder / "work", folder):
        aged(path, 2)
    assert [(item.kind, item.path) for item in stock.clear(0).removed] == [("unfinished", folder)]


def test_what_else_stands_beside_lent_pythons_is_not_seen(own_cache):
    (own_cache / "python" / "mine").mkdir(parents=True)
    lent(40, "not-a-digest")
    assert stock.items() == []
