"""F5, F6, F28: a shared file system that says late or wrongly what it did, or that has no hard links."""

import errno

import pytest

from tests.faults import scene as made

pytestmark = pytest.mark.live("cc")
RENAMES = made.POINTS or 8
VEILED_S = 2  # after the first name that was found taken


@pytest.mark.parametrize("error", [errno.ESTALE, errno.ENOENT, errno.EIO, errno.EEXIST])
def test_a_step_that_was_published_is_done_whatever_the_answer_was(scenes, wanted, shim, error):
    """F5: each step's outputs get their name, and an error comes back; the name is found to be this attempt's."""
    scenes[0].clear()
    code, said = scenes[0].go(LD_PRELOAD=shim, RESENT=f"{error:d}:0:/outputs/")
    assert (code, scenes[0].quiet(), scenes[0].wrong(wanted)) == (0, {}, []), said
    assert {record.get("state") for record in scenes[0].records()} <= {None, "done"}


def test_a_rename_that_was_done_and_failed_costs_nothing_that_is_done(scenes, wanted, shim, tmp_path):
    """F5, at any other rename of the runner: it goes on, or ends in words, and starting again ends well."""
    scenes[0].clear()
    log = tmp_path / "log"
    assert scenes[0].go(strace=["strace", "-qq", "-e", "trace=rename", "-o", str(log)])[0] == 0
    scenes[0].quiet()
    points = {"rename": list(range(1, log.read_text().count("rename(") + 1))}

    def act(scene, which):
        code, said = scene.go(LD_PRELOAD=shim, RESENT=f"{errno.ESTALE:d}:{which}:/")
        found = [f"a process is left: {words}" for words in scene.quiet().values()]
        found += [] if code in (0, 3, 5) and "Traceback" not in said else [f"it ended with {code}: {said}"]
        return found + scene.recovered(wanted, "--failed")

    assert made.each(scenes, made.spread(points, RENAMES), act) == []


@pytest.mark.parametrize("unseen", ["records", "outputs", "both"])
def test_what_another_machine_has_done_and_is_seen_late_is_neither_missing_nor_counted_twice(
    scenes, wanted, shim, unseen
):
    """F6: what an earlier worker has put on record, or published, is not seen by the next one for a while."""
    scene = scenes[0]
    scene.clear()
    assert scene.go("--task", "train")[0] == 0
    assert not scene.quiet()
    (segment,) = (scene.folder / "segments").glob("*.jsonl")
    parts = {"records": [f"/segments/{segment.stem}"], "outputs": ["/outputs/prepare", "/outputs/train"]}
    parts["both"] = [part for two in parts.values() for part in two]
    code, said = scene.go(LD_PRELOAD=shim, VEILED=":".join([str(VEILED_S), *parts[unseen]]))
    assert (code, scene.quiet(), scene.wrong(wanted)) == (0, {}, []), said
    assert any(record.get("state") == "superseded" for record in scene.records())


@pytest.mark.live("strace")
def test_where_there_are_no_hard_links_nothing_is_missed(scenes, wanted):
    """F28: link(2) is refused wherever it is called. No fallback is needed: a folder is renamed, and nothing linked."""
    scene = scenes[0]
    scene.clear()
    refused = ["strace", "-f", "-qq", "-o", str(scene.log), "-e", "inject=link,linkat:error=EPERM"]
    code, said = scene.go(strace=[*refused, "-e", "trace=link,linkat,rename"])
    assert (code, scene.quiet(), scene.wrong(wanted)) == (0, {}, []), said
    assert "/outputs/prepare/000000" in scene.log.read_text()
    assert "link" not in scene.log.read_text()
