"""A run that is done -> a folder to give away: the bundle, its run, its results, and the words that reproduce them."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciflow.api import carrying, judging, spoken
from sciflow.api.found import Results
from sciflow.errors import SurroundingsError, UsageError
from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = {"dir": "", "tar.gz": ".tar.gz"}
BUNDLE, AGAIN, SUMS = "bundle", "again", "SHA256SUMS"
RESULTS = ("results.parquet", "results.csv", "steps.parquet", "report.html", "report")
LEFT_OUT = (*RESULTS, names.WORK, names.CHECKPOINTS)

BLOCKS = (
    ("Look whether the copy is whole", f"sha256sum --quiet --check {SUMS}"),
    (
        "Look whether the bundle is what was sealed (6 says: whole, but sealed by nobody you trust yet)",
        f"python3 -I {BUNDLE}/{names.VERIFIER} {BUNDLE} || [ $? -eq 6 ]",
    ),
    (
        "Run all of it again, in the first engine that works here",
        f"python3 -I -B {BUNDLE}/{names.RUNNER}/__main__.py run --run {AGAIN} --now --degrade",
    ),
    (
        "Compare every output and every metric with the run that came along",
        f"python3 -I -B {BUNDLE}/{names.RUNNER}/__main__.py compare --run {AGAIN} --against {{run}}",
    ),
)

PAGE = """\
# {title}

This folder holds a whole computational experiment, `{name}`, and what it brought: {points} points, {steps} steps.

| | |
|---|---|
| `report.html` | the results, on one page that opens offline; its figures are in `report/` |
| `results.csv`, `results.parquet` | one row a point; `steps.parquet`: one row a step |
| `{bundle}/` | the experiment: code, inputs, every pin of its environment, the runner, and the run `{run}` |
| `reproduce.sh` | the commands below, one after the other |

The bundle's id is `{id}`.

## Reproduce it

Nothing is needed but `python3` (3.6 or later){engines}. Say these in this folder, or `sh reproduce.sh`:

