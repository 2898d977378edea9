"""Write a bundle's README: what it is, how to run, verify and replay it, for one who has never heard of sciflow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = """\
# {title}

This folder is a *bundle*: a whole computational experiment, `{name}`, as sciflow compiled it from `workflow.toml`.
It holds the code, the inputs, every pin of the environment ({lock}), the table of points and the programs that run it.
Nothing outside is needed but `python3` (3.6 or later){engines}.

| task | steps | depends on | each may use |
|---|---|---|---|
{tasks}

## Run it

    ./launch.sh                  # here; start it again at any time, and it goes on with what is missing
    sbatch /path/to/launch.sh    # on a Slurm cluster; then log out

What happens is kept in `runs/main`: records in `segments/`, files in `outputs/`. With sciflow installed,
`sciflow collect` writes the table and `sciflow report` the page with the figures.

## Verify it

    python3 -I verify.py         # or, from your own copy of that file:  python3 -I verify.py THIS_FOLDER

It names every file that is not as it was sealed, and says whether somebody whose key you trust has sealed it. To judge
a bundle from a stranger, use your own copy of `verify.py` or `sciflow verify`, never the one that came with it.

## Replay it

    sciflow replay THIS_FOLDER   # runs it again and compares every output and metric with runs/main

`manifest.json` lists every file with its SHA-256; the SHA-256 of that list is the bundle's id.
"""


def _tasks(plan: Mapping[str, Any]) -> str:
    rows = []
    for task in plan["tasks"]:
        wants = task["resources"]
        gpus = f", {wants['gpus']} GPU" if wants["gpus"] else ""
        depends = ", ".join(f"`{name}`" for name in task["uses"]) or (
            f"all of `{task['gather']}`" if task["gather"] else "nothing: it runs once"
        )
        each = f"{wants['cpus']} cpu, {wants['memory_mib']} MiB{gpus}, {wants['time_s']} s{_again(task)}"
        if "ranks" in wants:
            each = f"{wants['ranks']} ranks on {wants['nodes']} nodes, on Slurm only, each: {each}"
        rows.append(f"| `{task['name']}` | {task['steps']} | {depends} | {each} |")
    return "\n".join(rows)


def _again(task: Mapping[str, Any]) -> str:
    """Say how often a step is tried again, and whether it goes on where it was, if either."""
    retry, checkpoint = task["retry"], task["checkpoint"]
    times = f"; tried again {retry['times']} times at most" if retry["times"] and retry["on"] else ""
    after = f" (after: {', '.join(retry['on'])})" if times else ""
    return times + after + (f"; goes on from `{checkpoint['path']}` when it was stopped" if checkpoint else "")


def page(plan: Mapping[str, Any]) -> str:
    """Return the README's text, made of the plan alone."""
    engines = [box["engine"] for box in plan["boxes"] if box["isolation"] != "none"]
    return PAGE.format(
        title=plan["title"] or plan["name"],
        name=plan["name"],
        lock="`workflow.lock`",
        engines=f" and one of: {', '.join(engines)}" if engines else "",
        tasks=_tasks(plan),
    )
