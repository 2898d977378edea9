"""Drawn parameters and a sample -> their values, point by point; the same on every machine."""

from __future__ import annotations

import bisect
import itertools
import math
from array import array
from typing import TYPE_CHECKING, Any

from sciflow.workflow import exact, sequences
from sciflow.workflow.budget import DRAWN, EXACT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sciflow.workflow.spec import Draw, Kind, Parameter, Sample, Value

FORMS = ("uniform", "loguniform", "normal", "integer", "choice")


def cost(one: Parameter) -> int:
    """Return about how many operations one value takes."""
    form = one.draw.form if one.draw else ""
    return DRAWN + {"loguniform": EXACT, "normal": EXACT // 4}.get(form, 0)  # a normal's tails alone want a logarithm


def values(drawn: Sequence[Parameter], sample: Sample) -> list[Sequence[Value]]:
    """Return, for each drawn parameter, one value a point: `sample.points` of them."""
    units = sequences.unit(sample.method, sample.points, sample.seed, [one.name for one in drawn])
    return [
        _packed(one.kind, map(_quantile(one.draw, one.values), numbers))
        for one, numbers in zip(drawn, units, strict=True)
        if one.draw is not None
    ]


def _packed(kind: Kind, made: Iterator[Any]) -> Sequence[Value]:
    """Hold a column in as little room as it takes."""
    typecodes = {"int": "q", "float": "d"}
    return array(typecodes[kind], made) if kind in typecodes else list(made)


def _quantile(draw: Draw, choices: Sequence[Value]) -> Callable[[float], Value]:
    """Return what turns a number between 0 and 1 into the value below which so much of the distribution lies."""
    if draw.form == "choice":
        return _chosen(choices, draw.weights or (1.0,) * len(choices))
    first, second = draw.numbers
    if draw.form == "integer":
        low, count = int(first), int(second) - int(first) + 1
        # In whole numbers: the product with a float would lose the last digits of large ones.
        return lambda unit: low + (int(unit * GRAIN) * count // GRAIN)
    if draw.form == "normal":
        return lambda unit: first + second * normal(unit)
    if draw.form == "uniform":
        return lambda unit: min(max(first * (1 - unit) + second * unit, first), second)
    ends_of = exact.log(first), exact.log(second)
    return lambda unit: min(max(exact.exp(ends_of[0] * (1 - unit) + ends_of[1] * unit), first), second)


GRAIN = 1 << 53
FURTHEST = 9  # standard deviations that no number above 2**-53 and below 1 - 2**-53 reaches


def _chosen(choices: Sequence[Value], weights: Sequence[float]) -> Callable[[float], Value]:
    """Return what turns a number between 0 and 1 into a choice; one without weight is never made."""
    _, exponent = math.frexp(max(weights))
    # By a power of two, which loses no digit, so that neither the sum nor its parts leave what floats can hold.
    scaled = [math.ldexp(weight, -exponent) for weight in weights]
    able = [(choice, weight) for choice, weight in zip(choices, scaled, strict=True) if weight]
    ends = list(itertools.accumulate(weight for _, weight in able))
    # The product may be rounded up to the last end, which is beyond the last choice.
    return lambda unit: able[min(bisect.bisect_right(ends, unit * ends[-1]), len(able) - 1)][0]


def normal(unit: float) -> float:
    """Return the standard normal distribution's quantile, to about 16 digits.

    M. J. Wichura, "Algorithm AS 241: The Percentage Points of the Normal Distribution", Applied Statistics 37 (1988),
    PPND16; its logarithm is the exact one, so that every machine computes the same number.
    """
    middle = unit - 0.5
    if abs(middle) <= 0.425:  # noqa: PLR2004  where AS 241 goes over to its tails
        square = 0.180625 - middle * middle
        return middle * _ratio(square, CENTRE)
    root = math.sqrt(-exact.log(min(unit, 1.0 - unit)))
    found = _ratio(root - 1.6, NEAR) if root <= 5.0 else _ratio(root - 5.0, FAR)  # noqa: PLR2004  as above
    return math.copysign(found, middle)


def _ratio(number: float, table: tuple[tuple[float, ...], tuple[float, ...]]) -> float:
    """Divide one polynomial by another, each by Horner's rule, the highest power first."""
    above = below = 0.0
    for first, second in zip(*table, strict=True):
        above, below = above * number + first, below * number + second
    return above / below


CENTRE = (
    (
        *(2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4),
        *(1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    ),
    (
        *(5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4),
        *(5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
    ),
)
NEAR = (
    (
        *(7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0),
        *(3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    ),
    (
        *(1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1),
        *(6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
    ),
)
FAR = (
    (
        *(2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2),
        *(2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    ),
    (
        *(2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4),
        *(1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
    ),
)