{blocks}
The last line says `reproduced`, or names what differs. Numbers may differ by the tolerance their metric declares.
With sciflow installed, `sciflow verify {bundle}` and `sciflow replay {bundle}` say more.
"""

HEAD = """\
#!/bin/sh
# The commands of REPRODUCE.md: whole copy, sealed bundle, run again, compare. Ends with 0 where all of it agrees.
set -eu
cd "$(dirname "$0")"
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A run that can be given away: `export` it."""

    name: str
    results: Results
    carry: bool = False
    """Whether the image comes along, so that nothing has to be fetched to reproduce it."""

    def export(self, folder: str | Path, format: str = "dir") -> Path:  # noqa: A002  a word of the published API
        """Write `<folder>/<name>/` (or `<folder>/<name>.tar.gz`), and return its path.

        The folder is made where it is not there. It is written whole or not at all, and never over something else.
        Raises UsageError where something stands there, SurroundingsError where it cannot be written.
        """
        if format not in FORMATS:
            raise UsageError(f"there is no format `{format}`", hint="`dir` or `tar.gz`")
        target = Path(folder) / f"{self.name}{FORMATS[format]}"
        if target.exists() or target.is_symlink():
            raise UsageError(f"`{target}` is there already", hint="give the package another name, or another folder")
        made = _parents(target.parent)
        done = False
        try:
            for parent in made:
                parent.mkdir()
            with tempfile.TemporaryDirectory(prefix=f".{self.name}-", dir=target.parent) as aside:
                whole = Path(aside) / self.name
                self._fill(whole)
                if FORMATS[format]:
                    packed = Path(aside) / target.name
                    _pack(whole, packed)
                    packed.rename(target)
                else:
                    whole.rename(target)
            done = True
        except OSError as error:
            raise SurroundingsError(
                f"`{target}` cannot be written: {_reason(error)}",
                hint="choose a folder that you may write to, with enough space",
            ) from error
        finally:
            for parent in () if done else reversed(made):
                with contextlib.suppress(OSError):  # it was not made, or somebody else has put something there
                    parent.rmdir()
        return target

    def _fill(self, whole: Path) -> None:
        bundle, run = self.results.bundle, self.results.run
        self.results.write()
        judging.report(bundle.path, run.name)
        skipped = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(bundle.path, whole / BUNDLE, ignore=shutil.ignore_patterns(names.RUNS), symlinks=True)
        shutil.copytree(
            run,
            whole / BUNDLE / names.RUNS / run.name,
            ignore=lambda at, found: skipped(at, found) if Path(at) == run else set(),
            symlinks=True,
        )
        if self.carry:
            carrying.carry(whole / BUNDLE)
        for name in RESULTS:
            if (run / name).is_dir():
                shutil.copytree(run / name, whole / name)
            elif (run / name).exists():
                shutil.copy(run / name, whole / name)
        (whole / "REPRODUCE.md").write_text(page(bundle.plan, bundle.id, run.name), encoding="utf-8")
        (whole / "reproduce.sh").write_text(script(run.name), encoding="utf-8")
        (whole / "reproduce.sh").chmod(0o755)
        # A second run must be able to go beside the first, so what changes with it is left out.
        sums = [
            f"{names.digest_file(path)[0]}  {path.relative_to(whole).as_posix()}\n"
            for path in sorted(whole.rglob("*"))
            if path.is_file() and not path.is_symlink()
        ]
        (whole / SUMS).write_text("".join(sums), encoding="utf-8")


def create_reproducibility_package(
    workflow: Any, results: Results, package_name: str, *, carry: bool = False
) -> Package:
    """Return the package of a workflow's results; with `carry`, its image comes along.

    Raises UsageError where the results are another workflow's.
    """
    spoken.name(package_name, "a package", spoken.FILE)
    if not isinstance(results, Results):
        raise UsageError(f"the results are a {type(results).__name__}", hint="give what the engine returned")
    name = str(getattr(workflow, "name", ""))
    if results.bundle.name != name and not results.bundle.name.startswith(f"{name}-"):  # `name-sweep`
        raise UsageError(f"the results are those of `{results.bundle.name}`, and the workflow is another one")
    return Package(name=package_name, results=results, carry=carry)


def commands(run_name: str) -> list[tuple[str, str]]:
    """Return what reproduces a run: (what for, the command), in order."""
    return [(what, command.format(run=run_name)) for what, command in BLOCKS]


def page(plan: Mapping[str, Any], identity: str, run_name: str) -> str:
    """Return the text of REPRODUCE.md."""
    engines = [box["engine"] for box in plan["boxes"] if box["isolation"] != "none"]
    blocks = [f"{what}:\n\n```sh\n{command}\n```\n" for what, command in commands(run_name)]
    return PAGE.format(
        title=plan["title"] or plan["name"],
        name=plan["name"],
        points=plan["points"],
        steps=sum(task["steps"] for task in plan["tasks"]),
        bundle=BUNDLE,
        run=run_name,
        id=identity,
        engines=f" and one of: {', '.join(engines)}" if engines else ", and what the code itself imports",
        blocks="\n".join(blocks),
    )


def script(run_name: str) -> str:
    """Return the text of reproduce.sh: the commands of REPRODUCE.md."""
    return HEAD + "".join(f"\n# {what}\n{command}\n" for what, command in commands(run_name))


def _parents(folder: Path) -> list[Path]:
    """Return the folders that must be made for a folder to be there, from the outside in."""
    return [path for path in reversed([folder, *folder.parents]) if not path.exists()]


def _reason(error: OSError) -> str:
    """Say what the operating system said; shutil.copytree gathers it of many files, of which the first is told."""
    first = error.args[0] if isinstance(error, shutil.Error) and error.args else None
    text = str(first[0][2]) if isinstance(first, list) and first else (error.strerror or str(error))
    return f"{error.filename}: {text}" if error.filename else text


def _pack(folder: Path, file: Path) -> None:
    """Pack a folder: sorted, without names of users and times, so that the same files give the same bytes."""

    def bare(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        return member

    with (
        file.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        archive.add(folder, arcname=folder.name, filter=bare)  # sorted by tarfile itself
