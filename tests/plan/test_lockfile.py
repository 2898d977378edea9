"""A lock and its file: each gives the other back, and a text that is none is named."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sciflow.containers.image import Package, PinnedImage, Wheel
from sciflow.containers.locked import LockedFile
from sciflow.errors import SurroundingsError
from sciflow.plan import lockfile
from sciflow.plan.commit import Commit
from sciflow.plan.lock import Lock, LockedInput

digests = st.text("0123456789abcdef", min_size=64, max_size=64)
words = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
paths = st.lists(words, min_size=1, max_size=3).map(" ".join)
files = st.lists(
    st.builds(LockedFile, path=paths, sha256=digests, size=st.integers(0, 1 << 50), executable=st.booleans()),
    max_size=4,
).map(tuple)
inputs = st.lists(
    st.builds(LockedInput, name=words, path=paths, files=files, url=st.just("") | words),
    max_size=3,
    unique_by=lambda entry: entry.name,
).map(lambda entries: tuple(sorted(entries, key=lambda entry: entry.name)))
pairs = st.dictionaries(words, words, max_size=2).map(lambda found: tuple(sorted(found.items())))
images = st.builds(
    PinnedImage,
    source=st.sampled_from(["from", "debian", "nix", "definition", "dockerfile", "file"]),
    reference=paths,
    platform=words,
    digests=st.dictionaries(words, digests, max_size=3).map(lambda found: tuple(sorted(found.items()))),
    asked=st.lists(words, max_size=3).map(tuple),
    packages=st.lists(
        st.builds(Package, name=words, version=words, architecture=words, sha256=digests), max_size=3
    ).map(tuple),
    python=st.just("") | words,
    wheels=st.lists(
        st.builds(
            Wheel, name=words, version=words, file=words, sha256=digests, size=st.integers(0, 1 << 50), url=paths
        ),
        max_size=2,
    ).map(tuple),
    requirements=files,
    files=files,
    paths=files,
    over=st.just("") | words,
    given=pairs,
    given_labels=pairs,
    folder=st.just("") | words,
    environment=pairs,
    labels=pairs,
    tools=pairs,
    size=st.integers(0, 1 << 50),
)
zones = st.one_of(
    st.just(("UTC", ())),
    st.tuples(words, st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(-90000, 90000)), min_size=1).map(tuple)),
)
locks = st.builds(
    lambda image, code, commit, entries, zone: Lock(
        image=image, code=code, commit=commit, inputs=entries, timezone=zone[0], transitions=zone[1]
    ),
    st.none() | images,
    files,
    st.none()
    | st.builds(Commit, id=digests, clean=st.booleans(), remote=st.sampled_from(["", "https://example.org/a"])),
    inputs,
    zones,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(locks)
def test_a_lock_that_is_written_reads_back_equal(tmp_path, wanted):
    (tmp_path / "workflow.lock").write_text(lockfile.text(wanted), encoding="utf-8")
    assert lockfile.read(tmp_path / "workflow.lock") == wanted


def test_no_lock_is_no_error(tmp_path):
    assert lockfile.read(tmp_path / "workflow.lock") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "format = ",
        "format = 1",
        "format = 1\ncode = 3\n[inputs]",
        'format = 1\ncode = ["t.py"]\n[inputs]',
        'format = 1\ncode = ["t.py sha256:00 many"]\n[inputs]',
        "format = 1\ncode = []\n[inputs]\nstart = 3",
        'format = 1\ncode = []\n[inputs]\n[image]\nsource = "from"',
        "format = 1\ncode = []\n[inputs]\n[timezone]",
        "code = []",
    ],
)
def test_a_text_that_is_no_lock_is_named_with_a_way_out(tmp_path, text):
    (tmp_path / "workflow.lock").write_text(text, encoding="utf-8")
    with pytest.raises(SurroundingsError, match=r"workflow\.lock. is not a lock that sciflow wrote") as caught:
        lockfile.read(tmp_path / "workflow.lock")
    assert "--update" in caught.value.hint


def test_bytes_that_are_no_text_are_no_lock(tmp_path):
    (tmp_path / "workflow.lock").write_bytes(b"\xff\xfe")
    with pytest.raises(SurroundingsError, match="is not a lock"):
        lockfile.read(tmp_path / "workflow.lock")


def test_a_lock_of_another_format_is_named(tmp_path):
    (tmp_path / "workflow.lock").write_text("format = 2\n", encoding="utf-8")
    with pytest.raises(SurroundingsError, match="format 2, and this sciflow reads 1"):
        lockfile.read(tmp_path / "workflow.lock")
