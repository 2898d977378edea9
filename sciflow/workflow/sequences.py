"""Seeds -> numbers between 0 and 1, the same on every machine and for every Python: random, stratified, even.

All randomness is SHA-256 of (method, seed, name, counter): no generator of any library, whose stream may change. Each
parameter has a stream of its own name, so adding one leaves the others' numbers as they are.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
from array import array
from typing import TYPE_CHECKING

from sciflow.runner import names as form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORDS = struct.Struct("<4Q")  # one SHA-256
FRACTION = 53  # bits that a float between 0 and 1 holds
SOBOL_BITS = 32

# Direction numbers of S. Joe and F. Y. Kuo, "Constructing Sobol sequences with better two-dimensional projections",
# SIAM J. Sci. Comput. 30 (2008), the set new-joe-kuo-6: of each dimension after the first the primitive polynomial, its
# coefficients as bits, and the first odd numbers m.
DIRECTIONS: tuple[tuple[int, tuple[int, ...]], ...] = (
    *((3, (1,)), (7, (1, 3)), (11, (1, 3, 1)), (13, (1, 1, 1)), (19, (1, 1, 3, 3)), (25, (1, 3, 5, 13))),
    *((37, (1, 1, 5, 5, 17)), (41, (1, 1, 5, 5, 5)), (47, (1, 1, 7, 11, 19)), (55, (1, 1, 5, 1, 1))),
    *((59, (1, 1, 1, 3, 11)), (61, (1, 3, 5, 5, 31)), (67, (1, 3, 3, 9, 7, 49)), (91, (1, 1, 1, 15, 21, 21))),
    *((97, (1, 3, 1, 13, 27, 49)), (103, (1, 1, 1, 15, 7, 5)), (109, (1, 3, 1, 15, 13, 25))),
    *((115, (1, 1, 5, 5, 19, 61)), (131, (1, 3, 7, 11, 23, 15, 103)), (137, (1, 3, 7, 13, 13, 15, 69))),
    *((143, (1, 1, 3, 13, 7, 35, 63)), (145, (1, 3, 5, 9, 1, 25, 53)), (157, (1, 3, 1, 13, 9, 35, 107))),
    *((167, (1, 3, 1, 5, 27, 61, 31)), (171, (1, 1, 5, 11, 19, 41, 61)), (185, (1, 3, 5, 3, 3, 13, 69))),
    *((191, (1, 1, 7, 13, 1, 19, 1)), (193, (1, 3, 7, 5, 13, 19, 59)), (203, (1, 1, 3, 9, 25, 29, 41))),
    *((211, (1, 3, 5, 13, 23, 1, 55)), (213, (1, 3, 7, 3, 13, 59, 17)), (229, (1, 3, 1, 3, 5, 53, 69))),
    *((239, (1, 1, 5, 5, 23, 33, 13)), (241, (1, 1, 7, 7, 1, 61, 123)), (247, (1, 1, 7, 9, 13, 61, 49))),
    *((253, (1, 3, 3, 5, 3, 55, 33)), (285, (1, 3, 1, 15, 31, 13, 49, 245)), (299, (1, 3, 5, 15, 31, 59, 63, 97))),
    (301, (1, 3, 1, 11, 11, 11, 77, 249)),
)
PRIMES = tuple(number for number in range(2, 174) if all(number % less for less in range(2, number)))
MAX_DIMENSIONS = {"sobol": 1 + len(DIRECTIONS), "halton": len(PRIMES)}
"""How many parameters a method can draw together; the others: any number."""


def unit(method: str, count: int, seed: int, names: Sequence[str]) -> list[array[float]]:
    """Return, for each name, `count` numbers, each above 0 and below 1.

    random: independent. latin-hypercube: one in each of `count` equal strata, strata paired at random. sobol, halton:
    the sequence from its start, in its own order, moved by a random shift of the seed (digital; modulo 1).
    """
    make = {"random": _random, "latin-hypercube": _latin, "sobol": _sobol, "halton": _halton}[method]
    return [make(count, form.canonical([method, seed, name]), dimension) for dimension, name in enumerate(names)]


def _words(stream: str) -> Iterator[int]:
    """Yield 64 random bits at a time, for ever."""
    start = hashlib.sha256(stream.encode("utf-8"))
    counter = 0
    while True:
        block = start.copy()
        block.update(counter.to_bytes(8, "little"))
        yield from WORDS.unpack(block.digest())
        counter += 1


def _fraction(word: int) -> float:
    """Return the middle of one of 2**52 equal parts of the unit, so that 0 and 1 themselves never come."""
    return ((word >> (65 - FRACTION)) + 0.5) / (1 << (FRACTION - 1))


def _random(count: int, stream: str, _: int) -> array[float]:
    return array("d", map(_fraction, itertools.islice(_words(stream), count)))


def _latin(count: int, stream: str, _: int) -> array[float]:
    words = _words(stream)
    strata = array("L", range(count))
    for place in range(count - 1, 0, -1):  # Fisher and Yates; 64 bits over at most a million: no bias that shows
        other = next(words) % (place + 1)
        strata[place], strata[other] = strata[other], strata[place]
    return array("d", ((stratum + _fraction(word)) / count for stratum, word in zip(strata, words, strict=False)))


def _sobol(count: int, stream: str, dimension: int) -> array[float]:
    """Turn by Gray code: each number differs from the one before in one direction (Antonov and Saleev 1979)."""
    directions = _directions(dimension)
    number = next(_words(stream)) >> (64 - SOBOL_BITS)
    made = array("d")
    for index in range(1, count + 1):
        made.append((number + 0.5) / (1 << SOBOL_BITS))
        number ^= directions[(index & -index).bit_length() - 1]
    return made


def _directions(dimension: int) -> list[int]:
    """Return v_1 … v_32, as whole numbers of 32 bits, by the recurrence of Bratley and Fox (1988)."""
    if dimension == 0:
        return [1 << (SOBOL_BITS - bit) for bit in range(1, SOBOL_BITS + 1)]
    polynomial, odd = DIRECTIONS[dimension - 1]
    degree = len(odd)
    made = [number << (SOBOL_BITS - 1 - bit) for bit, number in enumerate(odd)]
    for bit in range(degree, SOBOL_BITS):
        number = made[bit - degree] ^ (made[bit - degree] >> degree)
        for step in range(1, degree):
            if polynomial >> (degree - step) & 1:
                number ^= made[bit - step]
        made.append(number)
    return made


def _halton(count: int, stream: str, dimension: int) -> array[float]:
    """Mirror the digits of 0, 1, 2 … about the point, in the base of this dimension (Halton 1960)."""
    base, shift = PRIMES[dimension], next(_words(stream)) >> (65 - FRACTION)
    grains = 1 << (FRACTION - 1)
    made = array("d")
    for index in range(count):
        mirrored, scale, rest = 0, 1, index
        while rest:
            rest, digit = divmod(rest, base)
            mirrored, scale = mirrored * base + digit, scale * base
        # In whole grains, whose middles are taken, so that 0 and 1 themselves never come.
        made.append(((mirrored * grains // scale + shift) % grains + 0.5) / grains)
    return made
