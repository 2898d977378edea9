"""`8 GiB`, `1h30m`: the texts of quantities -> whole numbers of one unit. The schema has checked the writing."""

from __future__ import annotations

import re
from fractions import Fraction

BYTES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
BYTES |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
MIB = 2**20
SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def mebibytes(text: str) -> int:
    """Return the MiB of `8 GiB` or `500 MB` (a million bytes each), rounded up: never less than was asked."""
    number, unit = re.fullmatch(r"([0-9.]+) ?([A-Za-z]*)B", text).groups()  # type: ignore[union-attr]
    return -int(-Fraction(number) * BYTES[unit] // MIB)


def seconds(text: str) -> int:
    """Return the seconds of `2h`, `90m`, `1h30m` or `1d`."""
    return sum(int(number) * SECONDS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", text))
