"""What an image is made of, broken in every way that is known: place, fault and fix are told, and nothing is left."""

import re
from pathlib import Path

import pytest

from tests.containers import layering, serving
from tests.live import broken

ROWS = [pytest.param(one, id=one.make.__name__, marks=pytest.mark.live(*one.parts)) for one in broken.ROWS]


@pytest.fixture(scope="module")
def good():
    """Serve an image that nothing is wrong with."""
    with serving.serving() as registry:
        serving.put(registry, "good/one", "1", *broken.TINY)
        yield f"{registry.name}/good/one:1"


@pytest.fixture(scope="module", params=ROWS)
def met(request, tmp_path_factory):
    """Bring a fault about once, for all that is asked of it."""
    with broken.bed(tmp_path_factory.mktemp("bed")) as bed:
        yield broken.outcome(request.param, bed)


def test_place_fault_and_fix_are_told_in_this_order(met):
    assert re.search(".*?".join(met.row.words), met.done.stderr, re.DOTALL | re.MULTILINE), met.done.stderr


def test_it_ends_with_code_3(met):
    assert met.done.returncode == 3, met.done.stderr


def test_there_is_a_hint_and_no_traceback(met):
    assert re.search(r"^ *hint: \S", met.done.stderr, re.MULTILINE), met.done.stderr
    assert "Traceback" not in met.done.stderr


def test_no_lock_and_no_bundle_is_left_beside_the_workflow(met):
    assert met.after == met.before


def test_the_cache_holds_nothing_unfinished_and_nothing_spoilt(met):
    assert (met.left, met.spoilt) == ([], [])


def test_a_good_image_is_locked_with_the_same_cache_afterwards(met, good, tmp_path):
    (tmp_path / "workflow.toml").write_text(broken.HEAD + broken.source(f'from = "docker://{good}"') + broken.TAIL)
    done = met.bed.sciflow("lock", tmp_path / "workflow.toml")
    assert done.returncode == 0, done.stderr
    assert "from" in (tmp_path / "workflow.lock").read_text()


@pytest.fixture
def bed(tmp_path):
    with broken.bed(tmp_path) as bed:
        yield bed


def packed(bed, *members):
    """Compile a study in an image archive of these members; return the names in the image."""
    asked = broken.archived(bed, layering.layer(*members))
    (bed.folder / "workflow.toml").write_text(broken.HEAD + asked + broken.TAIL)
    done = bed.sciflow("lock", "workflow.toml")
    assert done.returncode == 0, done.stderr
    return broken.tree(bed.cache)


def test_an_absolute_path_in_an_image_begins_at_the_image_s_root(bed):
    assert packed(bed, layering.member("/etc/a", data=b"a"))["etc/a"].isreg()


def test_a_file_behind_a_link_out_of_the_root_lands_inside_it(bed, tmp_path):
    found = packed(bed, layering.symlink("out", f"../../..{tmp_path}"), layering.member("out/a", data=b"a"))
    assert found[f"{tmp_path}/a".lstrip("/")].isreg()
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("kind", [b"3", b"4", b"6"])
def test_a_device_in_an_image_is_left_out(bed, kind):
    assert "dev/sda" not in packed(bed, layering.folder("dev"), layering.member("dev/sda", kind, devmajor=8))


def test_the_page_shows_every_fault_with_its_code():
    page = (Path(__file__).parents[2] / "docs/faults.md").read_text(encoding="utf-8")
    shown = re.findall(r"^## (.*)\n\nCode ([0-9])\.$", page, re.MULTILINE)
    assert shown == [(f"{one.name[0].upper()}{one.name[1:]}", "3") for one in broken.ROWS]
