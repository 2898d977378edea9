"""One round as any scheduler needs it: its arrays, and the script that runs one element of them. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciflow.runner import names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST_S = 30  # what an element has of its time at the least, however early it is to be told of its end
END = "END"


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A round that is claimed in a run: `arrays` as `packing.plan_round` gives them, `bundle` an absolute path.

    `begins` is a UTC second, or None for at once; `most` is how many elements of an array may run at once, or None.
    """

    name: str
    bundle: str
    run: str
    number: int
    arrays: Sequence[Mapping[str, Any]]
    begins: int | None = None
    most: int | None = None

    @property
    def log(self) -> str:
        """Return the file that all jobs of the round write to."""
        return f"{self.bundle}/{names.RUNS}/{self.run}/{names.LOGS}/round-{self.number:04d}.log"

    def job(self, array: Mapping[str, Any]) -> str:
        """Return an array's name for people."""
        return f"sciflow-{self.name}-{array['task']}"

    def script(self, place: int, index: str) -> str:
        """Return the script of an array's elements, as a here-document; `index` is a shell word, counted from 0.

        The worker is told of its end ahead of time by `timeout`, since schedulers differ in whom they signal, and when.
        Raises ValueError where the path of the bundle cannot stand in a here-document.
        """
        needs = self.arrays[place]["needs"]
        seconds = max(needs["minutes"] * 60 - needs["lead_s"], LEAST_S)
        runner = f"{self.bundle}/{names.RUNNER}/__main__.py"
        words = ["element", "--run", self.run, "--round", self.number, "--array", place, "-j", needs["cpus"]]
        if not self.log.isprintable():
            raise ValueError(f"a path with control characters cannot stand in a script: {self.log!r}")
        # -j: a node may show a job all of its cores. exec: a shell in between would not pass signals on.
        return (
            f"<<'{END}'\n#!/bin/sh\nexec >>{shlex.quote(self.log)} 2>&1\n"
            f"exec timeout --foreground -s USR1 {seconds} "
            f'"${{SCIFLOW_PYTHON:-python3}}" -I -B {shlex.quote(runner)} '
            f"{shlex.join(map(str, words))} --index {index}\n{END}\n"
        )

    def head(self, scheduler: str, submit: str, remove: str, more: str) -> str:
        """Return how the script begins: what it is, and that it takes back what it submitted where it cannot go on."""
        return (
            f"#!/bin/sh\n# sciflow: round {self.number} of this bundle for {scheduler}, once; to submit it: "
            f"sh FILE [options of {submit}, such as {more}]\n"
            "# When its jobs have ended `sciflow status` says what remains; `sciflow render` plans the next round.\n"
            f'set -eu\njobs=\nundo() {{ for job in $jobs; do {remove} "$job"; done; }}\ntrap undo EXIT\n'
        )
