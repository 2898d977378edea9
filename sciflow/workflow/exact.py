"""Powers and logarithms that are the same on every machine.

The C library's differ between platforms in the last digit, and a bundle's id must not. These are computed in decimal
arithmetic of 28 digits, where exp, ln and log10 are correctly rounded (the General Decimal Arithmetic specification),
and then rounded to the nearest float. Where the result is exact (1000 = 10 ** 3), so is the float.
"""

from __future__ import annotations

import math
from decimal import Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DECIMAL = Context(prec=28, Emax=10_000, Emin=-10_000)
LARGE = 1_000.0  # e ** 1000 and 10 ** 1000 are beyond any float, their inverses below


def exp(number: float) -> float:
    """Return e ** number. Raises OverflowError where it is beyond a float."""
    return _computed(number, lambda: DECIMAL.exp(Decimal(number)))


def ten(exponent: float) -> float:
    """Return 10 ** exponent. Raises OverflowError where it is beyond a float."""
    return _computed(exponent, lambda: DECIMAL.power(Decimal(10), Decimal(exponent)))


def log(number: float) -> float:
    """Return the natural logarithm of a number above zero."""
    return float(DECIMAL.ln(Decimal(number)))


def log10(number: float) -> float:
    """Return the logarithm to base ten of a number above zero."""
    return float(DECIMAL.log10(Decimal(number)))


def power(base: float, exponent: float) -> float:
    """Return base ** exponent, base above zero or exponent whole. Raises OverflowError where it is beyond a float."""
    if base in (0, 1, -1) or exponent == 0:
        return float(base**exponent)  # exact everywhere
    # The C library's logarithm serves here: near LARGE the answer is the same on either side of it.
    size = math.log(abs(base)) * exponent
    return _computed(size, lambda: DECIMAL.power(Decimal(base), Decimal(exponent)))


def _computed(size: float, compute: Callable[[], Decimal]) -> float:
    """Return what is computed if its logarithm, about `size`, lets it be a float."""
    if size >= LARGE:
        raise OverflowError
    result = float(compute()) if size > -LARGE else 0.0
    if math.isinf(result):
        raise OverflowError
    return result
