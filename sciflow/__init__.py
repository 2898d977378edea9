"""sciflow: a compiler for computational experiments.

The names below are for programs and notebooks; the verbs are in `sciflow.api`, the errors in `sciflow.errors`.
Importing sciflow imports none of them: each is fetched when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # what a type checker takes for true; the module `typing` would cost more than all the rest

if TYPE_CHECKING:
    from typing import Any

    from sciflow.api.clock import SimulatedClock
    from sciflow.api.engine import Engine
    from sciflow.api.experiment import ExperimentalWorkflow
    from sciflow.api.found import Results
    from sciflow.api.package import Package, create_reproducibility_package
    from sciflow.api.plain import Bundle, Workflow

__version__ = "0.1.0"

_ROOMS = {
    "Bundle": "plain",
    "Engine": "engine",
    "ExperimentalWorkflow": "experiment",
    "Package": "package",
    "Results": "found",
    "SimulatedClock": "clock",
    "Workflow": "plain",
    "create_reproducibility_package": "package",
}

__all__ = [
    "Bundle",
    "Engine",
    "ExperimentalWorkflow",
    "Package",
    "Results",
    "SimulatedClock",
    "Workflow",
    "create_reproducibility_package",
]


def __getattr__(name: str) -> Any:
    """Fetch one of the names from its room (PEP 562)."""
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib  # noqa: PLC0415  only who asks pays for it

    found = getattr(importlib.import_module(f"sciflow.api.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the names there are, fetched or not."""
    return sorted({*globals(), *__all__})
