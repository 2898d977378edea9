import json
import tarfile

import pytest

from sciflow.containers import build, cache
from sciflow.containers.image import PinnedImage
from sciflow.containers.source import Base, Request
from sciflow.errors import SurroundingsError
from sciflow.workflow.spec import Image
from tests.containers import images, layering

OVER = {"environment": (("LEVEL", "it's 2"),), "labels": (("title", "tools"),)}


def test_another_mksquashfs_is_named_with_what_to_do():
    was = images.oci()
    now = PinnedImage(source="from", reference="x", platform="x", digests=was.digests, tools=(("squashfs-tools", "9"),))
    said = str(build.difference(was, now))
    assert "packed by squashfs-tools 4.5.1, and here is squashfs-tools 9" in said
    assert "install squashfs-tools 4.5.1; or carry the image along" in said


def test_a_tree_that_differs_is_told_from_one_that_was_packed_differently():
    now = PinnedImage(source="from", reference="x", platform="x", digests=(("tree", "sha256:" + "0" * 64),))
    assert "its tree differs" in str(build.difference(images.oci(), now))


def test_of_what_runs_commands_it_says_that_nobody_can_promise_it():
    now = PinnedImage(source="dockerfile", reference="x", platform="x", digests=(("tree", "sha256:" + "0" * 64),))
    assert "`sciflow lock --check` says what differs" in str(build.difference(now, images.oci()))


@pytest.fixture
def request_(tmp_path, own_cache):
    """Return what asks for an image of a Debian base in the test's cache."""
    with cache.workshop() as workshop:
        yield lambda **more: Request(
            image=Image(source="debian", reference="tiny", **more),
            pinned=None,
            folder=tmp_path,
            workshop=workshop,
            platform="linux/amd64",
            progress=print,
        )


def base(request):
    tar = request.workshop / "base.tar"
    tar.write_bytes(layering.layer(layering.folder("bin"), layering.member("bin/sh", data=b"x", mode=0o755)))
    return Base(layers=(tar,), environment=(("HERE", "1"), ("LEVEL", "1")), folder="/srv", tools=(("maker", "3"),))


def made(asked, base):
    base = build.keep(asked, base)
    whole, chosen = build.over(asked, base)
    return build.build(asked, base, chosen, whole)


def settings(pinned):
    with tarfile.open(cache.place(pinned.digest("archive"))) as found:
        manifest = json.load(found.extractfile("manifest.json"))[0]
        with tarfile.open(fileobj=found.extractfile(manifest["Layers"][0])) as tree:
            files = {info.name: tree.extractfile(info).read().decode() for info in tree if info.isreg()}
        return json.load(found.extractfile(manifest["Config"]))["config"], files


def test_what_the_workflow_adds_is_in_both_engines_words_and_wins_over_the_base(request_):
    asked = request_(**OVER)
    found, files = settings(made(asked, base(asked)))
    assert found["Env"][:2] == ["HERE=1", "LEVEL=it's 2"]
    assert found["Labels"] == {"title": "tools"}
    assert "export LEVEL='it'\"'\"'s 2'" in files["./.singularity.d/env/10-docker2singularity.sh"]
    assert json.loads(files["./.singularity.d/labels.json"]) == {"title": "tools"}


def test_a_base_that_more_is_laid_over_is_kept_and_serves_again(request_):
    asked = request_(**OVER)
    first = made(asked, base(asked))
    again = build.kept(first)
    assert again.layers == (cache.place(first.digest("base")),)
    assert made(asked, again) == first


def test_a_plain_base_is_not_kept_twice(request_):
    asked = request_()
    found = made(asked, base(asked))
    assert not found.digest("base")
    assert build.kept(found) is None


def test_what_the_image_is_made_by_is_on_record(request_):
    asked = request_()
    assert dict(made(asked, base(asked)).tools).keys() == {"maker", "squashfs-tools"}


def test_a_base_that_has_something_else_in_the_place_of_the_environment_is_refused(request_):
    asked = request_(**OVER)
    tar = asked.workshop / "odd.tar"
    tar.write_bytes(layering.layer(".singularity.d"))
    with pytest.raises(SurroundingsError, match="the image has something else there"):
        made(asked, Base(layers=(tar,)))
