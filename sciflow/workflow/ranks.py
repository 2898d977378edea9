"""A task's `nodes`, `ranks` and `mpi` -> over how many nodes its steps are spread, and what is wrong with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sciflow.workflow.faults import Faults
    from sciflow.workflow.spec import Keys


def build(path: Keys, table: dict[str, Any], faults: Faults) -> tuple[int, int, str]:
    """Return (nodes, ranks, mpi) of the task at `path`; (0, 0, "") of one whose steps are one process on one machine.

    One rank on one node that names no `mpi` is that, too.
    """
    wanted = table.get("resources", {})
    nodes, ranks, mpi = wanted.get("nodes", 1), wanted.get("ranks", 0), wanted.get("mpi", "")
    here: Keys = (*path, "resources")
    if mpi and not {"nodes", "ranks"} & wanted.keys():
        fault = f"`mpi` is `{mpi}`, and neither `ranks` nor `nodes` says how many ranks there are"
        faults.value((*here, "mpi"), fault, "write how many: `ranks = 8`; or leave `mpi` out")
    if ranks and ranks < nodes:
        fault = f"`nodes` is {nodes} and `ranks` is {ranks}: some nodes would have nothing to do"
        faults.value((*here, "ranks"), fault, f"write at least `ranks = {nodes}`, or fewer nodes")
    ranks = ranks or nodes
    if ranks == 1 and not mpi:
        return 0, 0, ""
    _alone(path, table, faults)
    return nodes, max(nodes, ranks), mpi


def _alone(path: Keys, table: dict[str, Any], faults: Faults) -> None:
    """Refuse what a task whose steps are several ranks cannot have beside."""
    if "python" in table:
        fault = "a function is called once, and this task asks for several ranks"
        faults.value((*path, "python"), fault, "write a command: `run` or `shell`; or leave out `nodes` and `ranks`")
    if table.get("resources", {}).get("gpus"):
        fault = "`gpus` and several ranks do not go together yet"
        faults.value((*path, "resources", "gpus"), fault, "leave out `gpus`, or `nodes` and `ranks`")
    if table.get("isolate", "worker") != "worker":
        fault = "each rank has a box of its own in any case"
        faults.value((*path, "isolate"), fault, "leave `isolate` out")
    if table.get("retry", {}).get("grow_memory", 1) > 1:
        fault = "`grow_memory` and several ranks do not go together: nobody here sees what a rank holds"
        faults.key((*path, "retry", "grow_memory"), fault, "leave it out, and ask for as much `memory` as a rank needs")
