"""F1: killed at any call of the system, and started again, a run is what it would have been."""

import pytest

from tests.faults import scene as made
from tests.runner.test_kernel import nested

pytestmark = pytest.mark.live("strace")
MANY = made.POINTS or 10


def kill(name, count):
    return ["-e", f"trace={name}", "-e", f"inject={name}:signal=KILL:when={count}"]


@pytest.mark.parametrize(
    ("where", "kind"), [("runner", "scenes"), ("box", "scenes"), pytest.param("box", "apart", marks=nested)]
)
def test_whatever_is_killed_at_any_call_the_table_is_the_same_in_the_end(request, where, kind, tmp_path):
    """F1, in the runner itself and in the box: the loop, its lanes, and their steps; also such that stand apart."""
    scenes = request.getfixturevalue(kind)
    wanted = made.undisturbed(scenes[0])
    counts, _ = made.counted(scenes[0], tmp_path / "log", where)
    points = {name: [(name, count) for count in range(1, most + 1)] for name, most in counts.items()}
    hit = []

    def act(scene, point):
        if where == "runner":
            _, said = scene.go(strace=scene.strace(*kill(*point)))
        else:
            _, said = scene.go(box=scene.strace("-f", *kill(*point)))
        found = ["it went wrong: " + said] if "Traceback" in said else []
        found += [f"a process is left: {words}" for words in scene.quiet().values()]
        log = scene.log.read_text(errors="replace")
        # A box that does not open is ended by the runner, and strace with it, in the midst of its line.
        hit.append("killed by SIGKILL" in log or log.rstrip().endswith("= ?"))
        return found + scene.recovered(wanted, "--failed")

    chosen = made.spread(points, MANY)
    found = made.each(scenes, chosen, act)
    print(f"{where}, {kind}: {sum(counts.values())} calls, {len(chosen)} tried, {sum(hit)} killed")
    assert found == []
    # How often a loop looks about it hangs on how fast it goes: in the box not every call is met a second time.
    assert sum(hit) > (0.8 if where == "runner" else 0.25) * len(hit)
