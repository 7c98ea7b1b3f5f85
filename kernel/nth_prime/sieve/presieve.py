"""The multiples of the smallest primes, crossed off by copying patterns that repeat."""

from __future__ import annotations

from functools import cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from outlast.kernel.nth_prime.jit import jit
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Each group's pattern repeats after as many bytes as its product.
GROUPS = (
    (7, 11, 13),
    (17, 19),
    (23, 29),
    (31, 37),
    (41, 43),
    (47, 53),
    (59, 61),
    (67, 71),
    (73, 79),
)
LARGEST = 79

STRIP = 1 << 15
"""Bytes that are filled at a time: half of a usual first-level cache."""


class Patterns(NamedTuple):
    """The groups' patterns, one a row, and their periods in bytes.

    A row repeats its pattern for a period and a strip at least, so that a copy that starts
    anywhere in the first period never has to wrap.
    """

    rows: NDArray[np.uint8]
    periods: NDArray[np.int64]


@cache
def patterns() -> Patterns:
    """Return the patterns; they are made at the first call."""
    periods = np.array([prod(group) for group in GROUPS], np.int64)
    table = np.empty((len(GROUPS), int(periods.max()) + STRIP), np.uint8)
    numbers = 30 * np.arange(int(periods.max()))[:, None] + np.array(RESIDUES)
    for row, group in enumerate(GROUPS):
        coprime = np.ones((int(periods[row]), 8), bool)
        for p in group:
            coprime &= numbers[: len(coprime)] % p != 0
        table[row] = np.resize(np.packbits(coprime, axis=1, bitorder="little"), table.shape[1])
    return Patterns(table, periods)


@jit
def presieve(strip: NDArray[np.uint8], high: int, low: int, patterns: Patterns) -> None:
    """Fill `strip`, at most STRIP bytes from a place on, with the numbers coprime to all.

    The place is high · 2^20 + low, see `cross.Place`.
    """
    for row in range(patterns.periods.size):
        period = patterns.periods[row]
        pattern = patterns.rows[row, ((high % period << 20) + low) % period :]
        if row == 0:
            for i in range(strip.size):
                strip[i] = pattern[i]
        else:
            for i in range(strip.size):
                strip[i] &= pattern[i]
