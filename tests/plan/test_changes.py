"""What changed from one lock to another, said fact by fact."""

from dataclasses import replace

import pytest

from sciflow.containers.image import Package, PinnedImage, Wheel
from sciflow.containers.locked import LockedFile
from sciflow.plan import changes
from sciflow.plan.lock import Lock, LockedInput

PINNED = PinnedImage(
    source="from",
    reference="localhost:5000/tools:1",
    platform="linux/amd64",
    digests=tuple(
        (name, f"sha256:{number}" + "0" * 63)
        for number, name in enumerate(("archive", "config", "index", "manifest", "squashfs", "tree"))
    ),
    size=12345,
)


def test_equal_locks_have_no_differences():
    assert changes.between(Lock(image=PINNED), Lock(image=PINNED)) == []


def test_every_piece_that_changed_is_named():
    one, other = LockedFile(path="a.py", sha256="1" * 64, size=1), LockedFile(path="a.py", sha256="2" * 64, size=1)
    gone, new = LockedFile(path="b.py", sha256="1" * 64, size=1), LockedFile(path="c.py", sha256="1" * 64, size=1)
    old = Lock(code=(one, gone), inputs=(LockedInput(name="reads", path="r", files=(one,)),))
    now = Lock(code=(other, new), inputs=(LockedInput(name="reads", path="r", files=(other,)),))
    assert changes.between(old, now) == [
        "code `a.py`: changed",
        "code `b.py`: gone",
        "code `c.py`: new",
        "input `reads`: changed",
    ]


def test_an_image_that_was_packed_differently_is_told_from_another_image():
    digests = tuple((name, "sha256:" + "f" * 64 if name == "squashfs" else value) for name, value in PINNED.digests)
    assert changes.between(Lock(image=PINNED), Lock(image=replace(PINNED, digests=digests))) == [
        f"image: squashfs {PINNED.digest('squashfs')} -> sha256:{'f' * 64}"
    ]


def test_another_name_of_the_same_image_is_a_change():
    moved = replace(PINNED, reference="localhost:5000/tools:2")
    assert changes.between(Lock(image=PINNED), Lock(image=moved)) == [
        "image: reference localhost:5000/tools:1 -> localhost:5000/tools:2"
    ]
    assert changes.between(Lock(image=PINNED), Lock(image=replace(PINNED, platform="linux/arm64")))


def test_a_program_that_is_no_longer_one_has_changed():
    file = LockedFile(path="a.sh", sha256="1" * 64, size=1, executable=True)
    assert changes.between(Lock(code=(file,)), Lock(code=(replace(file, executable=False),))) == [
        "code `a.sh`: changed"
    ]


def test_packages_that_changed_are_named_with_both_versions():
    before = replace(PINNED, packages=(Package(name="zlib", version="1.2", architecture="amd64", sha256="0" * 64),))
    after = replace(PINNED, packages=(Package(name="zlib", version="1.3", architecture="amd64", sha256="1" * 64),))
    assert "package zlib: 1.2 -> 1.3" in changes.between(Lock(image=before), Lock(image=after))


def test_wheels_that_changed_are_named_with_both_versions():
    wheel = Wheel(name="numpy", version="1.26", file="n.whl", sha256="0" * 64, size=1, url="u")
    after = replace(PINNED, wheels=(replace(wheel, version="2.0"),))
    assert changes.between(Lock(image=replace(PINNED, wheels=(wheel,))), Lock(image=after)) == [
        "wheel numpy: 1.26 -> 2.0"
    ]


@pytest.mark.parametrize(("field", "what"), [("environment", "environment LEVEL"), ("labels", "label LEVEL")])
def test_what_the_workflow_adds_to_an_image_is_told_when_it_changes(field, what):
    after = replace(PINNED, **{field: (("LEVEL", "2"),)})
    assert changes.between(Lock(image=PINNED), Lock(image=after)) == [f"image: {what} none -> 2"]


def test_a_file_that_an_image_is_made_of_is_named():
    file = LockedFile(path="Dockerfile", sha256="1" * 64, size=1)
    assert changes.between(Lock(image=PINNED), Lock(image=replace(PINNED, files=(file,)))) == [
        "image file `Dockerfile`: new"
    ]


def test_the_first_image_and_the_last_are_told():
    assert changes.between(Lock(), Lock(image=PINNED)) == [f"image: no image -> {PINNED.identity}"]
    assert changes.between(Lock(image=PINNED), Lock()) == [f"image: {PINNED.identity} -> no image"]


def test_an_input_that_comes_from_elsewhere_now_has_changed():
    file = LockedFile(path="r", sha256="1" * 64, size=1)
    old, new = (LockedInput(name="reads", path="r", files=(file,), url=url) for url in ("", "https://data.example/r"))
    assert changes.between(Lock(inputs=(old,)), Lock(inputs=(new,))) == ["input `reads`: changed"]
