"""The lock: what it pins, how it is kept, and what it says when something no longer fits."""

import os
import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from sciflow.containers.image import PinnedImage
from sciflow.errors import SurroundingsError, WorkflowError
from sciflow.plan import lock
from sciflow.plan.lock import Lock
from sciflow.runner import hours
from sciflow.workflow import load
from sciflow.workflow.spec import Code, Image, Input, Schedule, Workflow

ZONES = ("Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu", "UTC")
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


def study(folder, *, include=("*.py",), exclude=(), entries=()):
    return Workflow(name="study", code=Code(include=include, exclude=exclude), inputs=entries)


def pinned_code(folder, include, exclude=()):
    return [file.path for file in lock.files(study(folder, include=include, exclude=exclude), folder).code]


def put(folder, *places):
    for place in places:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place, encoding="utf-8")


@pytest.mark.parametrize("zone", ZONES)
def test_the_frozen_offsets_are_those_of_the_zone_at_a_thousand_instants(zone):
    transitions = lock.transitions(zone)
    begin, end = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (lock.FIRST_YEAR, lock.LAST_YEAR))
    chosen = random.Random(zone)
    for _ in range(1000):
        instant = chosen.randrange(begin, end)
        wanted = datetime.fromtimestamp(instant, ZoneInfo(zone)).utcoffset().total_seconds()
        assert hours.offset(transitions, instant) == wanted


def test_the_offset_turns_at_the_very_second():
    for start, shift in lock.transitions("Europe/Zurich")[1:]:
        before = datetime.fromtimestamp(start - 1, ZoneInfo("Europe/Zurich")).utcoffset().total_seconds()
        after = datetime.fromtimestamp(start, ZoneInfo("Europe/Zurich")).utcoffset().total_seconds()
        assert (before != after, after) == (True, shift)


def test_a_workflow_that_runs_now_pins_no_zone(tmp_path):
    assert lock.files(Workflow(name="study"), tmp_path).transitions == ()


def test_the_zone_is_kept_from_the_lock_that_is_there(tmp_path):
    night = Workflow(
        name="study", schedule=Schedule(policy="off-peak", hours=("22:00-08:00",), timezone="Europe/Zurich")
    )
    old = Lock(timezone="Europe/Zurich", transitions=((0, 3600),))
    assert lock.files(night, tmp_path, old).transitions == ((0, 3600),)


def test_update_asks_for_the_zone_anew(tmp_path):
    night = Workflow(
        name="study", schedule=Schedule(policy="off-peak", hours=("22:00-08:00",), timezone="Europe/Zurich")
    )
    old = Lock(timezone="Europe/Zurich", transitions=((0, 3600),))
    new = lock.resolve(night, tmp_path, old, update=lock.ALL, progress=print)
    assert new.transitions == lock.transitions("Europe/Zurich")


def test_a_pinned_image_that_fits_is_kept_without_a_network(tmp_path):
    workflow = Workflow(name="study", image=Image(source="from", reference="docker://localhost:5000/tools:1"))
    assert lock.resolve(workflow, tmp_path, Lock(image=PINNED), offline=True, progress=print).image == PINNED


def test_an_image_that_is_not_pinned_cannot_be_pinned_offline(tmp_path):
    workflow = Workflow(name="study", image=Image(source="from", reference="docker://localhost:5000/tools:1"))
    with pytest.raises(SurroundingsError, match="is not pinned yet, and that needs the network"):
        lock.resolve(workflow, tmp_path, None, offline=True, progress=print)


def test_a_pinned_image_is_dropped_with_the_section_that_asked_for_it(tmp_path):
    assert lock.resolve(Workflow(name="study"), tmp_path, Lock(image=PINNED), progress=print).image is None


def test_code_is_listed_by_path_with_its_x_bit(tmp_path):
    put(tmp_path, "b.py", "a.py")
    (tmp_path / "a.py").chmod(0o755)
    found = lock.files(study(tmp_path), tmp_path).code
    assert [(file.path, file.size, file.executable) for file in found] == [("a.py", 4, True), ("b.py", 4, False)]


def test_the_umask_of_a_file_does_not_matter(tmp_path):
    put(tmp_path, "a.py")
    (tmp_path / "a.py").chmod(0o600)
    private = lock.files(study(tmp_path), tmp_path).code_digest
    (tmp_path / "a.py").chmod(0o664)
    assert lock.files(study(tmp_path), tmp_path).code_digest == private


def test_two_stars_cross_folders(tmp_path):
    put(tmp_path, "a.py", "lib/b.py", "lib/deep/c.py")
    assert pinned_code(tmp_path, ("**/*.py",)) == ["a.py", "lib/b.py", "lib/deep/c.py"]


