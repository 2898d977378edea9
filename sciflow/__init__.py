"""sciflow: a compiler for computational experiments. The verbs are in `sciflow.api`, the errors in `sciflow.errors`."""

__version__ = "0.1.0"
