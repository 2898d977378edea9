"""A bundle on a disk: what reading it gives, and how it says that it cannot be read."""

import json

import pytest

from sciflow.bundle import folder
from sciflow.errors import BundleError, UsageError
from tests import small


def test_the_id_is_the_digest_of_the_manifest(tmp_path):
    bundle = folder.read(small.compiled(tmp_path))
    assert bundle.path.name == f"small-{bundle.id[:12]}"


def test_points_come_in_order_with_their_kinds(tmp_path):
    points = list(folder.read(small.compiled(tmp_path)).points())
    assert [(one["size"], one["rate"]) for one in points] == [(1, 0.5), (1, 1.0), (2, 0.5), (2, 1.0)]
    assert {type(one["rate"]) for one in points} == {float}


def test_steps_are_those_of_the_plan(tmp_path):
    bundle = folder.read(small.compiled(tmp_path))
    assert len(list(bundle.steps().all())) == sum(task["steps"] for task in bundle.plan["tasks"])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc"])
def test_a_run_is_named_by_one_plain_word(tmp_path, name):
    with pytest.raises(UsageError, match="one plain word"):
        folder.read(small.compiled(tmp_path)).run(name)


def test_a_folder_that_is_no_bundle_is_named_with_the_way_to_one(tmp_path):
    with pytest.raises(UsageError, match=r"is not a bundle: it holds no manifest\.json") as caught:
        folder.read(tmp_path)
    assert "sciflow compile" in caught.value.hint


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '"plan"'])
def test_a_plan_that_cannot_be_read_is_named(tmp_path, text):
    bundle = small.compiled(tmp_path)
    (bundle / "plan.json").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match=r"plan\.json"):
        folder.read(bundle)


def test_a_plan_that_is_missing_is_named(tmp_path):
    bundle = small.compiled(tmp_path)
    (bundle / "plan.json").unlink()
    with pytest.raises(BundleError, match=r"plan\.json. cannot be read"):
        folder.read(bundle)


def test_a_run_that_never_was_has_no_records(tmp_path):
    assert folder.read(small.compiled(tmp_path)).settled()[0] == {}


def test_every_step_of_a_run_has_its_record(tmp_path):
    settled, _ = folder.read(small.ran(tmp_path)).settled()
    assert {key: record["state"] for key, record in settled.items()} == {
        ("prepare", 0): "done",
        **{("train", step): "done" for step in range(4)},
        ("total", 0): "done",
    }


def test_a_segment_that_was_bent_is_named_with_its_line(tmp_path):
    bundle = small.ran(tmp_path)
    (segment,) = (bundle / "runs" / "main" / "segments").glob("*.jsonl")
    lines = segment.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"state":"done"', b'"state":"gone"')
    segment.write_bytes(b"".join(lines))
    with pytest.raises(BundleError, match=rf"{segment.name}: line 2"):
        folder.read(bundle).settled()


def test_a_torn_last_line_is_dropped(tmp_path):
    bundle = small.ran(tmp_path)
    (segment,) = (bundle / "runs" / "main" / "segments").glob("*.jsonl")
    segment.write_bytes(segment.read_bytes()[:-9])
    settled, _ = folder.read(bundle).settled()
    assert len(settled) == 5


def test_the_plan_is_plain_json(tmp_path):
    bundle = small.compiled(tmp_path)
    assert folder.read(bundle).plan == json.loads((bundle / "plan.json").read_text(encoding="utf-8"))