def test_two_stars_at_the_end_mean_all_below(tmp_path):
    put(tmp_path, "a.py", "lib/b.txt", "lib/deep/c.py")
    assert pinned_code(tmp_path, ("lib/**",)) == ["lib/b.txt", "lib/deep/c.py"]


def test_two_stars_take_out_all_below_too(tmp_path):
    put(tmp_path, "a.py", "lib/b.py", "lib/deep/c.py")
    assert pinned_code(tmp_path, ("**/*.py",), ("lib/**",)) == ["a.py"]


def test_a_name_left_out_is_left_out_in_every_folder(tmp_path):
    put(tmp_path, "a.py", "test_a.py", "lib/test_b.py")
    assert pinned_code(tmp_path, ("**/*.py",), ("test_*.py",)) == ["a.py"]


def test_a_pattern_that_is_none_is_named(tmp_path):
    with pytest.raises(WorkflowError, match=r"`a\*\*b/x` under \[code\] is no pattern"):
        pinned_code(tmp_path, ("a**b/x",))


def test_what_sciflow_wrote_is_not_code(tmp_path):
    put(tmp_path, "a.py", "elsewhere/x-1/manifest.json", "elsewhere/x-1/plan.json", "elsewhere/x-1/code/a.py")
    put(tmp_path, "bundles/x-1/code/a.py", ".compiling-1/code/a.py", "workflow.lock", "__pycache__/a.pyc")
    assert pinned_code(tmp_path, ("**/*",)) == ["a.py"]


def test_code_that_is_a_link_is_refused(tmp_path):
    put(tmp_path, "a.py")
    (tmp_path / "b.py").symlink_to("a.py")
    with pytest.raises(WorkflowError, match=r"b\.py: is a link; code is carried as plain files"):
        lock.files(study(tmp_path), tmp_path)


def test_code_behind_a_link_is_refused(tmp_path):
    put(tmp_path, "elsewhere/a.py")
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "lib").symlink_to("../elsewhere")
    with pytest.raises(WorkflowError, match="study/lib: is a link; code is carried as plain files"):
        lock.files(study(tmp_path, include=("lib/*.py",)), tmp_path / "study")


@pytest.mark.parametrize("name", ["a\nb.py", "a\\b.py", "\x1b[31m.py", "x" * 250 + ".py"])
def test_a_name_that_no_manifest_may_list_is_refused(tmp_path, name):
    folder = tmp_path.joinpath(*(["d" * 200] * 2 if len(name) > 200 else []))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("", encoding="utf-8")
    with pytest.raises(WorkflowError, match="its name cannot be carried in a bundle") as caught:
        lock.files(study(tmp_path, include=("**/*.py",)), tmp_path)
    assert str(caught.value).replace("\n", "").isprintable()


def test_an_input_folder_is_carried_whole(tmp_path):
    put(tmp_path, "data/b.txt", "data/bundles/a.txt", "data/.git/x")
    found = lock.files(study(tmp_path, entries=(Input(name="data", path="data"),)), tmp_path).inputs[0]
    assert [file.path for file in found.files] == ["data/.git/x", "data/b.txt", "data/bundles/a.txt"]


def test_an_input_file_is_known_by_its_own_digest(tmp_path):
    put(tmp_path, "a.txt")
    found = lock.files(study(tmp_path, entries=(Input(name="data", path="a.txt"),)), tmp_path).inputs[0]
    assert found.sha256 == found.files[0].sha256


def test_a_link_inside_an_input_is_refused(tmp_path):
    put(tmp_path, "data/a.txt")
    (tmp_path / "data" / "b").symlink_to("/etc")
    with pytest.raises(WorkflowError, match="data/b: is a link, inside the input `data`"):
        lock.files(study(tmp_path, entries=(Input(name="data", path="data"),)), tmp_path)


def test_a_pipe_inside_an_input_is_refused_and_not_waited_for(tmp_path):
    put(tmp_path, "data/a.txt")
    os.mkfifo(tmp_path / "data" / "pipe")
    with pytest.raises(WorkflowError, match="data/pipe: is no regular file"):
        lock.files(study(tmp_path, entries=(Input(name="data", path="data"),)), tmp_path)


def test_a_real_workflow_is_pinned_with_all_its_pieces(tmp_path):
    put(tmp_path, "t.py", "in.txt")
    (tmp_path / "workflow.toml").write_text(
        'format = 1\n[workflow]\nname = "x"\n[code]\ninclude = ["*.py"]\n[inputs]\na = { path = "in.txt" }\n'
        '[tasks.t]\nrun = ["true"]\n'
    )
    found = lock.files(load.read(tmp_path / "workflow.toml"), tmp_path)
    assert ([file.path for file in found.code], [entry.path for entry in found.inputs]) == (["t.py"], ["in.txt"])
