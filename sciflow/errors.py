"""Every deliberate error of sciflow, on one page.

    SciflowError                 2..6   what the CLI turns into one message and one exit code
    ├── WorkflowError            2      the file (or the words) say something that cannot be meant
    │   └── ImageError           3      so does what its image is made of: a definition, requirements, a flake
    ├── UsageError               2      the words of a command, or of an API call, do not fit together
    ├── SurroundingsError        3      engine, registry, lock, permission, space: the machine, not the file
    ├── BundleError              4      the bundle is not what was sealed
    ├── IncompleteError          5      steps failed, were skipped, or have no record
    └── TrustError               6      nobody the reader trusts has sealed it

Messages name the place, the fault and the fix; paths and keys stand in backticks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sciflow.runner import names


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Fault:
    """One thing wrong with a file: where, what, and what to do about it.

    `line` and `column` count from 1; both are 0 where the fault is of the file as a whole.
    """

    file: str
    line: int = 0
    column: int = 0
    text: str
    hint: str = ""

    def __str__(self) -> str:
        """Give `file:line:column: text`, and the hint on a line of its own."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.text}" + (f"\n  hint: {self.hint}" if self.hint else "")


class SciflowError(Exception):
    """An error that sciflow means: one message, one documented exit code, no traceback."""

    exit_code: ClassVar[int] = names.EXIT_FAULT

    def __init__(self, text: str, *, hint: str = "") -> None:
        """Keep what is wrong and, apart, what to do about it."""
        super().__init__(text)
        self.hint = hint

    def __str__(self) -> str:
        """Give the message, and the hint on a line of its own."""
        return super().__str__() + (f"\n  hint: {self.hint}" if self.hint else "")


class WorkflowError(SciflowError):
    """The workflow says something that cannot be meant; all its faults come together, in the order of the file."""

    exit_code = names.EXIT_WORDS

    def __init__(self, faults: list[Fault]) -> None:
        """Sort the faults by place; there is at least one."""
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ImageError(WorkflowError):
    """What an image is made of, a file beside the workflow, says what cannot be had; faults have their places in it."""

    exit_code = names.EXIT_SURROUNDINGS


class UsageError(SciflowError):
    """The words of a command, or of an API call, do not fit together."""

    exit_code = names.EXIT_WORDS


class SurroundingsError(SciflowError):
    """The machine lacks something: an engine, a registry, a lock that fits, a permission, space."""

    exit_code = names.EXIT_SURROUNDINGS


class BundleError(SciflowError):
    """A bundle, or what was found in its runs, is not what was sealed."""

    exit_code = names.EXIT_CHANGED


class IncompleteError(SciflowError):
    """Steps failed, were skipped, or have no record."""

    exit_code = names.EXIT_INCOMPLETE


class TrustError(SciflowError):
    """The seal is missing, or nobody the reader trusts has made it."""

    exit_code = names.EXIT_UNTRUSTED
