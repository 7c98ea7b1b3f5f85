"""The primes of an interval, segment by segment: as bits, as a list, or as a table of π.

The bits leave out the primes 2, 3 and 5; lists and tables have them.
"""

from __future__ import annotations

from math import isqrt, log
from typing import TYPE_CHECKING

import numpy as np

from outlast.kernel.nth_prime.cursor import NUMBERS_PER_WORD
from outlast.kernel.nth_prime.gourdon.counted import NUMBERS_PER_ENTRY, lowest, pack, spread
from outlast.kernel.nth_prime.gourdon.crossing import (
    PATTERN_END,
    first_multiples,
    patterns,
    sieve_primes,
)
from outlast.kernel.nth_prime.jit import int64, jit, uint64
from outlast.kernel.nth_prime.sieve.wheel import RESIDUES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PrimeSieve:
    """Sieves one segment after the other.

    Attributes:
        low: where the next segment begins, a multiple of 240.
        words: the last segment, as in the package `sieve`.
    """

    def __init__(self, primes: NDArray[np.int32], n_words: int, low: int, high: int) -> None:
        """Begin at `low`, to go up to `high`; `primes` are all up to √high at least, and to 97."""
        self.low = low
        self.words = np.empty(n_words, np.uint64)
        self._primes = primes
        self._end = max(pi(primes, isqrt(high)), PATTERN_END)
        self._ahead = np.empty((self._end - PATTERN_END, 8), np.int64)
        _begin(low, primes, self._end, self._ahead)

    def advance(self) -> int:
        """Sieve the next segment; return where it begins."""
        low = self.low
        _sieve(self.words, low, patterns(), self._primes, self._end, self._ahead)
        self.low += NUMBERS_PER_WORD * len(self.words)
        return low


@jit
def _begin(low: int, primes: NDArray[np.int32], end: int, ahead: NDArray[np.int64]) -> None:
    for i in range(PATTERN_END, end):
        p = int64(primes[i])
        first_multiples(low, p, p, ahead[i - PATTERN_END])


@jit
def _sieve(
    words: NDArray[np.uint64],
    low: int,
    patterns: NDArray[np.uint64],
    primes: NDArray[np.int32],
    end: int,
    ahead: NDArray[np.int64],
) -> None:
    sieve_primes(words, low, patterns, primes, end, ahead)
    if low == 0:
        segment = words.view(np.uint8)
        segment[0] &= np.uint8(0xFE)  # the number 1
        for i in range(3, PATTERN_END):
            p = int64(primes[i])
            segment[p // 30] |= np.uint8(1 << (p % 30 * 4 // 15))


def pi(primes: NDArray[np.int32], n: int) -> int:
    """Return how many of the primes are at most n."""
    # For a number of another type than theirs numpy would copy them all.
    return int(np.searchsorted(primes, np.int32(min(n, 2**31 - 1)), side="right"))


def most_primes(low: int, high: int) -> int:
    """Return how many primes there are at most from `low` to `high`."""
    return _at_most(high) - _at_least(low) + 1


def least_primes(low: int, high: int) -> int:
    """Return how many primes there are at least from `low` + 1 to `high`, or 0."""
    return max(_at_least(high) - _at_most(low), 0)


# P. Dusart, Estimates of some functions over primes without R.H., 2010: from 60,184 on
# x/(ln x - 1) < π(x) < x/(ln x - 1.1). Below, Rosser and Schoenfeld: π(x) < 1.25506 x/ln x.
_DUSART = 60_184


def _at_most(x: int) -> int:
    if x < 2:
        return 0
    return int(x / (log(x) - 1.1) if x >= _DUSART else 1.25506 * x / log(x)) + 1


def _at_least(x: int) -> int:
    return int(x / (log(x) - 1)) if x >= _DUSART else 0


def list_members(words: NDArray[np.uint64], low: int) -> NDArray[np.int64]:
    """Return the primes of a segment that begins at `low`, ascending."""
    out = np.empty(64 * len(words), np.int64)
    return out[: _list(words, low, out)]


@jit
def _list(words: NDArray[np.uint64], low: int, out: NDArray[np.int64]) -> int:
    found = 0
    if low == 0:
        for p in (2, 3, 5):
            out[found] = p
            found += 1
    for k in range(len(words)):
        bits = words[k]
        while bits != uint64(0):
            j = lowest(bits)
            out[found] = low + NUMBERS_PER_WORD * k + 30 * (j >> 3) + RESIDUES[j & 7]
            found += 1
            bits &= bits - uint64(1)
    return found


def new_table(n_words: int) -> NDArray[np.uint64]:
    """Return room for the table of a segment of so many words."""
    return np.empty(NUMBERS_PER_WORD * n_words // NUMBERS_PER_ENTRY + 1, np.uint64)


def fill(table: NDArray[np.uint64], words: NDArray[np.uint64], low: int, before: int = 0) -> int:
    """Make the table with which `count_to` counts primes from `low` on; return the last count.

    It counts positions from `low`, whose own position is 0, and begins with `before`. It is right
    from the number 2 on: up to 1 there would be one prime.
    """
    return int(_fill(table, words, low, before, spread()))


@jit
def _fill(
    table: NDArray[np.uint64],
    words: NDArray[np.uint64],
    low: int,
    before: int,
    spread: NDArray[np.uint64],
) -> int:
    count = pack(words.view(np.uint8), spread, table, 0, 3 if low == 0 else before)
    if low == 0:
        # Bits 1, 2 and 3 stand for 1, 3 and 5; the one of the number 1 is that of the prime 2.
        table[0] = (table[0] & uint64(0xFFFFFFFF)) | uint64(0b1110)
    table[NUMBERS_PER_WORD * len(words) // NUMBERS_PER_ENTRY] = uint64(count) << uint64(32)
    return count
